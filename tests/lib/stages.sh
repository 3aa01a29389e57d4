# The stages of check.sh. Each is a function stage_NAME; the comment line above it is its description.

# ---- reporting results

ok() { printf 'ok %s\n' "$*"; }
not_ok() { printf 'not ok %s: %s\n' "$1" "$2"; }
skip() { printf 'skip %s: %s\n' "$1" "$2"; }

# check NAME COMMAND...: ok if the command succeeds. Its output is shown if it fails.
check() {
    local name=$1 code out="$work/out.$BASHPID"
    shift
    "$@" >"$out" 2>&1 </dev/null
    code=$?
    if [ "$code" -eq 0 ]; then
        ok "$name"
    else
        sed 's/^/  /' "$out"
        not_ok "$name" "$(ended "$code"): $(grep -m 1 -iE 'error|warning|differ' "$out" || tail -n 1 "$out")"
        return 1
    fi
}

# ended CODE: describes an exit code in words.
ended() {
    case $1 in
    124 | 137) echo "took too long" ;;
    12[89] | 1[3-9][0-9]) echo "ended by signal $(($1 - 128)), $(kill -l $(($1 - 128)))" ;;
    *) echo "ended with $1" ;;
    esac
}

# relay NAME SECONDS COMMAND...: runs a program that prints such lines itself and ends with `N passed, N failed`.
# A program that stops early, or prints fewer results than it counted, has failed.
relay() {
    local name=$1 limit=$2 out="$work/out.$BASHPID" err="$work/err.$BASHPID" code how
    shift 2
    timeout -k 10 "$limit" "$@" >"$out" 2>"$err" </dev/null
    code=$?
    sed 's/^/  /' "$err"
    # What a sanitizer or valgrind found is more helpful than the exit code.
    how="$(ended "$code")$(grep -m 1 -E 'SUMMARY: |runtime error|Invalid (read|write)|uninitialised|(definitely|indirectly|possibly) lost' "$err" | sed 's/^/, /')"
    awk -v name="$name" -v ended="$how" -v code="$code" '
        function tell(sign, rest) { print sign " " name ": " rest }
        { last = $0 }
        /^ok /     { p++; tell("ok", substr($0, 4)); next }
        /^not ok / { f++; tell("not ok", substr($0, 8)); next }
        /^skip /   { s++; tell("skip", substr($0, 6)); next }
        { print "  " $0 }
        END {
            if (index(last, p + 0 " passed, " f + 0 " failed") != 1) tell("not ok", "stopped before its end, " ended)
            else if (code != 0 && !f) tell("not ok", ended " although no test failed")
            else if (code == 0 && f) tell("not ok", "ended with 0 although a test failed")
        }' "$out"
}

# need_files NAME PATTERN: succeeds if a file matches; otherwise reports that the stage has nothing to do.
need_files() {
    compgen -G "$2" >/dev/null && return
    not_ok "$1" "there is no $2"
    return 1
}

# need_library: builds the library in target/release, with the link that programs look for at run time.
need_library() {
    # shellcheck disable=SC2086
    check 'the release library builds' cargo build --release $locked && ln -sf libhasty.so "$library/libhasty.so.0"
}

# A Cargo.lock that is out of date is an error here, and is not silently updated.
locked=$([ ! -f Cargo.lock ] || echo --locked)
library=$target/release
static="$library/libhasty.a -lpthread -ldl -lm"
warnings='-Wall -Wextra -Werror'
# Examples are copied, so they must compile everywhere: no compiler extensions, and no POSIX functions without the macro.
strict="-std=c11 $warnings -Wpedantic"

# ---- Rust

# the source is formatted with rustfmt
stage_format() {
    need_rust_tool fmt rustfmt-web rustfmt || { skip 'cargo fmt' "$missing" && return; }
    check 'cargo fmt --check' formatted Cargo.toml
    [ ! -f tests/fuzz/Cargo.toml ] || check 'cargo fmt --check, tests/fuzz' formatted tests/fuzz/Cargo.toml
    check 'cargo fmt --check, tests/loom' formatted tests/loom/Cargo.toml
}

