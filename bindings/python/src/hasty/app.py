"""The App class: options, routes, and the ways to run a server."""

from __future__ import annotations

import ctypes
import logging
import os
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Callable, NoReturn, TypedDict, Union, overload

from . import _ffi, access, signals
from ._interpreter import running_loop
from .access import Access
from .address import kind_of
from .client import Client
from .cors import Cors
from .errors import InvalidError, StateError
from .garbage import spared
from .handler import A, E, Gate, H, Hook, M, Refusals, Route, Shape, Shared, Step, is_async, name_of, takes_two
from .headers import checked
from .names import Names
from .report import report
from .server import DRAIN_MS, Crew, Native, Server
from .standard import announce

if TYPE_CHECKING:
    from typing_extensions import Literal, Unpack

__all__ = ["App", "RouteOptions"]

_Path = Union[str, "os.PathLike[str]"]

log = logging.getLogger("hasty")

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))

_LEVELS = {
    _ffi.LOG_ERROR: logging.ERROR,
    _ffi.LOG_WARN: logging.WARNING,
    _ffi.LOG_INFO: logging.INFO,
    _ffi.LOG_DEBUG: logging.DEBUG,
}


class RouteOptions(TypedDict, total=False):
    """Options of a single route, given as keyword arguments of `App.get()` and the other route decorators."""

    #: Maximum size of a body in bytes, instead of the app's; beyond it: 413.
    max_body_bytes: int
    #: "buffer" (the default): the handler runs once the whole body has arrived. "whole": likewise, but forms larger
    #: than `spool_bytes` stay in memory as they were sent. "stream": it runs once the headers have arrived, and reads
    #: the body with `Request.read()` or `Request.stream()`.
    body: Literal["buffer", "whole", "stream"]
    #: True runs the handler on a thread of its own, because it blocks. False, the default: on the app's threads.
    blocking: bool
    #: The name for `App.url()`, by default that of the function.
    name: str
    #: Milliseconds to the first byte of a deferred or streamed response, instead of the app's; then 504. 0: no limit.
    exchange_timeout_ms: int


