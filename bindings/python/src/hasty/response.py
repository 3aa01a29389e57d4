"""A response: returned by a handler, or filled in as its second argument."""

from __future__ import annotations

import copy
import ctypes
import os
import stat
import string
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Union

from . import _ffi, _json, event
from .errors import InvalidError, IoError, NotFoundError, StateError
from .event import Chunk
from .headers import MutableHeaders, is_text, is_token

if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import Concatenate, ParamSpec

    from .desk import Desk

    _P = ParamSpec("_P")

    class _step(Generic[_P]):
        def __init__(self, function: Callable[Concatenate[Response, _P], Response]) -> None: ...
        def __get__(self, instance: Response | None, owner: type[Response]) -> Callable[_P, Response]: ...

else:

    class _step:
        """A method that returns its Response. Called on the class, it starts with a new one: a constructor."""

        def __init__(self, function):
            self.__wrapped__ = function
            self.__doc__ = function.__doc__

        def __get__(self, instance, owner):
            return self.__wrapped__.__get__(owner() if instance is None else instance, owner)


__all__ = ["Body", "Response", "Result"]

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
OCTETS = "application/octet-stream"

# The types that a body came by, as against one that was asked for.
_BY_BODY = frozenset((TEXT, HTML, JSON, OCTETS))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))

_Bytes = Union[bytes, bytearray, memoryview]
# In the annotations of Response, `bytes` would be the method of that name.
_FrozenBytes = bytes
_Path = Union[str, "os.PathLike[str]"]
#: What a stream yields; wider than Chunk would be of no use, and `Iterator` is covariant.
_Chunks = Union[Iterator[Chunk], AsyncIterator[Chunk]]
#: What `send` and a handler's return value may be, besides a Response.
Body = Union[str, _Bytes, Mapping[str, Any], dict[Any, Any], list[Any], _Chunks, None]
_Fields = Union[Mapping[str, str], Iterable[tuple[str, str]]]


