"""Where an app listens: addresses, Unix sockets, and sockets that others have made."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest

from hasty import App, InvalidError, IoError, Request


def hello(app: App) -> App:
    app.get("/")(lambda req: f"hello, {req.remote_address}")
    return app


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
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


def test_workers_share_a_port_and_nothing_else(app: App, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="workers share a TCP port"):
        app.listen(host=f"unix:{tmp_path}/app.sock", workers=2)


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
