"""ASGI applications over real sockets: what they are told of a request, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import ask

from hasty import App, ClosedError, InvalidError, Server
from hasty.asgi import Application, LifespanError, as_app, mount

Messages = list[dict[str, Any]]


@contextmanager
def served(application: Application, **options: Any) -> Iterator[Server]:
    with as_app(application, **options).start() as server:
        yield server


def connect(server: Server, octets: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(octets)
    return connection


def answering(*pieces: bytes, status: int = 200, headers: Any = ()) -> Application:
    """An application that answers with these pieces."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})

    return application


def scope_of(octets: bytes, **options: Any) -> dict[str, Any]:
    """The scope that an application gets for a request."""
    scopes: list[dict[str, Any]] = []
    answer = answering(b"")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scopes.append(scope)
        await answer(scope, receive, send)

    with served(application, **options) as server:
        ask(server, octets)
        if scopes:
            scopes[0]["port"] = server.port
    return scopes[0]


def get(target: bytes = b"/", *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: a", b"Connection: close", *fields, b"", b""])


# --- the scope ---


def test_a_request_is_told_in_the_words_of_the_protocol() -> None:
    scope = scope_of(get(b"/caf%C3%A9/%2F?a=1&b=%20", b"X-Twice: 1", b"x-twice: 2", b"X-Latin: caf\xe9"))
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/café//"
    assert scope["raw_path"] == b"/caf%C3%A9/%2F"
    assert scope["query_string"] == b"a=1&b=%20"
    assert scope["root_path"] == ""
    assert scope["headers"] == [
        (b"host", b"a"),
        (b"connection", b"close"),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"x-latin", b"caf\xe9"),
    ]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ("127.0.0.1", scope["port"])
    assert scope["state"] == {}
    assert scope["extensions"] == {"http.response.pathsend": {}}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_every_method_reaches_the_application(method: str) -> None:
    assert scope_of(get().replace(b"GET", method.encode()))["method"] == method


def test_the_http_version_is_that_of_the_client() -> None:
    assert scope_of(b"GET / HTTP/1.0\r\n\r\n")["http_version"] == "1.0"


def test_a_path_that_is_not_utf_8_is_told_with_replacements() -> None:
    scope = scope_of(get(b"/%ff"))
    assert (scope["path"], scope["raw_path"]) == ("/\ufffd", b"/%ff")


def test_the_root_path_is_in_front_of_the_path() -> None:
    scope = scope_of(get(b"/a%20b"), root_path="/api")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/a b", b"/api/a%20b")


