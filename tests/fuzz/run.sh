#!/usr/bin/env bash
# run.sh SECONDS [ARGUMENT...]: builds the fuzzer and lets it run for so long. Any stable Rust will do.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:-60}
shift || true
# The same versions as the library's own build.
[ ! -f "$root/Cargo.lock" ] || cp "$root/Cargo.lock" "$root/tests/fuzz/Cargo.lock"
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/fuzz
export CARGO_TARGET_DIR
"$root/tests/lib/cargo.sh" build --quiet --release --manifest-path "$root/tests/fuzz/Cargo.toml"
cd "$root"
exec "$CARGO_TARGET_DIR/release/hasty-fuzz" --seconds "$seconds" --failures "$CARGO_TARGET_DIR/failures" "$@"
