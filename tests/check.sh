#!/usr/bin/env bash
# Runs all tests, stage by stage. The last line is the total: N passed, N failed, N skipped.
#
#   tests/check.sh             the tests that take minutes (`make test`)
#   tests/check.sh --all       these, and those that take longer (`make test-all`)
#   tests/check.sh lint c-asan only these stages
#   tests/check.sh --list      lists the names of the stages
#
# A stage is a function in lib/stages.sh. It prints `ok NAME`, `not ok NAME: why`, `skip NAME: why`, `nothing to do: why`,
# or, for a test runner that counts its own tests, `counted PASSED FAILED SKIPPED`. All other lines are details, shown if
# the stage fails. A test whose tools cannot be installed is skipped, with the reason; it never counts as passed.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
exec 3>&1
# shellcheck source=tests/lib/need.sh
. tests/lib/need.sh
# shellcheck source=tests/lib/stages.sh
. tests/lib/stages.sh

quick=(format clippy rustdoc rust header symbols linking install c c-asan examples embed legacy clients browser python python-types benches documents)
long=(c-valgrind rust-long rust-handover rust-oldest aarch64 python-long python-versions wheel fuzz loom)

main() {
    local stages=() all='' argument
    for argument; do
        case $argument in
        --all) all=yes ;;
        --list) printf '%s\n' "${quick[@]}" "${long[@]}" && return ;;
        lint) stages+=(format clippy rustdoc python-types) ;;
        *)
            declare -F "stage_$argument" >/dev/null || { echo "there is no stage $argument; --list shows them all" >&2 && return 2; }
            stages+=("$argument")
            ;;
        esac
    done
    if [ ${#stages[@]} -eq 0 ]; then
        stages=("${quick[@]}")
        [ -z "$all" ] || stages+=("${long[@]}")
    fi
    export HASTY_TEST_ALL=$all

    rm -rf "$work/logs" && mkdir -p "$work/logs"
    : >"$work/failures"
    : >"$work/skips"
    passed=0 failed=0 skipped=0
    local start=$SECONDS stage number=0
    if ! need_cargo; then
        printf '%s\n' "$missing"
        printf '0 passed, 1 failed\n'
        return 1
    fi
    for stage in "${stages[@]}"; do
        number=$((number + 1))
        run_stage "$stage" "$number/${#stages[@]}"
    done

    [ ! -s "$work/skips" ] || { printf '\nskipped:\n' && cat "$work/skips"; }
    [ ! -s "$work/failures" ] || { printf '\nfailed:\n' && cat "$work/failures"; }
    printf '\nall stages took %d min %02d s\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
    if [ "$skipped" -gt 0 ]; then
        printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    else
        printf '%d passed, %d failed\n' "$passed" "$failed"
    fi
    [ "$failed" -eq 0 ]
}

# Runs one stage in a subshell, shows the result and adds it to the totals.
run_stage() {
    local log="$work/logs/$1.log" begin code p f s
    begin=$(date +%s%N)
    printf '[%s] %s: %s\n' "$2" "$1" "$(about "$1")"
    ("stage_$1") >"$log" 2>&1 </dev/null
    code=$?
    read -r p f s < <(tally "$log")
    # A stage that dies, or that counts nothing, must not look like one that passed.
    if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then
        echo "not ok $1: the stage itself ended with $code" >>"$log"
        f=$((f + 1))
    elif [ $((p + f + s)) -eq 0 ] && ! grep -q '^nothing to do' "$log"; then
        echo "not ok $1: nothing was tested" >>"$log"
        f=$((f + 1))
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    sed -n "s|^not ok |    $1: |p" "$log" >>"$work/failures"
    sed -n "s|^skip |    $1: |p" "$log" >>"$work/skips"
    if [ "$f" -gt 0 ]; then
        grep -v '^ok ' "$log" | tail -n 60 | sed 's/^/    | /'
        printf '    (all of it: %s)\n' "$log"
    fi
    printf '    %d passed, %d failed, %d skipped (%s s)\n' "$p" "$f" "$s" "$(seconds_since "$begin")"
}

# tally LOG: prints how many tests passed, failed and were skipped, according to the log.
tally() {
    awk '
        /^ok /      { p++ }
        /^not ok /  { f++ }
        /^skip /    { s++ }
        /^counted / { p += $2; f += $3; s += $4 }
        END         { print p + 0, f + 0, s + 0 }
    ' "$1"
}

seconds_since() {
    local tenths=$((($(date +%s%N) - $1) / 100000000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# Describes a stage: prints the comment above its function.
about() {
    grep -B 1 "^stage_$1()" tests/lib/stages.sh | sed -n '1s/^# //p'
}

main "$@"
