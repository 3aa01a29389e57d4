"""Several processes that serve one port, for more than one processor."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from .address import bound, resolved
from .errors import HastyError, InvalidError, IoError, StateError
from .server import url_of

if TYPE_CHECKING:
    from .app import App

__all__ = ["serve"]

log = logging.getLogger("hasty")

#: How long the processes have to end before they are killed. An end of theirs takes less than a second.
_PATIENCE_S = 3.0
#: A process that dies sooner than this has not worked; so many in a row, and there is no point in making another.
_YOUNG_S = 1.0
_STILLBORN = 5

_ENDS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def serve(app: App, port: int, host: str, count: int) -> None:
    """Serves with `count` processes until a signal ends them."""
    if host.startswith(("unix:", "fd:")):
        raise InvalidError(f"workers share a TCP port, and {host} is none")
    if threading.current_thread() is not threading.main_thread():
        raise StateError("workers are processes, whose signals arrive on the main thread: call this there")
    app._option("reuse_port", "1")
    with _reserve(host, port) as reserved:
        _Family(app, host, reserved.getsockname()[1], count).run()


def _reserve(host: str, port: int) -> socket.socket:
    """A port for all, which nobody else takes while processes come and go."""
    try:
        return bound(*resolved(host), port, shared=True)
    except OSError as error:
        raise IoError(f"listen on {host} port {port}: {error.strerror} (os error {error.errno})") from None


class _Family:
    """A parent that does nothing but to make its children, and to end with them."""

    def __init__(self, app: App, host: str, port: int, count: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._count = count
        self._children: dict[int, float] = {}
        self._stillborn = 0
        self._ending = False
        # Each child writes a byte once it listens; the pipe ends when all that could have are gone.
        self._listening, self._listens = os.pipe()

    def run(self) -> None:
        before = {number: signal.signal(number, self._end) for number in _ENDS}
        try:
            for _ in range(self._count):
                self._bear()
            if self._all_listen():
                print(f"{url_of(self._host, self._port)}/", flush=True)
            self._watch()
        finally:
            self._bury()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._stillborn >= _STILLBORN:
            raise HastyError(f"{_STILLBORN} processes in a row ended as soon as they had begun")

    def _all_listen(self) -> bool:
        """Waits until every child does; False where one of them cannot, or all is to end."""
        os.close(self._listens)
        self._listens = -1
        heard = 0
        while heard < self._count:
            octets = os.read(self._listening, self._count)
            if not octets:
                break
            heard += len(octets)
        os.close(self._listening)
        return heard == self._count and not self._ending

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def _bear(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that comes in between would be nobody's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            self._live(parent)
        self._children[child] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    def _live(self, parent: int) -> NoReturn:
        """A child: it serves, and never comes back to the program that called."""
        code = 1
        try:
            # The terminal's Ctrl-C comes to all; the parent tells its children by itself.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            code = 0 if os.getppid() != parent else self._serve()
        except BaseException as error:
            # Those that take the places of the first fail as they did.
            log.error("a process ended early: %r", error, exc_info=not self._stillborn)
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
                logging.shutdown()
            os._exit(code)

    def _serve(self) -> int:
        from .signals import termination

        self._app._again()
        with termination() as told:
            server = self._app.start(self._port, self._host)
            try:
                if self._listens >= 0:
                    os.write(self._listens, b".")
                    os.close(self._listens)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
                server._wait_for_end()
            except told:
                pass
            finally:
                server._leave()
        return 0

    def _watch(self) -> None:
        """Waits for the end, and replaces whoever dies before."""
        while self._children:
            try:
                child, status = os.wait()
            except ChildProcessError:
                return
            born = self._children.pop(child, None)
            if born is None or self._ending:
                continue
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            if code == 0:
                # The app was stopped, there: so it is here.
                self._end(signal.SIGTERM, None)
                continue
            log.error("process %d ended with %d; another takes its place", child, code)
            self._stillborn = self._stillborn + 1 if time.monotonic() - born < _YOUNG_S else 0
            if self._stillborn >= _STILLBORN:
                return
            self._bear()

    def _bury(self) -> None:
        """Nobody is left behind."""
        self._end(signal.SIGTERM, None)
        until = time.monotonic() + _PATIENCE_S
        while self._children and time.monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                child, _ = os.waitpid(-1, os.WNOHANG)
                self._children.pop(child, None)
                if child:
                    continue
            time.sleep(0.01)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