def test_requests_with_the_same_head_have_their_own_rest() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        told = [scope[key] for key in ("method", "path", "query_string", "http_version", "client", "headers", "state")]
        told += [scope["asgi"], scope["extensions"], "left" in scope]
        body = repr(told).encode()
        # What one request leaves in its scope, the next does not find there.
        scope.update(method="x", path="/x", left=True)
        for part in ("asgi", "extensions", "state"):
            scope[part]["left"] = True
        scope["headers"].append((b"left", b"1"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    common: list[Any] = [{}, {"version": "3.0", "spec_version": "2.4"}, {"http.response.pathsend": {}}, False]
    with as_app(application, lifespan="off").start() as server:
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1", "127.0.0.1"):
            with socket.create_connection(("127.0.0.1", server.port), 10, (address, 0)) as client:
                for line in ("GET /a", "GET /a", "GET /a?x=1", "GET /%61", "GET /b", "POST /b", "GET /b", "GET /a"):
                    client.sendall(f"{line} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
                    told = b""
                    while not told.endswith(b"]"):
                        told += client.recv(65536)
                    method, _, target = line.partition(" ")
                    path, _, query = target.replace("%61", "a").partition("?")
                    own = [method, path, query.encode(), "1.1", (address, 0), [(b"host", b"h")]]
                    assert told.partition(b"\r\n\r\n")[2].decode() == repr(own + common)


def test_the_scheme_is_that_of_the_proxy() -> None:
    assert scope_of(get(), url_scheme="https")["scheme"] == "https"


def test_a_request_to_upgrade_is_one_of_http() -> None:
    fields = b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert scope_of(get(b"/ws", *fields).replace(b"close", b"close, Upgrade"))["type"] == "http"


# --- bodies ---


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body."""
    octets, more = b"", True
    while more:
        message = await receive()
        octets += message["body"]
        more = message["more_body"]
    await answering(octets)(scope, receive, send)


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_a_body_arrives_whole(size: int) -> None:
    with as_app(echo, lifespan="off").test_client() as client:
        assert client.post("/", body=b"x" * size).body == b"x" * size


def test_a_chunked_body_arrives_whole() -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(echo) as server:
        assert ask(server, chunked + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").endswith(b"\r\n\r\nabc")


def test_a_large_form_arrives_as_it_was_sent() -> None:
    with as_app(echo, lifespan="off").test_client() as client:
        answer = client.post("/", files={"photo": ("a.bin", b"x" * 2_000_000)}, form={"title": "a"})
    assert answer.body.count(b"x" * 2_000_000) == 1
    assert answer.body.endswith(b"--\r\n")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("with_middleware", [False, True])
def test_a_form_of_any_length_reaches_the_application_as_it_was_sent(threads: int, with_middleware: bool) -> None:
    async def length(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert not message["more_body"]
        await answering(str(len(message["body"])).encode())(scope, receive, send)

    app = App(threads, spool_bytes=1000)
    if with_middleware:
        app.use(lambda req: None)
    mount(app, "/api", length, lifespan="off")
    with app.test_client() as client:
        short, long = (int(client.post("/api", files={"file": ("name", b"x" * size)}).text) for size in (1, 500_001))
        assert long - short == 500_000


def test_a_body_beyond_the_limit_is_refused() -> None:
    with as_app(echo, lifespan="off", max_body_bytes=10).test_client() as client:
        assert client.post("/", body=b"x" * 11).status_code == 413


# --- answers ---


def test_an_answer_arrives_as_it_was_given() -> None:
    fields = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-latin", b"caf\xe9"), (b"server", b"mine")]
    with served(answering(b"hello", status=201, headers=fields)) as server:
        head, _, octets = ask(server, get()).partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 201 created"
    assert [line for line in lines if line.startswith(b"set-cookie")] == [b"set-cookie: a=1", b"set-cookie: b=2"]
    assert b"x-latin: caf\xe9" in lines
    assert [line for line in lines if line.startswith(b"server")] == [b"server: mine"]
    assert sum(line.startswith(b"date:") for line in lines) == 1
    assert b"content-length: 5" in lines
    assert octets == b"hello"


def test_an_answer_without_a_type_is_sent_without_one() -> None:
    with served(answering(b"hello")) as server:
        assert b"content-type" not in ask(server, get()).lower()


def test_pieces_are_sent_in_chunks() -> None:
    with served(answering(b"one, ", b"two", headers=[(b"content-type", b"text/plain")])) as server:
        answer = ask(server, get())
    assert b"transfer-encoding: chunked" in answer.lower()
    assert answer.endswith(b"\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n")


def test_pieces_of_a_known_length_are_sent_as_they_are() -> None:
    with served(answering(b"one, ", b"two", headers=[(b"content-length", b"8")])) as server:
        answer = ask(server, get())
    assert b"chunked" not in answer.lower()
    assert answer.endswith(b"\r\n\r\none, two")


def test_pieces_for_http_1_0_end_with_the_connection() -> None:
    with served(answering(b"one, ", b"two")) as server:
        answer = ask(server, b"GET / HTTP/1.0\r\n\r\n")
    assert b"chunked" not in answer.lower()
    assert answer.endswith(b"\r\n\r\none, two")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none(status: int) -> None:
    with served(answering(b"", status=status)) as server:
        assert ask(server, get()).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("pieces", [(b"hello",), (b"he", b"llo")])
def test_the_answer_to_head_has_no_body(pieces: tuple[bytes, ...]) -> None:
    with served(answering(*pieces, headers=[(b"content-length", b"5")])) as server:
        answer = ask(server, get().replace(b"GET", b"HEAD"))
    assert b"content-length: 5\r\n" in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


def test_a_head_alone_arrives_before_its_body() -> None:
    go = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})

    with served(application, lifespan="off") as server, connect(server, get()) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        go.set()
        assert b"data: 1" in connection.recv(65536)


def test_a_file_is_sent_with_the_fields_of_the_application(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-type", b"text/x"), (b"content-length", b"10"), (b"etag", b'"mine"')]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "a.txt")})

    with served(application, lifespan="off") as server:
        answer = ask(server, get())
        part = ask(server, get(b"/", b"Range: bytes=2-4"))
        none = ask(server, get(b"/", b'If-None-Match: "mine"'))
    assert answer.endswith(b"\r\n\r\n0123456789")
    assert b"text/x" in answer and answer.lower().count(b"etag") == 1
    assert part.startswith(b"HTTP/1.1 206") and part.endswith(b"\r\n\r\n234")
    assert none.startswith(b"HTTP/1.1 304")


def test_a_file_that_is_not_there_is_an_error_of_the_application() -> None:
    raised: list[BaseException] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await send({"type": "http.response.pathsend", "path": "/nowhere/at/all"})
        except LookupError as error:
            raised.append(error)
        await send({"type": "http.response.body", "body": b"instead"})

    with served(application, lifespan="off") as server:
        assert ask(server, get()).endswith(b"\r\n\r\ninstead")
    assert "/nowhere/at/all" in str(raised[0])


def test_what_follows_the_answer_does_not_hold_it() -> None:
    go = threading.Event()
    done = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering(b"there")(scope, receive, send)
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        done.set()

    with served(application, lifespan="off") as server:
        assert ask(server, get()).endswith(b"there")
        assert not done.is_set()
        go.set()
        assert done.wait(10)


def test_what_follows_the_answer_ends_before_the_server_does() -> None:
    done: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering(b"there")(scope, receive, send)
        await asyncio.sleep(0.05)
        done.append(1)

    with served(application, lifespan="off") as server:
        ask(server, get())
    assert done == [1]


def test_several_tasks_send_and_wait_for_room_and_all_of_them_are_called() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def write() -> None:
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

        await asyncio.gather(*[write() for _ in range(4)])
        await send({"type": "http.response.body", "body": b""})

    with served(application, lifespan="off") as server:
        octets = ask(server, get())
    assert octets.endswith(b"\r\n0\r\n\r\n") and octets.count(b"x") == 400 << 16


# --- failures ---


def test_an_application_that_fails_is_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with served(application, lifespan="off") as server:
        assert ask(server, get()).startswith(b"HTTP/1.1 500 ")
    assert [record.getMessage() for record in caplog.records] == ["GET /: the application failed"]


def test_an_application_that_fails_in_the_middle_cuts_the_connection() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise LookupError("mine")

    with served(application, lifespan="off") as server:
        answer = ask(server, get())
    assert b"some" in answer
    assert not answer.endswith(b"0\r\n\r\n")


def test_an_answer_that_is_refused_after_a_failed_one_reaches_the_client() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"\n")]})
        except ValueError:
            await answering(b"instead", status=400)(scope, receive, send)

    with served(application, lifespan="off") as server:
        assert ask(server, get()).startswith(b"HTTP/1.1 400 ")


# --- clients that leave, or read slowly ---


def test_a_client_that_leaves_ends_the_wait_for_it() -> None:
    waits, left = threading.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        waits.set()
        assert await receive() == {"type": "http.disconnect"}
        left.set()

    with served(application, lifespan="off") as server:
        connection = connect(server, get())
        assert waits.wait(10)
        connection.close()
        assert left.wait(10)


def test_sending_to_a_client_that_left_raises_an_os_error() -> None:
    raised: list[BaseException] = []
    done = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0)
        except OSError as error:
            raised.append(error)
            done.set()
            raise

    with served(application, lifespan="off") as server:
        connection = connect(server, get())
        assert connection.recv(100)
        connection.close()
        assert done.wait(10)
    assert isinstance(raised[0], ClosedError)


def test_send_waits_for_a_client_that_reads_slowly() -> None:
    sent: list[int] = []
    full = threading.Event()
    piece = b"x" * 100_000

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(300):
            sending = asyncio.ensure_future(send({"type": "http.response.body", "body": piece, "more_body": True}))
            await asyncio.sleep(0)
            if not sending.done():
                full.set()
            await sending
            sent.append(number)
        await send({"type": "http.response.body"})

    with served(application, lifespan="off", compress=False) as server:
        connection = connect(server, get())
        assert full.wait(10)
        # Much less than all of it waits in memory.
        assert len(sent) < 200
        answer = bytearray()
        while part := connection.recv(1 << 20):
            answer += part
        connection.close()
    assert answer.count(b"x") == 300 * len(piece)
    assert answer.endswith(b"0\r\n\r\n")


# --- start and end ---


class Life:
    """An application with a beginning and an end; keeps what it is told."""

    def __init__(self, start: str = "complete", end: str = "complete", words: str = "") -> None:
        self.start, self.end, self.words = start, end, words
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen.append("http")
            scope["state"]["count"] += 1
            octets = f"{scope['state']['count']} {scope['state']['list']}".encode()
            return await answering(octets)(scope, receive, send)
        assert scope["type"] == "lifespan"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        for kind, outcome in (("startup", self.start), ("shutdown", self.end)):
            assert await receive() == {"type": f"lifespan.{kind}"}
            self.seen.append(kind)
            if kind == "startup":
                scope["state"].update(count=0, list=[1])
            if outcome == "raise":
                raise LookupError(self.words)
            if outcome == "return":
                return
            await send({"type": f"lifespan.{kind}.{outcome}", "message": self.words})


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_the_application_starts_before_the_server_and_ends_after_it(mode: Any) -> None:
    life = Life()
    with as_app(life, mode).test_client() as client:
        # Each request has a copy of the state.
        assert [client.get("/").text for _ in range(2)] == ["1 [1]", "1 [1]"]
    assert life.seen == ["startup", "http", "http", "shutdown"]


def test_without_lifespan_the_application_is_told_of_neither() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await answering(b"")(scope, receive, send)

    with as_app(application, "off").test_client() as client:
        client.get("/")
    assert seen == ["http"]


@pytest.mark.parametrize("start", ["raise", "return"])
def test_an_application_that_knows_no_lifespan_is_served(start: str) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            return await answering(b"hello")(scope, receive, send)
        if start == "raise":
            raise KeyError(scope["type"])

    with as_app(application).test_client() as client:
        assert client.get("/").text == "hello"
    with pytest.raises(LifespanError, match="instead of starting"):
        as_app(application, "on").start()


def test_an_application_that_raises_while_it_starts_is_served_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            return await answering(b"hello")(scope, receive, send)
        await receive()
        raise KeyError("no database")

    with as_app(application).test_client() as client:
        assert client.get("/").text == "hello"
    (told,) = caplog.records
    assert "failed while it started, and is served all the same" in told.getMessage()
    assert told.levelname == "WARNING" and told.exc_info


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_an_application_that_fails_to_start_is_not_served(mode: Any) -> None:
    app = as_app(Life(start="failed", words="no database"), mode)
    with pytest.raises(LifespanError, match="the application failed to start: no database"):
        app.start()
    assert "hasty-asgi" not in {thread.name for thread in threading.enumerate()}


def test_a_failed_shutdown_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with as_app(Life(end="failed", words="still busy")).start():
        pass
    assert [record.getMessage() for record in caplog.records] == ["the application failed to shut down: still busy"]


def test_an_application_that_breaks_at_its_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with as_app(Life(end="raise", words="broken")).start():
        pass
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def test_an_answer_to_another_question_is_refused() -> None:
    raised: list[BaseException] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for kind in ("lifespan.shutdown.complete", "http.response.start"):
            try:
                await send({"type": kind})
            except RuntimeError as error:
                raised.append(error)
        await send({"type": "lifespan.startup.complete"})
        try:
            await send({"type": "lifespan.startup.complete"})
        except RuntimeError as error:
            raised.append(error)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    with as_app(application).start():
        pass
    assert [str(error) for error in raised] == [
        "send('lifespan.shutdown.complete') is no answer to 'lifespan.startup'",
        "send('http.response.start') is no answer to 'lifespan.startup'",
        "send('lifespan.startup.complete'): 'lifespan.startup' was answered before",
    ]


def test_a_request_that_runs_is_told_of_the_end() -> None:
    ended: list[str] = []
    runs = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            runs.set()
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with served(application, lifespan="off") as server:
        connection = connect(server, get())
        assert runs.wait(10)
    connection.close()
    assert ended == ["cancelled"]


# --- ways to run ---


class wsgi_application:
    """As Flask's and Django's are."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def test_what_may_be_an_application_is_taken() -> None:
    """Plain functions may give awaitables, and what is written in C does not always tell."""
    for application in (lambda scope, receive, send: None, lambda *arguments: None, print):
        as_app(application)  # type: ignore[arg-type]


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(InvalidError, match="cannot be"):
        as_app("module:app")  # type: ignore[arg-type]
    flask = wsgi_application()
    for application in (flask, flask.__call__):
        with pytest.raises(InvalidError, match=r"two arguments, as WSGI applications are: hasty\.wsgi has the same"):
            as_app(application)  # type: ignore[arg-type]
        with pytest.raises(InvalidError, match=r"hasty\.wsgi"):
            mount(App(), "/old", application)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match='none of "auto"'):
        as_app(answering(), "maybe")  # type: ignore[arg-type]


def test_routes_may_be_added_beside_the_application() -> None:
    app = as_app(answering(b"application"), "off")
    app.get("/health")(lambda req: "fine")
    with app.test_client() as client:
        assert client.get("/health").text == "fine"
        assert client.get("/other").text == "application"


def test_the_application_runs_in_a_loop_that_runs_already() -> None:
    life = Life()
    loops: list[asyncio.AbstractEventLoop] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await life(scope, receive, send)

    async def main() -> None:
        app = as_app(application)
        serving = asyncio.ensure_future(app.serve(0))
        while app._server is None:
            await asyncio.sleep(0)
        client = app.test_client()
        answer = await asyncio.get_running_loop().run_in_executor(None, client.get, "/")
        client.close()
        assert answer.text == "1 [1]"
        assert set(loops) == {asyncio.get_running_loop()}
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())
    assert life.seen == ["startup", "http", "shutdown"]


SERVE = """
import hasty.asgi
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            print(kind, flush=True)
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
hasty.asgi.serve(application, port=0)
"""


def test_serve_prints_its_url_and_ends_with_ctrl_c(program: Callable[..., subprocess.Popen[str]]) -> None:
    process = program(SERVE)
    assert process.stdout is not None
    assert process.stdout.readline() == "lifespan.startup\n"
    url = process.stdout.readline().strip()
    port = int(url.rpartition(":")[2].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(get())
        assert connection.recv(65536).endswith(b"hello")
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=25)
    assert (out, err, process.returncode) == ("lifespan.shutdown\n", "", 0)
