"""The files of a multipart form."""

from __future__ import annotations

import ctypes
import io
import os
from ctypes import byref
from typing import BinaryIO, Callable

from . import _ffi
from .headers import Multi

__all__ = ["Files", "Upload"]


class Upload:
    """One file that came with a form; it ends with its request, so `read()` or `save()` it before.

    >>> from hasty import App
    >>> app = App()
    >>> @app.post("/photos")
    ... def photos(req):
    ...     photo = req.files["photo"]
    ...     return f"{photo.filename}: {photo.size} bytes of {photo.content_type}"
    >>> with app.test_client() as client:
    ...     client.post("/photos", files={"photo": ("cat.png", b"...", "image/png")}).text
    'cat.png: 3 bytes of image/png'
    """

    __slots__ = ("_index", "_live", "_path", "content_type", "filename", "name", "size")

    def __init__(self, live: Callable[[], _ffi.RequestPointer], index: int) -> None:
        self._live = live
        self._index = index
        found = self._find()
        #: The form field's name.
        self.name = _text(found.name)
        #: The file's name, as the client gives it: for display, never as a path.
        self.filename = _text(found.filename)
        #: The file's type, as the client gives it; empty where it gives none.
        self.content_type = _text(found.content_type)
        #: How many bytes it has.
        self.size = int(found.length)
        self._path = None if found.path is None else os.fsdecode(found.path)

    def _find(self) -> _ffi.hasty_file:
        found = _ffi.hasty_file(ctypes.sizeof(_ffi.hasty_file))
        _ffi.check(_ffi.hasty_request_file_at(self._live(), self._index, byref(found)))
        return found

    @property
    def path(self) -> str | None:
        """Where it lies, if it was too large for memory (App's `spool_bytes`): a file that goes with the request."""
        self._live()
        return self._path

    def read(self) -> bytes:
        """All of its bytes."""
        if self._path is None:
            return _ffi.octets(self._find().data) or b""
        self._live()
        with open(self._path, "rb") as file:
            return file.read()

    def open(self) -> BinaryIO:
        """A file object at its beginning, to be read piece by piece, wherever the bytes are."""
        if self._path is None:
            return io.BytesIO(self.read())
        self._live()
        return open(self._path, "rb")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Puts it where it stays. `path` is the program's own choice: never one made of `filename`.

        Errors: IoError, an OSError, where it cannot be written.
        """
        octets = _ffi.encode(os.fsencode(path), "path")
        _ffi.check(_ffi.hasty_request_save_file(self._live(), self._index, octets))

    def __repr__(self) -> str:
        return f"<Upload {self.name}: {self.filename!r}, {self.size} bytes>"


class Files(Multi[Upload]):
    """The files of a form by the names of their fields; `getall` gives all of a field that takes several."""

    __slots__ = ()


def _text(view: _ffi.hasty_str) -> str:
    return (_ffi.octets(view) or b"").decode(errors="replace")
