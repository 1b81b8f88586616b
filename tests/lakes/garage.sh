#!/usr/bin/env bash
# Garage, an S3 server in Rust, as the destination. Needs `cargo install garage`. Everything listens on loopback and
# ends with the script.
#
#     E3SYNC=target/release/e3sync tests/lakes/garage.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"

need garage

readonly s3_port=18090 rpc_port=18091
cat >"$work/garage.toml" <<EOF
metadata_dir = "$work/meta"
data_dir = "$work/data"
db_engine = "lmdb"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$rpc_port"
rpc_public_addr = "127.0.0.1:$rpc_port"
rpc_secret = "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:$s3_port"
root_domain = ".s3.garage.localhost"
EOF
export GARAGE_CONFIG_FILE="$work/garage.toml"

start garage server
wait_for "$rpc_port"
wait_for "$s3_port"
node=$(garage node id --quiet | cut -d @ -f 1)
garage layout assign "$node" --zone here --capacity 1G >/dev/null
garage layout apply --version 1 >/dev/null
garage key create lake >"$work/key"
garage bucket create lake >/dev/null
garage bucket allow lake --read --write --owner --key lake >/dev/null
AWS_ACCESS_KEY_ID=$(sed -n 's/^Key ID: *//p' "$work/key")
AWS_SECRET_ACCESS_KEY=$(sed -n 's/^Secret key: *//p' "$work/key")
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION=garage
lake "http://127.0.0.1:$s3_port"
