"""What a WSGI application answers: start_response, and the ways of a body to its client."""

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

#: What `sys.exc_info()` gives.
_ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]

#: Larger blocks are written one piece after the other, so that each finds room while the client reads.
PIECE = 65536
#: A kind as it stands behind a status.
_OCTETS_KIND = KIND_BYTES << 32
#: Of an answer whose application did not tell one.
_NEVER = Head(500, b"", None, b"")
#: Between two tries where nobody can wait.
PAUSE_S = 0.001


class Gone(Exception):
    """Nobody takes any more of the answer: the client has left, or has asked for the head alone."""


class Reply:
    """The answer to one request: `start` is its start_response, and `give` takes what the application returns."""

    __slots__ = ("_relief", "_stay", "begun", "exchange", "head")

    # Set with the first piece.
    _stay: Stay

    def __init__(self, relief: Relief) -> None:
        self._relief = relief
        #: Set by start_response.
        self.head: Head = NOT_YET
        #: Was the head sent?
        self.begun = False
        #: What gives the answer by another way than a slot's.
        self.exchange: Exchange | None = None

    def start(self, status: str, headers: Fields, exc_info: _ExcInfo | None = None, /) -> Callable[[bytes], None]:
        """Takes status and header fields, which the first piece of the body takes along; gives `write`."""
        self._start(status, headers, exc_info)
        return self.write

    def _start(self, status: str, headers: Fields, exc_info: _ExcInfo | None) -> None:
        if exc_info is not None:
            try:
                if self.begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # Or the traceback would hold this frame, and the frame the traceback.
                exc_info = None
        elif self.head is not NOT_YET:
            raise StateError("start_response was called before: it can be called again only with exc_info")
        if type(headers) is not list and not isinstance(headers, list):
            raise TypeError(f"the headers of an answer are a list of tuples, not {type(headers).__name__}")
        self.head = head_of(status, headers)

    def write(self, data: bytes, /) -> None:
        """Sends a piece of the body now, and before the first one the head."""
        if not isinstance(data, bytes):
            raise _no_bytes(data)
        if not data:
            return
        if not self.begun:
            self._refuse_early()
            self._begin()
        self._put(data)

    def give(self, result: Iterable[bytes]) -> Iterator[bytes] | None:
        """Sends what an application has returned. An iterator: the answer is whole, and that may have more to say."""
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
            # PEP 3333: the head is to wait for the first block that is not empty.
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
        """Sends a block which is as long as the whole body; False where it is sent like others."""
        return False

    def give_whole(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        """Sends a body that is all there, with its length."""
        for block in blocks:
            if not isinstance(block, bytes):
                raise _no_bytes(block)
        self._refuse_early()
        self._send(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def _refuse_early(self) -> None:
        if self.head is NOT_YET:
            raise StateError("the application did not call start_response before the first piece of its body")

    def _leaves_out(self, body: bytes, is_head: bool) -> bool:
        """May the body be of another length than the one that is told? InvalidError where it must not."""
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
            # Of what middleware has set the application's own takes the place.
            key = name.lower()
            call = _ffi.hasty_response_add_header_bytes if key in seen else _ffi.hasty_response_set_header_bytes
            seen.add(key)
            check(call(res, name, value, len(value)))

    # --- how it goes ---

    def _send(self, body: bytes) -> None:
        """Sends the whole answer."""
        raise NotImplementedError

    def _send_file(self, path: bytes) -> bool:
        """Lets the library send a file as the whole answer, if it can."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Sets the head, which the first piece takes along."""
        raise NotImplementedError

    def _put(self, data: bytes) -> None:
        """Sends a piece; waits for a slow client."""
        raise NotImplementedError


class SlotReply(Reply):
    """The answer to a request in a slot: left there where it is whole, else given by way of an exchange.

    One serves a thread for many requests, as long as no application keeps its functions: to make it and them each time
    takes 1,400 instructions.
    """

    __slots__ = ("_last", "_last_headers", "_last_status", "seat", "writer")

    def __init__(self, relief: Relief, seat: Seat) -> None:
        super().__init__(relief)
        self.seat = seat
        # The head that was found last, and by what.
        self._last: Head
        self._last_headers: Fields | None = None
        self._last_status = ""
        #: `write`.
        self.writer = self.write

    def start(self, status: str, headers: Fields, exc_info: _ExcInfo | None = None, /) -> Callable[[bytes], None]:
        """Takes status and header fields, which the first piece of the body takes along; gives `write`."""
        if exc_info is None and self.head is NOT_YET:
            # To compare takes 1,000 instructions less than to find it by its hash.
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
                    # It is new, or wrong: the other way tells.
                    pass
        self._start(status, headers, exc_info)
        return self.writer

    def retire(self) -> None:
        """The answer is given; an application that goes on with it is told."""
        if self.head is NOT_YET:
            self.head = _NEVER
        self.begun = True
        self.seat.kept = self
        # It holds this, which holds it.
        del self.writer

    def fits(self, body: bytes) -> bool:
        """Prepares the slot for a whole body, as most are given; False where there is more to it."""
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
            # It takes 600 instructions less than Slot.give().
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
        """Sends no body where a length is told, or where the head alone is asked for."""
        if self.head.length is None:
            # RFC 9110 8.6: it would be the length for GET, which whoever leaves the body out does not know. A stream
            # has none.
            self._begin_apart()
            assert self.exchange is not None
            self.exchange._write(b"", b"")
            self.exchange.finish()
            return
        if self.head.length:
            self._leaves_out(b"", self.seat.slot.method_text == b"HEAD")
        self._send_apart(b"")

    def _send_apart(self, body: bytes) -> None:
        """Sends the whole answer by way of an exchange, which has means for all that a slot has not."""
        res = self._begin_apart()
        if body:
            _ffi.check(_ffi.hasty_response_send(res, body, len(body)))
        assert self.exchange is not None
        self.exchange.finish()

    def _send_file(self, path: bytes) -> bool:
        # Opened at once: it is closed when this has returned, while what is left in a slot is looked at later.
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
        # Its own Response has nothing to say.
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
        """Waits for room."""
        if self._relief.now(self._stay):
            exchange._wait_for_room(None)
        else:
            self.seat.slot.look_after()

    def end(self) -> None:
        """The application has given all that it has."""
        if self.begun and self.exchange is not None:
            self.exchange.finish()

    def end_gone(self) -> None:
        """Nobody takes any more, and what was announced need not come."""
        if self.exchange is not None and self.exchange._pointer is not None:
            try:
                self.exchange.finish()
            except HastyError:
                pass

    def reset(self) -> None:
        """Takes back what was set of an answer, so that another one can be given."""
        if self.exchange is not None:
            _ffi.check(_ffi.hasty_response_reset(self.exchange._res()))
            self.exchange._begun = False

    def leave(self) -> bool:
        """Gives up what was not finished. True: another thread serves in place of this one."""
        if self.exchange is not None:
            self.exchange.free()
        return self.begun and self._relief.end(self._stay)


class CallReply(Reply):
    """The answer to a request whose body is read while it comes, in a callback."""

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
            # As in a slot.
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
            # It waits for a slow client only where another thread serves meanwhile.
            self._relief.now(self._stay)
            time.sleep(PAUSE_S)
            status = _ffi.hasty_response_write(self._res, data, len(data))
        if status in (_ffi.ERR_CLOSED, _ffi.ERR_TIMEOUT):
            raise Gone
        _ffi.check(status)

    def leave(self) -> None:
        if self.begun:
            self._relief.end(self._stay)


#: These run no code of an application: all blocks are there. Not only of lists, but also of Django's answers.
_WHOLE: tuple[type, ...] = (type(iter([])), type(iter(())))


def joined(first: bytes, left: Iterator[bytes]) -> Iterable[bytes]:
    """The blocks of a body whose first one was taken already."""
    return [first, *left] if type(left) in _WHOLE else chain((first,), left)


def _no_bytes(block: object) -> TypeError:
    # bytes are iterable, and their pieces are numbers.
    way = "; return [body] in place of body" if isinstance(block, int) else ""
    return TypeError(f"a piece of a WSGI body is bytes, not {type(block).__name__}{way}")
