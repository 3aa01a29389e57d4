"""A request. Its parts are read from the library on first use, until its handler returns."""

from __future__ import annotations

import codecs
import encodings
import functools
import re
import threading
import weakref
from collections.abc import Iterator
from ctypes import POINTER, byref, c_size_t, create_string_buffer, string_at
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi, _json, _kept
from .errors import (
    BadRequest,
    ClosedError,
    HttpError,
    InvalidError,
    JsonError,
    LimitError,
    StateError,
    TimedOutError,
)
from .headers import Headers, Params, Values, field
from .upload import Files, Upload

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["Request"]

#: The value of `_json` before the body was parsed.
UNREAD: Any = object()


class Request:
    """An HTTP request. The app creates one for each request; every part is read from the library on first use.

    >>> from hasty import App
    >>> app = App()
    >>> @app.post("/greet/:name")
    ... def greet(req):
    ...     return f"{req.method} {req.path} from {req.params['name']}: {req.query['word']}, {req.text}"
    >>> with app.test_client() as client:
    ...     client.post("/greet/Ada?word=hello", body="world").text
    'POST /greet/Ada from Ada: hello, world'

    A request ends when its handler returns. Values read from it (strings, bytes, mappings) remain valid, but the
    request itself then raises StateError. For generators, coroutines and deferred responses it lives until they finish.
    """

    # Initial state as class attributes: most requests never change it, and so need neither set nor clear it, which
    # saves 30 ns for each compared with slots.
    _pointer: _ffi.RequestPointer | None = None
    # The response that defer() detaches; or, if the handler runs on another thread, the exchange that has it already.
    _res: _ffi.ResponsePointer | None = None
    _exchange: Exchange | None = None
    # The error from reading the body, if any: the client's fault, for which the library has a response.
    _failure: BaseException | None = None
    # Was the response impossible to send? That is the program's fault, whatever the exception.
    _unsendable = False
    # Is the body not read yet? True in middleware, and for handlers that read it themselves.
    _unread = False
    # Held while the body is read, which may take as long as the client likes; `_end()` waits for it.
    _reading: threading.Lock | None = None
    # The exchange to which the request was deferred; weak, so that an abandoned exchange is freed.
    _handed: weakref.ref[Exchange] | None = None
    # Why the request can no longer be used, for StateError; None if it can, or if it ended normally.
    _over: str | None = None
    _method: str | None = None
    _path: str | None = None
    _body: bytes | None = None
    _params: Params | None = None
    _query: Values | None = None
    _cookies: Values | None = None
    _form: Values | None = None
    _files: Files | None = None
    _headers: Headers | None = None
    _json: Any = UNREAD

    def __init__(self, pointer: _ffi.RequestPointer, res: _ffi.ResponsePointer | None = None) -> None:
        self._pointer = pointer
        self._res = res

    def _end(self) -> None:
        """The handler has returned, so the library may reuse the memory behind the pointer."""
        self._pointer = self._res = None
        if self._reading is not None:
            # Wait for another thread that may still be reading.
            with self._reading:
                pass

    def _leave(self) -> None:
        """Ends the request when its handler returns, unless it was moved to an exchange."""
        if self._res is not None:
            self._end()

    def _move(self, pointer: _ffi.RequestPointer) -> None:
        """Moves the request to an exchange, for a handler that yields."""
        self._pointer = pointer
        self._res = None

    def _live(self) -> _ffi.RequestPointer:
        pointer = self._pointer
        if pointer is None:
            raise StateError(
                self._over or "this request ended when its handler returned: read what you need inside the handler"
            )
        return pointer

    def _place(self) -> object:
        """Identifies where the library keeps the request: changes when it is moved, None once it has ended."""
        return self._pointer

    def _told(self, view: Callable[[_ffi.RequestPointer], _ffi.hasty_str]) -> bytes:
        """Returns a copy of one of the library's strings for this request."""
        while True:
            place = self._place()
            octets = _ffi.octets(view(self._live())) or b""
            # The handler's thread may have ended the request meanwhile; then the bytes may belong to another one.
            if self._place() is place:
                return octets

    def _is_over(self) -> bool:
        """Has the request ended, so that nothing of it can be read?"""
        return self._pointer is None

    @property
    def _deferred(self) -> bool:
        return self._over is not None

    # --- the request line ---

    @property
    def method(self) -> str:
        """The method as sent, such as "GET" or "POST"."""
        self._live()
        if self._method is None:
            self._method = latin(self._told(_ffi.hasty_request_method))
        return self._method

    @property
    def path(self) -> str:
        """The percent-decoded path, for display. For decisions use `params` or `raw_path`: here `%2F` also appears as a
        slash.
        """
        self._live()
        if self._path is None:
            self._path = lossy(self._told(_ffi.hasty_request_path))
        return self._path

    @property
    def raw_path(self) -> str:
        """The path as sent, still percent-encoded."""
        return latin(self._told(_ffi.hasty_request_raw_path))

    @property
    def query_string(self) -> str:
        """The part of the target after the question mark, as sent; empty if there is none."""
        return latin(self._told(_ffi.hasty_request_query_string))

    @property
    def target(self) -> str:
        """The request target as sent: path and query."""
        return latin(self._told(_ffi.hasty_request_target))

    @property
    def route(self) -> str:
        """The pattern of the route that matched, such as "/users/:id"."""
        return lossy(self._told(_ffi.hasty_request_route))

    @property
    def minor_version(self) -> int:
        """1 for HTTP/1.1, 0 for HTTP/1.0."""
        return int(_ffi.hasty_request_minor_version(self._live()))

    # --- names and values ---

    @property
    def params(self) -> Params:
        """The path parameters by name, each decoded once; "*" is the name of an unnamed wildcard."""
        self._live()
        if self._params is None:
            self._params = Params(_pairs(self, _ffi.hasty_request_param_count, _ffi.hasty_request_param_at, lossy))
        return self._params

    @property
    def query(self) -> Values:
        """The decoded query parameters. Look-up by name returns the first value, `getall()` all of them."""
        self._live()
        if self._query is None:
            self._query = Values(_pairs(self, _ffi.hasty_request_query_count, _ffi.hasty_request_query_at, lossy))
        return self._query

    @property
    def headers(self) -> Headers:
        """The header fields. Names are in lower case; look-up ignores case."""
        self._live()
        if self._headers is None:
            pairs = _pairs(self, _ffi.hasty_request_header_count, _ffi.hasty_request_header_at, field)
            self._headers = Headers((name.lower(), value) for name, value in pairs)
        return self._headers

    @property
    def cookies(self) -> Values:
        """The cookies that the client sent."""
        self._live()
        if self._cookies is None:
            self._cookies = Values(_pairs(self, _ffi.hasty_request_cookie_count, _ffi.hasty_request_cookie_at, field))
        return self._cookies

    @property
    def form(self) -> Values:
        """The fields of a URL-encoded or multipart form; empty if the body is of another type.

        Raises BadRequest if the form is malformed, and HttpError 413 if it has more parts than `max_parts`.
        """
        pointer = self._live()
        if self._form is None:
            _check_form(pointer)
            self._form = Values(_pairs(self, _ffi.hasty_request_form_count, _ffi.hasty_request_form_at, lossy))
        return self._form

    @property
    def files(self) -> Files:
        """The files of a multipart form, by field name. Raises the same errors as `form`."""
        pointer = self._live()
        if self._files is None:
            _check_form(pointer)
            files = [Upload(self, index) for index in range(_ffi.hasty_request_file_count(pointer))]
            self._files = Files((file.name, file) for file in files)
        return self._files

    # --- the body ---

    @property
    def body(self) -> bytes:
        """The body as bytes; empty if there is none.

        Raises StateError if the body is not available: in middleware, which runs before the body is read; in routes
        with `body="stream"`, which use `read()` or `stream()`; and for forms too large to keep in memory, whose parts
        are in `form` and `files`.
        """
        pointer = self._live()
        if self._body is None:
            body = self._told(_ffi.hasty_request_body)
            # If there are form fields or files, there was a body.
            if not body and (self._unread or _ffi.hasty_request_file_count(pointer) or self.form):
                raise StateError(
                    'the body is not available: middleware runs before it is read, routes with body="stream" use '
                    "read() and stream(), and large forms use form and files"
                )
            self._body = body
        return self._body

    def read(self, size: int = 65536) -> bytes:
        """Returns the next bytes of the body, at most `size`, as they arrive; b"" at the end. For routes with
        `body="stream"`.

        Raises ClosedError if the client has disconnected, TimedOutError if it sends nothing for `body_timeout_ms`,
        LimitError beyond `max_body_bytes`, and InvalidError if the body is malformed or `size` is below 1. If the
        handler does not catch these errors, the client gets 408, 413 or 400, and nothing is logged. Raises StateError
        for other routes.
        """
        if size < 1:
            raise InvalidError(f"size {size} of read() must be above 0")
        # One read returns less than that, and ctypes would fill a larger buffer with zeros in vain.
        size = min(size, MOST_AT_ONCE)
        buffer, got = create_string_buffer(size), c_size_t()
        # setdefault() is atomic, so that threads which read first at the same time share one lock.
        with self.__dict__.setdefault("_reading", threading.Lock()):
            status = _ffi.hasty_request_read(self._live(), buffer, size, byref(got))
        try:
            _ffi.check(status)
        except (ClosedError, InvalidError, LimitError, TimedOutError) as error:
            self._failure = error
            raise
        except StateError:
            raise StateError(
                'read() and stream() are for routes with body="stream", until they defer; other routes use body'
            ) from None
        return string_at(buffer, got.value)

    def stream(self, size: int = 65536) -> Iterator[bytes]:
        """Yields the body as it arrives, in pieces of at most `size` bytes. For routes with `body="stream"`.

        >>> from hasty import App
        >>> app = App()
        >>> @app.post("/count", body="stream")
        ... def count(req):
        ...     return str(sum(len(piece) for piece in req.stream()))
        >>> with app.test_client() as client:
        ...     client.post("/count", body=b"x" * 100_000).text
        '100000'

        Raises the same errors as `read()`.
        """
        while True:
            piece = self.read(size)
            if not piece:
                return
            yield piece

    @property
    def text(self) -> str:
        """The body as text, decoded with the charset of its Content-Type, or else UTF-8. Raises BadRequest if that
        fails.
        """
        body = self.body
        charset = _charset(lossy(self._told(lambda pointer: _ffi.hasty_request_header(pointer, b"Content-Type"))))
        try:
            return body.decode(charset)
        except UnicodeError as error:
            where = f": byte {error.start} of {len(body)}" if isinstance(error, UnicodeDecodeError) else ""
            raise BadRequest(f"the body is not {charset}{where}") from None

    def json(self) -> Any:
        """Returns the body parsed as JSON, whatever its Content-Type.

        Raises JsonError, a BadRequest, for malformed JSON; it has the line and column.

        >>> from hasty import App
        >>> app = App()
        >>> @app.post("/names")
        ... def names(req):
        ...     return sorted(req.json())
        >>> with app.test_client() as client:
        ...     client.post("/names", body='{"b": 1, "a": 2}').json(), client.post("/names", body="{").status_code
        (['a', 'b'], 400)
        """
        pointer = self._live()
        if self._json is UNREAD:
            try:
                self._json = _json.decode(self.body.decode())
            except ValueError as error:
                raise _json_error(pointer, error) from None
        return self._json

    # --- the client ---

    @property
    def remote_address(self) -> str:
        """The client's address without the port; "unix" on a Unix socket."""
        return lossy(self._told(_ffi.hasty_request_remote_address))

    @property
    def id(self) -> str:
        """An id for logs: X-Request-ID if the client sent a valid one, otherwise a new one."""
        return lossy(self._told(_ffi.hasty_request_id))

    # --- beyond the handler ---

    @property
    def locals(self) -> dict[str, Any]:
        """A dict, empty at first, in which middleware, handler and `after` functions share data about this request.

        >>> from hasty import App
        >>> app = App()
        >>> @app.use("/")
        ... def who(req):
        ...     req.locals["user"] = req.headers.get("x-user", "nobody")
        >>> @app.get("/")
        ... def hello(req):
        ...     return f"Hello, {req.locals['user']}!"
        >>> with app.test_client() as client:
        ...     client.get("/", headers={"X-User": "Ada"}).text
        'Hello, Ada!'
        """
        pointer = self._live()
        number = _ffi.hasty_request_local(pointer, _LOCALS)
        if number is None:
            number = _kept.put({})
            _ffi.check(_ffi.hasty_request_set_local(pointer, _LOCALS, number, _kept.DROP))
        found: dict[str, Any] = _kept.get(number)
        return found

    def defer(self) -> Exchange:
        """Detaches the request from its handler, so that any thread can answer it later with `Exchange.finish()`.

        The handler then returns None. Use `exchange.request` in place of this request.

        >>> import threading
        >>> from hasty import App
        >>> app = App()
        >>> @app.get("/later")
        ... def later(req):
        ...     exchange = req.defer()
        ...     threading.Timer(0.01, exchange.finish, ["there it is"]).start()
        >>> with app.test_client() as client:
        ...     client.get("/later").text
        'there it is'

        Raises StateError outside handlers and middleware, and if the request was deferred before.
        """
        from .exchange import Exchange

        self._live()
        if self._exchange is not None:
            return self._hand_over(self._exchange)
        if self._res is None:
            raise StateError("defer() works only in handlers and middleware, before the request is answered")
        exchange = Exchange._of(self._res)
        exchange.request._unread = self._unread
        return self._hand_over(exchange)

    def _hand_over(self, exchange: Exchange) -> Exchange:
        self._exchange = None
        self._handed = weakref.ref(exchange)
        self._end()
        self._over = "this request was deferred: use exchange.request, until the exchange is finished"
        return exchange

    def __repr__(self) -> str:
        if self._deferred:
            return "<Request, deferred>"
        return "<Request, answered>" if self._is_over() else f"<Request {self.method} {self.target}>"


