"""One request and its response at a time, in a struct that the library and Python share.

Calls into C are slow in Python, and each argument adds to that. So each worker has one `Slot` at a fixed address, and a
single call, which never waits, sends a response and takes the next request. Request data is read from the struct on
demand.
"""

from __future__ import annotations

import ctypes
import time
from ctypes import addressof, byref, c_char_p, string_at
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from . import _ffi
from .headers import Headers, Params, sent
from .report import report
from .request import Request, lossy
from .taker import taker_of

if TYPE_CHECKING:
    from .exchange import Exchange
    from .server import Native

__all__ = ["Slot", "SlotRequest"]

KIND_TEXT, KIND_HTML, KIND_JSON, KIND_BYTES, KIND_FILE, KIND_NONE = range(6)

#: Maximum time of one wait in `look_after()`, in milliseconds.
_LOOK_MS = 20

#: Indexes of fields in `Slot.words`. The lower half of STATUS is the status, the upper half the kind.
USER_DATA, STATUS, REPLY, REPLY_LEN = (
    getattr(_ffi.hasty_slot, field).offset // 8 for field in ("user_data", "status", "reply", "reply_len")
)
#: The minor version of a request and its client's IPv4 address share a word; up to NO_V4, there is no IPv4 address.
WHO = _ffi.hasty_slot_more.minor_version.offset // 8
NO_V4 = 1
#: As long as this word is unchanged, all request data but the body equals that of the slot's previous request. Never 0.
ALIKE = _ffi.hasty_slot_more.alike.offset // 8


class Slot(_ffi.hasty_slot_more):
    """A worker's place for a request; used by one thread at a time."""

    if TYPE_CHECKING:
        content_type: bytes | None

    def __init__(self, native: Native) -> None:
        super().__init__()
        self.size = ctypes.sizeof(_ffi.hasty_slot_more)
        self.app = native.pointer
        #: The argument of `take_slot()` and similar functions, made once.
        self.ref = byref(self)
        #: The fields as numbers, which are faster to get and set than ctypes fields.
        self.words = memoryview(self).cast("B").cast("Q")
        #: The field `reply`; it keeps the bytes that its `value` is set to alive. It is 130 ns faster than the struct's
        #: field, for which ctypes makes a key each time, and 80 ns faster than finding an address for `words`.
        self.reply_text = c_char_p.from_address(addressof(self) + 8 * REPLY)
        self.native = native
        #: Its truth test sends the response and takes the next request, so only the serving loop may test it.
        self.taker = taker_of(self)
        self._spare: Slot | None = None

    def give(self, data: bytes) -> None:
        """Sets the reply, and keeps it alive until the next one."""
        self.reply_text.value = data
        self.words[REPLY_LEN] = len(data)

    def survive(self, error: Exception) -> bytes | None:
        """Returns the reply if even error handling has failed, so that the worker can go on."""
        report(error, "a request could not be answered")
        if not self.ticket:
            return None
        self.status, self.kind, self.content_type, self.extra_headers_len, self.reply = 500, KIND_TEXT, None, 0, None
        return b"500 Internal Server Error\n"

    def end(self) -> None:
        """Frees what the slot holds. `ref` is a reference cycle that the garbage collector does not see."""
        self.ref = None  # type: ignore[assignment]
        # Objects of the taker's type do not release their members when they are freed.
        del self.taker.reply, self.taker
        self.words.release()
        if self._spare is not None:
            self._spare.end()

    def exchange(self) -> Exchange:
        """Detaches the request from the slot, to be answered later."""
        from .exchange import Exchange

        pointer = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_slot_exchange(self.ref, byref(pointer)))
        return Exchange(pointer)

    def look_after(self) -> None:
        """Lets the library read and write for a moment while a handler waits for its client; takes no request."""
        if self._spare is None:
            self._spare = Slot(self.native)
        if _ffi.hasty_slot_wait(self._spare.ref, _LOOK_MS) == _ffi.OK:
            # Requests are waiting, perhaps for this thread, which takes them after its handler.
            time.sleep(0.001)


class SlotRequest(Request):
    """A request in a slot: fast to create, with fast access to what most handlers use."""

    _slot: Slot | None = None
    _names: tuple[str, ...] = ()

    # The creator sets `_slot`, and `_names` if the pattern has any.
    __init__ = object.__init__

    def _end(self) -> None:
        self._leave()
        self._pointer = self._res = None

    def _leave(self) -> None:
        self._slot = None

    def _move(self, pointer: _ffi.RequestPointer) -> None:
        self._slot = None
        super()._move(pointer)

    def _live(self) -> _ffi.RequestPointer:
        slot = self._slot
        return super()._live() if slot is None else slot.request

    def _place(self) -> object:
        return self._slot or self._pointer

    def _is_over(self) -> bool:
        return self._slot is None and self._pointer is None

    @property
    def method(self) -> str:
        """The method as sent, such as "GET" or "POST"."""
        slot = self._slot
        if slot is None:
            return super().method
        return str(slot.method_text, "latin-1")

    @property
    def path(self) -> str:
        """The percent-decoded path, for display. For decisions use `params` or `raw_path`: here `%2F` also appears as a
        slash.
        """
        slot = self._slot
        if slot is None:
            return super().path
        path = slot.path
        return lossy(path) if len(path) == slot.path_len else super().path

    @property
    def params(self) -> Params:
        """The path parameters by name, each decoded once; "*" is the name of an unnamed wildcard."""
        slot = self._slot
        if slot is None:
            return super().params
        params = self._params
        if params is None:
            params = self._params = params_of(self._names, slot.params)
        return params

    @property
    def headers(self) -> Headers:
        """The header fields. Names are in lower case; look-up ignores case."""
        slot = self._slot
        if slot is None:
            return super().headers
        headers = self._headers
        if headers is None:
            headers = self._headers = sent(slot.header_names, slot.header_values)
        return headers

    @property
    def body(self) -> bytes:
        """The body as bytes; empty if there is none.

        Raises StateError for forms too large to keep in memory, whose parts are in `form` and `files`.
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


class NamedRequest(SlotRequest):
    """A request whose params are set at once, in `__slots__`: reading them takes a tenth of a property's time."""

    __slots__ = ("params",)

    params: Params


class LeftRequest(NamedRequest):
    """A NamedRequest that is still referenced after its handler has returned: its params then raise StateError."""

    __slots__ = ()

    params = SlotRequest.params


#: These classes are an optimisation; error messages should just say "Request".
for _kind in (SlotRequest, NamedRequest, LeftRequest):
    _kind.__name__ = _kind.__qualname__ = Request.__name__


def params_of(names: tuple[str, ...], octets: bytes) -> Params:
    text = octets.decode("utf-8", "replace")
    if "%" in text:
        return Params(zip(names, [lossy(unquote_to_bytes(param)) for param in octets.split(b"\n")]))
    params = Params()
    if len(names) == 1:
        params[names[0]] = text
    elif names:
        params.update(zip(names, text.split("\n")))
    return params
