"""One request of an ASGI application and its answer: the messages that come and go, and what they become."""

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

#: An answer that is begun, and of which nothing follows for so long, is begun on the wire too: pages wait for the head
#: of a stream of events, while an answer that comes whole at once needs one packet only.
_HEAD_S = 0.005

_LEFT = "the client has left"
_FAILED = b"500 Internal Server Error"

# The states of an answer.
FRESH = 0  # nothing yet
_HEADED = 1  # the application has given the head
_BEGUN = 2  # which was sent, and perhaps parts of the body
_DONE = 3  # all of it


#: Equal to nothing that is given.
_UNKNOWN: Any = object()


class Head:
    """Status and fields of an answer, in which nothing is left to be refused."""

    __slots__ = ("_kept", "fields", "given", "has_type", "in_slot", "length", "size", "status")

    def __init__(self, status: int, headers: Any) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise InvalidError(f"status {status!r} of 'http.response.start' is not in 200 to 599")
        #: The status.
        self.status = int(status)
        #: How long the body is, where that is told.
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
        # As the library has it, which would refuse them only with the answer.
        if fields.count(b"\n") >= len(lines) > 0 or len(fields.translate(None, _CONTROLS)) < len(fields):
            raise InvalidError(f"a header of {lines!r} contains a line break, NUL or another control character")
        #: Is there a content type?
        self.has_type = bool(types)
        #: How many bytes the body of a usual answer has: None where it may be any, -1 where the answer is not usual.
        self.size = self.length if self.has_type and not self.is_bodiless else -1
        self.in_slot = self._for_slot(lines, types)
        #: The headers of which it was made, where nobody can change them.
        self.given: Any = _UNKNOWN

    def _for_slot(self, lines: list[bytes], types: list[bytes]) -> bytes:
        """What a slot says of the answer, but for the body. There are addresses in it, of what is kept here."""
        media = types[0].partition(b": ")[2].strip(b" \t") if len(types) == 1 else b""
        if b"/" in media:
            # A field of its own takes the library less. Without a slash it would stand for a file's extension there.
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
        """Is there never a body with that status?"""
        return self.status in (204, 304)

    def set(self, res: _ffi.ResponsePointer) -> None:
        """Tells the library, but for the length, which it counts where it can."""
        _ffi.check(_ffi.hasty_response_set_status(res, self.status))
        if self.fields:
            for line in self.fields.split(b"\n"):
                name, _, value = line.partition(b": ")
                _ffi.check(_ffi.hasty_response_add_header(res, name, value))

    def set_length(self, res: _ffi.ResponsePointer) -> None:
        if self.length is not None and not self.is_bodiless:
            _ffi.check(_ffi.hasty_response_set_header(res, b"Content-Length", b"%d" % self.length))


#: Of a slot: status, kind, content_type, extra_headers and how long these are.
_IN_SLOT = struct.Struct("=iiQQQ")
HEAD_SIZE = _IN_SLOT.size

#: RFC 9110 5.5: no value has these. The line feed is counted.
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n"))

_FIELD, _TYPE, _LENGTH, _OURS = range(4)
_ROLES = {b"content-type": _TYPE, b"content-length": _LENGTH, b"date": _OURS, b"transfer-encoding": _OURS}
#: RFC 9110 5.6.2: token
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MOST = 1024


class _Roles(dict[bytes, int]):
    """What header names stand for here: those that were used before are known to be good."""

    def __missing__(self, name: Any) -> int:
        if type(name) is not bytes:
            raise TypeError(f"header name {name!r} is not bytes")
        if not _TOKEN.fullmatch(name):
            raise InvalidError(f"header name {name!r} is not a token")
        # The library frames the body, and knows the time.
        role = _ROLES.get(name.lower(), _FIELD)
        if len(self) < _MOST and len(name) <= _MOST_OCTETS:
            self[name] = role
        return role


_roles = _Roles()

