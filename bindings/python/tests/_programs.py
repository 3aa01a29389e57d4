"""Programs that tests start, with their children, their output and their end."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit

from conftest import IMPORT_PATH

__all__ = ["End", "Program", "is_alive", "is_open", "is_soon"]

#: The promise is a second; a loaded machine gets three.
_SOON_S = 3.0
#: One that takes its time for everything gets as long as so many programs take that do nothing.
_PROGRAMS = 20

# Nobody would end it where the tests are killed: it is in a group of its own. 1 is PR_SET_PDEATHSIG.
_ORPHANS_DIE = f"__import__('ctypes').CDLL(None).prctl(1, {int(signal.SIGKILL)})\n"


def is_soon(seconds: float) -> bool:
    """Whether something was over at once, as far as this machine does anything at once."""
    if seconds < _SOON_S:
        return True
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return seconds < _PROGRAMS * (time.monotonic() - began)


class End:
    """How a program ended."""

    def __init__(self, code: int, out: str, err: str, seconds: float) -> None:
        self.code = code
        self.out = out
        self.err = err
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"<exit code {self.code} after {self.seconds:.2f} s\nout: {self.out}\nerr: {self.err}>"


class Program:
    """A Python program in a process group of its own, as a terminal would start it; killed where a test leaves it."""

    def __init__(self, source: str, *arguments: str, executable: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [executable, "-c", _ORPHANS_DIE + source, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(IMPORT_PATH),
                "PYTHONUNBUFFERED": "1",
                # Since 3.12 Python warns of every fork beside threads.
                "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
            },
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._err: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=[self._process.stdout, self._lines.put], daemon=True),
            threading.Thread(target=self._read, args=[self._process.stderr, self._err.append], daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: object, take: object) -> None:
        for text in stream:  # type: ignore[attr-defined]
            take(text)  # type: ignore[operator]

    def line(self) -> str:
        """The next line of its output."""
        try:
            return self._lines.get(timeout=20).rstrip("\n")
        except queue.Empty:
            raise AssertionError(f"it says nothing; on standard error: {''.join(self._err)}") from None

    def signal(self, number: int) -> None:
        """What `kill` sends."""
        os.kill(self.pid, number)

    def interrupt(self) -> None:
        """What a terminal sends for Ctrl-C: SIGINT to the program and to all its children."""
        os.killpg(self.pid, signal.SIGINT)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def descendants(self) -> list[int]:
        """The processes it has started, and theirs."""
        found, todo = list[int](), [self.pid]
        while todo:
            pid = todo.pop()
            children = [int(child) for child in _children(pid)]
            found += children
            todo += children
        return found

    def end(self, timeout: float = 20) -> End:
        """Waits for its end."""
        began = time.monotonic()
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"it has not ended after {timeout} s; on standard error: {''.join(self._err)}"
            ) from None
        seconds = time.monotonic() - began
        for reader in self._readers:
            # A child that has survived it may hold the pipe.
            reader.join(2)
        out = []
        while not self._lines.empty():
            out.append(self._lines.get())
        return End(code, "".join(out), "".join(self._err), seconds)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _children(pid: int) -> list[str]:
    found = list[str]()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                found += children.read().split()
    except FileNotFoundError:
        pass
    return found


def is_alive(pid: int) -> bool:
    """Does that process run? One that nobody has waited for yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def is_open(url: str) -> bool:
    """Does anybody listen there?"""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5).close()
        return True
    except ConnectionRefusedError:
        return False
