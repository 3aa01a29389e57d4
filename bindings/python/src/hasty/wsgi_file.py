"""wsgi.file_wrapper: files as answers of WSGI applications."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]

#: Files that the library cannot send are read in pieces of at least so many bytes.
PIECE = 65536


class FileWrapper:
    """A file as an answer. Real ones are sent by the library, others are read piece by piece.

    >>> list(FileWrapper(io.BytesIO(b"abcde"), 2))
    [b'ab', b'cd', b'e']
    """

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self._file = filelike
        self._block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block: bytes = self._file.read(self._block_size)
        if not block:
            raise StopIteration
        return block

    def pieces(self, length: int | None) -> Iterator[bytes]:
        """What is left of it, at most `length` bytes, in larger pieces where its blocks are small."""
        size = max(self._block_size, PIECE)
        while length is None or length > 0:
            piece: bytes = self._file.read(size if length is None else min(size, length))
            if not piece:
                return
            if length is not None:
                length -= len(piece)
            yield piece

    def path(self, length: int | None) -> bytes | None:
        """A path by which the library can open it; None for what is no file, or is not wanted from its beginning to
        its end."""
        file: Any = self._file
        if type(file) is tempfile._TemporaryFileWrapper:
            file = file.file
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        # Others have descriptors as well and read something else than is there: decompressors, decoders.
        if type(raw) is not io.FileIO or raw.closed:
            return None
        try:
            if file.tell() != 0:
                return None
            file.flush()
            found = os.fstat(raw.fileno())
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode) or length not in (None, found.st_size):
            return None
        return b"/proc/self/fd/%d" % raw.fileno()