#: Type and length are all that most answers have, and many have the same. What is longer is hardly the same again.
_PLAIN = 2
_MOST_OCTETS = 1024
_heads: dict[tuple[Any, ...], Head] = {}
#: To compare with this one takes 700 instructions, to find one 2,200.
_latest: Head


def _head_of(message: Message) -> Head:
    """A head; of a plain kind perhaps the one that was made before."""
    # In place of `get`, which takes twice as long.
    status, headers = message["status"], message["headers"] if "headers" in message else ()
    try:
        if len(headers) > _PLAIN:
            return Head(status, headers)
        key = (status, *headers)
        head = _heads[key]
    except TypeError:  # an iterator, or lists in place of tuples
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
    """What is given to wait for where all is done. It never changes, so that one is enough.

    To wait for it takes 300 instructions, for a coroutine that does nothing 1,000. It has what makes a coroutine, for
    whom only that will do: `asyncio.create_task(send(message))`.
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
    """A function that passes for an `async def`: there are programs that ask before they call it."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(function)
    else:
        function._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # type: ignore[attr-defined]
    return function


class Cycle:
    """Gives an application its request, and takes its answer, in any order that ASGI allows and in no other.

    As long as the answer comes at once it is kept here, for the slot that the request is in. `leave_slot()` tells that
    others need the slot; then, and for whatever a slot cannot hold, there is a `Wire`.
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

    #: Status and fields of the answer; there once they were given.
    head: Head
    # How many bytes of the body are still to come, where the head tells; None where it does not.
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
        #: What receive() gives, once.
        self.body: bytes | None = body
        #: Is it a HEAD request?
        self.is_head = bool(scope["method"] == "HEAD")
        self._loop = loop
        # As long as there is a slot, there may be what send() gives at once.
        self._slot = slot
        self._sent = sent
        self._wire = wire
        #: How far the answer is.
        self.state = FRESH
        # Has the client left? And what receive() waits for.
        self._closed = False
        self._gone: asyncio.Event | None = None
        #: The body of an answer that goes into the slot, together with the head.
        self.reply: bytes | None = None
        #: Has it left the slot?
        self.has_left = False

    @property
    def answered(self) -> bool:
        """Was the answer given, all of it?"""
        return self.state == _DONE

    async def run(self, application: Application) -> None:
        """Runs the application for this request, and answers for it where it does not."""
        try:
            await application(self.scope, self.receive, self.send)
            self.end()
        except BaseException as error:  # SystemExit too: it would end the loop, not the program
            self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """The application has returned, or raised something. Whatever is missing of the answer does not come."""
        try:
            if isinstance(error, asyncio.CancelledError):
                # The server ends, or the application cancels itself.
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
        """The slot is needed for another request, while the application goes on with this one."""
        self.has_left = True
        if self.state != _DONE:
            self._out()
            if self.state == _HEADED:
                self._loop.call_later(_HEAD_S, self._begin)
        self._slot = self._sent = None

    def _out(self) -> Wire:
        """The way out for everything but an answer that fits into the slot."""
        wire = self._wire
        if wire is None:
            assert self._slot is not None
            wire = self._wire = Wire.of(self._slot, self._loop)
            self._slot = self._sent = None
        return wire

    # --- what the application calls ---

    async def receive(self) -> Message:
        """The body, all of it; then, once there is nobody to answer any more, that the client is gone."""
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
        """A part of the answer; ClosedError, an OSError, once the client has left."""
        # What most applications send, a head and a body while there is the slot, wants no coroutine.
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
            except KeyError:  # of what may be left out, or may not
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
                # What follows may come at once, and then both go together.
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
        # Then what the head tells of a body is about the answer to another request.
        return self.is_head or self.head.is_bodiless

    def _give_whole(self, body: bytes) -> None:
        head = self.head
        # A slot knows no body without a type, and no length of a body that is not there.
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
        """Sends the head alone."""
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
        """The client has gone."""
        self._closed = True
        if self._gone is not None:
            self._gone.set()

    # --- answers that the application does not give ---

    def _give_up(self) -> None:
        """Ends an answer that the application leaves open: with 500 while nothing was sent, else it is cut off."""
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
        except Exception:  # a broken log handler harms nobody
            pass

    def _name(self) -> str:
        try:
            return f"{self.scope['method']} {harmless(self.scope['raw_path'].decode('latin-1'))}"
        except Exception:  # it belongs to the application, which may have changed it
            return "a request"


def _octets(body: Any) -> bytes:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"the body of 'http.response.body' is bytes, not {type(body).__name__}")
    return bytes(body)


def _misfit(kind: Any, state: int) -> str:
    """Why a message cannot be sent in some state."""
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
    """Whether an exception was raised since a client left: perhaps one that a framework makes of ours."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, ClosedError):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return False


