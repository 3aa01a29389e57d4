"""A deferred response: request and response, detached from their handler, for any thread."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref
from types import TracebackType
from typing import Any, Callable

from . import _ffi, _kept, event
from .errors import LimitError, StateError, TimedOutError
from .event import Chunk, Piece
from .request import Request
from .response import Response, Result, as_response

__all__ = ["Exchange"]

log = logging.getLogger("hasty")

_UNGIVEN: Any = object()

#: Larger chunks of generators are written in pieces of this size, so that each finds room as the client reads.
PIECE = 65536
_WHOLE = 1 << 62

#: The idents of serving threads, which must not wait for room in a buffer, because they may be the ones to empty it.
serving: set[int] = set()

#: Waiting writers try again after this many seconds, even if the library does not call.
_LOOK_AGAIN_S = 1.0


class Exchange:
    """A request that is answered later; returned by `Request.defer()`.

    It may be used from any thread and from several at once. End it with `finish()`. If it is closed or
    garbage-collected without an answer, the client gets a 503; if it is not answered within `exchange_timeout_ms`, a
    504.

    >>> import threading
    >>> from hasty import App
    >>> app = App()
    >>> def work(exchange):
    ...     with exchange:
    ...         exchange.finish({"hello": exchange.request.params["name"]})
    >>> @app.get("/slow/:name")
    ... def slow(req):
    ...     threading.Thread(target=work, args=[req.defer()]).start()
    >>> with app.test_client() as client:
    ...     client.get("/slow/Ada").json()
    {'hello': 'Ada'}
    """

    def __init__(self, pointer: _ffi.ExchangePointer) -> None:
        self._pointer: _ffi.ExchangePointer | None = pointer
        # Kept for __del__, because module globals may be gone at interpreter shutdown.
        self._free = _ffi.hasty_exchange_free
        self._lock = threading.RLock()
        self._begun = False
        self._response = Response()
        # Callbacks of all writers that wait for room, because the library keeps only one.
        self._waiting: list[Callable[[], object]] = []
        self._request = DeferredRequest(_ffi.hasty_exchange_request(pointer), self._lock)
        #: The request of a handler that continues to run; it ends with the exchange.
        self._lent: Request | None = None

    @classmethod
    def _of(cls, res: _ffi.ResponsePointer) -> Exchange:
        """Defers the response of a callback."""
        pointer = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_response_defer(res, byref(pointer)))
        return cls(pointer)

    def _live(self) -> _ffi.ExchangePointer:
        if self._pointer is None:
            raise StateError("this exchange is already finished")
        return self._pointer

    def _res(self) -> _ffi.ResponsePointer:
        res: _ffi.ResponsePointer = _ffi.hasty_exchange_response(self._live())
        return res

    def _lend(self, request: Request) -> None:
        """Moves a handler's request here, so that the handler can continue to use it."""
        request._move(_ffi.hasty_exchange_request(self._live()))
        self._lent = request

    @property
    def request(self) -> Request:
        """The request; it can be read until the exchange is finished."""
        return self._request

    @property
    def response(self) -> Response:
        """The response that `finish()` sends by default; its status and headers also begin a written response."""
        return self._response

    @property
    def alive(self) -> bool:
        """Whether the client still waits: False once it has disconnected or got a 504, or once the exchange is
        finished.
        """
        with self._lock:
            return self._pointer is not None and bool(_ffi.hasty_exchange_alive(self._pointer))

    def on_close(self, function: Callable[[], object]) -> None:
        """Calls `function()` when the client disconnects, or at once if it has; never after the exchange is finished.

        The function runs on a serving thread, so it should be fast. Exceptions are logged. A second call replaces the
        function.
        """
        with self._lock:
            _ffi.check(_ffi.hasty_exchange_on_close(self._live(), _kept.CALL, _kept.put(function), _kept.DROP))

    def write(self, data: Chunk, timeout: float | None = 0.0) -> None:
        """Sends a piece of the body: str, bytes or Event. The first call also sends the status and headers of
        `response`.

        Data that a slow client has not accepted yet is buffered, up to the app's `stream_buffer_bytes`. If there is no
        room, `write` waits up to `timeout` seconds. The default, 0, does not wait, so that one thread can serve many
        clients; None waits without a limit. A piece is either accepted whole or not at all.

        Raises ClosedError if the client has disconnected, LimitError if there is no room, and TimedOutError if there
        was none within the timeout. On a serving thread, for example in a handler, it never waits.
        """
        until = None if timeout is None else time.monotonic() + timeout
        for piece in event.pieces(data, _WHOLE):
            status = self._write(piece, data)
            if status == _ffi.ERR_LIMIT and timeout != 0:
                status = self._put(piece, data, until)
            _ffi.check(status)

    def _put(self, piece: Piece, data: Chunk, until: float | None = None) -> int:
        """Writes a piece of `data` once there is room for it."""
        while True:
            status = self._write(piece, data)
            if status != _ffi.ERR_LIMIT:
                return status
            self._wait_for_room(until)

    def _write(self, piece: Piece, data: Chunk) -> int:
        with self._lock:
            res = self._res()
            if not self._begun:
                self._response._begin(res, data)
                self._begun = True
            return event.write(res, piece)

    def _wait_for_room(self, until: float | None) -> None:
        if threading.get_ident() in serving:
            raise LimitError("the client reads too slowly, and this thread may not wait because it serves requests")
        left = _LOOK_AGAIN_S if until is None else min(_LOOK_AGAIN_S, until - time.monotonic())
        if left <= 0:
            raise TimedOutError("the client accepted nothing within the timeout")
        room = threading.Event()
        with self._on_ready(room.set):
            room.wait(left)

    @contextmanager
    def _on_ready(self, function: Callable[[], object]) -> Iterator[None]:
        """Inside the `with` block, calls `function()`, on a serving thread, when there is room again."""
        waiting = self._waiting
        waiting.append(function)
        try:
            # A method would keep the exchange alive when nothing else refers to it.
            tell = functools.partial(_tell_all, waiting)
            with self._lock:
                _ffi.check(_ffi.hasty_exchange_on_ready(self._live(), _kept.CALL, _kept.put(tell), _kept.DROP))
            yield
        finally:
            if function in waiting:
                waiting.remove(function)

    async def awrite(self, data: Chunk) -> None:
        """Does the same as `write` in a coroutine: if there is no room, it waits without blocking the loop.

        Raises ClosedError if the client has disconnected, and StateError if the exchange is finished.
        """
        from . import loop

        await loop.write(self, data)

    def finish(self, answer: Result = _UNGIVEN) -> bool:
        """Sends `answer`, anything that a handler may return, and ends the exchange; returns False if the client has
        gone.

        Without `answer` it sends `response`, or ends a response that was written.

        Raises StateError if the exchange is finished already, or if `answer` is given after `write()`. An answer that
        the library refuses also raises, and leaves the exchange open for another one.
        """
        with self._lock:
            res = self._res()
            if not self._begun:
                self._answer(res, self._response if answer is _UNGIVEN else as_response(answer))
            elif answer is not _UNGIVEN:
                raise StateError("the response was written already: call finish() without an answer")
            pointer = self._take()
        # Called without the lock, here and in free(): it waits for a running on_close() function, which may need the
        # lock, for example to read `alive`.
        status = _ffi.hasty_exchange_finish(pointer)
        if status == _ffi.ERR_CLOSED:
            return False
        _ffi.check(status)
        return True

    def _answer(self, res: _ffi.ResponsePointer, response: Response) -> None:
        try:
            response._send(res)
        except BaseException:
            _ffi.check(_ffi.hasty_response_reset(res))
            raise

    def free(self) -> None:
        """Gives up: the client gets a 503, or its connection is cut if part of the response was sent. May be called
        twice.
        """
        with self._lock:
            if self._pointer is None:
                return
            pointer = self._take()
        self._free(pointer)

    def _take(self) -> _ffi.ExchangePointer:
        pointer = self._live()
        self._pointer = None
        self._request._end()
        if self._lent is not None:
            self._lent._end()
        return pointer

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._begun:
                self.finish()
            elif error is not None and not self._begun:
                self.finish(("500 Internal Server Error", 500))
        except StateError:
            # The exchange was finished already, in the block or by another thread.
            pass
        finally:
            self.free()

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is None:
            return
        try:
            # Dropping a stream is normal once its client has left; dropping one that a client waits for is a mistake.
            if not self._begun and self.alive:
                log.warning("%r was never finished", self)
        except Exception:  # a broken log handler must do no harm
            pass
        self.free()

    def __repr__(self) -> str:
        return "<Exchange, finished>" if self._pointer is None else f"<Exchange of {self._request!r}>"