formatted() {
    cargo fmt --manifest-path "$1" --check -- --color=never -l && return
    echo 'error: these files are not as rustfmt writes them (cargo fmt does)' && return 1
}

# clippy has no warnings
stage_clippy() {
    need_rust_tool clippy rust-web-clippy clippy || { skip 'cargo clippy' "$missing" && return; }
    # shellcheck disable=SC2086
    check 'cargo clippy' cargo clippy $locked --all-targets -- -D warnings
    [ ! -f tests/fuzz/Cargo.toml ] ||
        CARGO_TARGET_DIR="$target/fuzz" check 'cargo clippy, tests/fuzz' cargo clippy --release --manifest-path tests/fuzz/Cargo.toml -- -D warnings
    CARGO_TARGET_DIR="$target/loom" check 'cargo clippy, tests/loom' cargo clippy --locked --manifest-path tests/loom/Cargo.toml -- -D warnings
}

# the documentation of the Rust API has no warnings
stage_rustdoc() {
    # shellcheck disable=SC2086
    RUSTDOCFLAGS='-D warnings' check 'cargo doc' cargo doc $locked --no-deps --lib --package hasty
}

# unit, integration and documentation tests in Rust
stage_rust() {
    cargo_test
}

# the Rust tests that take longer
stage_rust-long() {
    cargo_test -- --ignored
}

# the Rust tests with every handler treated as if it were known to block
stage_rust-handover() {
    # blocking.rs tests what is learned, and nothing is learned in this mode.
    local suite suites=(--lib)
    for suite in tests/*.rs; do
        suite=${suite#tests/}
        [ "$suite" = blocking.rs ] || suites+=(--test "${suite%.rs}")
    done
    HASTY_TEST_TICK_US=0 cargo_test "${suites[@]}"
}

# the oldest Rust that Cargo.toml allows compiles everything, and the unit tests pass
stage_rust-oldest() {
    need_oldest_rust || { skip 'the oldest Rust' "$missing" && return; }
    export RUSTC="$oldest" CARGO_TARGET_DIR="$target/oldest/build"
    # shellcheck disable=SC2086
    check "Rust $(rust_needed) compiles the library" cargo build $locked --workspace --features brotli
    cargo_test --lib
}

# on aarch64, emulated: the Rust tests, and C programs for the parts of the ABI that depend on the processor
stage_aarch64() {
    local name compiler=aarch64-linux-gnu-gcc flags='-O1 -g' libraries folder="$work/c/aarch64" shared=()
    local emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
    need_aarch64 || { skip 'aarch64' "$missing" && return; }
    export RUSTC="$oldest" CARGO_TARGET_DIR="$target/oldest/build" CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$compiler CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="${emulator[*]}"
    cargo_test --package hasty --lib --test cases --test exchanges --test static_files --test streams
    # shellcheck disable=SC2086
    check 'libhasty.a for aarch64' cargo build $locked --workspace || return
    mkdir -p "$folder"
    libraries="$target/oldest/build/$CARGO_BUILD_TARGET/debug/libhasty.a -lpthread -ldl -lm"
    # Without the tests that need what the emulator lacks: forks that wipe memory, stacks of a few kilobytes.
    for name in app cors errors events exchange framing hooks json middleware multipart next no_threads poll request response routes slot; do
        c_program "$name" "${emulator[@]}"
    done
}

# cargo_test ARGUMENT...: runs cargo test and reports its results.
cargo_test() {
    local out="$work/cargo-test.out" code
    # shellcheck disable=SC2086
    timeout -k 10 1500 cargo test $locked --no-fail-fast "$@" >"$out" 2>&1 </dev/null
    code=$?
    awk -v ended="$(ended "$code")" -v code="$code" -v long="${HASTY_TEST_ALL:-}" -v arguments="$*" '
        / Running / || / Doc-tests / { suite = $0; sub(/^ *(Running|Doc-tests) /, "", suite); sub(/ \(.*/, "", suite) }
        function test() { sub(/^test /, ""); sub(/ \.\.\. .*/, ""); return $0 }
        /^test .* \.\.\. FAILED/ { print "not ok " suite ": " test(); told++ }
        /^test .* \.\.\. ignored/ && !arguments && !long { print "skip " suite ": " test() ": left to make test-all" }
        /^test result: / { print "counted " $4 " 0 0 (" suite ")"; passed += $4; failed += $6; seen++ }
        { print "  " $0 }
        END {
            # A test that prints something has no line of its own.
            for (; told < failed; told++) print "not ok cargo test: a test failed, see above"
            if (code != 0 && !failed) print "not ok cargo test: " ended
            if (!seen) print "not ok cargo test: no test ran"
            if (arguments && !passed && !failed) print "nothing to do: no test is marked as long (#[ignore])"
        }' "$out"
}

