"""Several processes that serve one port or socket, for more than one processor."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from .door import Door, opened
from .errors import HastyError, StateError
from .server import url_of
from .standard import announce, flush

if TYPE_CHECKING:
    from .app import App

__all__ = ["serve"]

log = logging.getLogger("hasty")

#: How long the processes have to end before they are killed. An end of theirs takes less than a second.
_PATIENCE_S = 3.0
#: A process that dies sooner than this has not worked; so many in a row, and there is no point in making another.
_YOUNG_S = 1.0
_STILLBORN = 5

#: How often the parent looks after its children, and how often when all is to end.
_LOOK_S = 0.1
_LOOK_AGAIN_S = 0.01

#: Octets of a process's id in the pipe, and the code of a process that somebody else has waited for.
_ID = 8
_UNKNOWN = 255

_ENDS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def serve(app: App, port: int, host: str, count: int) -> None:
    """Serves with `count` processes until a signal ends them."""
    if threading.current_thread() is not threading.main_thread():
        raise StateError("workers are processes, whose signals arrive on the main thread: call this there")
    app._option("reuse_port", "1")
    with opened(host, port, int(app.option("backlog") or 0)) as door:
        _Family(app, host, door, count).run()


class _Family:
    """A parent that does nothing but to make its children, and to end with them."""

    def __init__(self, app: App, host: str, door: Door, count: int) -> None:
        self._app = app
        self._host = host
        self._door = door
        self._count = count
        self._children: dict[int, float] = {}
        self._stillborn = 0
        self._ending = False
        # Each child writes its id once it listens, until all do.
        self._pipe: tuple[int, int] | None = os.pipe()
        self._listening: set[int] = set()

    def run(self) -> None:
        before = {number: signal.signal(number, self._end) for number in _ENDS}
        try:
            for _ in range(self._count):
                self._bear()
            self._watch()
        finally:
            self._bury()
            self._close_pipe()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._stillborn >= _STILLBORN:
            raise HastyError(f"{_STILLBORN} processes in a row ended as soon as they had begun")

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True
        for child in list(self._children):
            _tell_to_end(child)

    def _bear(self) -> None:
        if self._ending:
            return
        flush()
        parent = os.getpid()
        # The child would do as its parent does, until it has learned what is its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            child = os.fork()
            if child == 0:
                self._live(parent)
            self._children[child] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        if self._ending:
            # The signal came before the child was known; to hear of it twice does no harm.
            _tell_to_end(child)

    def _live(self, parent: int) -> NoReturn:
        """A child: it serves, and never comes back to the program that called."""
        code = 1
        try:
            # The terminal's Ctrl-C comes to all; the parent tells its children by itself. To ignore it would be
            # handed down to programs that handlers start.
            signal.signal(signal.SIGINT, lambda number, frame: None)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            code = 0 if os.getppid() != parent else self._serve()
        except BaseException as error:
            # Those that take the places of the first fail as they did.
            log.error("a process ended early: %r", error, exc_info=not self._stillborn)
        finally:
            flush()
            with contextlib.suppress(Exception):
                logging.shutdown()
            os._exit(code)

    def _serve(self) -> int:
        from .signals import termination

        with termination() as told:
            try:
                # Before there are threads, which have what they inherit.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
                self._app._again(self._door.listener)
                server = self._app.start(self._door.port, self._host)
                if self._pipe is not None:
                    os.write(self._pipe[1], os.getpid().to_bytes(_ID, sys.byteorder))
                    self._close_pipe()
                server._wait_for_end()
            except told:
                pass
            finally:
                if self._app.server is not None:
                    self._app.server._leave()
        return 0

    def _watch(self) -> None:
        """Waits for the end, and replaces whoever dies before."""
        while self._children:
            self._rest()
            for child in list(self._children):
                code = _code_of(child)
                if code is not None:
                    self._part_from(child, code)

    def _rest(self) -> None:
        """Waits for a moment; in the beginning for children that tell that they listen."""
        if self._pipe is None or self._ending:
            time.sleep(_LOOK_AGAIN_S if self._ending else _LOOK_S)
            return
        news = select.poll()
        news.register(self._pipe[0], select.POLLIN)
        if news.poll(_LOOK_S * 1000):
            self._listening.add(int.from_bytes(os.read(self._pipe[0], _ID), sys.byteorder))
            if len(self._listening.intersection(self._children)) == self._count:
                self._close_pipe()
                announce(url_of(self._host, self._door.port))

    def _close_pipe(self) -> None:
        ends, self._pipe = self._pipe, None
        for end in ends or ():
            os.close(end)

    def _part_from(self, child: int, code: int) -> None:
        born = self._children.pop(child)
        if self._ending:
            return
        if code == 0:
            # The app was stopped, there: so it is here.
            self._end(signal.SIGTERM, None)
            return
        self._stillborn = self._stillborn + 1 if time.monotonic() - born < _YOUNG_S else 0
        if self._stillborn >= _STILLBORN:
            self._end(signal.SIGTERM, None)
            return
        log.error("process %d ended with %d; another takes its place", child, code)
        self._bear()

    def _bury(self) -> None:
        """Nobody is left behind."""
        self._end(signal.SIGTERM, None)
        until = time.monotonic() + _PATIENCE_S
        while self._children and time.monotonic() < until:
            for child in list(self._children):
                if _code_of(child) is not None:
                    del self._children[child]
            time.sleep(_LOOK_AGAIN_S)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _tell_to_end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)


def _code_of(child: int) -> int | None:
    """How a child has ended; None as long as it has not. The program's other children are left to the program."""
    try:
        pid, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        # The program waits for any child, or ignores their ends.
        return _UNKNOWN
    return os.waitstatus_to_exitcode(status) if pid else None
