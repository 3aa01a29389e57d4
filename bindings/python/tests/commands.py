"""`python -m hasty` as a person starts it, for the tests of its command line."""

from __future__ import annotations

import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Callable
from urllib.parse import urlsplit

import pytest
from conftest import IMPORT_PATH

#: Far longer than anything takes; only a test that fails waits for it.
PATIENCE_S = 30
MARK = "HASTY_TEST_COMMAND"


class Command:
    """One running command: its lines as they come, requests to what it serves, and its end."""

    def __init__(self, *arguments: str, cwd: Path, stdout: int = subprocess.PIPE, **environ: str) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hasty", *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(IMPORT_PATH), MARK: self.mark, **environ},
            # A group of its own, as a shell makes for each command.
            start_new_session=True,
        )
        self._out = _lines(self.process.stdout)
        self._err = _lines(self.process.stderr)
        self._url: str | None = None

    @property
    def url(self) -> str:
        """What it printed first."""
        if self._url is None:
            return self.printed(self.line())
        return self._url

    def printed(self, line: str) -> str:
        """Takes the URL from the line that has it."""
        self._url = line.strip()
        assert self._url.startswith("http://") and self._url.endswith("/"), self._url
        return self._url

    def line(self) -> str:
        """The next line of its standard output; an AssertionError where it ends instead."""
        return self._next(self._out, "standard output")

    def error_line(self) -> str:
        """The next line of its standard error."""
        return self._next(self._err, "standard error")

    def _next(self, lines: queue.Queue[str | None], what: str) -> str:
        line = lines.get(timeout=PATIENCE_S)
        assert line is not None, f"{what} ended; standard error: {_rest(self._err)}"
        return line

    def ask(self, path: str = "", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """Asks what it serves; the body is in `.text` of the result."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/{path}", headers={"Connection": "close", **fields})
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def text(self, path: str = "") -> str:
        """The body at a path."""
        return str(self.ask(path).text)  # type: ignore[attr-defined]

    def interrupt(self) -> None:
        """Ctrl-C: the terminal tells every process of the command."""
        os.killpg(self.process.pid, signal.SIGINT)

    def terminate(self) -> None:
        self.process.terminate()

    def end(self) -> tuple[int, list[str], list[str]]:
        """Waits for the end: its code, and the lines that nobody has read yet."""
        code = self.process.wait(PATIENCE_S)
        return code, _rest(self._out), _rest(self._err)

    def processes(self) -> list[int]:
        """Every process that came of it and is still there."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def _is_ours(self, entry: Path) -> bool:
        try:
            return f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def close(self) -> None:
        """Ends what a test has left behind."""
        for pid in [self.process.pid] * (self.process.poll() is None) + self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


Serve = Callable[..., Command]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts commands in `tmp_path`; ends those that a test leaves behind."""
    commands: list[Command] = []

    def start(*arguments: str, **environ: str) -> Command:
        commands.append(Command(*arguments, cwd=tmp_path, **environ))  # type: ignore[arg-type]
        return commands[-1]

    yield start
    for command in commands:
        command.close()


def _lines(stream: IO[str] | None) -> queue.Queue[str | None]:
    """The lines of a stream as they come, and None for its end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        try:
            for line in stream or ():
                lines.put(line.rstrip("\n"))
        except ValueError:
            # A test that failed has closed it.
            pass
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _rest(lines: queue.Queue[str | None]) -> list[str]:
    rest = []
    while (line := lines.get(timeout=PATIENCE_S)) is not None:
        rest.append(line)
    lines.put(None)
    return rest