# ---- the C ABI

# include/hasty.h is valid C89, C99, C17 and C++17, and agrees with the contract
stage_header() {
    local standard
    need_files 'the header' include/hasty.h || return
    need_command cc gcc 'the C tests' || { skip 'the header' "$missing" && return; }
    for standard in c89 c99 c11 c17; do
        check "hasty.h as $standard" as_header c "-std=$standard"
    done
    if need_command g++ g++ 'the header as C++'; then
        for standard in c++11 c++17 c++20; do
            check "hasty.h as $standard" as_header c++ "-std=$standard"
        done
    else
        skip 'hasty.h as C++' "$missing"
    fi
    check 'hasty.h keeps the contract' cc -std=c17 $warnings -fsyntax-only -I include tests/abi/contract/contract_check.c
    python3 tests/abi/layout.py include "$work/abi"
}

# Included first, and twice: the header must include what it needs, and have an include guard.
as_header() {
    printf '#include <hasty.h>\n#include <hasty.h>\nint main(void) { return (int)sizeof(hasty_str) == 0; }\n' |
        cc -x "$1" "$2" $warnings -Wpedantic -fsyntax-only -I include /dev/fd/5 5<&0
}

# the library exports the functions that are declared and listed, and no others
stage_symbols() {
    need_library || return
    need_files 'symbols' include/hasty.h || return
    python3 tests/abi/symbols.py include/hasty.h "$library/libhasty.so"
    check 'libhasty.so has the SONAME libhasty.so.0' test "$(dynamic SONAME)" = libhasty.so.0
    check 'libhasty.so needs the C library only' only_c_library
    if need_command strip binutils 'the size of the library'; then
        check 'a library that is larger than it may be is found' test "$(small_enough 1000)" = "error: it has $(stat -c %s "$work/stripped.so") bytes, more than 1000"
        check "libhasty.so without symbols has $(stat -c %s "$work/stripped.so") bytes, of at most $most_bytes" small_enough "$most_bytes"
    else
        skip 'the size of libhasty.so' "$missing"
    fi
}

# dynamic TAG: prints the values of a tag in the library's dynamic section.
dynamic() {
    readelf -d "$library/libhasty.so" | sed -n "s/.*($1).*\[\(.*\)\].*/\1/p"
}

only_c_library() {
    local more
    more=$(dynamic NEEDED | grep -vE '^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|libgcc_s\.so\.1|ld-linux.*\.so\.[0-9])$')
    [ -z "$more" ] || { echo "error: it needs $more" && return 1; }
}

# programs link with libhasty.so and with libhasty.a -lpthread -ldl -lm
stage_linking() {
    local folder="$work/linking"
    need_library || return
    need_files 'linking' include/hasty.h || return
    mkdir -p "$folder"
    python3 tests/abi/symbols.py --link include/hasty.h >"$folder/every.c"
    check 'every function links from libhasty.a' cc -std=c17 $warnings -I include "$folder/every.c" -o "$folder/static" $static &&
        check 'and runs' "$folder/static"
    check 'every function links from libhasty.so' cc -std=c17 $warnings -I include "$folder/every.c" -o "$folder/shared" -L "$library" -lhasty &&
        check 'and runs' env LD_LIBRARY_PATH="$library" "$folder/shared"
    if need_command g++ g++ 'linking from C++'; then
        check 'every function links from libhasty.a in C++' g++ -x c++ $warnings -I include "$folder/every.c" -x none -o "$folder/cxx" $static &&
            check 'and runs' "$folder/cxx"
    else
        skip 'linking in C++' "$missing"
    fi
}

