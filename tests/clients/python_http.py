#!/usr/bin/env python3
"""python_http.py URL: what http.client and urllib get from examples-c/routes."""

import http.client
import http.cookiejar
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from protocol import done, expect, not_ok  # noqa: E402

URL = sys.argv[1].rstrip("/")
ADDRESS = urllib.parse.urlsplit(URL)


def says(name, got, wanted):
    expect(name, "" if got == wanted else f"{got!r} instead of {wanted!r}")


def http_client():
    connection = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=20)

    def ask(method, target, body=None, headers=None, **more):
        connection.request(method, target, body, headers or {}, **more)
        response = connection.getresponse()
        return response.status, response.read().decode(), response

    says("http.client: a page", ask("GET", "/users/7")[:2], (200, "user 7"))
    first = connection.sock
    says("http.client: HEAD", ask("HEAD", "/users/7")[:2], (200, ""))
    says("http.client: a body with its length", ask("PUT", "/echo", b"x" * 3_000_000)[:2], (200, "PUT /echo"))
    parts = (b"part %d " % number * 1000 for number in range(100))
    says("http.client: a chunked body", ask("POST", "/echo", parts, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})[:2], (200, "POST /echo"))
    status, text, response = ask("GET", "/nowhere")
    says("http.client: an unknown path", (status, bool(text)), (404, True))
    says("http.client: the answer has a date", bool(response.getheader("Date")), True)
    for number in range(200):
        status, text, _ = ask("GET", f"/users/{number}")
        if (status, text) != (200, f"user {number}"):
            not_ok("http.client: two hundred requests", f"{status} {text!r} to number {number}")
            break
    says("http.client: all of it on one connection", connection.sock is first and first is not None, True)
    says("http.client: Connection: close", (ask("GET", "/users/7", headers={"Connection": "close"})[1], connection.sock), ("user 7", None))
    connection.close()


def urllib_request():
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(target, data=None, **more):
        try:
            with opener.open(urllib.request.Request(URL + target, data, **more), timeout=20) as response:
                return response.status, response.read().decode(), response
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error

    says("urllib: a page", ask("/users/7")[:2], (200, "user 7"))
    query = urllib.parse.urlencode([("q", "fast & small"), ("tag", "é"), ("tag", "b")])
    says("urllib: a query", ask(f"/search?{query}")[:2], (200, "q = fast & small\ntag = é\ntag = b"))
    form = urllib.parse.urlencode({"name": "Ada Lovelace", "city": "London!"}).encode()
    says("urllib: a form", ask("/greet", form)[:2], (200, "Ada Lovelace from London!"))
    status, text, response = ask("/home")
    says("urllib: a redirect", (status, text, response.url), (200, "yourself", URL + "/users/me"))
    says("urllib: a cookie goes back and forth", [ask("/visits")[1] for _ in range(3)], ["visit 1", "visit 2", "visit 3"])
    says("urllib: an unknown path", ask("/nowhere")[0], 404)
    status, _, error = ask("/users/7", method="DELETE")
    says("urllib: a method that the path has not", (status, error.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(f"/users/{number}")[1], range(200)))
    says("urllib: two hundred requests, sixteen at a time", answers, [f"user {number}" for number in range(200)])


for suite in (http_client, urllib_request):
    try:
        suite()
    except (OSError, http.client.HTTPException) as error:
        not_ok(suite.__name__, f"{type(error).__name__}: {error}")
sys.exit(done())
