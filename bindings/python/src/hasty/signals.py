"""Ctrl-C, and SIGTERM, which asks a program to end as that does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["Terminated", "is_interrupt", "termination"]


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


def is_interrupt(error: BaseException) -> bool:
    """Does an exception mean the program, and not just the handler that it was raised in?

    Signals are heard on the main thread. Where a handler runs there, on the program's own loop, it may be in its way.
    """
    is_signal = isinstance(error, (KeyboardInterrupt, Terminated))
    return is_signal and threading.current_thread() is threading.main_thread()


def _raise(number: int, frame: object) -> NoReturn:
    # Once is enough: what is done then is not to be interrupted by another.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
