"""ASGI: serves FastAPI, Starlette, Django, Litestar, Quart and other applications.

    import hasty.asgi

    hasty.asgi.serve(application, port=8080)

`as_app()` turns an application into an App, which has `start()`, `test_client()` and other ways to run it; `mount()`
makes one available below a path of an App.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import threading
from ctypes import addressof, byref, c_char_p, string_at
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from .address import UNIX, located
from .app import App
from .cycle import Cycle, Wire
from .errors import InvalidError
from .handler import Route, Shared, Step, is_async, titled
from .lifespan import Application, Lifespan, LifespanError, Scope
from .loop import Loop
from .server import Native, Server
from .slot import NO_V4, USER_DATA, WHO, Slot
from .standard import announce
from .turn import OVER, TURN, Turn

if TYPE_CHECKING:
    from .lifespan import Mode
    from .turn import Line

__all__ = ["Application", "LifespanError", "as_app", "mount", "serve", "serve_async"]

log = logging.getLogger("hasty")

#: Since version 2.4 of the specification, `send` raises once the client has left.
_ASGI = {"version": "3.0", "spec_version": "2.4"}

#: How many slashes a path may begin with; each number needs a pattern of its own, because a final `*` does not match
#: text that begins with a slash.
_SLASHES = 8

#: How long a shutdown waits for what applications do after their responses, in seconds.
_GRACE_S = 5.0


def serve(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    lifespan: Mode = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    **options: Any,
) -> None:
    """Prints the URL and serves an ASGI application until Ctrl-C or SIGTERM. Port 0 selects a free port.

    The application runs on an asyncio loop. `workers` is the number of processes that share the port; each has a loop
    of its own. The other arguments are those of `as_app()`.
    """
    app = as_app(application, lifespan, root_path=root_path, url_scheme=url_scheme, **options)
    app.listen(port, host, workers=workers)


async def serve_async(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    lifespan: Mode = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    started: Callable[[Server], object] | None = None,
    **options: Any,
) -> None:
    """Does the same as `serve()` in the running loop (asyncio or uvloop), until it is cancelled or its Server is
    stopped.

    `started` is called with the Server, for example to learn the port if 0 was given; without it the URL is printed.

    >>> async def application(scope, receive, send): ...
    >>> async def main():
    ...     await asyncio.wait_for(serve_async(application, port=8080), timeout=3600)
    """
    app = as_app(application, lifespan, root_path=root_path, url_scheme=url_scheme, **options)
    await app.serve(port, host, started=started or (lambda server: announce(server.url)))


def as_app(
    application: Application,
    lifespan: Mode = "auto",
    *,
    root_path: str = "",
    url_scheme: str = "http",
    **options: Any,
) -> App:
    """Returns an App that passes every request to an ASGI application; `options` are those of `App`.

    You can add routes, static files, CORS and middleware to it; the more specific route wins.

    `lifespan` says whether the application is told about start and shutdown: "auto" if it supports that, "on" (an error
    if it does not) or "off". `root_path` is the path prefix at which a proxy makes the application available. Use
    `url_scheme="https"` behind a proxy that terminates TLS. Bodies are read into memory before the application runs, up
    to `max_body_bytes`. The time until it answers is unlimited, unless you set `exchange_timeout_ms`.

    Raises InvalidError if the application is not callable, and the errors of `App`. `start()` and the other ways of
    running the app raise LifespanError if the application fails to start.

    >>> async def application(scope, receive, send):
    ...     headers = [(b"content-type", b"text/plain")]
    ...     await send({"type": "http.response.start", "status": 200, "headers": headers})
    ...     await send({"type": "http.response.body", "body": b"Hello, World!"})
    >>> with as_app(application, lifespan="off").test_client() as client:
    ...     client.get("/").text
    'Hello, World!'
    """
    app = _AsgiApp(**{"exchange_timeout_ms": 0, **options})
    gateway = Gateway(app, application, lifespan, root_path, root_path, url_scheme)
    for count in range(1, _SLASHES + 1):
        gateway.register("/" * count + "*")
    return app


def mount(
    app: App, prefix: str, application: Application, lifespan: Mode = "auto", *, url_scheme: str = "http"
) -> None:
    """Passes every request at `prefix` and below it to an ASGI application, which receives the prefix in `root_path`.

    >>> import hasty
    >>> async def where(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 200, "headers": []})
    ...     await send({"type": "http.response.body", "body": f"{scope['root_path']} {scope['path']}".encode()})
    >>> app = hasty.App()
    >>> mount(app, "/old", where, lifespan="off")
    >>> with app.test_client() as client:
    ...     client.get("/old/page").text
    '/old /old/page'

    If the application fails to start, the server ends, and `Server.wait()` raises the LifespanError.

    Raises InvalidError if the application is not callable or a route conflicts, and StateError after the start.
    """
    if not prefix.startswith("/") or "%" in prefix or any(part[:1] in (":", "*") for part in prefix.split("/")):
        raise InvalidError(f"prefix {prefix!r} must begin with a slash, without parameters or percent signs")
    prefix = prefix.rstrip("/")
    gateway = Gateway(app, application, lifespan, prefix, "", url_scheme)
    if prefix:
        gateway.register(prefix)
    gateway.register(prefix + "/*")


class _AsgiApp(App):
    """An App whose start() waits for the startup of its application."""

    def start(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """Does the same as `App.start()`, and waits until the application has started; LifespanError if that fails."""
        loop = self._shared.loop
        assert isinstance(loop, AsgiLoop)
        loop.is_heard = True
        server = super().start(port, host)
        try:
            loop.started.wait()
        except BaseException:
            server._leave()
            raise
        failure = loop.failure or server._crew.failure
        if failure is not None:
            server.close()
            raise failure
        return server


class AsgiLoop(Loop):
    """The loop of an app that has ASGI applications: runs their lifespans, and tasks for their requests."""

    #: Applications may take longer to end than handlers.
    patience_s = 2 * _GRACE_S

    def __init__(self) -> None:
        super().__init__()
        self.lifespans: list[Lifespan] = []
        #: Does start() wait for `started` and raise `failure`? Otherwise the loop raises it.
        self.is_heard = False
        self.started = threading.Event()
        self.failure: BaseException | None = None
        # Set before the applications start.
        self.loop: asyncio.AbstractEventLoop
        self._running: dict[asyncio.Task[None], tuple[Entrance, Cycle]] = {}
        self._steps: list[Step] = []
        self._turn: Turn

    @classmethod
    def of(cls, app: App) -> AsgiLoop:
        """Returns the app's AsgiLoop, which replaces a loop that only runs handlers."""
        loop = app._shared.loop
        if not isinstance(loop, AsgiLoop):
            loop = app._shared.loop = cls()
        return loop

    def leave(self) -> None:
        super().leave()
        self.started.set()

    def _begin(self) -> asyncio.AbstractEventLoop:
        # Only once, so that a _stop() during the startup of the applications is not lost.
        return super()._begin() if self._over is None else self.loop

    async def serve(self, native: Native, steps: list[Step], slots: list[Slot]) -> None:
        self._native = native
        if await self._rise():
            try:
                await super().serve(native, steps, slots)
            finally:
                await self._fall()

    async def run(self) -> None:
        if await self._rise():
            try:
                await super().run()
            finally:
                await self._fall()

    async def _rise(self) -> bool:
        """Starts the applications; returns whether that succeeded."""
        self.loop = self._begin()
        try:
            for lifespan in self.lifespans:
                await lifespan.startup()
        except BaseException as error:
            self.failure = error
            await self._fall()
            if not self.is_heard:
                raise
            return False
        finally:
            self.started.set()
        return True

    async def _fall(self) -> None:
        """Shuts the applications down, after giving running tasks time to finish."""
        if self._native is not None:
            self._native.stop()
        for task, (_, cycle) in self._running.items():
            if not cycle.answered:
                # The server has stopped, so no client waits for the response.
                task.cancel()
        for _ in range(2):
            if self._running:
                await asyncio.wait(list(self._running), timeout=_GRACE_S)
            for task in self._running:
                task.cancel()
        for lifespan in reversed(self.lifespans):
            await lifespan.shutdown()

    # --- requests ---

    def _make_ready(self, steps: list[Step]) -> None:
        super()._make_ready(steps)
        slot = self._slot
        lines = [step.line(slot) if isinstance(step, Entrance) else None for step in steps]
        self._steps, self._turn = steps, Turn(slot, lines, self._starter, self.loop)

    def _pump(self) -> None:
        """Takes waiting requests and sends their responses, up to TURN of them before other tasks of the loop run."""
        slot, turn = self._slot, self._turn
        turn.left = TURN
        status = turn.take()
        while status == _ffi.OK:
            try:
                if turn.comes():
                    status = self._take_turn(turn)
                    continue
                data = self._answers[slot.words[USER_DATA]](slot)
            except Exception as error:
                data = slot.survive(error)
            slot.taker.reply = data or b""
            turn.left -= 1
            status = turn.take()
        if status == OVER:
            self.loop.call_soon(self._pump)
        elif status != _ffi.ERR_TIMEOUT:
            self._stop()

    def _take_turn(self, turn: Turn) -> int:
        """Lets applications answer; returns the status of the last attempt to take a request."""
        waiting = turn.start()
        if waiting is not None:
            task, cycle = waiting
            entrance = self._steps[self._slot.words[USER_DATA]]
            assert isinstance(entrance, Entrance)
            self.keep(task, entrance, cycle)
            cycle.leave_slot()
            turn.give(cycle)
            turn.status = turn.take()
        return turn.status

    def keep(self, task: asyncio.Task[None], entrance: Entrance, cycle: Cycle) -> None:
        """Holds a reference to a task until it ends; asyncio holds only a weak one."""
        self._running[task] = entrance, cycle
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._running[task]

    def at_work(self) -> tuple[Any, object] | None:
        found = super().at_work()
        if found is not None or self._loop is None:
            return found
        task = asyncio.current_task(self._loop)
        running = None if task is None else self._running.get(task)
        if task is None or running is None:
            return None
        frame = getattr(task.get_coro(), "cr_frame", None)
        return running[0], (task, None if frame is None else frame.f_lasti)