def _tell_all(waiting: list[Callable[[], object]]) -> None:
    """Tells all waiting writers that there is room; each checks whether it is enough."""
    for function in waiting.copy():
        function()


class DeferredRequest(Request):
    """A request that any thread may read while another one finishes its exchange; every access takes the exchange's
    lock.
    """

    __slots__ = ("_lock",)

    def __init__(self, pointer: _ffi.RequestPointer, lock: threading.RLock) -> None:
        super().__init__(pointer)
        self._lock = lock
        self._over = "this request ended when its exchange was finished"

    def json(self) -> Any:
        with self._lock:
            return super().json()

    def read(self, size: int = PIECE) -> bytes:
        with self._lock:
            return super().read(size)

    def __repr__(self) -> str:
        return "<Request, answered>" if self._pointer is None else f"<Request {self.method} {self.target}>"


DeferredRequest.__name__ = DeferredRequest.__qualname__ = Request.__name__


def _locked(part: property) -> property:
    read: Callable[[Any], Any] = part.__get__

    def look(self: DeferredRequest) -> Any:
        with self._lock:
            return read(self)

    return property(look, doc=part.__doc__)


for _name, _part in vars(Request).items():
    if isinstance(_part, property) and not _name.startswith("_"):
        setattr(DeferredRequest, _name, _locked(_part))
