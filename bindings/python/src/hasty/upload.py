"""The files of a multipart form."""

from __future__ import annotations

import ctypes
import io
import os
import secrets
import shutil
import stat
from contextlib import suppress
from ctypes import byref
from typing import TYPE_CHECKING, BinaryIO

from . import _ffi
from .errors import InvalidError, IoError, StateError
from .headers import Multi

if TYPE_CHECKING:
    from .request import Request

__all__ = ["Files", "Upload"]

#: Octets that are copied at a time.
_PIECE = 1 << 20


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

    __slots__ = ("_data", "_path", "_request", "content_type", "filename", "name", "size")

    def __init__(self, request: Request, index: int) -> None:
        place = request._place()
        found = _ffi.hasty_file(ctypes.sizeof(_ffi.hasty_file))
        _ffi.check(_ffi.hasty_request_file_at(request._live(), index, byref(found)))
        self._request = request
        #: The form field's name.
        self.name = _text(found.name)
        #: The file's name, as the client gives it: for display, never as a path.
        self.filename = _text(found.filename)
        #: The file's type, as the client gives it; empty where it gives none.
        self.content_type = _text(found.content_type)
        #: How many bytes it has.
        self.size = int(found.length)
        self._path = None if found.path is None else os.fsdecode(found.path)
        # Copied at once, where it is in memory: a thread that reads it later needs nothing that may be gone meanwhile.
        self._data = b"" if found.path is not None else _ffi.octets(found.data) or b""
        if request._place() is not place:
            raise StateError("this request ended while its files were read")

    @property
    def path(self) -> str | None:
        """Where it lies, if it was too large for memory (App's `spool_bytes`): a file that goes with the request."""
        self._request._live()
        return self._path

    def read(self) -> bytes:
        """All of its bytes."""
        with self.open() as file:
            return file.read()

    def open(self) -> BinaryIO:
        """A file object at its beginning, to be read piece by piece, wherever the bytes are."""
        self._request._live()
        if self._path is None:
            return io.BytesIO(self._data)
        try:
            return open(self._path, "rb")
        except FileNotFoundError:
            # Another thread may just have ended the request.
            self._request._live()
            raise

    def save(self, path: str | os.PathLike[str]) -> None:
        """Puts it where it stays. `path` is the program's own choice: never one made of `filename`.

        A thread that has begun saves all of it, even if the request ends meanwhile.

        Errors: IoError, an OSError, where it cannot be written.
        """
        place = _ffi.encode(os.fsencode(path), "path")
        with self.open() as content:
            try:
                _save(content, place)
            except OSError as error:
                shown = place.decode(errors="replace")
                raise IoError(
                    f'save an uploaded file as "{shown}": {error.strerror} (os error {error.errno})'
                ) from None

    def __repr__(self) -> str:
        return f"<Upload {self.name}: {self.filename!r}, {self.size} bytes>"


class Files(Multi[Upload]):
    """The files of a form by the names of their fields; `getall` gives all of a field that takes several."""

    __slots__ = ()


def _text(view: _ffi.hasty_str) -> str:
    return (_ffi.octets(view) or b"").decode(errors="replace")


def _save(content: BinaryIO, path: bytes) -> None:
    """Writes a new file in the same folder, then gives it the name: nobody sees half a file.

    The library does the same for C; but a call of its own would need the request until it is done.
    """
    folder, name = os.path.split(path)
    if name in (b"", b".", b".."):
        raise InvalidError(f'"{path.decode(errors="replace")}" is not the path of a file')
    if _is_special(path):
        raise InvalidError(f'"{path.decode(errors="replace")}" is there, and is not a file')
    copy = os.path.join(folder, f".hasty-{secrets.token_hex(8)}".encode())
    try:
        with open(copy, "xb") as file:
            shutil.copyfileobj(content, file, _PIECE)
        os.replace(copy, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(copy)
        raise


def _is_special(path: bytes) -> bool:
    """Would a folder, a device or a socket be replaced like a file?"""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISLNK(mode)