def _is_wsgi(application: Callable[..., Any]) -> bool:
    """Returns whether an application certainly takes (environ, start_response)."""
    if is_async(application):
        return False
    try:
        parameters = inspect.signature(application, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):
        return False
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.kind in by_place for parameter in parameters] == [True, True]


class Gateway:
    """An application, and what makes its scopes."""

    def __init__(
        self, app: App, application: Application, lifespan: Mode, root_path: str, before: str, url_scheme: str
    ) -> None:
        if not callable(application):
            raise InvalidError(f"an ASGI application must be callable with (scope, receive, send), not {application!r}")
        if _is_wsgi(application):
            raise InvalidError(f"{application!r} takes two arguments, like a WSGI application: use hasty.wsgi for that")
        self.application = application
        self.lifespan = Lifespan(application, lifespan)
        self.loop = AsgiLoop.of(app)
        self.loop.lifespans.append(self.lifespan)
        self._app = app
        self._root_path = root_path
        # The prefix that a proxy has removed from the path.
        self._before = before
        self._scheme = url_scheme
        self._base: dict[str, Any] | None = None

    def register(self, pattern: str) -> None:
        """Routes the requests of a pattern to the application."""
        self._app._register_route(Entrance(pattern, self, self._app._shared), {"body": "whole"})

    def scopes(self, slot: Slot, before: bytes | None) -> Callable[[bool], Scope]:
        """Returns a function that makes the scope of the request in a slot; its argument says whether the request
        equals the one before it, except for the body.

        `before` is what the raw path has before the wildcard's value; with None the library is asked for the raw path.
        """
        state, put_before = self.lifespan.state, self._put_before if self._before else None
        texts: list[Any] = [
            c_char_p.from_address(addressof(slot) + getattr(_ffi.hasty_slot, field).offset)
            for field in ("header_names", "header_values", "params")
        ]
        in_names, in_values, in_params = texts
        # The last request's scope, without what applications may change, and what it was made from. Most clients
        # repeat the same head and path, and then a copy is nearly all that is needed.
        names: bytes | None = None
        values: bytes | None = None
        rest: bytes | None = None
        asker = -1
        headers: list[tuple[bytes, bytes]] = []
        last: dict[str, Any] = {}
        # None for GET.
        method: str | None = None
        query = b""

        def learn() -> None:
            nonlocal names, values, rest, asker, headers, last, method, query
            who = slot.words[WHO]
            its_names, its_values, its_rest = in_names.value, in_values.value, in_params.value
            if its_rest != rest or its_values != values or its_names != names or who != asker:
                names, values = its_names, its_values
                # Without an IPv4 address, or with an unknown raw path, the comparison above must fail each time.
                asker = who if who > NO_V4 else -1
                rest = its_rest if before is not None else None
                headers = _pairs.get((names, values)) or _made_pairs(names, values)
                last = self._common()
                last["path"] = slot.path.decode("utf-8", "replace")
                last["raw_path"] = _raw_path(slot.request) if before is None else before + its_rest
                if put_before is not None:
                    put_before(last)
                last["client"] = _clients.get(who >> 32) or _made_client(slot, who >> 32)
                last["http_version"] = "1.1" if who & 1 else "1.0"
            method = None if slot.method == _GET else slot.method_text.decode("latin-1")
            query = slot.query

        def scope_of(is_alike: bool) -> Scope:
            if not is_alike:
                learn()
            scope = last.copy()
            scope["headers"] = headers.copy()
            scope["asgi"] = _ASGI.copy()
            scope["state"] = state.copy()
            scope["extensions"] = {"http.response.pathsend": {}}
            if method is not None:
                scope["method"] = method
            if query:
                scope["query_string"] = query
            return scope

        return scope_of

    def scope_of(self, request: _ffi.RequestPointer) -> Scope:
        """Makes the scope of a request that is not in the loop's slot."""
        scope = self._common().copy()
        scope["asgi"] = _ASGI.copy()
        scope["state"] = self.lifespan.state.copy()
        scope["extensions"] = {"http.response.pathsend": {}}
        scope["path"] = _octets(_ffi.hasty_request_path(request)).decode("utf-8", "replace")
        scope["raw_path"] = _raw_path(request)
        if self._before:
            self._put_before(scope)
        scope["http_version"] = "1.1" if _ffi.hasty_request_minor_version(request) else "1.0"
        scope["method"] = _octets(_ffi.hasty_request_method(request)).decode("latin-1")
        scope["query_string"] = _octets(_ffi.hasty_request_query_string(request))
        scope["headers"] = _headers(request)
        scope["client"] = _client(request)
        return scope

    def _common(self) -> dict[str, Any]:
        """Returns the entries that all or most scopes share; has all keys, so that no scope need grow."""
        return (self._base or self._learn()).copy()

    def _learn(self) -> dict[str, Any]:
        server = self._app._server
        address = None if server is None else located(server.host, server.port)
        base: dict[str, Any] = {
            "type": "http",
            "asgi": None,
            "http_version": "1.1",
            "method": "GET",
            "scheme": self._scheme,
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "root_path": self._root_path,
            "headers": None,
            "client": None,
            "server": address,
            "state": None,
            "extensions": None,
        }
        if address is not None:
            self._base = base
        return base

    def _put_before(self, scope: Scope) -> None:
        scope["path"] = self._before + scope["path"]
        scope["raw_path"] = self._before.encode() + scope["raw_path"]


