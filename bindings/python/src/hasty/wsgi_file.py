"""wsgi.file_wrapper: files as response bodies of WSGI applications."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]

#: Files that the library cannot send itself are read in pieces of at least this many bytes.
PIECE = 65536


class FileWrapper:
    """A file as a response body. The library sends real files itself; file-like objects are read piece by piece.

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
        """Yields the rest of the file, at most `length` bytes, in pieces of the block size, or of PIECE if larger."""
        size = max(self._block_size, PIECE)
        while length is None or length > 0:
            piece: bytes = self._file.read(size if length is None else min(size, length))
            if not piece:
                return
            if length is not None:
                length -= len(piece)
            yield piece

    def path(self, length: int | None) -> bytes | None:
        """Returns a path by which the library can open the file; None if it is not a regular file, or if only a part
        of it is to be sent."""
        file: Any = self._file
        if type(file) is tempfile._TemporaryFileWrapper:
            file = file.file
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        # Other types, such as decompressors, also have a descriptor, but read() gives something else than the file has.
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
