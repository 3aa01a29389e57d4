"""Ctrl-C, and SIGTERM, which asks a program to end as that does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from ._interpreter import running_loop

__all__ = ["Terminated", "keep", "termination"]


class Terminated(BaseException):
    """SIGTERM has come."""


@contextmanager
def termination() -> Iterator[type[Terminated]]:
    """SIGTERM raises `Terminated` inside, on the main thread, unless the program has a handler of its own."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield Terminated
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


#: What was kept, and is still to go on.
_kept: BaseException | None = None


def keep(error: BaseException) -> None:
    """Has an exception that means the program, and not just the handler that it was raised in, go on to the program.

    Signals are heard on the main thread. Where a handler runs there, on the program's own loop, it may be in its way.
    Through the library, which may have called the handler, no exception can pass, and the answer is to be given: so it
    is raised in the loop's next turn.
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
    # Once is enough: what is done then is not to be interrupted by another.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
