"""Logs exceptions that cannot be passed to a caller."""

from __future__ import annotations

import logging

from .signals import keep

__all__ = ["report"]

log = logging.getLogger("hasty")


def report(error: BaseException, words: str, *arguments: object) -> None:
    """Logs an exception with its traceback, and never raises. Ctrl-C and SIGTERM are passed on to the program."""
    keep(error)
    try:
        log.error(words, *arguments, exc_info=error)
    except Exception:  # a broken log handler must not prevent a response
        pass
