"""One request at a time, and its answer, in a struct that the library and Python share.

A call costs Python much, and each argument more. So a worker has one `Slot` at a fixed address, and one call without
waiting both gives its answer and takes the next request. What a request says is read from the struct when asked for.
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

#: How long one look for room takes at most, in milliseconds.
_LOOK_MS = 20

#: Where fields are among the words of a slot. The first half of STATUS is the status, the other one the kind.
USER_DATA, STATUS, REPLY, REPLY_LEN = (
    getattr(_ffi.hasty_slot, field).offset // 8 for field in ("user_data", "status", "reply", "reply_len")
)
#: The version of a request and the IPv4 address of its client are one word. Up to NO_V4 it has none of IPv4.
WHO = _ffi.hasty_slot_more.minor_version.offset // 8
NO_V4 = 1
#: As long as this word is the same, so is all that the slot tells of a request but its body. 0 is never told.
ALIKE = _ffi.hasty_slot_more.alike.offset // 8


class Slot(_ffi.hasty_slot_more):
    """A worker's place for a request. It is used by one thread at a time."""

    if TYPE_CHECKING:
        content_type: bytes | None

    def __init__(self, native: Native) -> None:
        super().__init__()
        self.size = ctypes.sizeof(_ffi.hasty_slot_more)
        self.app = native.pointer
        #: What `take` and its like want; made once.
        self.ref = byref(self)
        #: Its fields as numbers, which are quicker to get and to set than by their names.
        self.words = memoryview(self).cast("B").cast("Q")
        #: The field `reply`. What its `value` is set to is kept until there is another. It takes 130 ns less than the
        #: struct's, for which ctypes makes a key each time, and 80 less than to find an address for `words`.
        self.reply_text = c_char_p.from_address(addressof(self) + 8 * REPLY)
        self.native = native
        #: To ask whether it is true gives the answer and takes the next request, so nobody else is to ask.
        self.taker = taker_of(self)
        self._spare: Slot | None = None

    def give(self, data: bytes) -> None:
        """Sets the reply, and keeps it until there is another."""
        self.reply_text.value = data
        self.words[REPLY_LEN] = len(data)

    def survive(self, error: Exception) -> bytes | None:
        """Gives the reply where what answers for exceptions has failed itself: no worker ends for that."""
        report(error, "a request could not be answered")
        if not self.ticket:
            return None
        self.status, self.kind, self.content_type, self.extra_headers_len, self.reply = 500, KIND_TEXT, None, 0, None
        return b"500 Internal Server Error\n"

    def end(self) -> None:
        """Nothing comes any more. The garbage collector does not see that `ref` holds what it is in."""
        self.ref = None  # type: ignore[assignment]
        # Objects of its kind keep what they have.
        del self.taker.reply, self.taker
        self.words.release()
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


class SlotRequest(Request):
    """A request in a slot: quick to make, and quick to ask for what most handlers ask for."""

    _slot: Slot | None = None
    _names: tuple[str, ...] = ()

    # Who makes one sets `_slot`, and `_names` where there are any.
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
        if slot is None:
            return super().params
        params = self._params
        if params is None:
            params = self._params = params_of(self._names, slot.params)
        return params

    @property
    def headers(self) -> Headers:
        """The header fields. Their names are in lower case, and compare without case."""
        slot = self._slot
        if slot is None:
            return super().headers
        headers = self._headers
        if headers is None:
            headers = self._headers = sent(slot.header_names, slot.header_values)
        return headers

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


class NamedRequest(SlotRequest):
    """One whose params are there already: in a slot of the class, which is read in a tenth of a property's time."""

    __slots__ = ("params",)

    params: Params


class LeftRequest(NamedRequest):
    """One that somebody keeps, although its handler has returned: its params end with it."""

    __slots__ = ()

    params = SlotRequest.params


#: What makes them quick is no business of those who read of them in an error.
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
