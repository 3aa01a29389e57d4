"""What becomes of an exception where nobody is there to catch it."""

from __future__ import annotations

import logging

from .signals import keep

__all__ = ["report"]

log = logging.getLogger("hasty")


def report(error: BaseException, words: str, *arguments: object) -> None:
    """Logs an exception with its traceback, and raises nothing. What means the program goes on to it."""
    keep(error)
    try:
        log.error(words, *arguments, exc_info=error)
    except Exception:  # a broken log handler is no reason to lose an answer
        pass
