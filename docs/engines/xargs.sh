#!/bin/sh
# A backfill by several processes of one machine, each with up to sixteen days: sh xargs.sh ./events --last 90d
# One process uses a machine well by itself; this is for processes under limits of their own, and for trying out what
# engines do.
set -u
processes=4
destination=$1

e3sync plan "$@" --json |
    grep '"event":"plan"' |
    grep -E '"action":"(create|replace|extend|complete|repair)"' |
    xargs -d '\n' -r -P "$processes" -n 16 sh -c 'destination=$1; shift; printf "%s\n" "$@" | e3sync sync "$destination" --join --units -' sh "$destination"

# Finds everything in place, and its exit code says whether it is.
exec e3sync sync "$@" --join
