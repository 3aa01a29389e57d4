"""Responses of WSGI applications: start_response, and the ways to send a body."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Union

from . import _ffi
from .errors import HastyError, InvalidError, StateError
from .slot import KIND_BYTES, KIND_NONE, STATUS
from .wsgi_file import FileWrapper
from .wsgi_head import NOT_YET, Fields, Head, head_of, heads
from .wsgi_seat import CONTENT_TYPE

if TYPE_CHECKING:
    from .exchange import Exchange
    from .wsgi_relief import Relief, Stay
    from .wsgi_seat import Seat

__all__ = ["CallReply", "Gone", "Reply", "SlotReply", "joined"]

#: What `sys.exc_info()` returns.
_ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]

#: Larger blocks are written in pieces of this size, so that each finds room in the buffer as the client reads.
PIECE = 65536
#: KIND_BYTES in the upper half of a slot's STATUS word.
_OCTETS_KIND = KIND_BYTES << 32
#: The head of a response whose application did not call start_response.
_NEVER = Head(500, b"", None, b"")
#: How long to sleep between two attempts to write.
PAUSE_S = 0.001


class Gone(Exception):
    """No more of the body is wanted: the client has left, or has asked for the head only."""


class Reply:
    """The response to one request: `start` is its start_response, and `give` sends what the application returns."""

    __slots__ = ("_relief", "_stay", "begun", "exchange", "head")

    # Set by _begin().
    _stay: Stay

    def __init__(self, relief: Relief) -> None:
        self._relief = relief
        #: Set by start_response.
        self.head: Head = NOT_YET
        #: Was the head sent?
        self.begun = False
        #: The exchange that carries the response, if a slot does not.
        self.exchange: Exchange | None = None

    def start(self, status: str, headers: Fields, exc_info: _ExcInfo | None = None, /) -> Callable[[bytes], None]:
        """start_response: stores status and header fields, which are sent with the first piece; returns `write`."""
        self._start(status, headers, exc_info)
        return self.write

    def _start(self, status: str, headers: Fields, exc_info: _ExcInfo | None) -> None:
        if exc_info is not None:
            try:
                if self.begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # Avoids a reference cycle between the traceback and this frame.
                exc_info = None
        elif self.head is not NOT_YET:
            raise StateError("start_response was called before: it can be called again only with exc_info")
        if type(headers) is not list and not isinstance(headers, list):
            raise TypeError(f"the headers of an answer are a list of tuples, not {type(headers).__name__}")
        self.head = head_of(status, headers)

    def write(self, data: bytes, /) -> None:
        """Sends a piece of the body at once, after the head if it is the first."""
        if not isinstance(data, bytes):
            raise _no_bytes(data)
        if not data:
            return
        if not self.begun:
            self._refuse_early()
            self._begin()
        self._put(data)

    def give(self, result: Iterable[bytes]) -> Iterator[bytes] | None:
        """Sends what an application returned. Returns the iterator if the body is complete before its end is reached:
        it may still have code to run."""
        if type(result) is FileWrapper:
            if not self.begun:
                self._refuse_early()
                path = result.path(self.head.length)
                if path is not None and self._send_file(path):
                    return None
            result = result.pieces(self.head.length)
        blocks = iter(result)
        if type(blocks) in _WHOLE and not self.begun:
            self.give_whole(list(blocks))
            return None
        for block in blocks:
            # PEP 3333: the head must not be sent before the first block that is not empty.
            if not block:
                if not isinstance(block, bytes):
                    raise _no_bytes(block)
                continue
            if (
                isinstance(block, bytes)
                and len(block) == self.head.length
                and not self.begun
                and self._send_first(block)
            ):
                return blocks
            self.write(block)
        if not self.begun:
            self.give_whole([])
        return None

    def _send_first(self, block: bytes) -> bool:
        """Sends a first block that is the whole body; returns False if it has to be sent like any other block."""
        return False

    def give_whole(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        """Sends a complete body, with its length."""
        for block in blocks:
            if not isinstance(block, bytes):
                raise _no_bytes(block)
        self._refuse_early()
        self._send(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def _refuse_early(self) -> None:
        if self.head is NOT_YET:
            raise StateError("the application did not call start_response before the first piece of its body")

    def _leaves_out(self, body: bytes, is_head: bool) -> bool:
        """Returns True if the body may differ from Content-Length because none is sent; otherwise InvalidError."""
        if (is_head and not body) or self.head.code in (204, 304):
            return True
        raise InvalidError(f"Content-Length is {self.head.length} bytes, but the body has {len(body)}")

    def _set_head(self, res: _ffi.ResponsePointer) -> None:
        check, head = _ffi.check, self.head
        check(_ffi.hasty_response_set_status(res, head.code))
        if head.type:
            check(_ffi.hasty_response_set_type(res, head.type))
        if head.length is not None:
            check(_ffi.hasty_response_set_header(res, b"Content-Length", b"%d" % head.length))
        seen = set()
        for line in head.lines.splitlines():
            name, _, value = line.partition(b": ")
            # The application's fields replace those that middleware has set.
            key = name.lower()
            call = _ffi.hasty_response_add_header_bytes if key in seen else _ffi.hasty_response_set_header_bytes
            seen.add(key)
            check(call(res, name, value, len(value)))

    # --- implemented by subclasses ---

    def _send(self, body: bytes) -> None:
        """Sends the whole response."""
        raise NotImplementedError

    def _send_file(self, path: bytes) -> bool:
        """Lets the library send a file as the whole response; returns False if it cannot."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Sets the head, which is sent with the first piece."""
        raise NotImplementedError

    def _put(self, data: bytes) -> None:
        """Sends a piece; waits if the client is slow."""
        raise NotImplementedError