# The limit is for the stripped library, which is what gets shipped. Every feature adds a few KB; if a change exceeds the
# limit, find out why: a crate that another one pulled in, a table, an inlined loop.
most_bytes=1385000

# Symbols are stripped first, as distributions do.
small_enough() {
    local bytes
    strip --strip-unneeded -o "$work/stripped.so" "$library/libhasty.so" && bytes=$(stat -c %s "$work/stripped.so") || return
    [ "$bytes" -le "$1" ] || { echo "error: it has $bytes bytes, more than $1" && return 1; }
}

# make install lays out what a compiler, the dynamic linker and pkg-config look for
stage_install() {
    local prefix="$work/installed" flags every="$work/every.c"
    need_library || return
    rm -rf "$prefix"
    python3 tests/abi/symbols.py --link include/hasty.h >"$every"
    check 'make install' make -s install PREFIX="$prefix" || return
    check 'libhasty.so.0 is the library' cmp "$library/libhasty.so" "$prefix/lib/libhasty.so.0"
    check 'NOTICES.txt is installed' cmp NOTICES.txt "$prefix/share/doc/hasty/NOTICES.txt"
    check 'libhasty.so points to it' test "$(readlink "$prefix/lib/libhasty.so")" = libhasty.so.0
    if need_command pkg-config pkg-config 'the installed hasty.pc'; then
        flags="pkg-config --cflags --libs hasty"
        export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
        check 'a program builds with pkg-config' cc -std=c17 $warnings "$every" -o "$prefix/shared" $($flags) &&
            check 'and runs with the installed library' env LD_LIBRARY_PATH="$prefix/lib" "$prefix/shared"
        check 'a program builds with pkg-config --static' cc -std=c17 $warnings "$every" -o "$prefix/static" -static-libgcc \
            "$prefix/lib/libhasty.a" $($flags --static | sed 's/-lhasty//')
        check 'hasty.pc tells the version of Cargo.toml' test "$(pkg-config --modversion hasty)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
    else
        skip 'hasty.pc' "$missing"
    fi
    relay notices 300 python3 bindings/notices.py --check
    check 'DESTDIR comes before PREFIX' make -s install DESTDIR="$work/staged" PREFIX=/usr &&
        check 'the staged hasty.pc names the final place' grep -qx 'prefix=/usr' "$work/staged/usr/lib/pkgconfig/hasty.pc"
    check 'make uninstall' make -s uninstall PREFIX="$prefix" && check 'leaves nothing' test -z "$(find "$prefix" -name '*hasty*')"
}

# ---- C programs

# the C programs of tests/c, against libhasty.so
stage_c() {
    c_programs plain '-O1 -g' "-L $library -lhasty -Wl,-rpath,$library -lpthread"
}

# the C programs under AddressSanitizer and UndefinedBehaviorSanitizer, with libhasty.a
stage_c-asan() {
    export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    c_programs asan '-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' "$static"
}

# the C programs under valgrind: no error, no leak
stage_c-valgrind() {
    need_command valgrind 'valgrind libc6-dbg' 'memory checks' || { skip 'the C programs under valgrind' "$missing" && return; }
    c_programs valgrind '-O1 -g' "-L $library -lhasty -Wl,-rpath,$library -lpthread" \
        valgrind -q --error-exitcode=97 --leak-check=full --num-callers=24 --fair-sched=yes \
        --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible
}