#: HASTY_GET
_GET = 1

#: Caches for what clients repeat: the parsed headers of requests, and the clients' addresses.
_pairs: dict[tuple[bytes, bytes], list[tuple[bytes, bytes]]] = {}
_clients: dict[int, tuple[str, int]] = {}
_MOST = 256
#: Longer headers are not cached.
_MOST_OCTETS = 2048


def _made_pairs(names: bytes, values: bytes) -> list[tuple[bytes, bytes]]:
    pairs = list(zip(names.split(b"\n"), values.split(b"\n"))) if names else []
    if len(names) + len(values) <= _MOST_OCTETS:
        if len(_pairs) >= _MOST:
            _pairs.clear()
        _pairs[names, values] = pairs
    return pairs


def _made_client(slot: Slot, v4: int) -> tuple[str, int] | None:
    if not v4:
        return _client(slot.request)
    if len(_clients) >= _MOST:
        _clients.clear()
    client = _clients[v4] = (socket.inet_ntoa(v4.to_bytes(4, "big")), 0)
    return client


def _client(request: _ffi.RequestPointer) -> tuple[str, int] | None:
    """Returns the client's address, with 0 as the port, which the library does not tell; None on a Unix socket."""
    address = _octets(_ffi.hasty_request_remote_address(request))
    return None if address == UNIX else (address.decode("latin-1"), 0)


