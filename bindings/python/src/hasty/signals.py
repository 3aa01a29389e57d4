"""SIGTERM, which asks a program to end as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["Terminated", "termination"]


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


def _raise(number: int, frame: object) -> NoReturn:
    # Once is enough: what is done then is not to be interrupted by another.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
