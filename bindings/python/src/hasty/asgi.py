"""Serves ASGI applications: FastAPI, Starlette, Django, Litestar, Quart and their like.

    import hasty.asgi

    hasty.asgi.serve(application, port=8080)

`as_app()` makes an App of one instead, for `start()`, `test_client()` and the other ways to run it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
import threading
from collections.abc import Awaitable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi, _kept
from .app import App
from .errors import ClosedError, InvalidError, StateError
from .exchange import Exchange
from .request import Request
from .server import Server

if TYPE_CHECKING:
    from typing_extensions import Literal

    _Lifespans = Literal["auto", "on", "off"]

__all__ = ["Application", "LifespanError", "as_app", "serve", "serve_async"]

log = logging.getLogger("hasty")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: What ASGI 3.0 calls an application.
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: 2.4 is the first in which `send` raises once the client has left.
_HTTP = {"version": "3.0", "spec_version": "2.4"}
_LIFESPAN = {"version": "3.0", "spec_version": "2.0"}

#: An answer that is begun, and of which nothing follows for so long, is begun on the wire too: pages wait for the head
#: of a stream of events, while an answer that comes whole at once needs one packet only.
_HEAD_S = 0.005

#: How long an end waits for what applications do after their answer, and again after they were told to stop.
_GRACE_S = 5.0

#: Who fails to start and says so may also raise.
_LAST_WORDS_S = 0.1

_LEFT = "the client has left"


class LifespanError(StateError):
    """The application could not start: it said so itself, or failed while it started."""


def serve(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    lifespan: _Lifespans = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    **options: Any,
) -> None:
    """Serves an ASGI application until Ctrl-C; prints the URL first.

    The application runs on one asyncio loop; `workers` is how many processes share the port, each with its own.
    The other arguments are those of `as_app()`.
    """
    app = as_app(application, lifespan, root_path=root_path, url_scheme=url_scheme, **options)
    if workers == 1:
        app.listen(port, host)
    else:
        app.listen(port, host, workers=workers)  # type: ignore[call-arg]


async def serve_async(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    lifespan: _Lifespans = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    **options: Any,
) -> None:
    """`serve()` in the running loop, asyncio's or uvloop's, until it is cancelled.

    >>> async def application(scope, receive, send): ...
    >>> async def main():
    ...     await asyncio.wait_for(serve_async(application, port=8080), timeout=3600)
    """
    app = as_app(application, lifespan, root_path=root_path, url_scheme=url_scheme, **options)
    await app._serve(port, host)


def as_app(
    application: Application,
    lifespan: _Lifespans = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    **options: Any,
) -> AsgiApp:
    """An App that hands every request to an ASGI application; `options` are those of `App`.

    It may have routes of its own as well, static files, CORS and middleware: what is more specific comes first.

    `lifespan` is whether the application is told of start and end: "auto" (where it understands that), "on" (an
    application that does not is an error) or "off". `root_path` is the path under which a proxy shows it, and
    `url_scheme="https"` is for servers behind a proxy that speaks TLS. Bodies are read before the application runs, up
    to `max_body_bytes`.

    Errors: InvalidError for what cannot be called; those of `App`. Its `start()` and the like raise LifespanError where
    the application cannot start.

    >>> async def application(scope, receive, send):
    ...     headers = [(b"content-type", b"text/plain")]
    ...     await send({"type": "http.response.start", "status": 200, "headers": headers})
    ...     await send({"type": "http.response.body", "body": b"Hello, World!"})
    >>> with as_app(application, lifespan="off").test_client() as client:
    ...     client.get("/").text
    'Hello, World!'
    """
    return AsgiApp(application, lifespan, root_path, url_scheme, options)


class AsgiApp(App):
    """An App that answers with an ASGI application; made by `as_app()`."""

    def __init__(
        self,
        application: Application,
        lifespan: _Lifespans,
        root_path: str,
        url_scheme: str,
        options: dict[str, Any],
    ) -> None:
        if not callable(application):
            raise InvalidError(f"an ASGI application is called with (scope, receive, send); {application!r} cannot be")
        if lifespan not in ("auto", "on", "off"):
            raise InvalidError(f'lifespan {lifespan!r} is none of "auto", "on" and "off"')
        # An application answers when it likes, and takes forms apart by itself: it needs their bodies whole.
        super().__init__(**{"exchange_timeout_ms": 0, "spool_bytes": 1 << 40, **options})
        self._runner = Runner(application, Lifespan(application, lifespan), root_path, url_scheme)
        for method in ("*", "OPTIONS"):
            self.route(method, "/*")(self._runner.take)

    def start(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """`App.start()`, once the application has started: LifespanError where it cannot."""
        if self._server is None:
            self._runner.start()
        try:
            server = super().start(port, host)
        except BaseException:
            self._runner.stop()
            raise
        self._runner.address = (server.host, server.port)
        close = server.close

        def end() -> None:
            close()
            self._runner.stop()

        server.close = end  # type: ignore[method-assign]
        return server

    async def _serve(self, port: int, host: str) -> None:
        loop = asyncio.get_running_loop()
        await self._runner.begin(loop)
        try:
            server = super().start(port, host)
            self._runner.address = (server.host, server.port)
            print(f"{server.url}/", flush=True)
            try:
                await loop.run_in_executor(None, server.wait)
            finally:
                server.stop()
                await asyncio.shield(loop.run_in_executor(None, server.close))
        finally:
            await self._runner.end()


class Runner:
    """The loop of a mounted application, and what runs there."""

    def __init__(self, application: Application, lifespan: Lifespan, root_path: str, url_scheme: str) -> None:
        self._application = application
        self._lifespan = lifespan
        self._root_path = root_path
        self._scheme = url_scheme
        #: Where the server listens; known once it does.
        self.address: tuple[str, int] = ("", 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        # Touched by the loop only.
        self._running: dict[asyncio.Task[None], Cycle] = {}

    # --- a thread of its own ---

    def start(self) -> None:
        """Starts a loop on a thread, and the application on it; LifespanError where that cannot start."""
        begun = threading.Event()
        failure: list[BaseException] = []

        async def main() -> None:
            try:
                self._ended = asyncio.Event()
                await self.begin(asyncio.get_running_loop())
            except BaseException as error:
                failure.append(error)
                return
            finally:
                begun.set()
            await self._ended.wait()
            await self.end()

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), name="hasty-asgi", daemon=True)
        self._thread.start()
        begun.wait()
        if failure:
            self._thread.join()
            raise failure[0]

    def stop(self) -> None:
        """Ends the application and its thread; twice is once."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._ended is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        thread.join()

    # --- on the loop ---

    async def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells the application to start."""
        self._loop = loop
        await self._lifespan.startup()

    async def end(self) -> None:
        """Waits for what runs, and tells the application to end."""
        # Nobody waits for these any more.
        for task, cycle in self._running.items():
            if not cycle.answered:
                task.cancel()
        for _ in range(2):
            if self._running:
                await asyncio.wait(list(self._running), timeout=_GRACE_S)
            for task in self._running:
                task.cancel()
        await self._lifespan.shutdown()

    def _begin(self, cycle: Cycle) -> None:
        assert self._loop is not None
        task = self._loop.create_task(cycle.run(self._application))
        self._running[task] = cycle
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]

    # --- on a thread that serves ---

    def take(self, request: Request) -> None:
        """Takes a request out of its handler, and gives it to the loop."""
        loop = self._loop
        assert loop is not None and request._pointer is not None
        scope = self._scope(request._pointer)
        body = _ffi.octets(_ffi.hasty_request_body(request._pointer)) or b""
        cycle = Cycle(Wire(request.defer(), loop), scope, body, loop)
        try:
            loop.call_soon_threadsafe(self._begin, cycle)
        except RuntimeError:
            # The loop has ended: so has the app, whose library answers 503.
            pass

    def _scope(self, pointer: _ffi.RequestPointer) -> Scope:
        octets = _ffi.octets
        path = (octets(_ffi.hasty_request_path(pointer)) or b"").decode("utf-8", "replace")
        raw_path = octets(_ffi.hasty_request_raw_path(pointer)) or b""
        client = (octets(_ffi.hasty_request_remote_address(pointer)) or b"").decode("ascii", "replace")
        return {
            "type": "http",
            "asgi": _HTTP,
            "http_version": "1.1" if _ffi.hasty_request_minor_version(pointer) else "1.0",
            "method": (octets(_ffi.hasty_request_method(pointer)) or b"").decode("ascii", "replace"),
            "scheme": self._scheme,
            "path": self._root_path + path,
            "raw_path": self._root_path.encode() + raw_path,
            "query_string": octets(_ffi.hasty_request_query_string(pointer)) or b"",
            "root_path": self._root_path,
            "headers": _headers(pointer),
            "client": (client, 0) if client else None,
            "server": self.address,
            "state": self._lifespan.state.copy(),
            "extensions": {"http.response.pathsend": {}},
        }


def _headers(pointer: _ffi.RequestPointer) -> list[tuple[bytes, bytes]]:
    name, value = _ffi.hasty_str(), _ffi.hasty_str()
    octets = _ffi.octets
    pairs = []
    for index in range(_ffi.hasty_request_header_count(pointer)):
        _ffi.check(_ffi.hasty_request_header_at(pointer, index, name, value))
        pairs.append(((octets(name) or b"").lower(), octets(value) or b""))
    return pairs


# --- one request ---


class Cycle:
    """One request and its answer: what `receive` gives, what `send` takes, and in which order.

    It knows no socket. Its wire does: `whole()`, `file()`, `begin()`, `write()`, `finish()` and `cut()` carry the
    answer, `on_close()` tells that the client has left, and `room()` that it reads again.
    """

    __slots__ = ("_body", "_close", "_closed", "_gone", "_head", "_left", "_loop", "_state", "_wire", "scope")

    # The states of the answer.
    _FRESH = 0  # nothing yet
    _HEADED = 1  # the application has given the head
    _BEGUN = 2  # which was sent, and perhaps parts of the body
    _DONE = 3  # all of it

    def __init__(self, wire: Wire, scope: Scope, body: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.scope = scope
        self._wire = wire
        self._body: bytes | None = body
        self._loop = loop
        self._state = self._FRESH
        self._head: tuple[int, list[tuple[bytes, bytes]]] = (200, [])
        # How many bytes of the body are still to come, where the head tells; None where it does not.
        self._left: int | None = None
        # Has the client left?
        self._closed = False
        # What receive() waits for.
        self._gone: asyncio.Event | None = None

    @property
    def answered(self) -> bool:
        """Was the answer given, all of it?"""
        return self._state == self._DONE

    async def run(self, application: Application) -> None:
        """Runs the application for this request, and answers for it where it does not."""
        try:
            await application(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            # The server ends, or the application cancels itself.
            self._give_up()
        except BaseException as error:
            self._fail(error)
        else:
            if self._state == self._DONE or self._closed:
                return
            what = "did not answer" if self._state == self._FRESH else "began an answer and did not end it"
            log.error("%s: the application %s", self._name(), what)
            self._give_up()

    def _name(self) -> str:
        return f"{self.scope['method']} {self.scope['path']}"

    def _fail(self, error: BaseException) -> None:
        if self._closed and _comes_of_leaving(error):
            log.debug("%s: the client left before the answer was complete", self._name())
        else:
            try:
                log.error("%s: the application failed", self._name(), exc_info=error)
            except Exception:  # a broken log handler is no reason to lose the answer
                pass
        self._give_up()

    def _give_up(self) -> None:
        """Ends an answer that the application leaves open: with 500 while nothing was sent, else it is cut off."""
        state, self._state = self._state, self._DONE
        if state < self._BEGUN:
            self._wire.whole(500, [(b"content-type", b"text/plain; charset=utf-8")], b"500 Internal Server Error")
        elif state == self._BEGUN:
            self._wire.cut()
        self._wake()

    # --- what the application calls ---

    async def receive(self) -> Message:
        """The body, all of it; then, once there is nobody to answer any more, that the client is gone."""
        body = self._body
        if body is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._state != self._DONE and not self._closed:
            if self._gone is None:
                self._gone = asyncio.Event()
                self._wire.on_close(self._leave)
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """A part of the answer; ClosedError, an OSError, once the client has left."""
        kind = message["type"]
        if self._state == self._DONE:
            raise StateError(f"send({kind!r}) comes after the end of the answer")
        if kind == "http.response.start":
            self._start(message)
        elif self._state == self._FRESH:
            raise StateError(f"send({kind!r}) comes before 'http.response.start'")
        elif kind == "http.response.body":
            body = message.get("body", b"")
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise TypeError(f"the body of {kind!r} is bytes, not {type(body).__name__}")
            await self._give(bytes(body), bool(message.get("more_body", False)))
        elif kind == "http.response.pathsend":
            self._give_file(message["path"])
        else:
            raise StateError(f"send({kind!r}): this server does not know that message")

    def _start(self, message: Message) -> None:
        if self._state != self._FRESH:
            raise StateError("send('http.response.start') comes twice")
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise InvalidError(f"status {status!r} of 'http.response.start' is not in 200..=599")
        self._head, self._left = _checked(int(status), message.get("headers", ()))
        if self._bodiless():
            # What the head says of it is about the answer to another request.
            self._left = None
        self._state = self._HEADED
        # What follows may come at once, and then both go together.
        self._loop.call_later(_HEAD_S, self._begin)

    def _bodiless(self) -> bool:
        return self.scope["method"] == "HEAD" or self._head[0] in (204, 304)

    async def _give(self, body: bytes, more: bool) -> None:
        if self._closed and (more or self._state == self._BEGUN):
            raise ClosedError(_LEFT)
        if self._left is not None:
            self._count(len(body), more)
        if self._state == self._HEADED:
            if not more:
                self._end(self._wire.whole, *self._head, body)
                return
            if not body:
                return
            self._begin()
        if body and not self._bodiless():
            await self._write(body)
        if not more:
            self._end(self._wire.finish)

    def _count(self, size: int, more: bool) -> None:
        assert self._left is not None
        if size > self._left:
            raise StateError(f"the body has {size - self._left} bytes more than its Content-Length says")
        self._left -= size
        if not more and self._left:
            raise StateError(f"the body ends {self._left} bytes before its Content-Length does")

    def _begin(self) -> None:
        if self._state == self._HEADED:
            self._state = self._BEGUN
            self._wire.begin(*self._head)

    async def _write(self, body: bytes) -> None:
        while not self._closed:
            status = self._wire.write(body)
            if status == _ffi.OK:
                return
            if status == _ffi.ERR_CLOSED:
                self._leave()
            elif status == _ffi.ERR_LIMIT:
                await self._wire.room()
            else:
                _ffi.check(status)
        raise ClosedError(_LEFT)

    def _give_file(self, path: Any) -> None:
        if self._state != self._HEADED:
            raise StateError("send('http.response.pathsend') comes after a part of the body")
        self._end(self._wire.file, *self._head, os.fsencode(path))

    def _end(self, give: Callable[..., None], *answer: Any) -> None:
        give(*answer)
        self._state = self._DONE
        self._wake()

    # --- what the wire calls ---

    def _leave(self) -> None:
        """The client has gone."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._gone is not None:
            self._gone.set()


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


