"""The ways in which ASGI applications are run: threads, processes, loops that run already, and their ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable
from urllib.request import urlopen

import pytest
from _programs import is_soon
from conftest import ask

import hasty
from hasty import App, InvalidError
from hasty.asgi import LifespanError, as_app, mount, serve_async

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def answer(send: Any, text: str, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


async def where(scope: Any, receive: Any, send: Any) -> None:
    """Tells where it is."""
    await answer(send, f"{scope['root_path']} {scope['path']} {scope['raw_path'].decode()}")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await answer(send, message["body"].decode())


# --- beside other things ---


def test_several_applications_are_mounted_beside_routes() -> None:
    app = App()
    mount(app, "/a", where, "off")
    mount(app, "/b/c/", where, "off")
    app.get("/a/own")(lambda req: "a route")

    @app.get("/async")
    async def coroutine(req: hasty.Request) -> str:
        await asyncio.sleep(0)
        return "a coroutine"

    with app.test_client() as client:
        assert client.get("/a").text == "/a /a /a"
        assert client.get("/a/").text == "/a /a/ /a/"
        assert client.get("/a/x%20y").text == "/a /a/x y /a/x%20y"
        assert client.get("/b/c/d").text == "/b/c /b/c/d /b/c/d"
        assert client.get("/a/own").text == "a route"
        assert client.get("/async").text == "a coroutine"
        assert client.get("/b").status_code == 404


def test_a_mounted_application_starts_and_ends_with_the_app() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            return await answer(send, "hello")
        for _ in range(2):
            kind = (await receive())["type"]
            seen.append(kind)
            await send({"type": f"{kind}.complete"})

    app = App()
    mount(app, "/a", application)
    mount(app, "/b", application)
    with app.test_client() as client:
        assert client.get("/a").text == "hello"
    assert seen == ["lifespan.startup"] * 2 + ["lifespan.shutdown"] * 2


@pytest.mark.parametrize("prefix", ["a", "/:id", "/a/*", "/a%20b"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidError, match="prefix"):
        mount(App(), prefix, where)


@pytest.mark.parametrize("path", ["//", "//a", "///a//b"])
def test_paths_may_begin_with_several_slashes(path: str) -> None:
    with as_app(where, "off").start() as server:
        assert ask(server, GET.replace(b" / ", f" {path} ".encode())).endswith(f" {path} {path}".encode())


def test_middleware_runs_before_the_application_and_after_it() -> None:
    app = as_app(echo, "off")

    @app.use("/")
    def guard(req: hasty.Request) -> Any:
        return ("keep out", 401) if "x-out" in req.headers else None

    @app.after
    def stamp(req: hasty.Request, res: hasty.Response) -> None:
        res.header("X-Stamp", "yes")

    with app.test_client() as client:
        posted = client.post("/", body="hello")
        got = client.get("/", headers={"Cookie": "a=b"})
        kept = client.post("/", body="hello", headers={"X-Out": "1"})
    assert (posted.text, posted.headers["x-stamp"]) == ("hello", "yes")
    assert (got.text, got.headers["x-stamp"]) == ("", "yes")
    assert (kept.status_code, kept.text) == (401, "keep out")


def test_the_scope_is_the_same_behind_middleware() -> None:
    scopes: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send, "")

    for guarded in (False, True):
        app = as_app(application, "off", root_path="/api")
        if guarded:
            app.use(lambda req: None)
        with app.start() as server:
            asks = b"POST /a%20b/?c=d HTTP/1.1\r\nHost: a\r\nX-A: caf\xe9\r\nConnection: close\r\n\r\n"
            ask(server, asks)
            assert scopes[-1].pop("server") == ("127.0.0.1", server.port)
    plain, guarded_one = scopes
    assert plain == guarded_one


def test_several_threads_take_requests_for_one_loop() -> None:
    seen: set[int] = set()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.add(threading.get_ident())
        await echo(scope, receive, send)

    with as_app(application, "off", threads=3).start() as server:
        asks = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nhi")
        assert [ask(server, asks)[-2:] for _ in range(20)] == [b"hi"] * 20
    assert len(seen) == 1


def test_an_application_that_fails_to_start_ends_several_threads_as_well() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanError, match="no database"):
        as_app(application, threads=3).start()
    app = App()
    mount(app, "/a", application)
    server = app.start()
    with pytest.raises(LifespanError, match="no database"):
        server.wait(10)
    server.close()


# --- in a loop that runs ---


async def fetch(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    octets = await reader.read()
    writer.close()
    await writer.wait_closed()
    return octets


async def served_beside(application: Any) -> bytes:
    """Serves in the running loop, asks there, and ends."""
    app = as_app(application)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(app.serve(0, started=lambda server: started.set_result(server.port)))
    octets = await asyncio.wait_for(fetch(await started), 10)
    app.stop()
    await asyncio.wait_for(serving, 10)
    return octets


async def waits(scope: Any, receive: Any, send: Any) -> None:
    """Answers after it has waited in several ways."""
    assert scope["type"] == "http"
    await asyncio.sleep(0)
    text = await asyncio.get_running_loop().run_in_executor(None, str, "hello")
    await asyncio.wait_for(asyncio.sleep(0.001), 10)
    await answer(send, text)


def test_it_is_served_in_a_loop_that_runs() -> None:
    assert asyncio.run(served_beside(waits)).endswith(b"hello")


def test_it_is_served_in_a_loop_of_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> bytes:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        return await served_beside(waits)

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(main()).endswith(b"hello")
    finally:
        loop.close()


def test_serve_async_tells_of_an_application_that_cannot_start() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanError, match="no database"):
        asyncio.run(serve_async(application, port=0))


def test_serve_async_tells_its_server(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        started: asyncio.Future[hasty.Server] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_async(where, port=0, lifespan="off", started=started.set_result))
        server = await started
        assert (await asyncio.to_thread(ask, server, GET)).endswith(b" / /")
        server.stop()
        await serving

    asyncio.run(main())
    assert capsys.readouterr().out == ""


def test_serve_async_ends_with_its_task(capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})
            return
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        ended.append("shutdown")

    async def printed() -> str:
        while not (out := capfd.readouterr().out):
            await asyncio.sleep(0.01)
        return out

    async def main() -> None:
        serving = asyncio.ensure_future(serve_async(application, port=0))
        url = (await asyncio.wait_for(printed(), 10)).strip()
        assert url.startswith("http://127.0.0.1:")
        # Who is answered knows that the application has started.
        assert (await asyncio.to_thread(urlopen, url)).status == 204
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())
    assert ended == ["shutdown"]


# --- programs ---

PROGRAM = """
import asyncio, os, sys, time
import hasty.asgi

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                await asyncio.sleep(float(sys.argv[2]))
            # In one piece: other processes write to the same pipe.
            os.write(1, f"{kind} {os.getpid()}\\n".encode())
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})