def _raw_path(request: _ffi.RequestPointer) -> bytes:
    return _octets(_ffi.hasty_request_raw_path(request))


def _octets(view: _ffi.hasty_str) -> bytes:
    return _ffi.octets(view) or b""


def _headers(request: _ffi.RequestPointer) -> list[tuple[bytes, bytes]]:
    name, value = _ffi.hasty_str(), _ffi.hasty_str()
    pairs = []
    for index in range(_ffi.hasty_request_header_count(request)):
        _ffi.check(_ffi.hasty_request_header_at(request, index, byref(name), byref(value)))
        pairs.append((_octets(name).lower(), _octets(value)))
    return pairs


class Entrance(Route):
    """A route that passes requests to an application."""

    __slots__ = ("_before", "_gateway")

    def __init__(self, pattern: str, gateway: Gateway, shared: Shared) -> None:
        # Not Route.__init__(), which expects a handler.
        Step.__init__(self, gateway.application, shared)
        self.method = "*"
        self.pattern = pattern
        self.names = ()
        self.inline = self.blocking = self._fills = False
        self.is_async = True
        self._gateway = gateway
        # The wildcard's value is as the client sent it. The part before may have been percent-encoded, unless it
        # consists of slashes only.
        before = pattern[:-1]
        self._before = before.encode() if pattern[-1] == "*" and not before.strip("/") else None

    def __repr__(self) -> str:
        return titled(self, "an ASGI application")

    def line(self, slot: Slot) -> Line:
        """Returns what answers requests in a slot on the loop's own thread."""
        return self._gateway.scopes(slot, self._before), self._gateway.application

    def answering(self) -> Callable[[Slot], bytes | None]:
        """Returns what answers a request in the slot of any other thread."""
        return self._answer_elsewhere

    def _answer_elsewhere(self, slot: Slot) -> None:
        body = string_at(slot.body, slot.body_len) if slot.body_len else b""
        scope = self._gateway.scope_of(slot.request)
        exchange = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_slot_exchange(slot.ref, byref(exchange)))
        self._hand_over(scope, body, exchange)

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        scope = self._gateway.scope_of(req)
        body = _octets(_ffi.hasty_request_body(req))
        exchange = _ffi.ExchangePointer()
        _ffi.check(_ffi.hasty_response_defer(res, byref(exchange)))
        self._hand_over(scope, body, exchange)
        return _ffi.OK

    def _hand_over(self, scope: Scope, body: bytes, exchange: _ffi.ExchangePointer) -> None:
        """Passes a request to the loop."""
        loop = self._gateway.loop
        # Requests wait until the application has started.
        loop.started.wait()
        cycle = Cycle(scope, body, loop.loop, None, Wire(exchange, loop.loop))
        try:
            loop.loop.call_soon_threadsafe(self._begin, cycle)
        except RuntimeError:  # the loop has ended: the client gets a 503
            pass

    def _begin(self, cycle: Cycle) -> None:
        loop = self._gateway.loop
        loop.keep(loop.loop.create_task(cycle.run(self._gateway.application)), self, cycle)
