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
    """An uploaded file. It ends with its request, so call `read()` or `save()` before that.

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
        """The file's path if it was spooled to disk (see App's `spool_bytes`), otherwise None. It is deleted with the
        request.
        """
        self._request._live()
        return self._path

    def read(self) -> bytes:
        """Returns the contents of the file."""
        with self.open() as file:
            return file.read()

    def open(self) -> BinaryIO:
        """Opens the file for reading, whether it is in memory or on disk."""
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
        """Saves the file as `path`, replacing an existing file. Choose the path yourself: never build it from
        `filename`.

        Once begun, this saves the whole file, even if the request ends meanwhile.

        Raises IoError, an OSError, if the file cannot be written, and InvalidError if `path` is not the path of a file.
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
    """The files of a form by field name; `getall()` returns all files of a field."""

    __slots__ = ()


def _text(view: _ffi.hasty_str) -> str:
    return (_ffi.octets(view) or b"").decode(errors="replace")


def _save(content: BinaryIO, path: bytes) -> None:
    """Writes a new file in the same folder and renames it, so that no reader sees half a file.

    The library can do this too, but its call would need the request until it is done.
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
    """Is it a folder, device or socket, which must not be replaced?"""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISLNK(mode)
