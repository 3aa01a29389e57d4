#!/usr/bin/env bash
# Makes a wheel for every Python 3 and every Linux of this processor, and the source distribution that it comes from.
#
#   bindings/python/wheel/make.sh [FOLDER]    (target/wheels; the last line is the wheel's path)
#
# Rust's own oldest glibc is 2.17, and so is the wheel's: zig links with it. Where pip has no zig to give, cargo links
# with the glibc that is here. HASTY_LIBRARY names a library to pack instead. auditwheel then gives the tag that the
# library deserves, by the versions of the symbols that it needs.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=tests/lib/need.sh
. "$root/tests/lib/need.sh"
package=$root/bindings/python
oldest=2.17
fail() { printf 'make wheel: %s\n' "$*" >&2 && exit 1; }

# zig_library: links for $oldest; sets $library.
zig_library() {
    need_environment "$target/zig" python3 "$package/wheel/zig-requirements.txt" 'a wheel for old Linux' || return 1
    local triple
    triple=$(host)
    # Its folders come first: the python3 there is the one that has zig.
    PATH="$target/zig/bin:$PATH" CARGO_ZIGBUILD_CACHE_DIR="$target/zig/cache" ZIG_GLOBAL_CACHE_DIR="$target/zig/cache/zig" \
        "$target/zig/bin/cargo-zigbuild" zigbuild --release --lib --locked --features brotli --target "$triple.$oldest" >&2 ||
        fail 'the library could not be built'
    library=$target/$triple/release/libhasty.so
    platform=manylinux_${oldest/./_}_$(uname -m)
}

# native_library: links for the glibc that is here; sets $library.
native_library() {
    # Named as a target, it does not take the place of the library without brotli.
    cargo build --release --lib --locked --features brotli --target "$(host)" >&2 || fail 'the library could not be built'
    library=$target/$(host)/release/libhasty.so
}

host() {
    rustc -vV | sed -n 's/^host: //p'
}

cd "$root"
folder=$(realpath -m "${1:-$target/wheels}")
library=${HASTY_LIBRARY:-} platform=auto
need_environment "$target/wheel-tools" python3 "$package/wheel/requirements.txt" 'the wheel' || fail "$missing"
tools=$target/wheel-tools/bin
if [ -z "$library" ]; then
    need_cargo || fail "$missing"
    export CARGO_TARGET_DIR="$target"
    # A tenth of the file is names that only profilers read. zig leaves them out by itself.
    export CARGO_PROFILE_RELEASE_STRIP=symbols
    zig_library || { say "$missing: the wheel needs the glibc of this machine" && native_library; }
fi

[ -f "$library" ] || fail "there is no library $library"

# The wheel is made from the source distribution, so that nothing gets in that is not in both.
made=$target/wheel-made log=$target/wheel.log
rm -rf "$made"
HASTY_LIBRARY=$(realpath "$library") "$tools/python" -m build --no-isolation --outdir "$made" "$package" >"$log" 2>&1 ||
    fail "the wheel could not be made: $(tail -n 5 "$log") (all of it: $log)"
mkdir -p "$folder"
rm -f "$folder"/hasty-*.whl "$folder"/hasty-*.tar.gz
PATH="$tools:$PATH" "$tools/auditwheel" repair --plat "$platform" --wheel-dir "$folder" "$made"/hasty-*.whl >>"$log" 2>&1 ||
    fail "auditwheel does not take $library: $(tail -n 1 "$log") (all of it: $log)"
cp "$made"/hasty-*.tar.gz "$folder"
ls "$folder"/hasty-*.tar.gz "$folder"/hasty-*.whl