class App:
    """An HTTP server and its routes.

    >>> app = App(max_body_bytes=1 << 20)
    >>> @app.get("/hello/:name")
    ... def hello(req):
    ...     return f"Hello, {req.params['name']}!"
    >>> with app.test_client() as client:
    ...     client.get("/hello/Ada").text
    'Hello, Ada!'

    `threads` is the number of Python threads that run handlers; 0, the default, means one, which runs them one after
    the other and is best for handlers that do not block. `io_threads` is the number of the library's own threads that
    read and write; with 0, the default, the Python threads do that, which is best as long as there is only one. The
    other options are those of the library. None selects the default; 0 means zero. Times are in milliseconds, sizes in
    bytes. The defaults, and the status sent beyond a limit:

    - max_body_bytes 10485760 (413), max_header_bytes 16384 (431), max_headers 100 (431), max_target_bytes 8192 (414);
    - max_connections as many as the system allows (503), max_connections_per_ip no limit (503),
      max_requests_per_connection no limit;
    - header_timeout_ms 10000 from the first byte (408), body_timeout_ms 30000 without progress (408), idle_timeout_ms
      30000 between requests, write_timeout_ms 30000 without progress, exchange_timeout_ms 60000 to the first byte of a
      deferred response (504);
    - server_header "hasty" ("" omits the field), compress True (compress responses for clients that accept it);
    - spool_bytes 262144: larger forms keep their files on disk, in spool_directory (the system's temporary directory);
      max_parts 1000 in a form (413);
    - stream_buffer_bytes 262144 buffered for a slow client before `write()` waits or fails;
    - drain_timeout_ms 500 in which a shutdown still sends responses. It ends sooner if none is left; endless streams
      use all of it.

    Further options of the library can be given by name, such as `backlog=16`. Raises NotFoundError for an unknown name
    and InvalidError for an invalid value.

    An app runs only once: register everything, then call `listen()`, `start()` or `test_client()`. To serve again, make
    a new App.
    """

    def __init__(
        self,
        threads: int = 0,
        *,
        io_threads: int = 0,
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
        compress: bool | None = None,
        spool_bytes: int | None = None,
        spool_directory: _Path | None = None,
        max_parts: int | None = None,
        stream_buffer_bytes: int | None = None,
        drain_timeout_ms: int | None = None,
        **options: int | str,
    ) -> None:
        for name, count in (("threads", threads), ("io_threads", io_threads)):
            if not isinstance(count, int) or count < 0:
                raise InvalidError(f"{name} {count!r} is not a number from 0")
        self._threads = threads
        self._drain_ms = _checked_drain(drain_timeout_ms)
        # All functions that run for requests; user_data is the index in this list, in which 0 is not used.
        self._steps: list[Step] = [Step(print, shared := Shared())]
        self._shared = shared
        self._names = Names()
        self._routes = 0
        self._errors = shared.errors
        self._listeners: list[access.Listener] = []
        self._server: Server | None = None
        # Is listen() running?
        self._listens = False
        # A socket that listens for several processes, of which this is one.
        self._door: int | None = None
        self._native = Native()
        # All registrations, so that worker processes can repeat them.
        self._told: list[tuple[Callable[..., int], tuple[Any, ...]]] = []

        # The library's own threads should not call Python, which is slow.
        self._option("threads", str(io_threads))
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
            "compress": compress,
            "spool_bytes": spool_bytes,
            "spool_directory": None if spool_directory is None else os.fspath(spool_directory),
            "max_parts": max_parts,
            "stream_buffer_bytes": stream_buffer_bytes,
            **options,
        }
        for key, value in named.items():
            if value is not None:
                self._option(key, _written(value))

        # These callbacks hold no reference to self, so that an unreferenced app can be garbage-collected.
        self._dispatch = self._native.keep(_ffi.hasty_handler(_dispatcher(self._steps)))
        on_log = self._native.keep(_ffi.hasty_log_fn(_pass_on))
        self._tell("on_log", _ffi.hasty_app_on_log, on_log, None, _ffi.NO_DROP)

    def _option(self, key: str, value: str) -> None:
        self._tell(key, _ffi.hasty_app_set_option, _ffi.encode(key, "option"), _ffi.encode(value, key))

    def option(self, key: str) -> str | None:
        """Returns the value of an option as text, or None if there is no option of that name.

        >>> App(max_headers=50).option("max_headers")
        '50'
        """
        if key == "threads":
            return str(self._threads)
        if key == "drain_timeout_ms":
            return str(self._drain_ms)
        if key == "io_threads":
            # The library's name for them.
            key = "threads"
        with self._native.used() as pointer:
            value = _ffi.octets(_ffi.hasty_app_option(pointer, _ffi.encode(key, "option")))
        return None if value is None else value.decode()

    # --- routes ---

    def route(
        self, method: str, pattern: str = "", *handler: NoReturn, **options: Unpack[RouteOptions]
    ) -> Callable[[H], H]:
        """Registers a handler for a method ("*" for any) and a path pattern; `options` are those of `RouteOptions`.

        A segment of the pattern is a literal, a `:name`, or at the end `*` or `*rest`. Literals win over names, and
        names over wildcards.

        Raises InvalidError if the pattern conflicts with an earlier one (the message names it) or if the function
        cannot be a handler, NotFoundError for an unknown route option, and StateError after the start.

        >>> app = App()
        >>> @app.route("REPORT", "/files/*rest")
        ... def report(req):
        ...     return req.params["rest"]
        >>> with app.test_client() as client:
        ...     client.request("REPORT", "/files/a/b").text
        'a/b'
        """
        _refuse_misplaced(pattern or method, handler)
        if not pattern and method.startswith("/"):
            raise InvalidError(
                f'route({method!r}): write @app.get({method!r}), or the method first, as in route("GET", {method!r}); '
                "a handler may have several such decorators"
            )
        if "methods" in options:
            raise TypeError("a route has one method: use @app.get, @app.post and so on, or @app.any for all methods")
        if method.startswith("/"):
            raise InvalidError(f'route({method!r}, {pattern!r}): the method comes first, as in route("GET", "/path")')
        if method.upper() in _METHODS and method not in _METHODS:
            raise InvalidError(f"method {method!r}: methods are written in capitals: {method.upper()!r}")
        _refuse_foreign(pattern)

        def register(function: H) -> H:
            self._register_route(Route(method, pattern, function, self._shared), dict(options))
            return function

        return register

    def get(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for GET and HEAD. The arguments are those of `route()`."""
        return self.route("GET", pattern, *handler, **options)

    def post(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for POST. The arguments are those of `route()`."""
        return self.route("POST", pattern, *handler, **options)

    def put(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for PUT. The arguments are those of `route()`."""
        return self.route("PUT", pattern, *handler, **options)

    def patch(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for PATCH. The arguments are those of `route()`."""
        return self.route("PATCH", pattern, *handler, **options)

    def delete(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for DELETE. The arguments are those of `route()`."""
        return self.route("DELETE", pattern, *handler, **options)

    def options(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for OPTIONS; without one the library answers OPTIONS itself. The arguments are those of
        `route()`.
        """
        return self.route("OPTIONS", pattern, *handler, **options)

    def any(self, pattern: str, *handler: NoReturn, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Registers a handler for every method that has no handler of its own on that pattern, as `route("*", pattern)`
        does.
        """
        return self.route("*", pattern, *handler, **options)

    def static(
        self,
        prefix: str,
        directory: _Path,
        *,
        index: str | None = "index.html",
        fallback: str | None = None,
        cache_control: str | None = None,
        list: bool = False,
        dotfiles: bool = False,
    ) -> None:
        """Serves the files in `directory` and its subdirectories below the path `prefix`, for GET and HEAD.

        `index` is the file sent for a directory (None: no file). `fallback` is the file in `directory` sent for paths
        that do not exist, such as the page of a single-page application (None: 404). `cache_control` is the value of
        Cache-Control sent with each file (None: no such field). `list=True` lists directories that have no index file.
        `dotfiles=True` also serves files whose names begin with a dot.

        ETags, conditional requests, ranges and precompressed `.br` and `.gz` files are handled. Files outside
        `directory` cannot be reached.

        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "index.html").write_text("<h1>Hello</h1>")
        >>> app = App()
        >>> app.static("/", folder, cache_control="max-age=3600")
        >>> with app.test_client() as client:
        ...     client.get("/").text
        '<h1>Hello</h1>'

        Raises IoError, an OSError, if the directory cannot be opened, InvalidError if the prefix conflicts with a
        route, and StateError after the start.
        """
        options = _ffi.hasty_static(
            ctypes.sizeof(_ffi.hasty_static),
            # NULL selects the library's default, "" disables the index.
            b"" if index is None else _ffi.encode(index, "index"),
            None if fallback is None else _ffi.encode(fallback, "fallback"),
            None if cache_control is None else _ffi.encode(cache_control, "cache_control"),
            int(list),
            int(dotfiles),
        )
        place = _ffi.encode(os.fsencode(directory), "directory")
        self._tell(
            f"static({prefix!r})", _ffi.hasty_app_static, _ffi.encode(prefix, "prefix"), place, ctypes.byref(options)
        )

    # --- around the routes ---

    @overload
    def use(self, prefix: str = "/", /) -> Callable[[M], M]: ...

    @overload
    def use(self, function: M, /) -> M: ...

    def use(self, prefix: Any = "/", /) -> Any:
        """Registers middleware for all paths below `prefix`. Middleware runs in order of registration, before the
        handler.

        `def m(req)` returns None to pass the request on, or a response, as a handler does, to answer it. `def m(req,
        res)` may set header fields of `res`, which are kept whoever answers; it answers by giving `res` a status or a
        body.

        Middleware also runs before static files, 404 and 405. It runs before the body is read, so that it can refuse an
        upload; `req.body` is not available. Use `req.locals` to pass values to the handler.

        >>> app = App()
        >>> @app.use("/admin")
        ... def guard(req):
        ...     if req.headers.get("authorization") != "Bearer secret":
        ...         return "keep out", 401
        >>> app.get("/admin")(lambda req: "welcome")  # doctest: +ELLIPSIS
        <function <lambda> at ...>
        >>> with app.test_client() as client:
        ...     client.get("/admin").status_code, client.get("/admin", headers={"Authorization": "Bearer secret"}).text
        (401, 'welcome')

        Raises InvalidError if the function takes other arguments, and StateError after the start.
        """
        return self._around(prefix, Gate, _ffi.hasty_app_use, "use")

    @overload
    def after(self, prefix: str = "/", /) -> Callable[[A], A]: ...

    @overload
    def after(self, function: A, /) -> A: ...

    def after(self, prefix: Any = "/", /) -> Any:
        """Registers `def f(req, res)`, which may change every response below `prefix`, including files and errors.

        These functions run in reverse order of registration. They also run where no middleware has run: for CORS
        preflights, 429, and malformed paths. `res` is the response so far; its header fields can only be looked up by
        name, and streams and files have no `body`. If a function fails, that is logged and the response is a 500.

        >>> app = App()
        >>> app.get("/")(lambda req: "hello")  # doctest: +ELLIPSIS
        <function <lambda> at ...>
        >>> @app.after
        ... def count(req, res):
        ...     res.header("X-Length", str(len(res.body)))
        >>> with app.test_client() as client:
        ...     client.get("/").headers["x-length"]
        '5'

        Raises InvalidError if the function takes other arguments, and StateError after the start.
        """
        return self._around(prefix, Hook, _ffi.hasty_app_after, "after")

    def error(self, kind: int | type[BaseException]) -> Callable[[E], E]:
        """Registers an error handler for an exception class, or for a status from 400 to 599.

        `def f(error)` or `def f(req, error)` returns what a handler may return. Unless that sets a status, the response
        has the status of the error, 500 for exceptions other than HttpError. None leaves the response to the library.

        For a class, the function also handles its subclasses; the most derived class wins, and the exception is not
        logged. For a status, it also handles the library's own errors, such as 404 and 413; `error` is an HttpError,
        and `req` is empty if the request could not be parsed. If a response cannot be sent, for example because a
        header contains a line break, functions for classes are not called: that is logged and answered with 500.

        >>> app = App()
        >>> @app.error(KeyError)
        ... def missing(error):
        ...     return f"no {error.args[0]}", 404
        >>> @app.error(404)
        ... def not_here(req, error):
        ...     return {"error": error.message, "path": req.path}
        >>> app.get("/")(lambda req: {}["it"])  # doctest: +ELLIPSIS
        <function <lambda> at ...>
        >>> with app.test_client() as client:
        ...     client.get("/").text, client.get("/there").json()["path"]
        ('no it', '/there')

        Raises InvalidError for another status or class, or if the function takes other arguments, and StateError after
        the start.
        """
        if isinstance(kind, type) and issubclass(kind, BaseException):
            pass
        elif not isinstance(kind, int) or not 400 <= kind <= 599:
            raise InvalidError(f"error({kind!r}): expected an exception class or a status from 400 to 599")

        def register(function: E) -> E:
            shape = Shape(function)
            self._refuse_late(f"error({kind!r})")
            if isinstance(kind, int):
                self._listen_to_refusals()
                self._errors.by_code[kind] = shape
            else:
                self._errors.by_type[kind] = shape
            return function

        return register

    def on_error(self, function: A) -> A:
        """Registers `def f(req, res)`, which may change every response from 400 to 599 that no handler has returned.

        These are 404, 405, 413 and so on, requests that could not be parsed (`req` is empty then), BadRequest and
        HttpError, and 500 for failed handlers. `res` is the response so far, with status, fields and body; `res.reason`
        is the error message. Errors with a function registered by `error()` are left to that. A second registration
        replaces the first. If the function fails, that is logged and the response is sent unchanged.

        >>> from hasty import HttpError
        >>> app = App()
        >>> @app.on_error
        ... def shape(req, res):
        ...     res.json({"status": res.status_code, "why": res.reason})
        >>> @app.get("/age")
        ... def age(req):
        ...     raise HttpError(422, "nobody is that old")
        >>> with app.test_client() as client:
        ...     client.get("/age").json(), client.get("/none").json()["status"]
        ({'status': 422, 'why': 'nobody is that old'}, 404)

        Raises InvalidError if the function takes other arguments, and StateError after the start.
        """
        takes_two(function, "an error function", "", "req, res")
        self._refuse_late("on_error()")
        self._listen_to_refusals()
        self._errors.any = function
        return function

    def _listen_to_refusals(self) -> None:
        if self._errors.by_code or self._errors.any is not None:
            return
        number = self._step(Refusals(self._shared))
        self._tell("an error handler", _ffi.hasty_app_on_error, self._dispatch, number, _ffi.NO_DROP)

    def cors(self, prefix: str = "/", policy: Cors | None = None) -> None:
        """Allows scripts of other origins to read responses below `prefix`. The default policy is any origin, without
        credentials.

        If prefixes overlap, only the longest one applies. Preflight requests are answered, unless the path has a
        handler for OPTIONS.

        >>> app = App()
        >>> app.cors("/api")
        >>> app.cors("/api/private", Cors(origins=["https://*.example.org"], credentials=True))

        Raises InvalidError for a policy that browsers would reject, such as any origin with credentials, and for a
        prefix that already has a policy, and StateError after the start.
        """
        if isinstance(prefix, Cors):
            raise TypeError('cors(): the prefix comes first, as in app.cors("/", Cors(...))')
        native = (policy or Cors())._native()
        self._tell(f"cors({prefix!r})", _ffi.hasty_app_cors, _ffi.encode(prefix, "prefix"), ctypes.byref(native))

    def rate_limit(
        self, prefix: str, per_minute: int, burst: int = 0, allow: Callable[[str], object] | None = None
    ) -> None:
        """Limits each client address to `per_minute` requests a minute below `prefix`; beyond that: 429 with
        Retry-After.

        `burst` is the number of requests that a client may send at once after a pause; 0 means `per_minute`. If `allow`
        is given, it decides instead, for example by a store that several servers share: it is called with the address
        and returns whether one more request is allowed. If it fails, that is logged and the request is allowed.

        >>> app = App()
        >>> app.rate_limit("/login", per_minute=10, burst=2)

        Raises InvalidError for numbers out of range, and StateError after the start.
        """
        decide = self._native.keep(_ffi.hasty_allow_fn(_decider(allow)) if allow else _ffi.hasty_allow_fn())
        for what, number in (("per_minute", per_minute), ("burst", burst)):
            if not isinstance(number, int) or not 0 <= number < _ffi.NONE:
                raise InvalidError(f"{what} {number!r} of rate_limit() is not in 0 to {_ffi.NONE}")
        octets = _ffi.encode(prefix, "prefix")
        what = f"rate_limit({prefix!r})"
        self._tell(what, _ffi.hasty_app_rate_limit, octets, per_minute, burst, decide, None, _ffi.NO_DROP)

    def health(self, pattern: str = "/healthz") -> None:
        """Answers GET at `pattern` with the state of the app as JSON: 200, or 503 while the app is shutting down.

        The members are `status` ("ok" or "draining"), `uptime_ms`, `requests`, `connections`, `queued` (requests
        waiting for a thread) and `caller_idle_ms` (the time since a thread last asked for requests).

        >>> app = App()
        >>> app.health()
        >>> with app.test_client() as client:
        ...     client.get("/healthz").json()["status"]
        'ok'

        Raises InvalidError if the pattern conflicts with a route, and StateError after the start.
        """
        self._tell(f"health({pattern!r})", _ffi.hasty_app_health, _ffi.encode(pattern, "pattern"))

    def add_header(self, name: str, value: str) -> None:
        """Adds a header field to every response that does not already have it.

        >>> app = App()
        >>> app.add_header("X-Robots-Tag", "noindex")
        >>> with app.test_client() as client:
        ...     client.get("/nowhere").headers["x-robots-tag"]
        'noindex'

        Raises InvalidError if the name or value is not valid in a header, and StateError after the start.
        """
        checked(name, value)
        self._tell("add_header()", _ffi.hasty_app_add_header, name.encode(), value.encode())

    def secure_headers(self) -> None:
        """Adds security headers to every response: nosniff, frame options, referrer policy and similar.

        Raises StateError after the start.
        """
        self._tell("secure_headers()", _ffi.hasty_app_secure_headers)

    # --- the access log ---

    def access_log(self, format: str = "combined", level: int = logging.INFO) -> None:
        """Logs each finished request to `logging.getLogger("hasty.access")`, with the level `level`.

        `format` is "common" or "combined", the usual formats of web servers, or "json". By default Python does not show
        INFO messages:

        >>> logging.basicConfig(level=logging.INFO, format="%(message)s")
        >>> app = App()
        >>> app.access_log("json")

        Raises InvalidError for another format, and StateError after the start.
        """
        self._hear(access.writer(format, level))

    def on_access(self, function: Callable[[Access], object]) -> Callable[[Access], object]:
        """Calls a function with an `Access` record of each finished request. It runs on a serving thread, so it should
        be fast.

        >>> app = App()
        >>> @app.on_access
        ... def note(record):
        ...     print(record.status, record.target, record.duration_us)

        Raises InvalidError if `function` is async or not callable, and StateError after the start.
        """
        if not callable(function) or is_async(function):
            raise InvalidError(f"on_access takes a plain function, not {function!r}")
        self._hear(access.recorder(function))
        return function

    def _hear(self, listener: access.Listener) -> None:
        self._refuse_late("the access log")
        if not self._listeners:
            heard = self._native.keep(_ffi.hasty_access_fn(access.passer(self._listeners)))
            self._tell("the access log", _ffi.hasty_app_on_access, heard, None, _ffi.NO_DROP)
        self._listeners.append(listener)

    # --- inside ---

    def _refuse_late(self, what: str) -> None:
        self._native.refuse_fork()
        if self._server is not None:
            raise StateError(f"{what} comes after the app has started: register everything before listen() or start()")

    def _tell(self, what: str, call: Callable[..., int], *arguments: Any) -> None:
        """Registers something with the library, and records the call so that worker processes can repeat it."""
        with self._native.used() as pointer:
            status = call(pointer, *arguments)
        if status == _ffi.ERR_STATE:
            self._refuse_late(what)
        _ffi.check(status)
        self._told.append((call, arguments))

    def _again(self, door: int | None) -> None:
        """In a worker process: makes another native app and repeats all registrations.

        `door` is the listening socket that the process has inherited, if there is one.
        """
        self._door = door
        before, self._native = self._native, Native()
        self._native.adopt(before)
        for call, arguments in self._told:
            _ffi.check(call(self._native.pointer, *arguments))

    def _step(self, step: Step) -> int:
        # user_data is the index of the step: a number needs no drop function.
        self._steps.append(step)
        return len(self._steps) - 1

    def _register(self, step: Step, what: str, call: Callable[..., int], *arguments: Any) -> None:
        """Adds a step and registers it with the library; removes the step again if that fails."""
        number = self._step(step)
        try:
            self._tell(what, call, *arguments, number, _ffi.NO_DROP)
        except BaseException:
            self._steps.pop()
            raise

    def _register_route(self, route: Route, options: dict[str, Any]) -> None:
        name = options.pop("name", None)
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidError(f"name {name!r} of a route is not a non-empty str")
        self._names.refuse_double(name)
        route.blocking = _is_blocking(options.pop("blocking", False))
        route.inline = options.get("body") == "stream"
        if route.inline and route.is_async:
            raise InvalidError(
                f'{route!r}: body="stream" is not for async handlers, because read() would block the loop'
            )
        if route.blocking and (route.inline or route.is_async):
            raise InvalidError(f'{route!r}: blocking=True cannot be combined with async handlers or body="stream"')
        method, pattern = _ffi.encode(route.method, "method"), _ffi.encode(route.pattern, "pattern")
        octets = [(_ffi.encode(key, "option"), _ffi.encode(_written(value), key)) for key, value in options.items()]
        if octets:
            self._refuse_late(repr(route))
            self._try(method, pattern, octets)
        self._register(route, repr(route), _ffi.hasty_app_route, method, pattern, self._dispatch)
        for option in octets:
            self._tell(repr(route), _ffi.hasty_app_set_route_option, method, pattern, *option)
        if route.is_async and self._shared.loop is None:
            from .loop import Loop

            self._shared.loop = Loop()
        self._routes += 1
        self._names.add(name or name_of(route._function).rpartition(".")[2], route.pattern, name is not None)

    def _try(self, method: bytes, pattern: bytes, options: list[tuple[bytes, bytes]]) -> None:
        """Raises if the library refuses the options of a route. It cannot remove a route, so they are tried on another
        app.
        """
        with Native().used() as pointer:
            _ffi.check(_ffi.hasty_app_route(pointer, method, pattern, self._dispatch, 0, _ffi.NO_DROP))
            for key, value in options:
                _ffi.check(_ffi.hasty_app_set_route_option(pointer, method, pattern, key, value))

    def _route_option(self, route: Route, key: str, value: str) -> None:
        octets = [_ffi.encode(text, key) for text in (route.method, route.pattern, key, value)]
        self._tell(repr(route), _ffi.hasty_app_set_route_option, *octets)

    def _choose_slots(self) -> None:
        """Hands routes to the threads that take requests in slots, except those whose middleware must run before the
        body is read.
        """
        for step in self._steps:
            if isinstance(step, Route) and not step.inline:
                before_body = self._shared.gates > 0 and step.method not in ("GET", "HEAD")
                if not before_body:
                    self._route_option(step, "dispatch", "caller")

    def _around(self, prefix: Any, kind: type[Gate | Hook], call: Callable[..., int], name: str) -> Any:
        """Implements `@app.use` and `@app.use("/prefix")`, and likewise `after`."""
        if not isinstance(prefix, str):
            return self._around("/", kind, call, name)(prefix)

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            octets = _ffi.encode(prefix, "prefix")
            self._register(kind(function, self._shared), f"{name}({prefix!r})", call, octets, self._dispatch)
            self._shared.gates += kind is Gate
            return function

        return register

    def url(self, name: str, /, **values: object) -> str:
        """Returns the path of the named route, with `values` for its parameters; the other values become the query
        string.

        The name of a route is its option `name`, or else the name of its function.

        >>> app = App()
        >>> @app.get("/users/:id")
        ... def user(req):
        ...     return req.params["id"]
        >>> app.get("/files/*path", name="file")(lambda req: "")  # doctest: +ELLIPSIS
        <function <lambda> at ...>
        >>> app.url("user", id="a/b"), app.url("file", path="docs/a b.txt", version=2)
        ('/users/a%2Fb', '/files/docs/a%20b.txt?version=2')

        Raises NotFoundError, a LookupError, if there is no route of that name, and InvalidError if a parameter is
        missing or if several routes have functions of that name.
        """
        return self._names.url(name, values)

    # --- running ---

    def listen(self, port: int = 8080, host: str = "127.0.0.1", *, workers: int = 1) -> None:
        """Prints the URL and serves until Ctrl-C, SIGTERM or `stop()`. Port 0 selects a free port.

        `host` is an address or a host name, "unix:/run/app.sock" for a Unix socket, or "fd:3" for a listening socket
        passed by a service manager; the last two ignore the port.

        Handlers run on other threads; this one waits, so that Python can handle signals on its main thread. At the end,
        responses that are ready within the app's `drain_timeout_ms`, half a second by default, are still sent; after
        that the shutdown takes less than half a second, even if handlers still run.

        While it serves, objects that existed before are frozen for the garbage collector, unless the program has used
        `gc.freeze()` or `gc.disable()` itself.

        `workers` above 1 is the number of processes that serve there, each with a copy of the app, so that several
        processors are used. A process that dies is replaced.

        Raises IoError, an OSError, if the port is taken, InvalidError for an invalid argument, and StateError if the
        app was started before or, with workers, if this is not the main thread.
        """
        if running_loop() is not None:
            raise StateError(
                "an asyncio loop runs on this thread, which listen() would block: use await app.serve() instead"
            )
        _refuse_misordered(host)
        if not isinstance(workers, int) or workers < 1:
            raise InvalidError(f"workers {workers!r} is not a number from 1")
        self._refuse_again()
        self._listens = True
        try:
            self._serve_until_end(port, host, workers)
        finally:
            self._listens = False

    def _serve_until_end(self, port: int, host: str, workers: int) -> None:
        if workers > 1:
            from . import workers as processes

            # Frozen before the fork, so that the processes keep sharing the memory of existing objects.
            with spared():
                processes.serve(self, _checked_port(port), host, workers)
            return
        with signals.termination() as told:
            try:
                with spared():
                    server = self.start(port, host)
                    announce(server.url)
                    server._wait_for_end()
            except (KeyboardInterrupt, told):
                pass
            finally:
                if self._server is not None:
                    self._server._leave()

    def run(self, host: str = "127.0.0.1", port: int = 8080, *, workers: int = 1) -> None:
        """Does the same as `listen()`, but takes the host first."""
        self.listen(port, host, workers=workers)

    def start(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """Starts to serve in the background and returns the Server, which has the `url`; its `with` block stops it at
        the end.

        Without a `with` block it serves until `stop()`, until neither the App nor the Server is referenced any more, or
        until the program ends. Port 0, the default, selects a free port. May be called from any thread.

        >>> from urllib.request import urlopen
        >>> app = App()
        >>> @app.get("/")
        ... def hello(req):
        ...     return "Hello, World!"
        >>> with app.start(port=0) as server:
        ...     urlopen(server.url).read()
        b'Hello, World!'
        """
        server = self._begin(port, host, self._threads or 1)
        try:
            server._crew.start()
        except BaseException:
            server._give_up()
            raise
        return server

    async def serve(
        self, port: int = 8080, host: str = "127.0.0.1", *, started: Callable[[Server], object] | None = None
    ) -> None:
        """Serves inside the running asyncio loop, beside its other tasks, until `stop()` or until it is cancelled.

        All handlers run on the loop, except those with `blocking=True`. After `stop()`, responses that are ready within
        the app's `drain_timeout_ms` are still sent; after a cancellation, none are. Blocking handlers that take longer
        are still running when this returns.

        `started` is called with the Server, which is also `App.server`, once it listens.

        >>> import asyncio
        >>> app = App()
        >>> @app.get("/")
        ... async def hello(req):
        ...     await asyncio.sleep(0)
        ...     return "Hello, World!"
        >>> async def main():
        ...     task = asyncio.create_task(app.serve(port=0, started=lambda server: print("it serves")))
        ...     await asyncio.sleep(0.01)
        ...     app.stop()
        ...     await task
        >>> asyncio.run(main())
        it serves

        Raises the same errors as `listen()`.
        """
        import asyncio

        from .loop import Loop

        self._refuse_again()
        loop = self._shared.loop = self._shared.loop or Loop()
        self._shared.context = copy_context()
        server = self._begin(port, host, 0)
        server._drain_beside(asyncio.get_running_loop())
        try:
            if started is not None:
                started(server)
            await loop.serve(self._native, self._steps, server._crew.slots)
        finally:
            server._end_beside()

    @property
    def server(self) -> Server | None:
        """The Server, or None before the app is started."""
        return self._server

    def _refuse_again(self) -> None:
        self._native.refuse_fork()
        if self._server is not None:
            raise StateError("this app was started already: an app runs only once, so make a new App to serve again")

    def _begin(self, port: int, host: str, threads: int) -> Server:
        """Opens the port and starts the app; threads that serve it are started afterwards."""
        self._refuse_again()
        _refuse_misordered(host)
        with self._native.used() as pointer:
            place = host if self._door is None else f"fd:{self._door}"
            _ffi.check(_listen(pointer, place, _checked_port(port)))
            self._choose_slots()
            # If stop() came first, the app is not started, and its threads end at once.
            if not self._native.stopped:
                _ffi.check(_ffi.hasty_app_start(pointer))
        crew = Crew(self._native, threads, self._shared, self._steps)
        server = Server(self._native, host, crew, self._drain_ms)
        if self._listens:
            server._only_tell()
        self._server = server
        return server

    def stop(self) -> None:
        """Asks a running app to stop, and returns at once. May be called from any thread, handler or signal handler.

        `listen()` and `serve()` then end as they do on a signal: responses that are ready within `drain_timeout_ms` are
        still sent. An app started with `start()` stops at once and answers pending requests with 503; to let handlers
        finish, use `Server.close()` or its `with` block.
        """
        if self._server is None:
            self._native.stop()
        else:
            self._server.stop()

    def test_client(self) -> Client:
        """Returns a client that uses real HTTP; it starts the app on a free port if it is not running, and then also
        stops it.

        An app runs only once, so let each test make its own app, with a function.

        >>> app = App()
        >>> @app.post("/sum")
        ... def total(req):
        ...     return {"sum": sum(req.json())}
        >>> with app.test_client() as client:
        ...     client.post("/sum", json=[1, 2, 39]).json()
        {'sum': 42}
        """
        if self._server is not None and not self._native.stopped:
            return Client(self._server.host, self._server.port)
        server = self.start()
        return Client(server.host, server.port, server.close)

    def __repr__(self) -> str:
        return f"<App with {self._routes} route{'' if self._routes == 1 else 's'}>"


def _written(value: object) -> str:
    """Returns an option's value in the form that the library parses, with 1 and 0 for True and False."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _refuse_misplaced(pattern: object, handler: tuple[object, ...]) -> None:
    """Explains what to write to those who write `@app.get`, or `app.get("/path", handler)` as in Express."""
    if handler:
        raise TypeError('a route decorator takes no handler: write app.get("/path")(handler)')
    if callable(pattern):
        raise TypeError('a route decorator needs a path, as in @app.get("/path")')


def _refuse_foreign(pattern: str) -> None:
    """Refuses parameters written as in Flask and FastAPI, which would otherwise be literals."""
    if not isinstance(pattern, str):
        raise InvalidError(f'pattern {pattern!r} is not str, as in @app.get("/path")')
    if not pattern.startswith("/"):
        raise InvalidError(f"pattern {pattern!r} must begin with a slash: write {'/' + pattern!r}")
    for segment in pattern.split("/"):
        if segment[:1] + segment[-1:] in ("<>", "{}"):
            words = segment[1:-1].split(":")
            # <path:rest> and {rest:path}
            name, kind = (words[-1], words[0]) if segment[0] == "<" else (words[0], words[-1])
            instead = f"*{name}" if len(words) == 2 and kind == "path" else f":{name}"
            raise InvalidError(f"pattern {pattern!r}: a name is written {instead!r} here, not {segment!r}")


def _checked_drain(milliseconds: int | None) -> int:
    if milliseconds is None:
        return DRAIN_MS
    # The library would take a negative number for no limit, and ctypes would truncate a larger one.
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < 1 << 31:
        raise InvalidError(f"drain_timeout_ms {milliseconds!r} is not a number of milliseconds from 0")
    return milliseconds


def _checked_port(port: int) -> int:
    if not isinstance(port, int):
        raise InvalidError(f"port {port!r} is not a number from 0 to 65535")
    # ctypes would silently truncate a larger number.
    if not 0 <= port <= 65535:
        raise InvalidError(f"port {port} is not in 0 to 65535")
    return port


def _refuse_misordered(host: object) -> None:
    """Explains the order of arguments if they are swapped, or if a callback is given as in Express."""
    if callable(host):
        raise InvalidError("listen() takes no callback: code after it runs once the server has ended")
    if not isinstance(host, str):
        raise InvalidError(
            f"host {host!r} is not str: listen() and start() take the port first, run() and the serve() of "
            "hasty.wsgi and hasty.asgi take the host first; use host= and port= to be safe"
        )


def _listen(pointer: _ffi.AppPointer, host: str, port: int) -> int:
    """Listens at an address, at a Unix socket ("unix:PATH"), or on an open socket ("fd:NUMBER")."""
    kind, place = kind_of(host)
    if kind == "unix":
        return int(_ffi.hasty_app_listen_unix(pointer, _ffi.encode(os.fsencode(place), "path"), 0))
    if kind == "fd":
        return int(_ffi.hasty_app_listen_fd(pointer, int(place)))
    return int(_ffi.hasty_app_listen(pointer, _ffi.encode(host, "host"), port))


def _is_blocking(value: object) -> bool:
    if value in (True, False):
        return bool(value)
    # The values of the library's own option.
    if value in ("yes", "no", "auto"):
        return value == "yes"
    raise InvalidError(f"blocking {value!r} of a route must be True or False")


def _dispatcher(steps: list[Step]) -> Callable[[Any, Any, int | None], int]:
    def dispatch(req: _ffi.RequestPointer, res: _ffi.ResponsePointer, number: int | None) -> int:
        # ctypes reads the pointer 0 as None.
        return steps[number or 0](req, res)

    return dispatch


def _decider(allow: Callable[[str], object]) -> Callable[[Any, int | None], int]:
    """Wraps the `allow` function of `rate_limit()` for the library."""

    def decide(key: Any, _: int | None) -> int:
        try:
            return int(bool(allow((_ffi.octets(key[0]) or b"").decode(errors="replace"))))
        except BaseException as error:
            report(error, "allow of rate_limit() failed; the request is allowed")
            return 1

    return decide


def _pass_on(level: int, message: Any, _: int | None) -> None:
    """Passes a log message of the library to Python's `logging`."""
    try:
        log.log(_LEVELS.get(level, logging.INFO), "%s", (_ffi.octets(message[0]) or b"").decode(errors="replace"))
    except BaseException as error:  # never into C
        signals.keep(error)
