"""The threads and the end of a server: what meets in the middle of something else, and what cannot begin."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable
from urllib.request import urlopen

import pytest

import hasty.wsgi
from hasty import App, HastyError, Request, Server, StateError, _ffi
from hasty.asgi import as_app
from hasty.handler import BLOCKING_THREADS

# --- ends that meet ---


class Freed:
    """Tells when an app is freed, in the middle of what a call into the library does."""

    def __init__(self, server: Server) -> None:
        self.events: list[str] = []
        native: Any = server._native
        free = native._free

        def freed(pointer: object) -> None:
            self.events.append("freed")
            free(pointer)

        native._free = freed

    def call(self, function: Callable[..., Any], before: Callable[[], object]) -> Callable[..., Any]:
        """Does something while a thread is inside a function of the library's."""

        def called(*arguments: object) -> Any:
            before()
            self.events.append("inside")
            return function(*arguments)

        return called


def test_an_app_is_not_freed_while_another_thread_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = App().start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_drain", freed.call(_ffi.hasty_app_drain, server.close))
    server._native.drain(0)
    assert freed.events == ["inside", "freed"]


def test_an_app_is_not_freed_while_it_is_asked_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(max_headers=50)
    server = app.start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_option", freed.call(_ffi.hasty_app_option, server.close))
    assert app.option("max_headers") == "50"
    assert freed.events == ["inside", "freed"]
    with pytest.raises(StateError, match="ended"):
        app.option("max_headers")


def test_an_app_is_not_freed_while_it_is_told_something(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    server = app.start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_secure_headers", freed.call(_ffi.hasty_app_secure_headers, server.close))
    with pytest.raises(StateError):
        app.secure_headers()
    assert freed.events == ["inside", "freed"]


def test_ctrl_c_in_a_with_block_meets_a_close_elsewhere() -> None:
    for _ in range(10):
        server = App().start()
        closing = threading.Thread(target=server.close)
        with pytest.raises(KeyboardInterrupt), server:
            closing.start()
            raise KeyboardInterrupt
        closing.join(20)
        assert server.wait(0) and not closing.is_alive()


# --- threads that cannot begin ---

#: Where a program has as many threads as it may.
NONE_LEFT = "can't start new thread"


class Refused(list[str]):
    """Threads whose names begin so cannot begin."""

    def __init__(self) -> None:
        self.one = threading.Event()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Refused:
    names = Refused()
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if any(thread.name.startswith(name) for name in names):
            names.one.set()
            raise RuntimeError(NONE_LEFT)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    return names


async def later(req: Request) -> str:
    return "later"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("threads", "name"), [(1, "hasty-1"), (3, "hasty-1"), (3, "hasty-2"), (3, "hasty-3"), (1, "hasty-watch")]
)
def test_an_app_whose_threads_cannot_begin_does_not(threads: int, name: str, is_async: bool, refused: Refused) -> None:
    app = App(threads=threads)
    app.get("/")(later if is_async else lambda req: "hello")
    refused.append(name)
    with pytest.raises(RuntimeError, match=NONE_LEFT):
        app.start()
    assert app.server is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", app.server.port))
    assert app.server.wait(20), "those that had begun have left"
    app.server.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hasty-")]
    with pytest.raises(StateError, match="ended"):
        app.option("max_headers")


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("is_asgi", [False, True])
def test_a_loop_that_cannot_begin_is_told_by_start(is_asgi: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    app = as_app(application) if is_asgi else App(threads=2)
    app.get("/")(later)
    monkeypatch.setattr(asyncio, "new_event_loop", fail)
    monkeypatch.setattr(asyncio.events, "new_event_loop", fail)
    with pytest.raises(HastyError, match="Too many open files"):
        app.start()
    assert app.server is not None
    with pytest.raises(HastyError, match="Too many open files"):
        app.server.wait(20)


@pytest.mark.parametrize("path", ["/blocking", "/yields"])
def test_a_request_without_a_thread_is_503_and_the_next_one_has_one(
    path: str, refused: Refused, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    app.get("/blocking", blocking=True)(lambda req: "hello")
    app.get("/yields")(lambda req: (word for word in ["hel", "lo"]))
    with app.test_client() as client:
        refused += ["hasty-blocking", "hasty-stream"]
        for _ in range(BLOCKING_THREADS + 1):
            assert client.get(path).status_code == 503
        assert NONE_LEFT in caplog.text
        refused.clear()
        assert client.get(path).text == "hello"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hasty-")]


@pytest.mark.parametrize("name", ["hasty-2", "hasty-relief"])
def test_an_answer_that_takes_long_and_whose_relief_cannot_begin_goes_on(name: str, refused: Refused) -> None:
    """And the next one is relieved."""
    goes_on = refused.one

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begins "
        if environ["PATH_INFO"] == "/long":
            assert goes_on.wait(20)
        yield b"and ends"

    refused.append(name)
    with hasty.wsgi.as_app(application).start() as server:
        assert urlopen(f"{server.url}/long", timeout=20).read() == b"begins and ends"
        refused.clear()
        goes_on.clear()
        with urlopen(f"{server.url}/long", timeout=20) as long:
            assert urlopen(server.url, timeout=20).read() == b"begins and ends", "beside it"
            goes_on.set()
            assert long.read() == b"begins and ends"


def test_the_end_of_a_listen_needs_no_thread(refused: Refused) -> None:
    refused.append("hasty-drain")
    with pytest.raises(KeyboardInterrupt), App().start() as server:
        raise KeyboardInterrupt
    assert server.wait(0)
