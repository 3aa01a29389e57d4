"""The program's standard output and error, which may be closed, or read by nobody."""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["announce", "flush"]


def announce(url: str) -> None:
    """Prints a URL, or the place of a socket. That nobody can read it is no reason not to serve."""
    with suppress(OSError, ValueError):
        print(f"{url}/" if url.startswith("http") else url, flush=True)


def flush() -> None:
    """What is not written yet would be written twice after a fork."""
    for stream in (sys.stdout, sys.stderr):
        # A program started without one has None in its place.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