# c_programs MODE "CFLAGS" "LIBRARIES" WRAPPER...: builds every program of tests/c and runs it.
# A file without main() is linked into all programs.
c_programs() {
    local flags=$2 libraries=$3 folder="$work/c/$1" source name shared=()
    shift 3
    need_command cc gcc 'the C tests' || { skip 'tests/c' "$missing" && return; }
    need_library || return
    need_files 'tests/c' 'tests/c/*.c' || return
    mkdir -p "$folder"
    for source in tests/c/*.c; do
        is_program "$source" || shared+=("$source")
    done
    # They spend most of their time waiting, so more of them than there are processors run in parallel, each with its own log.
    for source in tests/c/*.c; do
        is_program "$source" || continue
        name=$(basename "$source" .c)
        while [ "$(jobs -rp | wc -l)" -ge "$side_by_side" ]; do wait -n; done
        c_program "$name" "$@" >"$folder/$name.out" 2>&1 &
    done
    wait
    for source in tests/c/*.c; do
        is_program "$source" || continue
        cat "$folder/$(basename "$source" .c).out"
    done
}

side_by_side=3

# c_program NAME WRAPPER...: builds and runs one of them. It uses the variables of c_programs.
c_program() {
    local name=$1
    shift
    # shellcheck disable=SC2086
    check "$name.c compiles" "${compiler:-cc}" -std=gnu17 $warnings $flags -I include -I tests/c "tests/c/$name.c" ${shared[@]+"${shared[@]}"} -o "$folder/$name" $libraries || return
    relay "$name" 900 "$@" "$folder/$name"
}

is_program() {
    grep -qE '^(int main *\(|CHECK_MAIN)' "$1"
}

# ---- programs, clients, Python, documents

# the paired examples in C and Python give the same answers, those in examples-c/README.md
stage_examples() {
    local source folder="$work/examples"
    need_library || return
    need_files 'examples' 'examples-c/*.c' || return
    mkdir -p "$folder"
    for source in examples-c/*.c; do
        [[ $source != */embed-* ]] || continue # they have their own stage
        check "$source compiles" cc $strict -O2 -I include "$source" -o "$folder/$(basename "$source" .c)" $static
    done
    relay examples 600 env HASTY_LIBRARY="$library/libhasty.so" python3 tests/examples.py "$folder"
}

# hasty in event loops other than its own: poll, select, epoll, GLib, libuv and Tcl
stage_embed() {
    need_library || return
    need_command cc gcc 'the C examples' || { skip 'examples-c/embed-*.c' "$missing" && return; }
    mkdir -p "$work/embed"
    embedded poll
    embedded select
    embedded epoll
    embedded glib glib-2.0 libglib2.0-dev
    embedded libuv libuv libuv1-dev
    embedded tcl tcl tcl-dev
    need_command valgrind 'valgrind libc6-dbg' 'memory checks' || { skip 'embed-poll under valgrind' "$missing" && return; }
    [ ! -x "$work/embed/embed-poll" ] || relay 'embed-poll under valgrind' 600 python3 tests/embed.py \
        valgrind -q --error-exitcode=97 --leak-check=full --fair-sched=yes --errors-for-leak-kinds=definite,indirect,possible "$work/embed/embed-poll"
}

