"""The program's standard output and error, which may be closed or have no reader."""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["announce", "flush"]


def announce(url: str) -> None:
    """Prints a URL, or the address of a socket. Errors are ignored: without a reader the server still works."""
    with suppress(OSError, ValueError):
        print(f"{url}/" if url.startswith("http") else url, flush=True)


def flush() -> None:
    """Flushes both streams, because after a fork buffered output would be written twice."""
    for stream in (sys.stdout, sys.stderr):
        # A stream is None if the program was started without it.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
