"""One request of an ASGI application and its response: translates between ASGI messages and the library."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import re
import struct
from collections.abc import Awaitable
from ctypes import byref
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _ffi, _kept
from .errors import ClosedError, InvalidError, StateError
from .lifespan import Application, Message, Scope
from .progress import harmless
from .report import report
from .slot import KIND_NONE, KIND_TEXT, Slot
from .taker import OCTETS

if TYPE_CHECKING:
    Future = asyncio.Future[None]
else:
    Future = asyncio.Future

__all__ = ["FRESH", "HEAD_SIZE", "Cycle", "Head", "Sent", "Wire"]

log = logging.getLogger("hasty")

#: How long a head waits for the body, in seconds, before it is sent alone. Head and body together need one packet only,
#: but a page may wait for the head of an event stream.
_HEAD_S = 0.005

_LEFT = "the client has left"
_FAILED = b"500 Internal Server Error"

# The states of a response.
FRESH = 0  # nothing was given yet
_HEADED = 1  # the application has given the head
_BEGUN = 2  # the head was sent, and perhaps parts of the body
_DONE = 3  # the response is complete


#: Is equal to no headers.
_UNKNOWN: Any = object()


class Head:
    """The status and header fields of a response, checked so that the library will accept them."""

    __slots__ = ("_kept", "fields", "given", "has_type", "in_slot", "length", "size", "status")

    def __init__(self, status: int, headers: Any) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise InvalidError(f"status {status!r} of 'http.response.start' is not in 200 to 599")
        #: The status code.
        self.status = int(status)
        #: The value of Content-Length, or None.
        self.length: int | None = None
        lines: list[bytes] = []
        types: list[bytes] = []
        try:
            for name, value in headers:
                role = _roles[name]
                if role == _LENGTH:
                    self.length = _number(value)
                elif role != _OURS:
                    lines.append(b"%b: %b" % (name, value))
                    if role == _TYPE:
                        types.append(lines[-1])
        except InvalidError:
            raise
        except (TypeError, ValueError) as error:
            raise TypeError(f"the headers of 'http.response.start' are not pairs of bytes: {error}") from None
        #: The other fields: "Name: value", separated by line feeds.
        self.fields = fields = b"\n".join(lines)
        # The library has the same rules, but would refuse the fields only when the response is sent.
        if fields.count(b"\n") >= len(lines) > 0 or len(fields.translate(None, _CONTROLS)) < len(fields):
            raise InvalidError(f"a header of {lines!r} contains a line break, NUL or another control character")
        #: Is there a content type?
        self.has_type = bool(types)
        #: The body's size that send()'s fast path requires: None for any size, -1 if this head cannot take that path.
        self.size = self.length if self.has_type and not self.is_bodiless else -1
        self.in_slot = self._for_slot(lines, types)
        #: A private copy of the headers that it was made from, for comparisons.
        self.given: Any = _UNKNOWN

    def _for_slot(self, lines: list[bytes], types: list[bytes]) -> bytes:
        """Returns the bytes of a slot that describe the head. They contain addresses of what `_kept` holds."""
        media = types[0].partition(b": ")[2].strip(b" \t") if len(types) == 1 else b""
        if b"/" in media:
            # A separate content_type is faster for the library. Without a slash it would be taken for a file extension.
            lines = [line for line in lines if line is not types[0]]
        else:
            media = b""
        fields = b"\n".join(lines)
        self._kept = media, fields
        return _IN_SLOT.pack(
            self.status,
            KIND_TEXT if types else KIND_NONE,
            id(media) + OCTETS if media else 0,
            id(fields) + OCTETS if fields else 0,
            len(fields),
        )

    @property
    def is_bodiless(self) -> bool:
        """Does this status never have a body?"""
        return self.status in (204, 304)

    def set(self, res: _ffi.ResponsePointer) -> None:
        """Sets status and fields of a response, except the length, which the library counts if the body is whole."""
        _ffi.check(_ffi.hasty_response_set_status(res, self.status))
        if self.fields:
            for line in self.fields.split(b"\n"):
                name, _, value = line.partition(b": ")
                _ffi.check(_ffi.hasty_response_add_header(res, name, value))

    def set_length(self, res: _ffi.ResponsePointer) -> None:
        if self.length is not None and not self.is_bodiless:
            _ffi.check(_ffi.hasty_response_set_header(res, b"Content-Length", b"%d" % self.length))


#: The slot's fields status, kind, content_type, extra_headers and extra_headers_len.
_IN_SLOT = struct.Struct("=iiQQQ")
HEAD_SIZE = _IN_SLOT.size

#: Characters that no header value may contain (RFC 9110 5.5), except the line feed, which is checked by counting.
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n"))

_FIELD, _TYPE, _LENGTH, _OURS = range(4)
_ROLES = {b"content-type": _TYPE, b"content-length": _LENGTH, b"date": _OURS, b"transfer-encoding": _OURS}
#: RFC 9110 5.6.2: token
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MOST = 1024


class _Roles(dict[bytes, int]):
    """Maps header names to their roles; checks each name once and caches it."""

    def __missing__(self, name: Any) -> int:
        if type(name) is not bytes:
            raise TypeError(f"header name {name!r} is not bytes")
        if not _TOKEN.fullmatch(name):
            raise InvalidError(f"header name {name!r} is not a token")
        # The library sets Transfer-Encoding and Date itself.
        role = _ROLES.get(name.lower(), _FIELD)
        if len(self) < _MOST and len(name) <= _MOST_OCTETS:
            self[name] = role
        return role


_roles = _Roles()

#: Heads with at most this many fields are cached, because most responses have only a type and a length, and many have
#: the same. Longer heads rarely repeat.
_PLAIN = 2
_MOST_OCTETS = 1024
_heads: dict[tuple[Any, ...], Head] = {}
#: The last head from the cache: comparing with it takes 700 instructions, a lookup 2,200.
_latest: Head


def _head_of(message: Message) -> Head:
    """Returns the head of a message, from the cache if it is plain."""
    # `get` would take twice as long.
    status, headers = message["status"], message["headers"] if "headers" in message else ()
    try:
        if len(headers) > _PLAIN:
            return Head(status, headers)
        key = (status, *headers)
        head = _heads[key]
    except TypeError:  # an iterator, or lists instead of tuples
        return Head(status, headers)
    except KeyError:
        head = Head(status, headers)
        if type(headers) is list:
            head.given = headers.copy()
        if len(head.fields) <= _MOST_OCTETS:
            if len(_heads) >= _MOST:
                _heads.clear()
            _heads[key] = head
    global _latest
    _latest = head
    return head


def _number(value: Any) -> int:
    if not isinstance(value, (bytes, bytearray)) or not value.isdigit():
        raise InvalidError(f"content-length {value!r} is not a number of bytes, as bytes")
    return int(value)


_latest = Head(200, ())


class Sent(Future):
    """The awaitable that send() returns if nothing is left to wait for. It never changes, so a loop needs only one.

    Awaiting it takes 300 instructions; a coroutine that does nothing takes 1,000. It also has a coroutine's methods,
    because applications may call `asyncio.create_task(send(message))`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.set_result(None)

    def send(self, value: Any) -> Any:
        raise StopIteration

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        raise kind if value is None else value

    def close(self) -> None:
        pass


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _as_async(function: _Function) -> _Function:
    """Marks a function as `async def`, for programs that check that before they call it."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(function)
    else:
        function._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # type: ignore[attr-defined]
    return function


class Cycle:
    """Gives an application its request and takes its response; enforces the order of messages that ASGI requires.

    A response that comes at once stays in `reply`, for the slot that the request is in. After `leave_slot()`, when
    other requests need the slot, and for everything that a slot cannot hold, a `Wire` carries the response.
    """

    __slots__ = (
        "_closed",
        "_gone",
        "_left",
        "_loop",
        "_sent",
        "_slot",
        "_wire",
        "body",
        "has_left",
        "head",
        "is_head",
        "reply",
        "scope",
        "state",
    )

    #: The head of the response; set once the application has given it.
    head: Head
    # How many bytes of the body are missing according to Content-Length; None without one.
    _left: int | None

    def __init__(
        self,
        scope: Scope,
        body: bytes,
        loop: asyncio.AbstractEventLoop,
        slot: Slot | None,
        wire: Wire | None = None,
        sent: Sent | None = None,
    ) -> None:
        self.scope = scope
        #: What receive() returns first; None once it has.
        self.body: bytes | None = body
        #: Is it a HEAD request?
        self.is_head = bool(scope["method"] == "HEAD")
        self._loop = loop
        # What send() returns on its fast path, which needs a slot.
        self._slot = slot
        self._sent = sent
        self._wire = wire
        #: The state of the response.
        self.state = FRESH
        # Has the client left? And the event that receive() waits for.
        self._closed = False
        self._gone: asyncio.Event | None = None
        #: The body of a response that goes into the slot with its head.
        self.reply: bytes | None = None
        #: Has the request left the slot?
        self.has_left = False

    @property
    def answered(self) -> bool:
        """Is the response complete?"""
        return self.state == _DONE

    async def run(self, application: Application) -> None:
        """Runs the application for this request, and answers 500 if it gives no response."""
        try:
            await application(self.scope, self.receive, self.send)
            self.end()
        except BaseException as error:  # includes SystemExit, which would end the loop, not the program
            self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Ends the response after the application has returned or raised: with 500, or cut off if it is incomplete."""
        try:
            if isinstance(error, asyncio.CancelledError):
                # The server stops, or the application has cancelled itself.
                if self.state != _DONE:
                    self._out().cut()
                    self._end()
                return
            if error is not None:
                self._complain(error)
            elif self.state != _DONE and not self._closed:
                what = "did not answer" if self.state == FRESH else "began an answer and did not end it"
                log.error("%s: the application %s", self._name(), what)
            if self.state != _DONE:
                self._give_up()
        except Exception as failure:
            self._complain(failure)

    def leave_slot(self) -> None:
        """Frees the slot for the next request, while the application goes on with this one."""
        self.has_left = True
        if self.state != _DONE:
            self._out()
            if self.state == _HEADED:
                self._loop.call_later(_HEAD_S, self._begin)
        self._slot = self._sent = None

    def _out(self) -> Wire:
        """Returns the wire, for everything but a response that fits into the slot; takes the request out of the slot
        if necessary."""
        wire = self._wire
        if wire is None:
            assert self._slot is not None
            wire = self._wire = Wire.of(self._slot, self._loop)
            self._slot = self._sent = None
        return wire

    # --- what the application calls ---

    async def receive(self) -> Message:
        """ASGI's receive: returns the whole body, and then, once the response is complete or the client has left,
        "http.disconnect"."""
        body = self.body
        if body is not None:
            self.body = None
            return {"type": "http.request", "body": body, "more_body": False}
        if self.state != _DONE and not self._closed:
            if self._gone is None:
                self._gone = asyncio.Event()
                self._out().on_close(self._leave)
            await self._gone.wait()
        return {"type": "http.disconnect"}

    @_as_async
    def send(self, message: Message) -> Awaitable[None]:
        """ASGI's send: takes a message of the response; raises ClosedError, an OSError, once the client has left."""
        # The most common messages, a head and a whole body while there is a slot, are handled without a coroutine.
        sent = self._sent
        if sent is not None:
            state = self.state
            try:
                kind = message["type"]
                if state == FRESH:
                    if kind == "http.response.start":
                        head = _latest
                        if head.given != message["headers"] or head.status != message["status"]:
                            head = _head_of(message)
                        self.head, self._left, self.state = head, head.length, _HEADED
                        return sent
                elif state == _HEADED and kind == "http.response.body":
                    body, size = message["body"], self.head.size
                    if (
                        type(body) is bytes
                        and (size == len(body) or size is None)
                        and ("more_body" not in message or not message["more_body"])
                    ):
                        self.reply, self.state = body, _DONE
                        return sent
            except KeyError:  # a key is missing, which _send() allows or refuses
                pass
        return self._send(message)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        state = self.state
        if kind == "http.response.start" and state == FRESH:
            self.head = head = _head_of(message)
            self._left = head.length
            self.state = _HEADED
            if self._slot is None:
                # The body may follow at once, and then both are sent together.
                self._loop.call_later(_HEAD_S, self._begin)
        elif kind == "http.response.body" and (state == _HEADED or state == _BEGUN):
            body = message["body"] if "body" in message else b""
            if type(body) is not bytes:
                body = _octets(body)
            more = "more_body" in message and message["more_body"]
            if self._left is not None and (more or self._left != len(body)):
                self._count(len(body), more)
            if more:
                await self._give_piece(body)
            elif state == _BEGUN:
                await self._give_last(body)
            else:
                self._give_whole(body)
        elif kind == "http.response.pathsend" and state == _HEADED:
            self._out().file(self.head, os.fsencode(message["path"]))
            self._end()
        else:
            raise StateError(_misfit(kind, state))

    def _is_bodiless(self) -> bool:
        # Then Content-Length describes a body that is not sent.
        return self.is_head or self.head.is_bodiless

    def _give_whole(self, body: bytes) -> None:
        head = self.head
        # In a slot, a body needs a type, and a missing body cannot have a Content-Length.
        if self._slot is not None and (head.has_type or not body) and (head.length is None or not self.is_head):
            self.reply = body
        else:
            self._out().whole(head, body, self.is_head)
        self._end()

    async def _give_piece(self, body: bytes) -> None:
        if self._closed:
            raise ClosedError(_LEFT)
        if body:
            self._begin()
            await self._write(body)

    async def _give_last(self, body: bytes) -> None:
        if self._closed:
            raise ClosedError(_LEFT)
        if body:
            await self._write(body)
        self._out().finish()
        self._end()

    def _count(self, size: int, more: bool) -> None:
        if self._left is None or self._is_bodiless():
            return
        if size > self._left:
            raise StateError(f"the body has {size - self._left} bytes more than Content-Length")
        if not more and size < self._left:
            raise StateError(f"the body ends {self._left - size} bytes short of Content-Length")
        self._left -= size

    def _begin(self) -> None:
        """Sends the head alone, unless the response has gone further."""
        if self.state == _HEADED:
            self.state = _BEGUN
            self._out().begin(self.head)

    async def _write(self, body: bytes) -> None:
        if self._is_bodiless():
            return
        wire = self._out()
        while not self._closed:
            status = wire.write(body)
            if status == _ffi.OK:
                return
            if status == _ffi.ERR_CLOSED:
                self._leave()
            elif status == _ffi.ERR_LIMIT:
                await wire.room()
            else:
                _ffi.check(status)
        raise ClosedError(_LEFT)

    def _end(self) -> None:
        self.state = _DONE
        if self._gone is not None:
            self._gone.set()

    def _leave(self) -> None:
        """Notes that the client has left."""
        self._closed = True
        if self._gone is not None:
            self._gone.set()

    # --- failures ---

    def _give_up(self) -> None:
        """Ends a response that the application left incomplete: with 500, or cut off if its head was sent."""
        wire = self._out()
        if self.state == _BEGUN:
            wire.cut()
        else:
            wire.whole(Head(500, [(b"content-type", b"text/plain; charset=utf-8")]), _FAILED, self.is_head)
        self._end()

    def _complain(self, error: BaseException) -> None:
        if not (self._closed and _comes_of_leaving(error)):
            report(error, "%s: the application failed", self._name())
            return
        try:
            log.debug("%s: the client left before the answer was complete", self._name())
        except Exception:  # a broken log handler must do no harm
            pass

    def _name(self) -> str:
        try:
            return f"{self.scope['method']} {harmless(self.scope['raw_path'].decode('latin-1'))}"
        except Exception:  # the application may have changed its scope
            return "a request"