class Response:
    """A response: a status, header fields, cookies and a body.

    The methods below return the response itself, so that calls can be chained; called on the class, they create a new
    response. As a return value:

    >>> answer = Response.json({"id": 7}, status=201, headers={"Location": "/users/7"})
    >>> answer.status_code, answer.headers["location"], answer.body
    (201, '/users/7', b'{"id":7}')

    As the second argument of a handler:

    >>> from hasty import App
    >>> app = App()
    >>> @app.get("/users/:id")
    ... def user(req, res):
    ...     res.status(200).json({"userId": req.params["id"]})
    >>> with app.test_client() as client:
    ...     client.get("/users/7").text
    '{"userId":"7"}'

    Nothing is sent before the handler returns, unless it calls `write()`. The same Response may be returned for many
    requests, unless it streams.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_body",
        "_cookies",
        "_desk",
        "_file",
        "_given",
        "_headers",
        "_location",
        "_status",
        "_stream",
        "_type",
        "_why",
    )
    # Only errors have it.
    _why: str
    # Only those have it whose status was given, even if that is 200.
    _given: bool

    def __init__(self, body: Body = None, status: int | None = None, headers: _Fields | None = None) -> None:
        self._status = 200
        self._body: bytes | None = None
        self._type: str | None = None
        self._headers: MutableHeaders | None = None
        self._cookies: list[_Cookie] | None = None
        self._location: tuple[int, str] | None = None
        self._file: _File | None = None
        self._stream: _Chunks | None = None
        # Where it goes, while a handler fills it in; write() needs it.
        self._desk: Desk | None = None
        # Was the head sent?
        self._begun = False
        if body is not None:
            self._fill(body)
        if status is not None:
            self._set_status(status)
        if headers is not None:
            self.headers.extend(headers)

    # --- reading ---

    @property
    def status_code(self) -> int:
        """The status, 200 by default; use `status()` to set it."""
        return self._status

    @property
    def headers(self) -> MutableHeaders:
        """The header fields set so far; may be changed."""
        if self._headers is None:
            self._headers = MutableHeaders()
        return self._headers

    @property
    def content_type(self) -> str | None:
        """The content type, set by `type()`, by a header field or by the kind of body; None if there is none."""
        if self._headers is not None and "content-type" in self._headers:
            return self._headers["content-type"]
        return self._type

    @property
    def body(self) -> _FrozenBytes:
        """The body set so far; empty for files and streams."""
        return self._body or b""

    @property
    def reason(self) -> str:
        """The error message, for functions registered with `App.on_error()`; otherwise empty."""
        return getattr(self, "_why", "")

    def __repr__(self) -> str:
        return f"<Response {self._status} {self.content_type or 'without a type'}, {len(self.body)} bytes>"

    # --- steps ---

    @_step
    def status(self, code: int) -> Response:
        """Sets the status, 200 to 599. Raises InvalidError for other values.

        >>> Response.status(404).text("no such user").status_code
        404
        """
        self._set_status(code)
        return self

    @_step
    def type(self, name: str) -> Response:
        """Sets the content type: a media type, such as "text/csv", or a file extension, such as "csv" or ".csv".

        >>> Response.text("a,b").type("csv").content_type
        'csv'
        """
        self._refuse_late("type")
        self._type = _line(name, "type")
        if self._headers is not None:
            self._headers.pop("content-type", None)
        return self

    @_step
    def header(self, name: str, value: str) -> Response:
        """Sets a header field, replacing earlier fields of that name. Raises InvalidError if it holds control
        characters.

        >>> Response.text("hi").header("Cache-Control", "no-store").headers["cache-control"]
        'no-store'
        """
        self.headers[name] = value
        return self

    @_step
    def add_header(self, name: str, value: str) -> Response:
        """Adds a header field and keeps earlier fields of that name. Raises InvalidError if it holds control
        characters.
        """
        self.headers.add(name, value)
        return self

    @_step
    def cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: str = "Lax",
    ) -> Response:
        """Sets a cookie. `max_age` is in seconds; None makes it a session cookie.

        By default the cookie is sent for all paths, to this host only, over http too (`secure=False`), hidden from
        scripts (`http_only=True`), and not with cross-site requests other than links (`same_site="Lax"`; also "Strict"
        and "None").

        >>> Response.text("welcome").cookie("visits", "1", max_age=3600).status_code
        200

        Raises InvalidError for a value that cookies cannot hold, and for combinations that browsers reject.
        """
        if not isinstance(value, str):
            raise TypeError(f"value {value!r} of cookie {name} is not str")
        if max_age is not None and max_age <= 0:
            raise InvalidError(f"max_age {max_age} of cookie {name} is not above 0; delete_cookie() removes a cookie")
        # ctypes would cut a larger one to 64 bits without a word.
        if max_age is not None and max_age > _MOST_AGE:
            raise InvalidError(f"max_age {max_age} of cookie {name} is above {_MOST_AGE}, a hundred years")
        self._add(_Cookie(name, value, max_age, path, domain, secure, http_only, same_site))
        return self

    @_step
    def delete_cookie(
        self,
        name: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool | None = None,
        same_site: str = "Lax",
    ) -> Response:
        """Asks the client to delete a cookie. `path` and `domain` must be those that it was set with.

        `secure=None` sends Secure if browsers require it: for names that begin with `__Host-` or `__Secure-`, and with
        `same_site="None"`.
        """
        if secure is None:
            # Of what a name asks for the library knows.
            secure = same_site.title() == "None"
        self._add(_Cookie(name, None, None, path, domain, secure, True, same_site))
        return self

    @_step
    def send(self, body: Body, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sets the body according to its type: str is text, dict and list are JSON, bytes are binary data, None is no
        body.

        >>> Response.send([1, 2]).content_type
        'application/json'

        Raises TypeError for other types.
        """
        self._fill(body)
        return self._with(status, headers)

    @_step
    def text(self, text: str, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sets a plain-text body, encoded as UTF-8."""
        self._give(text.encode(), TEXT)
        return self._with(status, headers)

    @_step
    def html(self, html: str, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sets an HTML body, encoded as UTF-8."""
        self._give(html.encode(), HTML)
        return self._with(status, headers)

    @_step
    def json(self, value: Any, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sets a JSON body; the value is encoded at once. Raises TypeError for values that JSON does not have.

        >>> Response.json({"ok": True}).body
        b'{"ok":true}'
        """
        self._give(_json.encode(value), JSON)
        return self._with(status, headers)

    @_step
    def bytes(self, data: _Bytes, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sets a binary body; the data is copied at once."""
        self._give(_octets(data), OCTETS)
        return self._with(status, headers)

    @_step
    def redirect(self, location: str, *, status: int = 302, headers: _Fields | None = None) -> Response:
        """Redirects the client to `location`. `status` is 301, 302 (the default), 303, 307 or 308.

        >>> Response.redirect("/login").status_code
        302
        """
        if status not in _REDIRECTS:
            raise InvalidError(f"redirect {status!r} is none of 301, 302, 303, 307, 308")
        self._refuse_late("a redirect")
        self._location = (int(status), _line(location, "location"))
        self._status = int(status)
        return self._with(None, headers)

    @_step
    def file(self, path: _Path, *, status: int | None = None, headers: _Fields | None = None) -> Response:
        """Sends a file, with the content type of its extension, ETag and Last-Modified; handles ranges and conditional
        requests.

        Do not build `path` from what the client sent: use `App.static()` for that. Large files are not loaded into
        memory.

        >>> import pathlib, tempfile
        >>> from hasty import App
        >>> path = pathlib.Path(tempfile.mkdtemp(), "report.csv")
        >>> _ = path.write_text("a,b")
        >>> app = App()
        >>> @app.get("/report")
        ... def report(req):
        ...     return Response.file(path)
        >>> with app.test_client() as client:
        ...     client.get("/report").text, client.get("/report", headers={"Range": "bytes=1-"}).text
        ('a,b', ',b')

        Raises NotFoundError, a LookupError, if there is no such file, InvalidError if it is not a regular file, and
        IoError if it cannot be accessed.
        """
        self._send_file(_File(path, None, False))
        return self._with(status, headers)

    #: `file`, as a step: `res.send_file("report.pdf")`.
    send_file = file

    @_step
    def download(
        self,
        path: _Path,
        filename: str | None = None,
        *,
        status: int | None = None,
        headers: _Fields | None = None,
    ) -> Response:
        """Sends a file for the client to save as `filename`, whose extension sets the content type. None: its own name.

        >>> import pathlib, tempfile
        >>> from hasty import App
        >>> path = pathlib.Path(tempfile.mkdtemp(), "report-7.csv")
        >>> _ = path.write_text("a,b")
        >>> app = App()
        >>> @app.get("/report")
        ... def report(req, res):
        ...     res.download(path, "Report.csv")
        >>> with app.test_client() as client:
        ...     client.get("/report").headers["content-disposition"]
        'attachment; filename="Report.csv"'

        Raises the same errors as `file`.
        """
        self._send_file(_File(path, filename, True))
        return self._with(status, headers)

    @_step
    def stream(
        self,
        chunks: Iterable[Chunk] | AsyncIterator[Chunk],
        *,
        status: int | None = None,
        headers: _Fields | None = None,
    ) -> Response:
        r"""Streams the str, bytes or Event pieces that an iterable yields. Handlers can also use `yield` instead.

        The iterable runs on a thread of its own, as fast as the client reads. It is closed when the client disconnects.

        >>> from hasty import App
        >>> app = App()
        >>> @app.get("/rows")
        ... def rows(req):
        ...     return Response.stream((f"{n},{n * n}\n" for n in range(3)), headers={"Content-Type": "text/csv"})
        >>> with app.test_client() as client:
        ...     client.get("/rows").text
        '0,0\n1,1\n2,4\n'
        """
        self._clear()
        self._stream = chunks if isinstance(chunks, AsyncIterator) else iter(chunks)
        return self._with(status, headers)

    def write(self, data: Chunk) -> Response:
        """Sends a piece of the body at once: str, bytes or Event. The first call also sends the status and headers.

        Only for the `res` of a running handler. It waits while the client reads slowly, and holds its thread meanwhile.
        A generator does not hold a serving thread; an `async def` handler must use `yield`.

        >>> from hasty import App
        >>> app = App()
        >>> @app.get("/")
        ... def two(req, res):
        ...     res.type("txt").write("one, ").write("two")
        >>> with app.test_client() as client:
        ...     client.get("/").text
        'one, two'

        Raises ClosedError if the client has disconnected, TimedOutError if it accepts nothing for `write_timeout_ms`,
        and StateError in async handlers.
        """
        desk = self._desk
        if desk is None:
            raise StateError("write() is for the res of a handler that runs; return a generator, or yield, to stream")
        for piece in event.pieces(data, _WHOLE):
            desk.write(self, piece, data)
        return self

    # --- inside ---

    def _refuse_spent(self) -> None:
        if self._begun and self._desk is None:
            raise StateError("this Response has streamed already: make a new one for each request")

    def _refuse_late(self, what: str) -> None:
        if self._begun:
            raise StateError(f"{what} comes too late: the head was sent with the first write()")

    def _clear(self) -> None:
        """Discards the body, so that another one can replace it."""
        self._refuse_late("a body")
        self._body = self._file = self._stream = None
        if self._type in _BY_BODY:
            self._type = None

    def _send_file(self, file: _File) -> None:
        self._clear()
        self._file = file

    def _answers(self) -> bool:
        """Is there an answer, and not just header fields for another one?"""
        return (
            self._begun
            or self._status != 200
            or self._body is not None
            or self._file is not None
            or self._stream is not None
            or self._location is not None
        )

    def _begin(self, res: _ffi.ResponsePointer, first: Chunk) -> None:
        """Sets the status and header fields, which are sent with the first piece."""
        if self._body is not None or self._file is not None:
            raise StateError("write() comes too late: a body was given")
        if self.content_type is None:
            self._type = event.kind_of(first)
        self._set_head(res)
        self._begun = True
        self.headers._close()

    def _with(self, status: int | None, headers: _Fields | None) -> Response:
        if status is not None:
            self._set_status(status)
        if headers is not None:
            self.headers.extend(headers)
        return self

    def _set_status(self, code: int) -> None:
        if not isinstance(code, int) or not 200 <= code <= 599:
            raise InvalidError(f"status {code!r} is not in 200 to 599")
        self._refuse_late("a status")
        self._status = int(code)
        self._given = True

    def _of_status(self, code: int) -> Response:
        """Returns this response with a status, unless it has one; copied, because the Response may be shared."""
        if self._status != 200 or getattr(self, "_given", False):
            return self
        answer = self if self._stream is not None else copy.copy(self)
        answer._status = code
        return answer

    def _add(self, cookie: _Cookie) -> None:
        self._refuse_late("a cookie")
        if self._cookies is None:
            self._cookies = []
        self._cookies.append(cookie)

    def _give(self, data: _FrozenBytes, kind: str) -> None:
        self._refuse_late("a body")
        self._file = self._stream = None
        self._body = data
        # A type that was asked for stays, one that came with an earlier body goes.
        if self._type is None or self._type in _BY_BODY:
            self._type = kind

    def _fill(self, body: Body) -> None:
        if isinstance(body, str):
            self._give(body.encode(), TEXT)
        elif isinstance(body, (dict, list, Mapping)):
            self._give(_json.encode(body), JSON)
        elif isinstance(body, (bytes, bytearray, memoryview)):
            self._give(_octets(body), OCTETS)
        elif body is None:
            self._clear()
        elif isinstance(body, (Iterator, AsyncIterator)):
            self._clear()
            self._stream = body
        elif isinstance(body, Coroutine):
            body.close()
            raise TypeError(
                "a coroutine was returned: `return await ...`, in an `async def`; a decorator around an async handler "
                "is async as well"
            )
        elif isinstance(body, event.Event):
            raise TypeError("an Event is a piece of a stream: `yield Event(...)` in place of `return Event(...)`")
        elif isinstance(body, tuple):
            raise TypeError(
                "of tuples, only a plain one is (body, status) or (body, status, headers), "
                f"not a {type_name(body)}; Response.json() takes any JSON value"
            )
        else:
            raise TypeError(f"a body is str, bytes, dict, list, iterator or None, not {type_name(body)}; {_way(body)}")

    def _send(self, res: _ffi.ResponsePointer) -> None:
        """Copies the response to the library's."""
        self._refuse_spent()
        self._set_head(res)
        if self._body is not None:
            _ffi.check(_ffi.hasty_response_send(res, self._body, len(self._body)))
        elif self._file is not None:
            self._file.send(res)
        elif self._stream is not None:
            raise TypeError("only handlers and middleware may answer with a stream")

    def _set_head(self, res: _ffi.ResponsePointer) -> None:
        check = _ffi.check
        if self._location is not None:
            code, location = self._location
            check(_ffi.hasty_response_send_redirect(res, code, location.encode()))
        if self._status != 200 or self._location is not None:
            check(_ffi.hasty_response_set_status(res, self._status))
        if self._type is not None:
            check(_ffi.hasty_response_set_type(res, self._type.encode()))
        if self._headers is not None:
            seen = set()
            for name, value in self._headers.pairs():
                key = name.lower()
                call = _ffi.hasty_response_add_header if key in seen else _ffi.hasty_response_set_header
                seen.add(key)
                check(call(res, name.encode(), value.encode()))
        if self._cookies is not None:
            for cookie in self._cookies:
                cookie.send(res)


# A hundred years, in seconds.
_MOST_AGE = 100 * 366 * 86400

# A blocking write takes pieces of every size.
_WHOLE = 1 << 62


#: What a handler of one argument may return.
Result = Union[Body, Response, tuple[Body, int], tuple[Body, int, _Fields]]


def as_response(value: Any) -> Response:
    """Converts what a handler returned: None is 204, a plain tuple is (body, status[, headers])."""
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(None, 204)
    if type(value) is tuple:
        if value and isinstance(value[0], Response):
            raise TypeError("a Response has its status itself, as in Response.json(value, status=201)")
        if not 2 <= len(value) <= 3 or isinstance(value[0], tuple) or not isinstance(value[1], int):
            # Its body may be long, and is nobody's business in a log.
            kinds = ", ".join(map(type_name, value))
            raise TypeError(f"a tuple is (body, status) or (body, status, headers), not ({kinds})")
        return Response(*value)
    return Response(value)


# RFC 6265 4.1.1: cookie-octet
_COOKIE_OCTETS = frozenset(chr(c) for c in range(0x21, 0x7F)) - frozenset('",;\\')

_HOST_LETTERS = frozenset(string.ascii_letters + string.digits + ".-")


def type_name(value: object) -> str:
    """The name of a value's type. A function, because inside Response `type` is the method."""
    return type(value).__name__


def _way(body: object) -> str:
    """Suggests what to do with a value that cannot be a body."""
    if isinstance(body, BaseException):
        return "raise it"
    if isinstance(body, os.PathLike):
        return "Response.file() sends the file"
    return _json.way_of(body) or "Response.json() takes any JSON value"


def _octets(data: _Bytes) -> bytes:
    return data if type(data) is bytes else bytes(data)


def _line(text: str, what: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} {text!r} is not str")
    if any(c in text for c in "\r\n\0"):
        raise InvalidError(f"{what} {text!r} holds a line break or NUL")
    if not text.isascii() and not is_text(text):
        raise InvalidError(f"{what} {text!r} holds half a character, which UTF-8 does not have")
    return text


class _File:
    """A file to send; the library opens it once the handler has returned."""

    __slots__ = ("_download", "_name", "_path")

    def __init__(self, path: _Path, filename: str | None, download: bool) -> None:
        self._path = _ffi.encode(os.fsencode(path), "path")
        self._name = None if filename is None else _ffi.encode(filename, "filename")
        self._download = download
        # Looked at where the handler stands: the library would refuse the answer only after it has returned.
        try:
            mode = os.stat(self._path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"there is no file {os.fspath(path)!r}") from None
        except OSError as error:
            raise IoError(f"file {os.fspath(path)!r}: {error.strerror} (os error {error.errno})") from None
        if not stat.S_ISREG(mode):
            raise InvalidError(f"{os.fspath(path)!r} is no regular file")

    def send(self, res: _ffi.ResponsePointer) -> None:
        if self._download:
            _ffi.check(_ffi.hasty_response_send_download(res, self._path, self._name))
        else:
            _ffi.check(_ffi.hasty_response_send_file(res, self._path))


def _refuse_rejected(name: str, path: str, domain: str | None, secure: bool, same_site: str) -> None:
    """Refuses cookies that browsers would silently reject or ignore."""
    why = ""
    if not path.startswith("/"):
        why = f"path {path!r} does not begin with '/'; browsers ignore it"
    elif domain and not _HOST_LETTERS.issuperset(domain):
        why = f"domain {domain!r} is no name of a host, of letters, digits, dots and hyphens"
    elif same_site.title() == "None" and not secure:
        why = "browsers reject same_site='None' without secure=True"
    elif name.lower().startswith("__secure-") and not secure:
        why = "browsers reject a name that begins with __Secure- without secure=True"
    elif name.lower().startswith("__host-") and (not secure or domain or path != "/"):
        why = (
            "browsers reject a name that begins with __Host- without secure=True, with a domain, "
            "or with a path other than '/'"
        )
    if why:
        raise InvalidError(f"cookie {name}: {why}")


class _Cookie:
    """A Set-Cookie field; the library checks and writes it."""

    __slots__ = ("_name", "_options", "_value")

    def __init__(
        self,
        name: str,
        value: str | None,
        max_age: int | None,
        path: str,
        domain: str | None,
        secure: bool,
        http_only: bool,
        same_site: str,
    ) -> None:
        # Checked where the handler stands: the library would refuse the answer only after it has returned.
        if not is_token(name):
            raise InvalidError(f"cookie name {name!r} is not a token")
        if value is not None and not _COOKIE_OCTETS.issuperset(value):
            raise InvalidError(
                f"cookie {name} = {value!r}: a value must not hold spaces, quotes, commas, semicolons, backslashes, "
                "controls or non-ASCII; encode it"
            )
        for text in (path, domain or ""):
            if not text.isascii() or not text.isprintable() or ";" in text:
                raise InvalidError(f"cookie {name}: path or domain {text!r} holds a semicolon, a control or non-ASCII")
        if same_site.title() not in ("Lax", "Strict", "None"):
            raise InvalidError(f"cookie {name}: same_site {same_site!r} is none of Lax, Strict, None")
        # The library forgets a cookie as its name promises.
        _refuse_rejected(name, path, domain, secure or value is None, same_site)
        self._name = name.encode()
        self._value = None if value is None else value.encode()
        self._options = _ffi.hasty_cookie(
            ctypes.sizeof(_ffi.hasty_cookie),
            path.encode(),
            domain.encode() if domain else None,
            same_site.encode(),
            max_age or 0,
            int(secure),
            int(not http_only),
        )

    def send(self, res: _ffi.ResponsePointer) -> None:
        if self._value is None:
            _ffi.check(_ffi.hasty_response_delete_cookie(res, self._name, self._options))
        else:
            _ffi.check(_ffi.hasty_response_set_cookie(res, self._name, self._value, self._options))