# embedded LOOP [MODULE PACKAGE]: builds and tests examples-c/embed-LOOP.c, with the library that pkg-config calls MODULE.
embedded() {
    local program="$work/embed/embed-$1" flags='' libraries=''
    if [ $# -gt 1 ]; then
        need_command pkg-config pkg-config "embed-$1" && { pkg-config --exists "$2" || need_package "$3" "embed-$1"; } ||
            { skip "embed-$1" "$missing" && return; }
        # System headers: warnings are wanted for our own code only.
        flags=$(pkg-config --cflags "$2" | sed 's/-I/-isystem /g')
        libraries=$(pkg-config --libs "$2")
    fi
    # shellcheck disable=SC2086
    check "embed-$1.c compiles" cc $strict -O2 -I include $flags "examples-c/embed-$1.c" -o "$program" $libraries $static &&
        relay "embed-$1" 300 python3 tests/embed.py "$program"
}

# the legacy program in each language behaves as its README says, and the declarations match the header
stage_legacy() {
    local language packages probe there=()
    need_library || return
    need_command cc gcc 'the old programs' || { skip 'examples-c/legacy' "$missing" && return; }
    python3 bindings/declare.py --check
    while read -r language packages probe; do
        missing=''
        if $probe >/dev/null 2>&1 || { need_package "${packages//,/ }" "the old program in $language" && $probe >/dev/null 2>&1; }; then
            there+=("$language")
        else
            skip "examples-c/legacy/$language" "${missing:-$probe does not run although ${packages//,/ } is installed}"
        fi
    done < <(python3 tests/legacy.py --needs)
    mkdir -p "$work/legacy"
    relay declarations 600 python3 tests/legacy/calls.py "$work/legacy" "${there[@]}"
    relay legacy 1200 python3 tests/legacy.py "$library" "$work/legacy" "${there[@]}"
}

# in a browser, pages can read what the CORS policies allow, and the example pages work
stage_browser() {
    local folder="$work/browser" source
    need_command chromium chromium 'the tests in a browser' && need_command chromedriver chromium-driver 'the tests in a browser' ||
        { skip 'the tests in a browser' "$missing" && return; }
    need_library || return
    mkdir -p "$folder"
    for source in tests/browser/origins.c examples-c/{cors,site,static,stream,upload}.c; do
        check "$source compiles" cc -std=c17 $warnings -Wpedantic -O2 -I include "$source" -o "$folder/$(basename "$source" .c)" $static || return
    done
    export HASTY_LIBRARY="$library/libhasty.so"
    relay cors 600 python3 tests/browser/cors.py "$folder/origins" "$folder/cors" examples-python/cors.py
    relay pages 600 python3 tests/browser/pages.py "$folder"/{static,stream,upload} examples-python/{static,stream,upload}.py
    relay site 600 python3 tests/browser/site.py "$folder/site" "$folder"
}

# curl, Python's http.client and urllib, and Node's fetch talk to an example
stage_clients() {
    local folder="$work/examples" client
    need_library || return
    need_files 'clients' examples-c/routes.c || return
    mkdir -p "$folder"
    check 'examples-c/routes.c compiles' cc -std=c17 -O2 -I include examples-c/routes.c -o "$folder/routes" $static || return
    for client in tests/clients/*; do
        case $client in
        *.sh)
            need_command curl curl 'a real client' || { skip "$client" "$missing" && continue; }
            relay "$(basename "$client")" 300 python3 tests/lib/serving.py "$folder/routes" -- bash "$client"
            ;;
        *.py)
            relay "$(basename "$client")" 300 python3 tests/lib/serving.py "$folder/routes" -- python3 "$client"
            ;;
        *.mjs)
            # Node is large: it is used if it is there, and installed only for the full test run.
            [ -n "${HASTY_TEST_ALL:-}" ] && ! command -v node >/dev/null && need_command node nodejs 'a real client'
            command -v node >/dev/null || { skip "$client" 'node is not installed (make test-all installs it)' && continue; }
            relay "$(basename "$client")" 300 python3 tests/lib/serving.py "$folder/routes" -- node "$client"
            ;;
        esac
    done
}

# the Python package, with pytest
stage_python() {
    test_python 'not long'
}

# the slow tests of the Python package: leaks, how programs end, restarts
stage_python-long() {
    test_python long
}

# test_python MARKS: tests the Python package with the default Python.
test_python() {
    local report="$work/pytest.xml"
    need_library || return
    need_files 'the Python package' 'bindings/python/tests/test_*.py' || return
    need_venv || { skip 'bindings/python' "$missing" && return; }
    rm -f "$report"
    HASTY_LIBRARY="$library/libhasty.so" PYTHONPATH="$root/bindings/python/src" timeout -k 10 1500 \
        "$python" -X dev -m pytest -p no:cacheprovider -m "$1" --junitxml="$report" bindings/python/tests >"$work/out" 2>&1
    code=$?
    sed 's/^/  /' "$work/out"
    python3 tests/lib/junit.py "$report" "$(ended "$code")" "$code"
}

# the type annotations of the Python package are right
stage_python-types() {
    need_files 'the Python package' bindings/python/src/hasty/__init__.py || return
    need_venv || { skip 'mypy' "$missing" && return; }
    check 'mypy --strict' "$python" -m mypy --strict --no-error-summary --cache-dir "$work/mypy" bindings/python/src/hasty
}

# the Python package with the other versions of Python that are installed
stage_python-versions() {
    local version report="$work/pytest-versions.xml" usual
    need_library || return
    usual=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    for version in $python_versions; do
        [ "$version" != "$usual" ] || continue # the stage python has it
        find_python "$version" && need_environment "$target/python-$version" "$python" tests/requirements.txt "Python $version" ||
            { skip "Python $version" "$missing" && continue; }
        rm -f "$report"
        HASTY_LIBRARY="$library/libhasty.so" PYTHONPATH="$root/bindings/python/src" timeout -k 10 1500 \
            "$python" -X dev -m pytest -p no:cacheprovider -m 'not any_python and not long' --junitxml="$report" bindings/python/tests >"$work/out" 2>&1
        code=$?
        sed 's/^/  /' "$work/out"
        python3 tests/lib/junit.py "$report" "$(ended "$code")" "$code" | sed -E "s/^(ok|not ok|skip) /\1 Python $version: /"
    done
}

python_versions='3.9 3.10 3.11 3.12 3.13'

# the wheel for old Linux works with every installed Python, without Rust, and the source distribution can be built
stage_wheel() {
    local version pythons=()
    need_library || return
    need_command cc gcc 'the wheel' || { skip 'the wheel' "$missing" && return; }
    for version in $python_versions; do
        if find_python "$version"; then pythons+=("$python"); else skip "the wheel on Python $version" "$missing"; fi
    done
    relay wheel 2400 python3 tests/wheel.py "$library/libhasty.so" "$work/wheel" "${pythons[@]}"
}

# how the benchmarks turn figures into tables, charts and verdicts on growth
stage_benches() {
    need_command python3 python3 'the benchmarks' || { skip 'the benchmarks' "$missing" && return; }
    relay benches 300 python3 tests/benches.py "$work/benches"
}

# the programs and commands in README.md and the guides work as shown
stage_documents() {
    need_library || return
    need_files 'README.md' README.md || return
    need_command curl curl 'the documents' || { skip 'documents' "$missing" && return; }
    need_venv || { skip 'documents' "$missing" && return; }
    HASTY_PYTHON=$python relay documents 900 python3 tests/documents.py "$library" "$work/documents"
}

# ---- long

# random and mutated requests: those that once found a bug, and new ones for about a minute
stage_fuzz() {
    need_files 'tests/fuzz' tests/fuzz/Cargo.toml || return
    check 'the inputs that have found something' tests/fuzz/run.sh 0 --replay tests/fuzz/regressions || return
    # A fixed number of requests from a fixed seed, so that the suite does not fail by chance for unchanged code.
    # `make fuzz` takes a new seed each time; a failure prints the command that reproduces it.
    check "${FUZZ_INPUTS:-300000} inputs of seed 4" tests/fuzz/run.sh 300 --seed 4 --inputs "${FUZZ_INPUTS:-300000}"
}

# the lock-free state shared by threads, in every order that the memory model allows; bugs planted on purpose are found
stage_loom() {
    local bug file change model
    build_models . || return
    relay 'the models' 900 "$target/loom/debug/hasty-models"
    while read -r bug; do
        [ -n "$bug" ] && [[ $bug != '#'* ]] || continue
        read -r file && read -r change && read -r model
        seeded "$bug" "$file" "$change" "$model"
    done <tests/loom/seeds
}

# build_models FOLDER: builds the models in this checkout, or in a copy of it.
build_models() {
    CARGO_TARGET_DIR="$target/loom" check "tests/loom builds${bug:+, with a bug}" cargo build --quiet --locked --manifest-path "$1/tests/loom/Cargo.toml"
}

# seeded BUG FILE CHANGE MODEL: the model must fail in a copy of the source to which sed has made this change.
seeded() {
    local copy="$work/loom" out="$work/loom.out"
    rm -rf "$copy" && mkdir -p "$copy/tests" && cp -r src "$copy" && cp -r tests/loom "$copy/tests" && sed -i "$3" "$copy/$2"
    if cmp -s "$2" "$copy/$2"; then
        not_ok "a bug is found: $1" "it cannot be put into $2: the change fits no line"
    elif ! build_models "$copy" >"$out" 2>&1; then
        sed 's/^/  /' "$out"
        not_ok "a bug is found: $1" 'with it the models do not build'
    elif RUST_BACKTRACE=0 timeout 300 "$target/loom/debug/hasty-models" "$4" >"$out" 2>&1 || ! grep -qF "not ok $4: " "$out"; then
        sed 's/^/  /' "$out"
        not_ok "a bug is found: $1" "not by \"$4\""
    else
        ok "a bug is found: $1"
    fi
}