class SlotReply(Reply):
    """The response to a request in a slot: stays in the slot if it is whole, and otherwise goes through an exchange.

    A thread reuses one for many requests, unless an application keeps its functions, because making it and its bound
    methods takes 1,400 instructions.
    """

    __slots__ = ("_last", "_last_headers", "_last_status", "seat", "writer")

    def __init__(self, relief: Relief, seat: Seat) -> None:
        super().__init__(relief)
        self.seat = seat
        # The last head, and the arguments of start_response that led to it.
        self._last: Head
        self._last_headers: Fields | None = None
        self._last_status = ""
        #: The bound method `write`, made once.
        self.writer = self.write

    def start(self, status: str, headers: Fields, exc_info: _ExcInfo | None = None, /) -> Callable[[bytes], None]:
        """start_response: stores status and header fields, which are sent with the first piece; returns `write`."""
        if exc_info is None and self.head is NOT_YET:
            # Comparing takes 1,000 instructions less than a lookup by hash.
            if headers == self._last_headers and status == self._last_status:
                self.head = self._last
                return self.writer
            if type(headers) is list:
                try:
                    fields = tuple(headers)
                    self.head = self._last = heads[status][fields]
                    self._last_status, self._last_headers = status, list(fields)
                    return self.writer
                except (KeyError, TypeError):
                    # A new head, or an invalid one: _start() finds out.
                    pass
        self._start(status, headers, exc_info)
        return self.writer

    def retire(self) -> None:
        """Ends a reply whose functions the application has kept, so that further calls of them fail."""
        if self.head is NOT_YET:
            self.head = _NEVER
        self.begun = True
        self.seat.kept = self
        # Breaks a reference cycle.
        del self.writer

    def fits(self, body: bytes) -> bool:
        """Sets status and type in the slot for a whole body; returns False if the response needs more than that."""
        head = self.head
        if head is NOT_YET or not body or head.lines or self.begun:
            return False
        if head.length is not None and head.length != len(body):
            return False
        words = self.seat.words
        if head.type:
            words[CONTENT_TYPE] = head.address
            if head.code != 200:
                words[STATUS] = head.code
        else:
            words[STATUS] = head.code | _OCTETS_KIND
        return True

    def _send_first(self, block: bytes) -> bool:
        if type(block) is not bytes:
            return False
        self._send(block)
        return True

    def _send(self, body: bytes) -> None:
        if self.fits(body):
            # Takes 600 instructions less than Slot.give().
            self.seat.taker.reply = body
            return
        slot, size, head = self.seat.slot, len(body), self.head
        length, lines = head.length, head.lines
        if length != size and length is not None and size:
            self._leaves_out(body, False)
            body, size = b"", 0
        if not size and (length or slot.method_text == b"HEAD"):
            self._send_nothing()
            return
        if lines:
            if self._relief.shared.gates:
                self._send_apart(body)
                return
            slot.extra_headers = lines
            slot.extra_headers_len = len(lines)
        slot.status = head.code
        if head.type:
            slot.content_type = head.type
        else:
            slot.kind = KIND_BYTES if size else KIND_NONE
        if size:
            slot.give(body)

    def _send_nothing(self) -> None:
        """Sends a response without a body that has a Content-Length or answers HEAD."""
        if self.head.length is None:
            # RFC 9110 8.6: Content-Length would have to be that of a GET, which is unknown because the application
            # left the body out. A stream has no Content-Length.
            self._begin_apart()
            assert self.exchange is not None
            self.exchange._write(b"", b"")
            self.exchange.finish()
            return
        if self.head.length:
            self._leaves_out(b"", self.seat.slot.method_text == b"HEAD")
        self._send_apart(b"")

    def _send_apart(self, body: bytes) -> None:
        """Sends the whole response through an exchange, which can do all that a slot cannot."""
        res = self._begin_apart()
        if body:
            _ffi.check(_ffi.hasty_response_send(res, body, len(body)))
        assert self.exchange is not None
        self.exchange.finish()

    def _send_file(self, path: bytes) -> bool:
        # An exchange opens the file at once. A slot would do so later, when the application has closed the descriptor.
        res = self._begin_apart()
        assert self.exchange is not None
        if _ffi.hasty_response_send_file(res, path) != _ffi.OK:
            self.reset()
            return False
        self.exchange.finish()
        return True

    def _begin_apart(self) -> _ffi.ResponsePointer:
        if self.exchange is None:
            self.exchange = self.seat.slot.exchange()
        res = self.exchange._res()
        self._set_head(res)
        # Keeps the exchange from sending its own Response.
        self.exchange._begun = True
        return res

    def _begin(self) -> None:
        self._begin_apart()
        self.begun = True
        self._stay = self._relief.begin(comes_back=False)

    def _put(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            raise StateError("write() was called after the end of the response")
        for start in range(0, len(data), PIECE):
            piece = data if len(data) <= PIECE else data[start : start + PIECE]
            status = exchange._write(piece, piece)
            while status == _ffi.ERR_LIMIT:
                self._wait(exchange)
                status = exchange._write(piece, piece)
            if status in (_ffi.ERR_CLOSED, _ffi.ERR_TIMEOUT):
                raise Gone
            _ffi.check(status)

    def _wait(self, exchange: Exchange) -> None:
        """Waits for room in the buffer."""
        if self._relief.now(self._stay):
            exchange._wait_for_room(None)
        else:
            self.seat.slot.look_after()

    def end(self) -> None:
        """Ends a response whose application has given all pieces."""
        if self.begun and self.exchange is not None:
            self.exchange.finish()

    def end_gone(self) -> None:
        """Ends a response of which the client wants no more, even if the body is shorter than Content-Length."""
        if self.exchange is not None and self.exchange._pointer is not None:
            try:
                self.exchange.finish()
            except HastyError:
                pass

    def reset(self) -> None:
        """Discards what was set of a response, so that another one can be sent."""
        if self.exchange is not None:
            _ffi.check(_ffi.hasty_response_reset(self.exchange._res()))
            self.exchange._begun = False

    def leave(self) -> bool:
        """Frees an exchange that was not finished; returns whether another thread has replaced this one."""
        if self.exchange is not None:
            self.exchange.free()
        return self.begun and self._relief.end(self._stay)


class CallReply(Reply):
    """The response to a request in a callback, for example one whose body is streamed."""

    __slots__ = ("_is_head", "_res")

    def __init__(self, res: _ffi.ResponsePointer, relief: Relief, is_head: bool) -> None:
        super().__init__(relief)
        self._res = res
        self._is_head = is_head

    def _send(self, body: bytes) -> None:
        if self.head.length is not None and self.head.length != len(body) and self._leaves_out(body, self._is_head):
            body = b""
        self._set_head(self._res)
        if body:
            _ffi.check(_ffi.hasty_response_send(self._res, body, len(body)))
        elif self._is_head and self.head.length is None:
            # A stream, which has no Content-Length: see SlotReply._send_nothing().
            _ffi.hasty_response_write(self._res, b"", 0)

    def _send_file(self, path: bytes) -> bool:
        if _ffi.hasty_response_send_file(self._res, path) != _ffi.OK:
            _ffi.check(_ffi.hasty_response_reset(self._res))
            return False
        self._set_head(self._res)
        return True

    def _begin(self) -> None:
        self._set_head(self._res)
        self.begun = True
        self._stay = self._relief.begin(comes_back=True)

    def _put(self, data: bytes) -> None:
        status = _ffi.hasty_response_write(self._res, data, len(data))
        while status == _ffi.ERR_LIMIT:
            # Lets another thread serve during the wait.
            self._relief.now(self._stay)
            time.sleep(PAUSE_S)
            status = _ffi.hasty_response_write(self._res, data, len(data))
        if status in (_ffi.ERR_CLOSED, _ffi.ERR_TIMEOUT):
            raise Gone
        _ffi.check(status)

    def leave(self) -> None:
        if self.begun:
            self._relief.end(self._stay)


#: Iterators over lists and tuples, also those of Django's responses: all blocks exist, and no application code runs.
_WHOLE: tuple[type, ...] = (type(iter([])), type(iter(())))


def joined(first: bytes, left: Iterator[bytes]) -> Iterable[bytes]:
    """Returns the blocks of a body whose first one was taken already."""
    return [first, *left] if type(left) in _WHOLE else chain((first,), left)


def _no_bytes(block: object) -> TypeError:
    # Iterating over bytes yields integers.
    way = "; return [body] in place of body" if isinstance(block, int) else ""
    return TypeError(f"a piece of a WSGI body is bytes, not {type(block).__name__}{way}")
