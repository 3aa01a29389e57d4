"""Worker processes that serve the same port or socket, to use more than one processor."""

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
    from .server import Server

__all__ = ["serve"]

log = logging.getLogger("hasty")

#: Seconds after which processes that have not ended are killed, beyond the app's drain. A shutdown takes less than one.
_PATIENCE_S = 3.0
#: A process that ends sooner than this failed to start; after _STILLBORN of them in a row, no more are started.
_YOUNG_S = 1.0
_STILLBORN = 5

#: Intervals in seconds at which the parent polls its children, normally and during shutdown.
_LOOK_S = 0.1
_LOOK_AGAIN_S = 0.01

#: Bytes of a process id in the pipe, and the exit code assumed for a child that other code has reaped.
_ID = 8
_UNKNOWN = 255

_ENDS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def serve(app: App, port: int, host: str, count: int) -> None:
    """Serves with `count` processes until a signal stops them."""
    if threading.current_thread() is not threading.main_thread():
        raise StateError("workers need signals, which arrive on the main thread: call this on the main thread")
    app._option("reuse_port", "1")
    with opened(host, port, int(app.option("backlog") or 0)) as door:
        _Family(app, host, door, count).run()


class _Family:
    """The parent process: starts the workers, replaces those that fail, and ends with them."""

    def __init__(self, app: App, host: str, door: Door, count: int) -> None:
        self._app = app
        self._host = host
        self._door = door
        self._count = count
        self._children: dict[int, float] = {}
        self._stillborn = 0
        self._ending = False
        # Each child writes its id to the pipe once it listens; closed when all do.
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
            raise HastyError(f"{_STILLBORN} processes in a row ended right after their start")

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True
        for child in list(self._children):
            _tell_to_end(child)

    def _bear(self) -> None:
        if self._ending:
            return
        flush()
        parent = os.getpid()
        # The child inherits the parent's signal handlers, so block signals until it has set its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            child = os.fork()
            if child == 0:
                self._live(parent)
            self._children[child] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        if self._ending:
            # The signal may have arrived before the child was listed; a second one does no harm.
            _tell_to_end(child)

    def _live(self, parent: int) -> NoReturn:
        """Runs the child: it serves, and exits without returning to the program."""
        code = 1
        try:
            # Ctrl-C reaches all processes, but the parent stops its children itself. Not SIG_IGN, which programs that
            # handlers start would inherit.
            signal.signal(signal.SIGINT, lambda number, frame: None)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            code = 0 if os.getppid() != parent else self._serve()
        except BaseException as error:
            # No traceback for replacements, which fail in the same way as the first.
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
                # Before any thread starts, because threads inherit the mask.
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
                    _leave(self._app.server)
        return 0

    def _watch(self) -> None:
        """Waits until all children have ended, and replaces those that fail before the shutdown."""
        while self._children:
            self._rest()
            for child in list(self._children):
                code = _code_of(child)
                if code is not None:
                    self._part_from(child, code)

    def _rest(self) -> None:
        """Waits for a moment; after the start, for children to report that they listen."""
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
            # The app was stopped in that process, so stop the others too.
            self._end(signal.SIGTERM, None)
            return
        self._stillborn = self._stillborn + 1 if time.monotonic() - born < _YOUNG_S else 0
        if self._stillborn >= _STILLBORN:
            self._end(signal.SIGTERM, None)
            return
        log.error("process %d ended with %d; starting another one", child, code)
        self._bear()

    def _bury(self) -> None:
        """Stops and reaps all children; kills those that do not end in time."""
        self._end(signal.SIGTERM, None)
        until = time.monotonic() + _PATIENCE_S + self._app._drain_ms / 1000
        while self._children and time.monotonic() < until:
            for child in list(self._children):
                if _code_of(child) is not None:
                    del self._children[child]
            time.sleep(_LOOK_AGAIN_S)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _leave(server: Server) -> None:
    """Ends a child's server; at once with the next Ctrl-C."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        server._leave()
    except KeyboardInterrupt:
        pass


def _tell_to_end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)


def _code_of(child: int) -> int | None:
    """Returns the exit code of a child, or None while it runs. The program's other children are not reaped."""
    try:
        pid, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        # The program has reaped it, or ignores SIGCHLD.
        return _UNKNOWN
    return os.waitstatus_to_exitcode(status) if pid else None