_LOCALS = b"hasty.python.locals"

#: Maximum bytes of a body returned by one read(), even if more are requested.
MOST_AT_ONCE = 1 << 20


def _check_form(pointer: _ffi.RequestPointer) -> None:
    status = _ffi.hasty_request_form_status(pointer)
    if status == _ffi.ERR_STATE:
        # The body has not arrived yet, so there are no fields: in middleware, even if no route matches.
        return
    if status == _ffi.ERR_INVALID:
        raise BadRequest(_ffi.last_error())
    if status == _ffi.ERR_LIMIT:
        raise HttpError(413, _ffi.last_error())
    _ffi.check(status)


# --- bytes to text: nothing a client sends may raise here ---


def lossy(octets: bytes) -> str:
    """Decodes percent-decoded text; bytes that are not UTF-8 become U+FFFD."""
    return octets.decode(errors="replace")


def latin(octets: bytes) -> str:
    return octets.decode("latin-1")


def _pairs(
    request: Request,
    count: Callable[..., Any],
    at: Callable[..., Any],
    decode: Callable[[bytes], str],
) -> list[tuple[str, str]]:
    name, value = _ffi.hasty_str(), _ffi.hasty_str()
    name_out, value_out = byref(name), byref(value)
    octets = _ffi.octets
    place_now, place = request._place, request._place()
    pointer = request._live()
    pairs = []
    for index in range(count(pointer)):
        # The handler may return while another thread runs this; then the pointer is invalid or another request's.
        if place_now() is not place:
            break
        _ffi.check(at(pointer, index, name_out, value_out))
        pairs.append((decode(octets(name) or b""), decode(octets(value) or b"")))
    # Retry if the request was moved; raises StateError if it has ended.
    return pairs if place_now() is place else _pairs(request, count, at, decode)