# RFC 9110 5.6.2: token
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN = re.compile(rb"[\r\n\0]")
#: The library's own: it frames the body, and knows the time.
_OURS = frozenset((b"date", b"transfer-encoding"))


def _checked(status: int, headers: Iterable[Any]) -> tuple[tuple[int, list[tuple[bytes, bytes]]], int | None]:
    """The head of an answer, in which nothing is left to be refused, and the length of the body where it tells."""
    length = None
    fields = []
    for name, value in headers:
        if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"header {name!r}: {value!r} is no pair of bytes")
        if not _TOKEN.fullmatch(name):
            raise InvalidError(f"header name {name!r} is not a token")
        if _FORBIDDEN.search(value):
            raise InvalidError(f"header {name!r}: {value!r} holds a line break or NUL")
        lower = bytes(name).lower()
        if lower == b"content-length":
            if not value.isdigit():
                raise InvalidError(f"content-length {value!r} is not a number")
            length = int(value)
        if lower not in _OURS:
            fields.append((bytes(name), bytes(value)))
    return (status, fields), length


class Wire:
    """Carries the answer of one Cycle, through an exchange."""

    __slots__ = ("_exchange", "_loop")

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop

    def whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Sends an answer, all of it."""
        res = self._set_head(status, headers)
        _ffi.check(_ffi.hasty_response_send(res, body, len(body)))
        if not any(name.lower() == b"content-type" for name, _ in headers):
            # The library's guess; the application did not want to tell.
            _ffi.check(_ffi.hasty_response_remove_header(res, b"content-type"))
        self.finish()

    def file(self, status: int, headers: list[tuple[bytes, bytes]], path: bytes) -> None:
        """Sends a file, with the fields of the application in place of those that the library would make."""
        res = self._set_head(status, headers)
        status = _ffi.hasty_response_send_file(res, path)
        if status != _ffi.OK:
            _ffi.check(_ffi.hasty_response_reset(res))
            _ffi.check(status)
        self.finish()

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Sends a head alone."""
        self._set_head(status, headers)
        self.write(b"")

    def write(self, body: bytes) -> int:
        """Sends a piece of the body; the library's status says what came of it."""
        return int(_ffi.hasty_response_write(self._exchange._res(), body, len(body)))

    def finish(self) -> None:
        """Ends the answer. Whether the client saw it is known to nobody."""
        self._exchange._begun = True
        self._exchange.finish()

    def cut(self) -> None:
        """Leaves the answer without its end, so that the client sees that something is missing."""
        self._exchange.free()

    def on_close(self, gone: Callable[[], None]) -> None:
        """Calls `gone()` on the loop once the client has left."""
        self._exchange.on_close(functools.partial(_later, self._loop, gone))

    async def room(self) -> None:
        """Waits until the client has read some of what waits for it."""
        room = asyncio.Event()
        call = functools.partial(_later, self._loop, room.set)
        exchange = self._exchange
        _ffi.check(_ffi.hasty_exchange_on_ready(exchange._live(), _kept.CALL, _kept.put(call), _kept.DROP))
        await room.wait()

    def _set_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> _ffi.ResponsePointer:
        res = self._exchange._res()
        _ffi.check(_ffi.hasty_response_set_status(res, status))
        for name, value in headers:
            _ffi.check(_ffi.hasty_response_add_header(res, name, value))
        return res


