"""What a WSGI application answers: start_response, and the ways of a body to its client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Union

from . import _ffi
from .errors import HastyError, InvalidError, StateError
from .headers import is_token
from .slot import KIND_BYTES, KIND_NONE, OCTETS, STATUS
from .wsgi_file import FileWrapper
from .wsgi_seat import CONTENT_TYPE

if TYPE_CHECKING:
    from .exchange import Exchange
    from .wsgi_relief import Relief, Stay
    from .wsgi_seat import Seat

__all__ = ["CallReply", "Gone", "Reply", "SlotReply"]

#: What `sys.exc_info()` gives.
_ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]

#: Names and values of header fields.
Fields = list[tuple[str, str]]

#: So many names, types and statuses are remembered; applications that invent more cost time, not memory.
KNOWN = 1000
#: Larger blocks are written one piece after the other, so that each finds room while the client reads.
PIECE = 65536
#: A kind as it stands behind a status.
_OCTETS_KIND = KIND_BYTES << 32
#: Between two tries where nobody can wait.
PAUSE_S = 0.001


class Gone(Exception):
    """Nobody takes any more of the answer: the client has left, or has asked for the head alone."""


class Reply:
    """The answer to one request: `start` is its start_response, and `give` takes what the application returns."""

    __slots__ = ("_code", "_length", "_lines", "_relief", "_stay", "_type", "begun", "exchange", "plain")

    # Set by start_response. The type's octets, and where they are.
    _type: tuple[bytes, int]
    _length: int | None
    _lines: bytes
    # Set with the first piece.
    _stay: Stay

    def __init__(self, relief: Relief) -> None:
        self._relief = relief
        self._code = 0
        #: How long the body is where a slot has room for all that the answer is: type, length and body; else -1.
        self.plain = -1
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
        elif self._code:
            raise StateError("start_response was called before: only an error, with exc_info, may start anew")
        if type(headers) is not list and not isinstance(headers, list):
            raise TypeError(f"the headers of an answer are a list of tuples, not {type(headers).__name__}")
        while True:
            kind, length, lines = _NO_TYPE, None, None
            try:
                code = _codes[status]
                for name, value in headers:
                    begin = _begins[name]
                    if begin is _TYPE:
                        kind = _types[value]
                    elif begin is _LENGTH:
                        length = _lengths[value]
                    elif begin is not _DATE:
                        # The server's own Date says the same.
                        if lines is None:
                            lines = []
                        lines.append(_line(begin, value))  # type: ignore[arg-type]
                break
            except KeyError:
                _learn(status, headers)
        self._code, self._type, self._length = code, kind, length
        self._lines = b"" if lines is None else _joined(lines, headers)

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
                path = result.path(self._length)
                if path is not None and self._send_file(path):
                    return None
            result = result.pieces(self._length)
        blocks = iter(result)
        if type(blocks) in _WHOLE and not self.begun:
            self.give_whole(list(blocks))
            return None
        for block in blocks:
            # PEP 3333: the head is to wait for the first block that is not empty.
            if not block:
                continue
            if len(block) == self.plain and type(block) is bytes:
                self._send_plain(block)
                return blocks
            if self._code and not self.begun and len(block) == self._length and self._send_first(block):
                return blocks
            self.write(block)
        if not self.begun:
            self.give_whole([])
        return None

    def _send_plain(self, body: bytes) -> None:
        """Leaves a plain answer in its slot."""
        raise NotImplementedError

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
        if not self._code:
            raise StateError("the application did not call start_response before the first piece of its body")

    def _leaves_out(self, body: bytes, is_head: bool) -> bool:
        """May the body be of another length than the one that is told? InvalidError where it must not."""
        if (is_head and not body) or self._code in (204, 304):
            return True
        raise InvalidError(f"Content-Length tells {self._length} bytes, and the body has {len(body)}")

    def _set_head(self, res: _ffi.ResponsePointer) -> None:
        check = _ffi.check
        check(_ffi.hasty_response_set_status(res, self._code))
        if self._type[0]:
            check(_ffi.hasty_response_set_type(res, self._type[0]))
        if self._length is not None:
            check(_ffi.hasty_response_set_header(res, b"Content-Length", b"%d" % self._length))
        seen = set()
        for line in self._lines.splitlines():
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

    __slots__ = ("seat", "writer")

    def __init__(self, relief: Relief, seat: Seat) -> None:
        super().__init__(relief)
        self.seat = seat
        #: `write`.
        self.writer = self.write

    def start(self, status: str, headers: Fields, exc_info: _ExcInfo | None = None, /) -> Callable[[bytes], None]:
        """Takes status and header fields, which the first piece of the body takes along; gives `write`."""
        if exc_info is None and not self._code and type(headers) is list and len(headers) == 2:
            # What most frameworks tell; without a loop it takes half as long.
            try:
                (name, kind), (other, length) = headers
                if _begins[name] is _TYPE and _begins[other] is _LENGTH:
                    self._type = octets, _ = _types[kind]
                    self._length = size = _lengths[length]
                    self._lines = b""
                    self._code = _codes[status]
                    self.plain = size if size and octets else -1
                    return self.writer
            except (KeyError, TypeError, ValueError):
                # Something is new, or wrong: the other way tells.
                pass
        self._start(status, headers, exc_info)
        self.plain = self._length if self._length and self._type[0] and not self._lines else -1
        return self.writer

    def retire(self) -> None:
        """The answer is given; an application that goes on with it is told."""
        self._code, self.begun, self.plain = self._code or 500, True, -1
        self.seat.kept = self
        # It holds this, which holds it.
        del self.writer

    def fits(self, body: bytes) -> bool:
        """Prepares the slot for a whole body, as most are given; False where there is more to it."""
        if not self._code or not body or self._lines or self.begun:
            return False
        length = self._length
        if length is not None and length != len(body):
            return False
        words, (octets, address) = self.seat.words, self._type
        if octets:
            words[CONTENT_TYPE] = address
            if self._code != 200:
                words[STATUS] = self._code
        else:
            words[STATUS] = self._code | _OCTETS_KIND
        return True

    def _send_plain(self, body: bytes) -> None:
        words = self.seat.words
        words[CONTENT_TYPE] = self._type[1]
        if self._code != 200:
            words[STATUS] = self._code
        self.seat.slot.give(body)

    def _send_first(self, block: bytes) -> bool:
        if type(block) is not bytes:
            return False
        if self.fits(block):
            self.seat.slot.give(block)
        else:
            self._send(block)
        return True

    def _send(self, body: bytes) -> None:
        slot, size, length, lines = self.seat.slot, len(body), self._length, self._lines
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
        slot.status = self._code
        if self._type[0]:
            slot.content_type = self._type[0]
        else:
            slot.kind = KIND_BYTES if size else KIND_NONE
        if size:
            slot.give(body)

    def _send_nothing(self) -> None:
        """Sends no body where a length is told, or where the head alone is asked for."""
        if self._length is None:
            # RFC 9110 8.6: it would be the length for GET, which whoever leaves the body out does not know. A stream
            # has none.
            self._begin_apart()
            assert self.exchange is not None
            self.exchange._write(b"", b"")
            self.exchange.finish()
            return
        if self._length:
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
        self.begun, self.plain = True, -1
        self._stay = self._relief.begin(comes_back=False)

    def _put(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            raise StateError("write() comes behind the end of the answer")
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
        if self._length is not None and self._length != len(body) and self._leaves_out(body, self._is_head):
            body = b""
        self._set_head(self._res)
        if body:
            _ffi.check(_ffi.hasty_response_send(self._res, body, len(body)))
        elif self._is_head and self._length is None:
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


def _no_bytes(block: object) -> TypeError:
    return TypeError(f"a piece of a WSGI body is bytes, not {type(block).__name__}")


# --- the head ---


#: The numbers of statuses such as "200 OK", and of lengths; content types as bytes, where an empty one is none, with
#: their addresses; and how lines of header fields begin, or what is more than a line. Dicts as they are: none are
#: quicker to look into.
_codes: dict[str, int] = {}
_lengths: dict[str, int] = {}
_types: dict[str, tuple[bytes, int]] = {}
_begins: dict[str, str | int] = {}

#: What belongs to a connection, which is the server's: RFC 2616 13.5.1, which PEP 3333 goes by.
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer trailers transfer-encoding upgrade".split()
)
_TYPE, _LENGTH, _DATE = 1, 2, 3
_NO_TYPE = b"", 0
_MORE = {"content-type": _TYPE, "content-length": _LENGTH, "date": _DATE}


def _learn(status: str, headers: list[tuple[str, str]]) -> None:
    """Checks a status and header fields, and remembers what will come again.

    >>> _learn("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-Count", "1")])
    >>> _codes["200 OK"], _types["text/plain"][0], _lengths["5"], _begins["X-Count"]
    (200, b'text/plain', 5, 'X-Count: ')
    """
    caches: list[dict[str, Any]] = [_codes, _lengths, _types, _begins]
    for known in caches:
        if len(known) >= KNOWN:
            known.clear()
    _codes[status] = _code_of(status)
    for name, value in headers:
        begin = _begins[name] = _begin_of(name)
        if begin is _TYPE:
            _check(name, value)
            octets = value.strip(" \t").encode("latin-1")
            _types[value] = octets, id(octets) + OCTETS
        elif begin is _LENGTH:
            _lengths[value] = _length_of(value)


def _code_of(status: str) -> int:
    if not isinstance(status, str):
        raise TypeError(f"status {status!r} is not str")
    digits = status[:3]
    if not (digits.isascii() and digits.isdigit() and status[3:4] in ("", " ") and 200 <= int(digits) <= 599):
        raise InvalidError(f'status {status!r} is not a number from 200 to 599 with a reason, such as "200 OK"')
    return int(digits)


def _begin_of(name: str) -> str | int:
    if not isinstance(name, str):
        raise TypeError(f"header name {name!r} is not str")
    if not is_token(name):
        raise InvalidError(f"header name {name!r} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
    lower = name.lower()
    if lower in _HOP_BY_HOP:
        raise InvalidError(f"header {name} is about the connection, which is the server's and not an application's")
    return _MORE.get(lower) or f"{name}: "


def _length_of(value: str) -> int:
    _check("Content-Length", value)
    if not (value.isascii() and value.isdigit()):
        raise InvalidError(f"header Content-Length: {value!r} is not a number of bytes")
    return int(value)


def _line(begin: str, value: str) -> str:
    if not isinstance(value, str):
        _check(begin.rstrip(": "), value)
    return begin + value


def _joined(lines: list[str], headers: list[tuple[str, str]]) -> bytes:
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text:
        for name, value in headers:
            _check(name, value)
    return text.encode("latin-1")


def _check(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"value {value!r} of header {name} is not str")
    if "\n" in value or "\r" in value or "\0" in value:
        raise InvalidError(f"value of header {name}: {value!r} holds a line break or NUL")
