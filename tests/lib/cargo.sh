#!/usr/bin/env bash
# cargo, new enough for this project: the machine's own, or else Debian's, installed when it is missing.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/lib/need.sh"
if ! need_cargo; then
    echo "$missing" >&2
    exit 1
fi
exec cargo "$@"
