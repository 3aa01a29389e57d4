"""The request log that a server writes to its terminal."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from .access import Access

__all__ = ["Output", "Progress"]

GREEN, CYAN, YELLOW, RED, DIM, PLAIN = (f"\x1b[{code}m" for code in (32, 36, 33, 31, 2, 0))


class Output(logging.Handler):
    """Writes lines, or log records as a logging handler, to a stream; discards them once the stream has no reader."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stdout

    def line(self, text: str) -> None:
        # The stream is None if the program was started without it.
        if self._stream is None:
            return
        try:
            # In a single write, because other processes may write to the same terminal.
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up(self._stream)

    def emit(self, record: logging.LogRecord) -> None:
        self.line(self.format(record))

    def _give_up(self, stream: TextIO) -> None:
        """Stops writing, because the reader is gone. Redirects the stream to /dev/null, or the interpreter would report
        an error when it flushes the buffer at exit.
        """
        self._stream = None
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass

    @property
    def coloured(self) -> bool:
        """Is it a terminal whose reader wants colours?"""
        if self._stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return self._stream.isatty()


class Progress:
    """A line for each request, for people: method, target, status, bytes of the answer's body, milliseconds.

    >>> progress = Progress(Output())
    >>> progress(Access("GET", "/a.txt", None, "127.0.0.1", None, None, "1", 200, 80, 1234, 250, 0))
    GET /a.txt 200 1234 B 0.2 ms
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._coloured = output.coloured

    def __call__(self, record: Access) -> None:
        shown = f"{harmless(record.method)} {harmless(record.target)}"
        status, rest = str(record.status), f"{record.bytes_out} B {record.duration_us / 1000:.1f} ms"
        if self._coloured:
            status, rest = f"{_colour(record.status)}{status}{PLAIN}", f"{DIM}{rest}{PLAIN}"
        self._output.line(f"{shown} {status} {rest}")


def harmless(text: str) -> str:
    r"""Escapes text from a client, so that it cannot send control sequences to the terminal.

    >>> harmless("/caf\xe9/\x1b[2J")
    '/caf\\xe9/\\x1b[2J'
    """
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


def _colour(status: int) -> str:
    return {2: GREEN, 3: CYAN, 4: YELLOW}.get(status // 100, RED)
