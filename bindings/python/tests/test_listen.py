"""Where an app listens: addresses, Unix sockets, and sockets that others have made."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import hasty.asgi
import hasty.wsgi
from hasty import App, InvalidError, IoError, Request


def hello(app: App) -> App:
    app.get("/")(lambda req: f"hello, {req.remote_address}")
    return app


def ask_unix(path: Path, target: str = "/") -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_a_unix_socket_serves_and_goes_with_its_app(app: App, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with hello(app).start(host=f"unix:{path}") as server:
        assert server.url == f"unix:{path}"
        assert ask_unix(path).endswith(b"hello, unix")
    assert not path.exists()


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("by", ["unix", "fd"])
def test_applications_are_told_of_a_unix_socket_in_the_words_of_their_standards(
    by: str, before: bool, app: App, tmp_path: Path
) -> None:
    async def later(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"], scope["server"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def at_once(environ: Any, start_response: Any) -> Any:
        seen.append((environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]))
        start_response("200 OK", [])
        return []

    seen: list[Any] = []
    path = tmp_path / "app.sock"
    hasty.asgi.mount(app, "/asgi", later, lifespan="off")
    hasty.wsgi.mount(app, "/wsgi", at_once)
    if before:
        # Middleware has requests go another way.
        app.use("/")(lambda req: None)
    host = f"unix:{path}"
    if by == "fd":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        host = f"fd:{listener.detach()}"
    with app.start(host=host):
        ask_unix(path, "/asgi")
        ask_unix(path, "/wsgi")
    where = str(path) if by == "unix" else host
    assert seen == [(None, (where, None)), ("", "localhost", "80")]


def test_a_unix_socket_where_there_is_no_folder_is_an_io_error(app: App, tmp_path: Path) -> None:
    with pytest.raises(IoError):
        app.start(host=f"unix:{tmp_path}/none/app.sock")


def test_a_socket_that_listens_already_is_taken_over(app: App) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with hello(app).start(host=f"fd:{listener.detach()}"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello, 127.0.0.1"
        connection.close()


def test_what_does_not_listen_is_refused(app: App) -> None:
    with socket.socket() as idle, pytest.raises(InvalidError):
        app.start(host=f"fd:{idle.fileno()}")


def test_workers_refuse_a_path_that_another_program_listens_at(app: App, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(IoError, match=f'listen on "{path}": another program listens there'):
            app.listen(host=f"unix:{path}", workers=2)
    assert path.exists()


def test_workers_leave_a_file_that_is_no_socket(app: App, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(IoError, match="the file exists and is not a socket"):
        app.listen(host=f"unix:{path}", workers=2)
    assert path.read_text() == "mine"


def test_workers_refuse_a_path_longer_than_sockets_have(app: App, tmp_path: Path) -> None:
    with pytest.raises(IoError, match="path too long"):
        app.listen(host=f"unix:{tmp_path}/{'x' * 120}", workers=2)


def test_workers_refuse_what_does_not_listen_and_leave_it_open(app: App) -> None:
    with socket.socket() as idle:
        with pytest.raises(InvalidError, match=f"descriptor {idle.fileno()} is not a listening socket"):
            app.listen(host=f"fd:{idle.fileno()}", workers=2)
        assert idle.getsockname()


def test_workers_refuse_a_descriptor_that_is_closed(app: App) -> None:
    with pytest.raises(IoError, match="listen on descriptor 999999: Bad file descriptor"):
        app.listen(host="fd:999999", workers=2)


def test_health_says_how_the_app_is(app: App) -> None:
    app.health("/healthz")
    with app.test_client() as client:
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["status"], answer.json()["requests"]) == (200, "ok", 1)


def test_an_app_does_not_listen_inside_a_loop(app: App) -> None:
    import asyncio

    from hasty import StateError

    async def main() -> None:
        with pytest.raises(StateError, match=r"await app\.serve"):
            app.listen(0)

    asyncio.run(main())


def test_route_names_say_something(app: App) -> None:
    with pytest.raises(InvalidError, match="says something"):
        app.get("/", name="")(lambda req: "")


def test_requests_stay_as_they_are_when_read(app: App) -> None:
    seen: list[Request] = []
    app.get("/:name")(lambda req: seen.append(req) or req.params["name"])  # type: ignore[func-returns-value]
    with app.test_client() as client:
        assert client.get("/Ada").text == "Ada"
    with pytest.raises(Exception, match="answered"):
        _ = seen[0].params


class Listening:
    """An app that listens on a thread of its own, and tells how many objects are frozen meanwhile."""

    def __init__(self, app: App) -> None:
        app.get("/frozen")(lambda req: str(gc.get_freeze_count()))
        self._app = app
        self._thread = threading.Thread(target=app.listen, args=[0])

    def __enter__(self) -> Listening:
        self._thread.start()
        while self._app.server is None:
            time.sleep(0.001)
        return self

    def frozen(self) -> int:
        assert self._app.server is not None
        with urlopen(f"{self._app.server.url}/frozen") as answer:
            return int(answer.read())

    def __exit__(self, *what: object) -> None:
        self._app.stop()
        self._thread.join()


@pytest.fixture
def frozen() -> Iterator[int]:
    """How many objects are frozen before a test: some hundred with 3.12, with others none."""
    yield gc.get_freeze_count()
    gc.unfreeze()


def test_what_was_there_before_is_frozen_while_an_app_listens(app: App, frozen: int) -> None:
    with Listening(app) as listening:
        assert listening.frozen() > frozen + 1000
    assert gc.get_freeze_count() == 0


def test_garbage_is_not_frozen(app: App) -> None:
    garbage = Garbage()
    garbage.itself = garbage
    gone = weakref.ref(garbage)
    del garbage
    with Listening(app) as listening:
        assert listening.frozen() and gone() is None


class Garbage:
    itself: Garbage


def test_what_a_program_has_frozen_itself_stays_as_it_is(app: App, frozen: int) -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    with Listening(app) as listening:
        assert 0 < listening.frozen() <= before
    assert gc.get_freeze_count() > 0


def test_a_program_without_a_garbage_collector_is_left_alone(app: App, frozen: int) -> None:
    gc.disable()
    try:
        with Listening(app) as listening:
            assert listening.frozen() == frozen
    finally:
        gc.enable()
