#!/usr/bin/env bash
# Builds the servers and measures: benches/run.sh [--quick] [--micro] [options of compare.py]
#
# Without options: everything, a quarter of an hour. --quick: hasty and the floor, three rounds, two minutes.
# --micro: the parser and the router alone. Needs a built library: `make bench` sees to that first.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
# shellcheck source=tests/lib/need.sh
. "$root/tests/lib/need.sh"
out=$target/benches
mkdir -p "$out"
missing=''

micro() {
    need_cargo || { say "without the parser and the router: $missing"; return 0; }
    cp "$root/Cargo.lock" "$here/micro/Cargo.lock"
    CARGO_TARGET_DIR=$out/micro cargo run --quiet --release --manifest-path "$here/micro/Cargo.toml"
}

# server NAME PACKAGES FLAGS...: a server in C. The two that everything needs must be there, peers may be missing.
server() {
    local name=$1 packages=$2
    shift 2
    rm -f "$out/$name"
    if ! need_package "$packages" "measuring $name"; then
        say "without $name: $missing"
    elif ! "${CC:-cc}" -std=gnu11 -O2 -o "$out/$name" "$here/servers/$name.c" "$@" -lpthread 2>"$out/$name.log"; then
        say "without $name: it did not compile, see $out/$name.log"
    fi
}

hyper() {
    rm -f "$out/hyper"
    need_cargo || { say "without hyper: $missing"; return 0; }
    if CARGO_TARGET_DIR=$out/rust cargo build --quiet --release --locked --manifest-path "$here/servers/hyper/Cargo.toml" 2>"$out/hyper.log"; then
        cp "$out/rust/release/bench-hyper" "$out/hyper"
    else
        say "without hyper: it did not build, see $out/hyper.log"
    fi
}

options=()
peers=1
case "${1:-}" in
--micro)
    micro
    exit
    ;;
--quick)
    shift
    peers=0
    options=(--servers 'floor,hasty' --rounds 3)
    ;;
--report | --help | -h) exec python3 "$here/compare.py" "$@" ;;
esac

if [ ! -f "$target/release/libhasty.a" ]; then
    echo "there is no $target/release/libhasty.a yet: make build" >&2
    exit 1
fi
need_command python3 python3 'the comparison' || { echo "$missing" >&2; exit 1; }
need_command wrk wrk 'the load' || { echo "$missing" >&2; exit 1; }
need_command "${CC:-cc}" 'gcc libc6-dev' 'building the servers' || { echo "$missing" >&2; exit 1; }
case " $* " in
*' --instructions '*) need_command valgrind valgrind 'counting instructions' || { echo "$missing" >&2; exit 1; } ;;
esac

server floor 'gcc libc6-dev'
# Statically, so that it measures the library built last, wherever another one is installed.
server hasty 'gcc libc6-dev' -I "$root/include" "$target/release/libhasty.a" -ldl -lm
if [ ! -x "$out/floor" ] || [ ! -x "$out/hasty" ]; then
    exit 1
fi
if [ "$peers" = 1 ]; then
    server microhttpd 'libmicrohttpd-dev' -lmicrohttpd
    server evhttp 'libevent-dev' -levent
    server h2o 'libh2o-evloop-dev libssl-dev zlib1g-dev' -lh2o-evloop -lssl -lcrypto -lz
    hyper
fi
python3 "$here/compare.py" ${options[@]+"${options[@]}"} "$@"
if [ $# -eq 0 ] && [ "$peers" = 1 ]; then
    micro
fi
