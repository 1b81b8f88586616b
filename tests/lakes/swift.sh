#!/usr/bin/env bash
# OpenStack Swift with its s3api as the destination: a server that is S3 by its protocol only. Needs the Debian
# packages swift-proxy, swift-account, swift-container, swift-object and memcached, and a file system with extended
# attributes. Everything listens on loopback and ends with the script.
#
#     E3SYNC=target/release/e3sync tests/lakes/swift.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"

need swift-ring-builder swift-proxy-server swift-account-server swift-container-server swift-object-server memcached

readonly proxy_port=18080 memcached_port=18084
declare -A ports=([account]=18081 [container]=18082 [object]=18083)

for kind in account container object; do
    mkdir -p "$work/devices/disk"
    builder="$work/$kind.builder"
    swift-ring-builder "$builder" create 4 1 1 >/dev/null
    swift-ring-builder "$builder" add "r1z1-127.0.0.1:${ports[$kind]}/disk" 1 >/dev/null
    swift-ring-builder "$builder" rebalance >/dev/null
    cat >"$work/$kind.conf" <<EOF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${ports[$kind]}
swift_dir = $work
devices = $work/devices
mount_check = false
user = $(id -un)
workers = 1
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
EOF
done
cat >"$work/swift.conf" <<EOF
[swift-hash]
swift_hash_path_suffix = e3sync
[storage-policy:0]
name = gold
default = yes
EOF
cat >"$work/proxy.conf" <<EOF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $proxy_port
swift_dir = $work
user = $(id -un)
workers = 1
[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$memcached_port
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
EOF

export SWIFT_DIR="$work"
start memcached -u "$(id -un)" -l 127.0.0.1 -p "$memcached_port"
for kind in account container object; do
    start "swift-$kind-server" "$work/$kind.conf"
    wait_for "${ports[$kind]}"
done
wait_for "$memcached_port"
start swift-proxy-server "$work/proxy.conf"
wait_for "$proxy_port"

# The keys of s3api have a colon, at which curl would cut them: the bucket is made by Swift's own interface.
token=$(curl --silent --show-error --fail --include --header 'X-Auth-User: test:tester' --header 'X-Auth-Key: testing' \
    "http://127.0.0.1:$proxy_port/auth/v1.0" | tr -d '\r' | sed -n 's/^X-Auth-Token: //Ip')
curl --silent --show-error --fail --request PUT --header "X-Auth-Token: $token" "http://127.0.0.1:$proxy_port/v1/AUTH_test/lake"
export AWS_ACCESS_KEY_ID=test:tester AWS_SECRET_ACCESS_KEY=testing AWS_REGION=us-east-1
lake "http://127.0.0.1:$proxy_port"
