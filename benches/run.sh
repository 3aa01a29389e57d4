#!/usr/bin/env bash
# Builds the servers and measures: benches/run.sh [--all | --try | --quick | --micro | --growth] [options of compare.py]
#
# --all: everything, half an hour; writes its tables into benches/README.md and draws benches/charts/cost.svg.
# --try: the same way in some minutes, to see that it works; its page and chart are in target/benches/try.
# --quick: hasty and the floor, three rounds, two minutes. --micro: the parser and the router alone.
# --growth: how cost grows, with options of growth.py; ends with 1 if anything grows faster than it may.
# Needs a built library: `make bench` sees to that first.
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
    CARGO_TARGET_DIR=$out/micro cargo run --quiet --release --manifest-path "$here/micro/Cargo.toml" | tee "$out/micro.txt"
}

# compare OPTION...: measures all servers that were built.
compare() {
    python3 "$here/compare.py" ${options[@]+"${options[@]}"} "$@"
}

# everything PAGE CHART OPTION...: times, instructions and what there is without sockets; then the page and the chart.
everything() {
    local page=$1 chart=$2
    shift 2
    rm -f "$out/results.jsonl" "$out/instructions.jsonl" "$out/micro.txt"
    need_command valgrind valgrind 'counting instructions' || say "without instructions: $missing"
    compare "$@" >/dev/null
    ! command -v valgrind >/dev/null || compare "$@" --instructions >/dev/null
    micro >/dev/null
    python3 "$here/compare.py" --publish "$page" --chart "$chart" --report
    say "the tables are in ${page#"$root/"}, the chart is ${chart#"$root/"}"
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

# crate NAME: a peer in Rust, which may be missing.
crate() {
    rm -f "$out/$1"
    need_cargo || { say "without $1: $missing"; return 0; }
    if CARGO_TARGET_DIR=$out/rust cargo build --quiet --release --locked --manifest-path "$here/servers/$1/Cargo.toml" 2>"$out/$1.log"; then
        cp "$out/rust/release/bench-$1" "$out/$1"
    else
        say "without $1: it did not build, see $out/$1.log"
    fi
}

options=()
peers=1
how=${1:-}
case "$how" in
--all) shift ;;
--try)
    shift
    options=(--rounds 1 --tries 1 --idle 500 --starts 5)
    ;;
--micro)
    micro
    exit
    ;;
--growth)
    shift
    peers=0
    ;;
--quick)
    shift
    peers=0
    options=(--servers 'floor,hasty' --rounds 3)
    ;;
--help | -h)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    echo
    exec python3 "$here/compare.py" --help
    ;;
--report) exec python3 "$here/compare.py" "$@" ;;
esac

if [ ! -f "$target/release/libhasty.a" ]; then
    echo "there is no $target/release/libhasty.a yet: make build" >&2
    exit 1
fi
need_command python3 python3 'the comparison' || { echo "$missing" >&2; exit 1; }
need_command wrk wrk 'the load' || { echo "$missing" >&2; exit 1; }
need_command "${CC:-cc}" 'gcc libc6-dev' 'building the servers' || { echo "$missing" >&2; exit 1; }
case " $* $how " in
*' --instructions '* | *' --growth '*) need_command valgrind valgrind 'counting instructions' || { echo "$missing" >&2; exit 1; } ;;
esac

server floor 'gcc libc6-dev'
# Statically, so that it measures the library built last, wherever another one is installed.
server hasty 'gcc libc6-dev' -I "$root/include" "$target/release/libhasty.a" -ldl -lm
if [ ! -x "$out/floor" ] || [ ! -x "$out/hasty" ]; then
    exit 1
fi
if [ "$how" = --growth ]; then
    server growth 'gcc libc6-dev' -I "$root/include" "$target/release/libhasty.a" -ldl -lm
    exec python3 "$here/growth.py" "$@"
fi
if [ "$peers" = 1 ]; then
    server microhttpd 'libmicrohttpd-dev' -lmicrohttpd
    server evhttp 'libevent-dev' -levent
    server h2o 'libh2o-evloop-dev libssl-dev zlib1g-dev' -lh2o-evloop -lssl -lcrypto -lz
    crate hyper
    crate may
fi
case "$how" in
--all) everything "$here/README.md" "$here/charts/cost.svg" "$@" ;;
--try)
    mkdir -p "$out/try"
    cp "$here/README.md" "$out/try/README.md"
    everything "$out/try/README.md" "$out/try/cost.svg" "$@"
    ;;
*) compare "$@" ;;
esac
