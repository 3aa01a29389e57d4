"""What the tests share: real sockets on free ports, and an end for everything that was started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import hasty

PACKAGE = Path(hasty.__file__).resolve().parent
#: Where `import hasty` finds this very package, for programs that tests start.
IMPORT_PATH = PACKAGE.parent


@pytest.fixture
def app() -> hasty.App:
    """An app to register routes on."""
    return hasty.App()


@pytest.fixture
def client(app: hasty.App) -> Iterator[hasty.Client]:
    """A client of `app`, which starts when the test first asks: register before."""
    clients: list[hasty.Client] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            if not clients:
                clients.append(app.test_client())
            return getattr(clients[0], name)

    yield Late()  # type: ignore[misc]
    for started in clients:
        started.close()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(server: hasty.Server, octets: bytes = GET) -> socket.socket:
    """A connection on which something was asked."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(octets)
    return connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes, until its last bytes are `end`."""
    answer = b""
    while not answer.endswith(end):
        part = connection.recv(65536)
        assert part, answer
        answer += part
    return answer


def ask(server: hasty.Server, octets: bytes) -> bytes:
    """Sends bytes as they are, and gives every byte of the answer until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(octets)
        answer = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return answer
            answer += part


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs; kills those that a test leaves behind."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        script = tmp_path / f"program{len(started)}.py"
        script.write_text(source)
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(IMPORT_PATH), **environ},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
