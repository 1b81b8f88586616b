# What the scripts of this folder share: a server is started, a simulated export is mirrored into it as users do,
# and what the server turned out to be like is printed. Sourced, never run.

readonly e3sync=$(realpath "${E3SYNC:-target/release/e3sync}")
work=$(mktemp -d)
started=()

stop_all() {
    local status=$?
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$work"/*.log >&2 || true
    fi
    rm -rf --one-file-system "$work"
}
trap stop_all EXIT

need() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || { echo "needs $name" >&2; exit 77; }
    done
}

# Starts a server that ends with the script.
start() {
    "$@" >"$work/$(basename "$1").log" 2>&1 &
    started+=($!)
}

# Waits until something listens on a port.
wait_for() {
    for _ in $(seq 300); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    return 1
}

run() {
    printf '\n$ e3sync %s\n' "$*"
    "$e3sync" "$@"
}

# Mirrors into the bucket `lake` of a server: large and small objects, a rewritten day, a verification.
lake() {
    start "$e3sync" simulate --days 4 --objects-per-day 6 --noise 1KiB..45MiB --seed 7
    local variables="$work/$(basename "$e3sync").log"
    for _ in $(seq 100); do grep -q OPTIMIZELY_API_TOKEN "$variables" && break; sleep 0.1; done
    eval "$(grep '^export' "$variables")"
    export E3SYNC_DEST_ENDPOINT_URL=$1 AWS_EC2_METADATA_DISABLED=true XDG_STATE_HOME="$work/state"
    run doctor s3://lake/events
    run sync s3://lake/events --last 4d --part-size 5MiB
    run sync s3://lake/events --last 4d --part-size 5MiB --json >"$work/second.json"
    tail -n 1 "$work/second.json" | grep -q '"transferred":0' || { echo "the second run transferred objects" >&2; return 1; }
    echo "the second run transferred nothing"
    run verify s3://lake/events --quick
    run verify s3://lake/events
    run status s3://lake/events
    run doctor s3://lake/events
    echo "passed"
}
