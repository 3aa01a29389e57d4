#!/usr/bin/env bash
# curl.sh URL: what curl gets from examples-c/routes.
set -u
url=${1%/}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# says NAME WANTED COMMAND...: the command prints exactly this and succeeds.
says() {
    local name=$1 wanted=$2 got code
    shift 2
    got=$("$@" 2>"$scratch/err")
    code=$?
    if [ "$got" = "$wanted" ] && [ "$code" -eq 0 ]; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        printf 'not ok %s: %q instead of %q, exit code %d %s\n' "$name" "$got" "$wanted" "$code" "$(tr '\n' ' ' <"$scratch/err")"
        failed=$((failed + 1))
    fi
}

get() { curl -sS --max-time 20 "$@"; }
status() { get -o /dev/null -w '%{http_code}' "$@"; }
header() { get -D - -o /dev/null "${@:2}" | tr -d '\r' | sed -n "s/^$1: //Ip"; }

says 'a page' 'user 7' get "$url/users/7"
says 'an encoded path' 'file docs/read me.txt' get "$url/files/docs/read%20me.txt"
says 'a query that curl encodes' $'q = fast & small\ntag = é' get -G --data-urlencode 'q=fast & small' --data-urlencode 'tag=é' "$url/search"
says 'a form' 'Ada Lovelace from London!' get --data-urlencode 'name=Ada Lovelace' --data-urlencode 'city=London!' "$url/greet"
says 'a redirect, followed' 'yourself' get -L "$url/home"
says 'a redirect, not followed' '302' status "$url/home"
says 'HEAD has the length and no body' '6' header Content-Length -I "$url/users/7"
says 'an unknown path' '404' status "$url/nowhere"
says 'a method that the path has not' '405' status -X DELETE "$url/users/7"
says 'and the ones that it has' 'GET, HEAD, OPTIONS' header Allow -X DELETE "$url/users/7"
says 'OPTIONS' '204' status -X OPTIONS "$url/greet"
says 'HTTP/1.0' 'user 7' get -0 "$url/users/7"

says 'a cookie is set' 'visit 1' get -c "$scratch/jar" "$url/visits"
says 'kept, sent and set anew' 'visit 2' get -b "$scratch/jar" -c "$scratch/jar" "$url/visits"
says 'and again' 'visit 3' get -b "$scratch/jar" "$url/visits"

says 'the second request uses the first connection' $'1\n0' \
    get -o /dev/null -o /dev/null -w '%{num_connects}\n' "$url/users/1" "$url/users/2"
says 'an error keeps the connection, too' $'404 1\n200 0' \
    get -o /dev/null -o /dev/null -w '%{http_code} %{num_connects}\n' "$url/nowhere" "$url/users/2"

head -c 3000000 /dev/zero | tr '\0' x >"$scratch/large"
head -c 11000000 /dev/zero | tr '\0' x >"$scratch/huge"
says 'a large body after 100-continue' 'PUT /echo' get -H 'Expect: 100-continue' -T "$scratch/large" "$url/echo"
says 'the server asks for it' '1' \
    eval "get -v -H 'Expect: 100-continue' -T '$scratch/large' '$url/echo' 2>&1 >/dev/null | grep -c '^< HTTP/1.1 100 '"
says 'a chunked body' 'PUT /echo' get -H 'Transfer-Encoding: chunked' -T - "$url/echo" <"$scratch/large"
says 'a body beyond the limit' '413' status -T "$scratch/huge" "$url/echo"
says 'a body beyond the limit, in chunks' '413' status -H 'Transfer-Encoding: chunked' -T - "$url/echo" <"$scratch/huge"
says 'it is refused before it is sent' '0' get -H 'Expect: 100-continue' -o /dev/null -w '%{size_upload}' -T "$scratch/huge" "$url/echo"

says 'fifty at once' "$(for _ in $(seq 50); do echo 200; done)" \
    get --parallel --parallel-max 50 -o /dev/null -w '%{http_code}\n' "$url/users/[1-50]"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
