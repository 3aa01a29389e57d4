"""A hundred thousand requests leave nothing behind: neither memory nor objects, threads nor descriptors."""

from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from _programs import Program

from hasty.threads import IDLE_S

pytestmark = pytest.mark.long

SERVE = """
import asyncio, gc, logging, os, sys, threading
from hasty import App, Event, HttpError, Response

logging.getLogger("hasty").addHandler(logging.NullHandler())
logging.getLogger("hasty").propagate = False
app = App(threads=int(sys.argv[1]), max_requests_per_connection=0)

@app.get("/state")
def state(req):
    for _ in range(3):
        gc.collect()
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return {
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident": resident,
    }

app.get("/str")(lambda req: "hello")
app.get("/bytes")(lambda req: b"hello")
app.get("/dict")(lambda req: {"hello": ["world", 1, None]})
app.get("/none")(lambda req: None)
app.get("/parts")(lambda req: ("teapot", 418, {"X-Kind": "short and stout"}))
app.get("/params/:one/:two/*rest")(lambda req: f"{req.params['one']}{req.params['two']}{req.params['rest']}")
app.get("/query")(lambda req: ",".join(req.query.getall("a")))
app.get("/headers")(lambda req: {"agent": req.headers["user-agent"], "all": len(req.headers)})
app.get("/cookies")(lambda req: Response.text(req.cookies["a"]).cookie("b", "c"))
app.get("/filled")(lambda req, res: res.status(201).header("X-A", "b").json([1]))
app.get("/response")(lambda req: Response.html("<p>", status=202, headers={"X-A": "b"}))
app.post("/json")(lambda req: {"sum": sum(req.json())})
app.post("/form")(lambda req: dict(req.form))
app.post("/upload")(lambda req: str(req.files["f"].size))
app.get("/exception")(lambda req: 1 / 0)
app.get("/refused")(lambda req: (_ for _ in ()).throw(HttpError(410, "gone")))
app.get("/wrong")(lambda req: object())
app.get("/locals")(lambda req: req.locals.setdefault("a", "b"))
app.get("/kept", blocking=True)(lambda req: "kept")

@app.get("/stream")
def stream(req):
    yield "a"
    yield "b"

@app.get("/defer")
def defer(req):
    req.defer().finish("deferred")

@app.get("/async")
async def coroutine(req):
    return f"{req.path} async"

@app.get("/waits")
async def waits(req):
    await asyncio.sleep(0)
    return f"{req.path} waited"

@app.get("/fails")
async def fails(req):
    await asyncio.sleep(0)
    raise RuntimeError("it fails")

@app.get("/events")
async def events(req):
    yield Event("a", data="b")
    yield Event("c", data="d")

if sys.argv[2:] == ["around"]:
    @app.use
    def before(req):
        req.locals["who"] = "Ada"

    @app.after
    def after(req, res):
        res.header("X-Who", req.locals["who"])

    @app.error(ZeroDivisionError)
    def divided(req, error):
        return "by zero", 500

    app.on_access(lambda record: None)

app.listen(0)
"""

