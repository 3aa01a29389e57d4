"""An existing response, wherever it comes from, as functions of `App.after()` and `App.on_error()` see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from . import _ffi
from .errors import StateError, UnsupportedError
from .headers import MutableHeaders, checked
from .response import Response

__all__ = ["Made"]


class Made(Response):
    """A Response that starts with the contents of the library's; `_send()` copies the changes back."""

    __slots__ = ("_before", "_fields")

    def __init__(self, res: _ffi.ResponsePointer, why: str = "") -> None:
        super().__init__()
        self._why = why
        self._before = self._status = int(_ffi.hasty_response_status(res))
        self._headers = self._fields = _MadeHeaders(res)

    @property
    def body(self) -> bytes:
        """The body; empty for files and streams."""
        if self._body is None:
            return _ffi.octets(_ffi.hasty_response_body(self._fields._live())) or b""
        return self._body

    def __repr__(self) -> str:
        return f"<Response {self._status}, sent>" if self._fields._res is None else super().__repr__()

    def _set_head(self, res: _ffi.ResponsePointer) -> None:
        # Fields were written through. Set the status only if it was changed, because the head may have been sent.
        if self._status != self._before:
            _ffi.check(_ffi.hasty_response_set_status(res, self._status))
        if self._type is not None:
            _ffi.check(_ffi.hasty_response_set_type(res, self._type.encode()))
        if self._location is not None:
            code, location = self._location
            _ffi.check(_ffi.hasty_response_send_redirect(res, code, location.encode()))
        for cookie in self._cookies or ():
            cookie.send(res)

    def _end(self) -> None:
        """The function has returned, so the library may reuse the memory behind the pointer."""
        self._fields._res = None


class _MadeHeaders(MutableHeaders):
    """The header fields of the library's response, which offers look-up by name only."""

    __slots__ = ("_res",)

    def __init__(self, res: _ffi.ResponsePointer) -> None:
        self._res: _ffi.ResponsePointer | None = res
        super().__init__()

    def _live(self) -> _ffi.ResponsePointer:
        if self._res is None:
            raise StateError("this response was sent when the function returned: read what you need inside it")
        return self._res

    def _find(self, name: str) -> bytes | None:
        return _ffi.octets(_ffi.hasty_response_header(self._live(), _ffi.encode(name, "header name")))

    def __getitem__(self, name: str) -> str:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found.decode("utf-8", "replace")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __setitem__(self, name: str, value: str) -> None:
        checked(name, value)
        _ffi.check(_ffi.hasty_response_set_header(self._live(), name.encode(), value.encode()))

    def __delitem__(self, name: str) -> None:
        if self._find(name) is None:
            raise KeyError(name)
        _ffi.check(_ffi.hasty_response_remove_header(self._live(), name.encode()))

    def add(self, name: str, value: str) -> None:
        checked(name, value)
        _ffi.check(_ffi.hasty_response_add_header(self._live(), name.encode(), value.encode()))

    def getall(self, name: str) -> list[str]:
        return self._refuse()

    def pairs(self) -> list[tuple[str, str]]:
        return self._refuse()

    def __iter__(self) -> Iterator[str]:
        return self._refuse()

    def __len__(self) -> int:
        return self._refuse()

    def _refuse(self) -> NoReturn:
        self._live()
        raise UnsupportedError("the header fields of this response cannot be listed: look them up by name")

    def __reduce__(self) -> NoReturn:
        # A copy would keep the pointer beyond the response.
        self._refuse()

    def __repr__(self) -> str:
        return "<the header fields of an answer>"