def _later(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        # The loop has ended, and with it everything that would like to know.
        pass


# --- start and end ---


class Lifespan:
    """Tells an application that the server starts and ends, in the words of the lifespan protocol."""

    def __init__(self, application: Application, mode: _Lifespans) -> None:
        self._application = application
        self._mode = mode
        #: What the application keeps there while it starts, each request has a copy of.
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] | None = None
        self._asked = ""
        self._answer: asyncio.Future[Message] | None = None
        self._started = False

    async def startup(self) -> None:
        """Starts the application; LifespanError where it cannot."""
        if self._mode == "off":
            return
        self._messages = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is None:
            self._unsupported()
        elif answer["type"] == "lifespan.startup.failed":
            error = await self._outcome(_LAST_WORDS_S)
            raise LifespanError(f"the application failed to start: {_words(answer, error)}") from error
        else:
            self._started = True

    async def shutdown(self) -> None:
        """Ends the application. What it fails at is logged."""
        if not self._started or self._task is None:
            return
        self._started = False
        answer = await self._ask("lifespan.shutdown")
        error = await self._outcome(_GRACE_S)
        if answer is None:
            log.error("the application ended before the server did", exc_info=error)
        elif answer["type"] == "lifespan.shutdown.failed":
            log.error("the application failed to shut down: %s", _words(answer, error))

    def _unsupported(self) -> None:
        """The application ended without an answer to the startup."""
        assert self._task is not None
        error = self._task.exception()
        if self._mode == "on":
            what = f"raised {error!r}" if error is not None else "returned"
            raise LifespanError(f"the application {what} instead of starting; is it unaware of lifespan?") from error
        if error is not None:
            log.info("the application does not support lifespan: %r", error)

    async def _ask(self, kind: str) -> Message | None:
        """Tells the application something; its answer, or None where it ended without one."""
        assert self._task is not None and self._messages is not None
        self._asked = kind
        self._answer = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": kind})
        either: list[asyncio.Future[Any]] = [self._task, self._answer]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _outcome(self, seconds: float) -> BaseException | None:
        """What the application raised at its end; one that does not end within some seconds is cancelled."""
        assert self._task is not None
        await asyncio.wait([self._task], timeout=seconds)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=seconds)
        return self._task.exception() if self._task.done() and not self._task.cancelled() else None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _LIFESPAN, "state": self.state}
        await self._application(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        assert self._messages is not None
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in (f"{self._asked}.complete", f"{self._asked}.failed"):
            raise StateError(f"send({kind!r}) is no answer to {self._asked!r}")
        assert self._answer is not None
        if self._answer.done():
            raise StateError(f"send({kind!r}): {self._asked!r} was answered before")
        self._answer.set_result(message)


def _words(answer: Message, error: BaseException | None) -> str:
    """Why something failed: frameworks send a whole traceback, whose last line tells."""
    lines = str(answer.get("message", "")).strip().splitlines()
    return lines[-1] if lines else repr(error) if error is not None else "it did not say why"