FORM = b"""--x\r
Content-Disposition: form-data; name="f"; filename="f"\r
Content-Type: text/plain\r
\r
hello\r
--x--\r
"""


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def post(path: str, kind: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


#: A request of each kind, how many of it come, and the end of its answer.
KINDS = {
    "str": (get("/str"), 10_000, b"hello"),
    "bytes": (get("/bytes"), 5_000, b"hello"),
    "dict": (get("/dict"), 10_000, b"null]}"),
    "none": (get("/none"), 5_000, b"\r\n\r\n"),
    "parts": (get("/parts"), 5_000, b"teapot"),
    "params": (get("/params/a/b/c/d"), 10_000, b"abc/d"),
    "query": (get("/query?a=1&b=2&a=3"), 5_000, b"1,3"),
    "headers": (get("/headers", "User-Agent: test", "Accept: */*", "X-A: b"), 5_000, b'"all":4}'),
    "cookies": (get("/cookies", "Cookie: a=b; c=d"), 5_000, b"\r\n\r\nb"),
    "filled": (get("/filled"), 5_000, b"[1]"),
    "response": (get("/response"), 5_000, b"<p>"),
    "json": (post("/json", "application/json", b"[1,2,3]"), 5_000, b'{"sum":6}'),
    "form": (post("/form", "application/x-www-form-urlencoded", b"a=b&c=d"), 3_000, b'"c":"d"}'),
    "upload": (post("/upload", "multipart/form-data; boundary=x", FORM), 2_000, b"\r\n\r\n5"),
    "exception": (get("/exception"), 3_000, b""),
    "refused": (get("/refused"), 2_000, b"gone"),
    "wrong": (get("/wrong"), 2_000, b""),
    "locals": (get("/locals"), 2_000, b"\r\n\r\nb"),
    "missing": (get("/nowhere"), 2_000, b""),
    "blocking": (get("/kept"), 2_000, b"kept"),
    "stream": (get("/stream"), 2_000, b"0\r\n\r\n"),
    "defer": (get("/defer"), 2_000, b"deferred"),
    "async": (get("/async"), 5_000, b"async"),
    "waits": (get("/waits"), 3_000, b"waited"),
    "fails": (get("/fails"), 2_000, b""),
    "events": (get("/events"), 2_000, b"0\r\n\r\n"),
}
assert sum(count for _, count, _ in KINDS.values()) >= 100_000


class Line:
    """A connection on which requests are sent by the hundred, without waiting for each answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)

    def one(self, request: bytes) -> bytes:
        """Sends a request, and gives its whole answer."""
        # What follows marks its end.
        self._socket.sendall(request + b"GET /str HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\nhello") or answer.count(b"HTTP/1.1 ") < 2:
            part = self._socket.recv(65536)
            assert part, answer
            answer += part
        return answer[: answer.rindex(b"HTTP/1.1 ")]

    def many(self, request: bytes, count: int) -> None:
        """Sends a request so many times; each answer is as long as the first, and begins as that."""
        first = self.one(request)
        line, size = first.partition(b"\r\n")[0], len(first)
        for sent in range(0, count, 100):
            number = min(100, count - sent)
            self._socket.sendall(request * number)
            answers = bytearray()
            while len(answers) < size * number:
                part = self._socket.recv(1 << 20)
                assert part, bytes(answers[-200:])
                answers += part
            assert len(answers) == size * number and answers.count(line) == number, bytes(answers[:size])

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.one(get("/state")).partition(b"\r\n\r\n")[2])
        return answer

    def settled(self, threads: int) -> dict[str, Any]:
        """Returns the state once no more than so many threads are left; the last one if that takes too long."""
        # A stream may begin a moment before the thread of an earlier one is free again. An idle one ends by itself.
        until = time.monotonic() + 3 * IDLE_S
        while (state := self.state())["threads"] > threads and time.monotonic() < until:
            time.sleep(0.1)
        return state

    def close(self) -> None:
        self._socket.close()


@pytest.mark.any_python
@pytest.mark.parametrize("arguments", [("0",), ("2",), ("0", "around")], ids=["inline", "threads", "around"])
def test_a_hundred_thousand_requests_leave_nothing_behind(arguments: tuple[str, ...]) -> None:
    # The inline app gets them all; the others a fifth, to find what is theirs.
    share = 1 if arguments == ("0",) else 5
    grown: dict[str, tuple[int, int]] = {}
    with Program(SERVE, *arguments) as program:
        line = Line(program.line())
        for request, _, end in KINDS.values():
            assert line.one(request).endswith(end)
            line.many(request, 300)
        line.state()
        first = before = line.state()
        for kind, (request, count, _) in KINDS.items():
            line.many(request, count // share)
            after = line.state()
            # One for each request would be 400 at least; another thread, or a cache that fills, takes some.
            if after["blocks"] - before["blocks"] > 300 or after["objects"] - before["objects"] > 300:
                grown[kind] = (after["blocks"] - before["blocks"], after["objects"] - before["objects"])
            before = after
        after = line.settled(first["threads"] + 2)
        line.close()
        program.interrupt()
        end_of = program.end()
    assert grown == {}, "blocks and objects that stayed, by kind of handler"
    assert after["descriptors"] == first["descriptors"]
    assert after["threads"] <= first["threads"] + 2
    assert after["resident"] - first["resident"] < 4096, "KiB"
    assert (end_of.code, end_of.err) == (0, "")


def test_connections_that_come_and_go_leave_nothing_behind() -> None:
    with Program(SERVE, "0") as program:
        url = program.line()
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or 0)

        def visit() -> None:
            for request, _, _ in KINDS.values():
                with socket.create_connection(address, timeout=10) as connection:
                    connection.sendall(request)
                    assert connection.recv(65536).startswith(b"HTTP/1.1 ")
                # Some leave before they are answered, and some in the middle of what they say.
                with socket.create_connection(address, timeout=10) as connection:
                    connection.sendall(request)
                with socket.create_connection(address, timeout=10) as connection:
                    connection.sendall(request[: len(request) // 2])

        for _ in range(3):
            visit()
        line = Line(url)
        line.state()
        before = line.state()
        for _ in range(20):
            visit()
        # Who asks now is answered after all that.
        line.state()
        after = line.state()
        line.close()
        program.interrupt()
        program.end()
    assert after["blocks"] - before["blocks"] < 1500, "less than one for each visit"
    assert after["objects"] - before["objects"] < 100
    assert after["descriptors"] <= before["descriptors"] + 2
    assert after["resident"] - before["resident"] < 4096, "KiB"
