"""One request at a time, and its answer, in a struct that the library and Python share.

A call costs Python much, and each argument more. So a worker has one `Slot` at a fixed address, and one call without
waiting both gives its answer and takes the next request. What a request says is read from the struct when asked for.
"""

from __future__ import annotations

import ctypes
import time
from ctypes import byref, string_at
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from . import _ffi
from .headers import Headers, Params
from .request import UNREAD, Request, lossy

if TYPE_CHECKING:
    from .exchange import Exchange
    from .server import Native

__all__ = ["Slot", "SlotRequest"]

KIND_TEXT, KIND_HTML, KIND_JSON, KIND_BYTES, KIND_FILE, KIND_NONE = range(6)

#: How long one look for room takes at most, in milliseconds.
_LOOK_MS = 20


class Slot(_ffi.hasty_slot):
    """A worker's place for a request. It is used by one thread at a time."""

    def __init__(self, native: Native) -> None:
        super().__init__()
        self.size = ctypes.sizeof(_ffi.hasty_slot)
        self.app = native.pointer
        #: What `take` and its like want; made once.
        self.ref = byref(self)
        self.native = native
        self._spare: Slot | None = None

    def end(self) -> None:
        """Nothing comes any more. The garbage collector does not see that `ref` holds what it is in."""
        self.ref = None  # type: ignore[assignment]
        if self._spare is not None:
            self._spare.end()

    def exchange(self) -> Exchange:
        """Takes the request out of the slot, to be answered later."""
        from .exchange import Exchange

        pointer = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_slot_exchange(self.ref, byref(pointer)))
        return Exchange(pointer)

    def look_after(self) -> None:
        """Does the app's work for a moment, for a handler that waits for its client; takes no request."""
        if self._spare is None:
            self._spare = Slot(self.native)
        if _ffi.hasty_slot_wait(self._spare.ref, _LOOK_MS) == _ffi.OK:
            # Requests wait, for this very thread perhaps: it comes back to them once it can.
            time.sleep(0.001)


# What a request has not read yet. Slots that are not set are not there: a request costs less to make so.
_UNSET: dict[str, Any] = dict.fromkeys(
    ("_res", "_failure", "_over", "_method", "_path", "_body", "_params", "_query", "_cookies", "_form", "_files"),
)
_UNSET.update(_headers=None, _pointer=None, _unread=False, _exchange=None, _json=UNREAD)

#: Clients send the same set of names again and again.
_NAMES: dict[bytes, list[str]] = {}
_MOST_NAMES = 1024


def _names(octets: bytes) -> list[str]:
    known = _NAMES.get(octets)
    if known is None:
        if len(_NAMES) >= _MOST_NAMES:
            _NAMES.clear()
        known = _NAMES[octets] = octets.decode("latin-1").split("\n")
    return known


class SlotRequest(Request):
    """A request in a slot: quick to make, and quick to ask for what most handlers ask for."""

    __slots__ = ("_names", "_slot")

    def __init__(self, slot: Slot, names: tuple[str, ...] = ()) -> None:
        self._slot: Slot | None = slot
        self._names = names

    def __getattr__(self, name: str) -> Any:
        try:
            return _UNSET[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def _end(self) -> None:
        self._slot = None
        self._pointer = self._res = None

    def _leave(self) -> None:
        self._slot = None

    def _move(self, pointer: _ffi.RequestPointer) -> None:
        self._slot = None
        super()._move(pointer)

    def _live(self) -> _ffi.RequestPointer:
        slot = self._slot
        return super()._live() if slot is None else slot.request

    def _is_over(self) -> bool:
        return self._slot is None and self._pointer is None

    @property
    def method(self) -> str:
        """The method as sent: "GET", "POST" and so on."""
        slot = self._slot
        if slot is None:
            return super().method
        return str(slot.method_text, "latin-1")

    @property
    def path(self) -> str:
        """The path, percent-decoded, for display. Decide by `params` or `raw_path`: here `%2F` is a slash too."""
        slot = self._slot
        if slot is None:
            return super().path
        path = slot.path
        return lossy(path) if len(path) == slot.path_len else super().path

    @property
    def params(self) -> Params:
        """What the pattern's `:names` stand for, each decoded once; "*" is an unnamed rest."""
        slot = self._slot
        if self._params is None:
            if slot is None:
                return super().params  # type: ignore[return-value]
            self._params = Params(self._names, _decoded(slot.params))
        elif slot is None:
            self._live()
        return self._params  # type: ignore[return-value]

    @property
    def headers(self) -> Headers:
        """The header fields. Their names are in lower case, and compare without case."""
        slot = self._slot
        if slot is None:
            return super().headers
        if self._headers is None:
            self._headers = Headers.of(_names(slot.header_names), _fields(slot.header_values))
        return self._headers

    @property
    def body(self) -> bytes:
        """The body's bytes; empty where there is none.

        Errors: StateError where a form was too large to keep, which is in `form` and `files`.
        """
        slot = self._slot
        if slot is None or not slot.body_len:
            return super().body
        if self._body is None:
            self._body = string_at(slot.body, slot.body_len)
        return self._body

    def defer(self) -> Exchange:
        slot = self._slot
        return super().defer() if slot is None else self._hand_over(slot.exchange())


SlotRequest.defer.__doc__ = Request.defer.__doc__


def _decoded(params: bytes) -> list[str]:
    if b"%" not in params:
        return lossy(params).split("\n")
    return [lossy(unquote_to_bytes(param)) for param in params.split(b"\n")]


def _fields(values: bytes) -> list[str]:
    """Header values: UTF-8, or else ISO-8859-1, in which every byte is a character (RFC 9110 5.5)."""
    try:
        return values.decode().split("\n")
    except UnicodeDecodeError:
        return [_field(value) for value in values.split(b"\n")]


def _field(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