class Wire:
    """Carries an answer that does not come at once, or not as a whole. The loop's thread alone uses it."""

    __slots__ = ("_free", "_loop", "_pointer", "_room")

    def __init__(self, pointer: _ffi.ExchangePointer, loop: asyncio.AbstractEventLoop) -> None:
        self._pointer: _ffi.ExchangePointer | None = pointer
        # Kept for the interpreter's last moments.
        self._free = _ffi.hasty_exchange_free
        self._loop = loop
        # What all who send wait for: the library calls one function only.
        self._room: asyncio.Event | None = None

    @classmethod
    def of(cls, slot: Slot, loop: asyncio.AbstractEventLoop) -> Wire:
        """Takes the request out of a slot."""
        pointer = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_slot_exchange(slot.ref, byref(pointer)))
        return cls(pointer, loop)

    def whole(self, head: Head, body: bytes, is_head: bool) -> None:
        """Sends an answer, all of it."""
        res = self._res()
        head.set(res)
        if is_head:
            head.set_length(res)
        _ffi.check(_ffi.hasty_response_send(res, body, len(body)))
        if not head.has_type:
            # The library's guess; the application did not want to tell.
            _ffi.check(_ffi.hasty_response_remove_header(res, b"content-type"))
        self.finish()

    def file(self, head: Head, path: bytes) -> None:
        """Sends a file, with the fields of the application in place of those that the library would make."""
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
        """Sends a head alone."""
        res = self._res()
        head.set(res)
        head.set_length(res)
        self.write(b"")

    def write(self, body: bytes) -> int:
        """Sends a piece of the body; the library's status says what came of it."""
        return int(_ffi.hasty_response_write(self._res(), body, len(body)))

    def finish(self) -> None:
        """Ends the answer. Whether the client saw it is known to nobody."""
        pointer, self._pointer = self._pointer, None
        _ffi.hasty_exchange_finish(pointer)

    def cut(self) -> None:
        """Leaves the answer without its end, so that the client sees that something is missing."""
        pointer, self._pointer = self._pointer, None
        self._free(pointer)

    def on_close(self, gone: Callable[[], None]) -> None:
        """Calls `gone()` on the loop once the client has left."""
        _ffi.check(_ffi.hasty_exchange_on_close(self._pointer, _kept.CALL, self._later(gone), _kept.DROP))

    async def room(self) -> None:
        """Waits until the client has read some of what waits for it."""
        room = self._room
        if room is None or room.is_set():
            room = self._room = asyncio.Event()
        _ffi.check(_ffi.hasty_exchange_on_ready(self._pointer, _kept.CALL, self._later(room.set), _kept.DROP))
        await room.wait()

    def _res(self) -> _ffi.ResponsePointer:
        res: _ffi.ResponsePointer = _ffi.hasty_exchange_response(self._pointer)
        return res

    def _later(self, function: Callable[[], object]) -> int:
        """What the library calls, on any thread, to have a function called on the loop."""
        return _kept.put(functools.partial(_call_on, self._loop, function))

    def __del__(self) -> None:
        if self._pointer is not None:
            self._free(self._pointer)


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        # The loop has ended, and with it everything that would like to know.
        pass
