"""The app: options, routes, and the ways to run it."""

from __future__ import annotations

import logging
from typing import Any, Callable

from . import _ffi
from .client import Client
from .errors import InvalidError, StateError
from .handler import H, Route
from .server import Native, Server

__all__ = ["App"]

log = logging.getLogger("hasty")

_LEVELS = {
    _ffi.LOG_ERROR: logging.ERROR,
    _ffi.LOG_WARN: logging.WARNING,
    _ffi.LOG_INFO: logging.INFO,
    _ffi.LOG_DEBUG: logging.DEBUG,
}


class App:
    """A server with its routes.

    >>> app = App(max_body_bytes=1 << 20)
    >>> @app.get("/hello/:name")
    ... def hello(req):
    ...     return f"Hello, {req.params['name']}!"
    >>> with app.test_client() as client:
    ...     client.get("/hello/Ada").text
    'Hello, Ada!'

    `threads` is how many Python threads serve; 0 means one. The options are the library's, literally: 0 is zero.
    Times are in milliseconds, sizes in bytes. `options` takes those without a parameter here by name, such as
    `backlog=16`; a name the library does not know is an InvalidError.

    An app runs once: register, then `listen()`, `start()` or `test_client()`, then make a new one.
    """

    def __init__(
        self,
        threads: int = 0,
        *,
        max_body_bytes: int | None = None,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_header_bytes: int | None = None,
        max_headers: int | None = None,
        max_target_bytes: int | None = None,
        header_timeout_ms: int | None = None,
        body_timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
        write_timeout_ms: int | None = None,
        exchange_timeout_ms: int | None = None,
        max_requests_per_connection: int | None = None,
        server_header: str | None = None,
        **options: int | str,
    ) -> None:
        if not isinstance(threads, int) or threads < 0:
            raise InvalidError(f"threads {threads!r} is not a number from 0")
        self._threads = threads or 1
        self._routes: list[Route] = []
        self._server: Server | None = None
        self._native = Native()

        # None of the library's own threads may ever call Python.
        self._option("threads", "0")
        named = {
            "max_body_bytes": max_body_bytes,
            "max_connections": max_connections,
            "max_connections_per_ip": max_connections_per_ip,
            "max_header_bytes": max_header_bytes,
            "max_headers": max_headers,
            "max_target_bytes": max_target_bytes,
            "header_timeout_ms": header_timeout_ms,
            "body_timeout_ms": body_timeout_ms,
            "idle_timeout_ms": idle_timeout_ms,
            "write_timeout_ms": write_timeout_ms,
            "exchange_timeout_ms": exchange_timeout_ms,
            "max_requests_per_connection": max_requests_per_connection,
            "server_header": server_header,
            **options,
        }
        for key, value in named.items():
            if value is not None:
                self._option(key, _written(value))

        # These two hold no reference to self, so that an app nobody knows any more can be collected.
        self._dispatch = self._native.keep(_ffi.hasty_handler(_dispatcher(self._routes)))
        on_log = self._native.keep(_ffi.hasty_log_fn(_pass_on))
        _ffi.check(_ffi.hasty_app_on_log(self._native.pointer, on_log, None, _ffi.NO_DROP))

    def _option(self, key: str, value: str) -> None:
        _ffi.check(_ffi.hasty_app_set_option(self._native.pointer, _ffi.encode(key, "option"), _ffi.encode(value, key)))

    def option(self, key: str) -> str | None:
        """The value of an option as text; None where the library knows none of that name.

        >>> App(max_headers=50).option("max_headers")
        '50'
        """
        value = _ffi.octets(_ffi.hasty_app_option(self._native.pointer, _ffi.encode(key, "option")))
        return None if value is None else value.decode()

    # --- routes ---

    def route(self, method: str, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for a method ("*" for any) and a pattern.

        Segments of the pattern are literal, `:name`, or a final `*` or `*rest`; literals win over names, names over
        rests. A pattern that conflicts with an earlier one is refused with an InvalidError that names both.

        >>> app = App()
        >>> @app.route("REPORT", "/files/*rest")
        ... def report(req):
        ...     return req.params["rest"]
        >>> with app.test_client() as client:
        ...     client.request("REPORT", "/files/a/b").text
        'a/b'
        """
        if method.startswith("/") or not pattern.startswith("/"):
            raise InvalidError(f'route({method!r}, {pattern!r}): the method comes first, as in route("GET", "/path")')

        def register(function: H) -> H:
            self._register(Route(method, pattern, function))
            if max_body_bytes is not None:
                self._route_option(method, pattern, "max_body_bytes", str(max_body_bytes))
            return function

        return register

    def get(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for GET, and so for HEAD."""
        return self.route("GET", pattern, max_body_bytes=max_body_bytes)

    def post(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for POST."""
        return self.route("POST", pattern, max_body_bytes=max_body_bytes)

    def put(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for PUT."""
        return self.route("PUT", pattern, max_body_bytes=max_body_bytes)

    def patch(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for PATCH."""
        return self.route("PATCH", pattern, max_body_bytes=max_body_bytes)

    def delete(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for DELETE."""
        return self.route("DELETE", pattern, max_body_bytes=max_body_bytes)

    def options(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for OPTIONS, which the library answers by itself where there is none."""
        return self.route("OPTIONS", pattern, max_body_bytes=max_body_bytes)

    def any(self, pattern: str, *, max_body_bytes: int | None = None) -> Callable[[H], H]:
        """Registers a handler for every method that has none of its own on that pattern."""
        return self.route("*", pattern, max_body_bytes=max_body_bytes)

    # The place of use(), after(), error(), cors() and static(), once the library has them.

    def _register(self, route: Route) -> None:
        pointer = self._native.pointer
        method, pattern = _ffi.encode(route.method, "method"), _ffi.encode(route.pattern, "pattern")
        # user_data is the route's place in the list: a number, which nobody has to drop.
        self._routes.append(route)
        status = _ffi.hasty_app_route(pointer, method, pattern, self._dispatch, len(self._routes) - 1, _ffi.NO_DROP)
        if status != _ffi.OK:
            self._routes.pop()
        if status == _ffi.ERR_STATE:
            raise StateError(
                f"{route!r} comes after the app has started: register every route before listen() or start()"
            )
        _ffi.check(status)

    def _route_option(self, method: str, pattern: str, key: str, value: str) -> None:
        _ffi.check(
            _ffi.hasty_app_set_route_option(
                self._native.pointer, method.encode(), pattern.encode(), key.encode(), value.encode()
            )
        )

    # --- running ---

    def listen(self, port: int = 8080, host: str = "127.0.0.1") -> None:
        """Serves until Ctrl-C or `stop()`; prints the URL first. Port 0 takes a free one.

        Handlers run on threads of their own; this one waits, so that signals find Python's main thread.
        """
        server = self.start(port, host)
        try:
            print(f"{server.url}/", flush=True)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.close()

    def run(self, host: str = "127.0.0.1", port: int = 8080) -> None:
        """`listen()`, with the host first."""
        self.listen(port, host)

    def start(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """Serves in the background, from any thread; the Server tells its `url` and ends with its `with` block.

        Without one it serves until `stop()`, until nobody holds the app or the Server any more, or until the program
        ends.

        >>> from urllib.request import urlopen
        >>> app = App()
        >>> @app.get("/")
        ... def hello(req):
        ...     return "Hello, World!"
        >>> with app.start(port=0) as server:
        ...     urlopen(server.url).read()
        b'Hello, World!'
        """
        if self._server is not None:
            raise StateError("this app was started already: an app runs once, make a new App to serve again")
        pointer = self._native.pointer
        if not isinstance(port, int):
            raise InvalidError(f"port {port!r} is not a number from 0 to 65535")
        _ffi.check(_ffi.hasty_app_listen(pointer, _ffi.encode(host, "host"), _port(port)))
        # A stop that came first sticks: the workers find nothing to do, and nobody needs to know.
        if not self._native.stopped:
            _ffi.check(_ffi.hasty_app_start(pointer))
        self._server = Server(self._native, host, self._threads)
        return self._server

    def stop(self) -> None:
        """Asks a running app to stop, and returns at once; for any thread, handlers and signal handlers."""
        self._native.stop()

    def test_client(self) -> Client:
        """A client on a real socket; starts the app on a free port if it does not run yet, and then also ends it.

        >>> app = App()
        >>> @app.post("/sum")
        ... def total(req):
        ...     return {"sum": sum(req.json())}
        >>> with app.test_client() as client:
        ...     client.post("/sum", json=[1, 2, 39]).json()
        {'sum': 42}
        """
        if self._server is not None:
            return Client(self._server.host, self._server.port)
        server = self.start()
        return Client(server.host, server.port, server.close)

    def __repr__(self) -> str:
        return f"<App with {len(self._routes)} route{'' if len(self._routes) == 1 else 's'}>"


def _written(value: int | str) -> str:
    """An option's value as the library reads it; it knows no True and False."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _port(port: int) -> int:
    # ctypes would cut a number that is too large to 32 bits without a word.
    if not 0 <= port <= 65535:
        raise InvalidError(f"port {port} is not in 0..=65535")
    return port


def _dispatcher(routes: list[Route]) -> Callable[[Any, Any, int | None], int]:
    def dispatch(req: _ffi.RequestPointer, res: _ffi.ResponsePointer, number: int | None) -> int:
        # ctypes reads the pointer 0 as None.
        return routes[number or 0](req, res)

    return dispatch


def _pass_on(level: int, message: Any, _: int | None) -> None:
    """The library's log, in Python's."""
    try:
        log.log(_LEVELS.get(level, logging.INFO), "%s", (_ffi.octets(message[0]) or b"").decode(errors="replace"))
    except Exception:  # never into C
        pass