_CHARSET = re.compile(r""";\s*charset\s*=\s*"?([^\s";]+)""", re.IGNORECASE)
# Python also has codecs that are not character sets (idna, unicode_escape, ...), which clients must not choose.
_CHARSETS = re.compile(r"utf-(8|16|32)|ascii|latin|iso8859|cp\d|koi8|euc|gb|big5|shift_jis|iso2022")


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    if not found:
        return "utf-8"
    known = _codecs().get(encodings.normalize_encoding(found[1]).lower())
    # Not with the client's spelling: Python caches every name that is looked up.
    name = codecs.lookup(known).name if known else ""
    if not _CHARSETS.match(name):
        raise BadRequest(f"charset {found[1]!r} is not supported")
    return name


@functools.cache
def _codecs() -> dict[str, str]:
    """Returns the modules of Python's codecs, by name and alias."""
    import pkgutil

    modules = {module.name: module.name for module in pkgutil.iter_modules(encodings.__path__)}
    return {**modules, **{name: module for name, module in aliases.items() if module in modules}}


_PLACE = re.compile(r"line (\d+),? column (\d+)")


def _json_error(pointer: _ffi.RequestPointer, error: ValueError) -> JsonError:
    """Makes a JsonError with the library's message, which is the same in C; falls back to Python's message."""
    out = POINTER(_ffi.hasty_json)()
    if _ffi.hasty_request_json(pointer, byref(out)) == _ffi.ERR_INVALID:
        message = _ffi.last_error()
        place = _PLACE.search(message)
        if place:
            return JsonError(message, int(place[1]), int(place[2]))
    line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
    return JsonError(f"the body is not JSON: line {line} column {column}: {getattr(error, 'msg', error)}", line, column)