def _octets(body: Any) -> bytes:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"the body of 'http.response.body' is bytes, not {type(body).__name__}")
    return bytes(body)


def _misfit(kind: Any, state: int) -> str:
    """Explains why a message cannot be sent in a state."""
    if kind not in ("http.response.start", "http.response.body", "http.response.pathsend"):
        return f"send({kind!r}): this server does not know that message"
    if state == _DONE:
        return f"send({kind!r}) comes after the end of the answer"
    if state == FRESH:
        return f"send({kind!r}) comes before 'http.response.start'"
    if kind == "http.response.start":
        return "send('http.response.start') comes twice"
    return f"send({kind!r}) comes after a part of the body"


def _comes_of_leaving(error: BaseException) -> bool:
    """Returns whether an exception was raised because the client left, perhaps wrapped in one of a framework's."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, ClosedError):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return False


class Wire:
    """Sends a response that does not come at once, or not as a whole. Only the loop's thread uses it."""

    __slots__ = ("_free", "_loop", "_pointer", "_room")

    def __init__(self, pointer: _ffi.ExchangePointer, loop: asyncio.AbstractEventLoop) -> None:
        self._pointer: _ffi.ExchangePointer | None = pointer
        # Kept for __del__, because module globals may be gone at interpreter shutdown.
        self._free = _ffi.hasty_exchange_free
        self._loop = loop
        # Shared by all senders that wait for room, because the library keeps only one callback.
        self._room: asyncio.Event | None = None

    @classmethod
    def of(cls, slot: Slot, loop: asyncio.AbstractEventLoop) -> Wire:
        """Takes the request out of a slot."""
        pointer = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_slot_exchange(slot.ref, byref(pointer)))
        return cls(pointer, loop)

    def whole(self, head: Head, body: bytes, is_head: bool) -> None:
        """Sends a whole response."""
        res = self._res()
        head.set(res)
        if is_head:
            head.set_length(res)
        _ffi.check(_ffi.hasty_response_send(res, body, len(body)))
        if not head.has_type:
            # The library guesses a type, but the application set none.
            _ffi.check(_ffi.hasty_response_remove_header(res, b"content-type"))
        self.finish()

    def file(self, head: Head, path: bytes) -> None:
        """Sends a file; the application's header fields replace those that the library would set."""
        res = self._res()
        head.set(res)
        status = _ffi.hasty_response_send_file(res, path)
        try:
            _ffi.check(status)
        except BaseException:
            _ffi.check(_ffi.hasty_response_reset(res))
            raise
        self.finish()

    def begin(self, head: Head) -> None:
        """Sends the head alone."""
        res = self._res()
        head.set(res)
        head.set_length(res)
        self.write(b"")

    def write(self, body: bytes) -> int:
        """Sends a piece of the body; returns the library's status."""
        return int(_ffi.hasty_response_write(self._res(), body, len(body)))

    def finish(self) -> None:
        """Ends the response. Its status is ignored: whether the client received everything cannot be known anyway."""
        pointer, self._pointer = self._pointer, None
        _ffi.hasty_exchange_finish(pointer)

    def cut(self) -> None:
        """Aborts the response without its proper end, so that the client sees that it is incomplete."""
        pointer, self._pointer = self._pointer, None
        self._free(pointer)

    def on_close(self, gone: Callable[[], None]) -> None:
        """Calls `gone()` on the loop once the client has left."""
        _ffi.check(_ffi.hasty_exchange_on_close(self._pointer, _kept.CALL, self._later(gone), _kept.DROP))

    async def room(self) -> None:
        """Waits until the client has read some of what is buffered."""
        room = self._room
        if room is None or room.is_set():
            room = self._room = asyncio.Event()
        _ffi.check(_ffi.hasty_exchange_on_ready(self._pointer, _kept.CALL, self._later(room.set), _kept.DROP))
        await room.wait()

    def _res(self) -> _ffi.ResponsePointer:
        res: _ffi.ResponsePointer = _ffi.hasty_exchange_response(self._pointer)
        return res

    def _later(self, function: Callable[[], object]) -> int:
        """Returns user_data with which the library, on any thread, has a function called on the loop."""
        return _kept.put(functools.partial(_call_on, self._loop, function))

    def __del__(self) -> None:
        if self._pointer is not None:
            self._free(self._pointer)


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        # The loop has ended, so nothing waits for this any more.
        pass