hasty.asgi.serve(application, port=0, workers=int(sys.argv[1]))
"""


def lines_until_url(process: subprocess.Popen[str]) -> tuple[list[str], int]:
    """What a program prints until it serves, and its port."""
    assert process.stdout is not None
    lines: list[str] = []
    while not (line := process.stdout.readline()).startswith("http://"):
        assert line, process.communicate()
        lines.append(line)
    return lines, int(line.rpartition(":")[2].strip("/\n"))


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a program prints until its end; `communicate()` would leave out what was read with the lines before."""
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(20)
    return out, err


def connect(port: int, octets: bytes = GET) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(octets)
    return connection


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_a_second_though_requests_hang(
    number: int, program: Callable[..., subprocess.Popen[str]]
) -> None:
    process = program(PROGRAM, "1", "0")
    _, port = lines_until_url(process)
    with connect(port, GET.replace(b" / ", b" /slow ")) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        os.kill(process.pid, number)
        out, err = rest_of(process)
    assert is_soon(time.monotonic() - began)
    assert out.startswith("lifespan.shutdown ")
    assert err == ""


def test_an_application_may_take_its_time_to_shut_down(program: Callable[..., subprocess.Popen[str]]) -> None:
    process = program(PROGRAM, "1", "1.5")
    lines_until_url(process)
    os.kill(process.pid, signal.SIGTERM)
    out, err = rest_of(process)
    assert out.startswith("lifespan.shutdown ")
    assert err == ""


def test_each_process_has_an_application_of_its_own(program: Callable[..., subprocess.Popen[str]]) -> None:
    process = program(PROGRAM, "2", "0")
    lines, port = lines_until_url(process)
    pids: set[str] = set()
    until = time.monotonic() + 20
    while len(pids) < 2 and time.monotonic() < until:
        with connect(port) as connection:
            octets = b""
            while part := connection.recv(65536):
                octets += part
        pids.add(octets.rpartition(b"\r\n\r\n")[2].decode())
    os.kill(process.pid, signal.SIGTERM)
    out, err = rest_of(process)
    told = (*lines, *out.splitlines())
    assert len(pids) == 2
    for kind in ("startup", "shutdown"):
        assert {line.split()[1] for line in told if f"lifespan.{kind}" in line} == pids, (told, err)
    assert err == ""


def test_serve_ends_with_the_reason_why_an_application_cannot_start(
    tmp_path: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    process = program(
        "import hasty.asgi\n"
        "async def application(scope, receive, send):\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
        "hasty.asgi.serve(application, port=0)\n"
    )
    out, err = process.communicate(timeout=20)
    assert out == ""
    assert err.strip().endswith("LifespanError: the application failed to start: no database")
    assert process.returncode == 1
