"""Ctrl-C, and SIGTERM, which ends the program in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from ._interpreter import running_loop

__all__ = ["Terminated", "keep", "termination"]


class Terminated(BaseException):
    """Raised on the main thread by SIGTERM."""


@contextmanager
def termination() -> Iterator[type[Terminated]]:
    """Makes SIGTERM raise `Terminated` on the main thread, unless the program has a handler of its own."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield Terminated
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


#: The exception to raise in the loop's next turn.
_kept: BaseException | None = None


def keep(error: BaseException) -> None:
    """Passes on an exception that is meant for the program, not only for the handler that it interrupted.

    Signals are handled on the main thread, where a handler may be running on the program's own event loop. Exceptions
    cannot pass through the library's frames, and the request must still be answered: so it is raised again in the
    loop's next turn.
    """
    global _kept
    if not isinstance(error, (KeyboardInterrupt, Terminated)) or error is _kept:
        return
    if threading.current_thread() is not threading.main_thread():
        return
    loop = running_loop()
    if loop is not None:
        _kept = error
        loop.call_soon(_go_on)


def _go_on() -> None:
    global _kept
    error, _kept = _kept, None
    if error is not None:
        raise error


def _raise(number: int, frame: object) -> NoReturn:
    # Ignore further signals, so that they cannot interrupt the shutdown.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
