"""WSGI (PEP 3333): Flask, Django, Bottle and whatever else speaks it, served by hasty.

    import hasty.wsgi
    hasty.wsgi.serve(flask_app, port=8080, threads=16)

`as_app()` makes an App of an application, to be tested and served like any other; `mount()` puts one below a prefix of
an App that has routes of its own.

>>> import hasty.wsgi
>>> def hello(environ, start_response):
...     start_response("200 OK", [("Content-Type", "text/plain")])
...     return [f"Hello from {environ['PATH_INFO']}!".encode()]
>>> with hasty.wsgi.as_app(hello).test_client() as client:
...     client.get("/here").text
'Hello from /here!'

An application is called when the whole body of its request has arrived, so that slow clients hold no thread. With
`body="stream"` it is called as soon as the head is there and reads the body as it comes, in constant memory: for large
uploads, with enough threads.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from ctypes import addressof, byref, c_char, c_size_t
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Union

from . import _ffi
from .app import App
from .errors import HastyError, InvalidError, StateError
from .handler import Errors, Route, complain, name_of
from .headers import is_token
from .request import Request
from .stream import Streams

if TYPE_CHECKING:
    from typing_extensions import Literal

__all__ = ["Application", "FileWrapper", "as_app", "mount", "serve"]

#: What is served: `application(environ, start_response)` gives an iterable of bytes.
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
#: What `sys.exc_info()` gives.
_ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]

#: Large bodies are read and files are sent in pieces of so many bytes.
PIECE = 65536
#: The path may begin with so many slashes. A rest of the library's begins with a segment that is not empty, so each
#: number of slashes is a pattern.
SLASHES = 8
#: So many different names and statuses are remembered; who invents more pays for it with time, not with memory.
KNOWN = 1000
#: Between two looks whether another thread serves.
PAUSE_S = 0.001

log = logging.getLogger("hasty.wsgi")


def serve(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    threads: int = 0,
    workers: int = 1,
    *,
    body: Literal["buffer", "stream"] = "buffer",
    url_scheme: str = "http",
    **options: Any,
) -> None:
    """Serves a WSGI application until Ctrl-C; prints the URL first. Port 0 takes a free one.

    `threads` is how many Python threads call it (0 is one), `workers` how many processes; `options` are those of `App`.
    `url_scheme="https"` is for servers behind a proxy that speaks TLS.
    """
    app = as_app(application, threads=threads, body=body, url_scheme=url_scheme, multiprocess=workers > 1, **options)
    # Not named where it is not wanted, so that an App of one process will do.
    several: dict[str, Any] = {} if workers == 1 else {"workers": workers}
    app.listen(port, host, **several)


def as_app(
    application: Application,
    *,
    threads: int = 0,
    body: Literal["buffer", "stream"] = "buffer",
    url_scheme: str = "http",
    multiprocess: bool = False,
    **options: Any,
) -> App:
    """An App that hands every request to a WSGI application; `options` are those of `App`.

    It may have routes of its own as well, static files, CORS and middleware: what is more specific comes first.

    Errors: InvalidError for what cannot be called; those of `App`.
    """
    # A form is a body like others here: the application parses it, so the library must keep it whole.
    options.setdefault("spool_bytes", 1 << 40)
    app = App(threads, **options)
    mount(app, "/", application, body=body, url_scheme=url_scheme, multiprocess=multiprocess)
    return app


def mount(
    app: App,
    prefix: str,
    application: Application,
    *,
    body: Literal["buffer", "stream"] = "buffer",
    url_scheme: str = "http",
    multiprocess: bool = False,
) -> None:
    """Hands every request at `prefix` and below it to a WSGI application, which finds the prefix in SCRIPT_NAME.

    >>> import hasty, hasty.wsgi
    >>> def where(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/plain")])
    ...     return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]
    >>> app = hasty.App()
    >>> hasty.wsgi.mount(app, "/old", where)
    >>> with app.test_client() as client:
    ...     client.get("/old/page").text
    '/old /page'

    A multipart form beyond the app's `spool_bytes` is taken apart by the library, for its own routes, and would be
    missing here: give the App as many `spool_bytes` as `max_body_bytes`, or mount with `body="stream"`.

    Errors: InvalidError for what cannot be called, and where a route has the place already; StateError after the start.
    """
    if not callable(application):
        raise InvalidError(f"a WSGI application is called with (environ, start_response); {application!r} cannot be")
    if not prefix.startswith("/") or "%" in prefix or any(part[:1] in (":", "*") for part in prefix.split("/")):
        raise InvalidError(f"prefix {prefix!r} is not a plain path from a slash on")
    prefix = prefix.rstrip("/")
    patterns = [prefix + "/" * count + "*" for count in range(1, SLASHES + 1)]
    if prefix:
        patterns.insert(0, prefix)
    gateway = Gateway(app, prefix, application, body == "stream", url_scheme, multiprocess)
    for pattern in patterns:
        app._register_route(Entrance(pattern, gateway, app._errors, app._streams))
        if body != "buffer":
            app._route_option("*", pattern, "body", body)


class Entrance(Route):
    """A pattern that leads to an application."""

    __slots__ = ("_gateway",)

    def __init__(self, pattern: str, gateway: Gateway, errors: Errors, streams: Streams) -> None:
        # Not Route's own: an application is no handler.
        self._function = gateway.application
        self._errors = errors
        self._streams = streams
        self._gateway = gateway
        self._fills = False
        self.method = "*"
        self.pattern = pattern
        self.inline = gateway.reads

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        reply = Reply(res, self._gateway.relief)
        incoming: Incoming | None = None
        try:
            environ = self._gateway.environ(req)
            reply.is_head = environ["REQUEST_METHOD"] == "HEAD"
            if self._gateway.reads:
                incoming = environ["wsgi.input"].raw
            result = self._gateway.application(environ, reply.start)
            try:
                reply.give(result)
            finally:
                # PEP 3333: "If the iterable returned by the application has a close() method, the server or gateway
                # must call that method upon completion of the current request".
                close = getattr(result, "close", None)
                if close is not None:
                    self._close(close, req)
            return _ffi.OK
        except Gone:
            return _ffi.OK
        except BaseException as error:  # SystemExit too: it would end a worker, not the program
            if incoming is not None and is_caused_by(error, incoming.failure):
                # The client's fault: the library knows which.
                return _ffi.ERR_CLOSED
            return self._broken(req, res, reply, error)
        finally:
            if reply.begun:
                self._gateway.relief.end()
            if incoming is not None:
                incoming.end()

    def _close(self, close: Callable[[], object], req: _ffi.RequestPointer) -> None:
        try:
            close()
        except BaseException as error:
            # The answer is given, and to take it back would help nobody.
            self._complain(req, error)

    def _broken(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer, reply: Reply, error: BaseException) -> int:
        if reply.begun:
            # Only the connection's end can tell that the answer is not whole.
            self._complain(req, error)
            return _ffi.ERR_CLOSED
        request = Request(req)
        try:
            # Half of an answer may be there.
            _ffi.check(_ffi.hasty_response_reset(res))
            return self._fail(request, None, res, error)
        finally:
            request._end()

    def _complain(self, req: _ffi.RequestPointer, error: BaseException) -> None:
        request = Request(req)
        complain(request, name_of(self._function), error)
        request._end()


class Gateway:
    """An application, and what it is told with every request."""

    def __init__(
        self, app: App, prefix: str, application: Application, reads: bool, url_scheme: str, multiprocess: bool
    ) -> None:
        self.application = application
        #: Does the application read the body while it comes?
        self.reads = reads
        self.relief = Relief(app)
        self._app = app
        self._prefix = len(prefix.encode())
        self._is_based = False
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": prefix.encode().decode("latin-1"),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url_scheme,
            "wsgi.errors": Log(),
            # With one thread too: a second one takes over while the first is in the middle of an answer.
            "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            # No more than the body can be read, also where no CONTENT_LENGTH tells its end.
            "wsgi.input_terminated": True,
        }

    def _locate(self) -> None:
        """Learns where the app listens, which is known once it does."""
        server = self._app._server
        self._base["SERVER_NAME"] = _name("127.0.0.1" if server is None else server.host)
        self._base["SERVER_PORT"] = str(_ffi.hasty_app_port(self._app._native.pointer))
        self._is_based = server is not None

    def environ(self, req: _ffi.RequestPointer) -> dict[str, Any]:
        """The environ of one request."""
        if not self._is_based:
            self._locate()
        environ = self._base.copy()
        environ["REQUEST_METHOD"] = _latin(_ffi.hasty_request_method(req))
        environ["PATH_INFO"] = _latin(_ffi.hasty_request_path(req))[self._prefix :]
        environ["QUERY_STRING"] = _latin(_ffi.hasty_request_query_string(req))
        environ["REMOTE_ADDR"] = _latin(_ffi.hasty_request_remote_address(req))
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if _ffi.hasty_request_minor_version(req) else "HTTP/1.0"
        _add_headers(req, environ)
        if self.reads:
            environ["wsgi.input"] = io.BufferedReader(Incoming(req), PIECE)
        else:
            self._add_body(req, environ)
        return environ

    def _add_body(self, req: _ffi.RequestPointer, environ: dict[str, Any]) -> None:
        body = _ffi.octets(_ffi.hasty_request_body(req)) or b""
        environ["wsgi.input"] = io.BytesIO(body)
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
            # It came in chunks, and is whole now.
            environ["CONTENT_LENGTH"] = str(len(body))
        elif not body and environ.get("CONTENT_LENGTH", "").strip("0"):
            raise StateError(
                "the library has taken this form apart: give the App as many spool_bytes as max_body_bytes, "
                'or mount with body="stream"'
            )


# --- the environ ---


class Keys(dict[bytes, "str | None"]):
    """The key of a header's name in an environ; None where the application must not see it.

    >>> keys = Keys()
    >>> keys[b"Content-Type"], keys[b"X-User"], keys[b"X_User"], keys[b"Proxy"]
    ('CONTENT_TYPE', 'HTTP_X_USER', None, None)
    """

    def __missing__(self, name: bytes) -> str | None:
        key = self._made(name.lower())
        if len(self) < KNOWN:
            self[name] = key
        return key

    @staticmethod
    def _made(name: bytes) -> str | None:
        # In an environ X_User and X-User are one, while a proxy that vouches for the one lets the other pass. And
        # HTTP_PROXY is what programs obey when they ask elsewhere.
        if b"_" in name or name == b"proxy":
            return None
        key = name.decode("latin-1").upper().replace("-", "_")
        return key if key in _SINGLE else f"HTTP_{key}"


_SINGLE = ("CONTENT_TYPE", "CONTENT_LENGTH")
_keys = Keys()


def _add_headers(req: _ffi.RequestPointer, environ: dict[str, Any]) -> None:
    name, value = _ffi.hasty_str(), _ffi.hasty_str()
    for index in range(_ffi.hasty_request_header_count(req)):
        _ffi.check(_ffi.hasty_request_header_at(req, index, byref(name), byref(value)))
        key = _keys[_ffi.octets(name) or b""]
        if key is not None:
            text = _latin(value)
            environ[key] = _joined(key, environ[key], text) if key in environ else text
    if "HTTP_HOST" in environ:
        # RFC 9112 3.2.2: that of an absolute target counts instead.
        environ["HTTP_HOST"] = _latin(_ffi.hasty_request_header(req, b"Host"))


def _joined(key: str, before: str, more: str) -> str:
    """The values of two header lines of one name, as one."""
    if key in _SINGLE:
        return before
    # RFC 9110 5.3, and RFC 6265 5.4 for cookies.
    return f"{before}; {more}" if key == "HTTP_COOKIE" else f"{before}, {more}"


def _latin(view: _ffi.hasty_str) -> str:
    """Bytes as WSGI has them: a string of the characters with these numbers."""
    return (_ffi.octets(view) or b"").decode("latin-1")


def _name(host: str) -> str:
    """The server's name, for clients that do not say whom they ask."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "") else host


class Incoming(io.RawIOBase):
    """A body that is read while it comes."""

    def __init__(self, req: _ffi.RequestPointer) -> None:
        self._pointer: _ffi.RequestPointer | None = req
        #: Why it could not be read to its end: the client's fault.
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._pointer is None:
            raise ValueError("this request was answered: its body can be read no more")
        if not len(buffer):
            return 0
        got = c_size_t()
        status = _ffi.hasty_request_read(self._pointer, addressof(c_char.from_buffer(buffer)), len(buffer), byref(got))
        try:
            _ffi.check(status)
        except HastyError as error:
            self.failure = error
            raise
        return got.value

    def end(self) -> None:
        """The request was answered: the library may reuse what the pointer points to."""
        self._pointer = None


def is_caused_by(error: BaseException | None, cause: BaseException | None) -> bool:
    """Is an error this other one, or what somebody made of it?"""
    seen: set[int] = set()
    while cause is not None and error is not None and id(error) not in seen:
        if error is cause:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


class Log(io.TextIOBase):
    """wsgi.errors: what is written there becomes records of `logging.getLogger("hasty.wsgi")`, one for each write that
    ends a line, so that a traceback stays in one piece."""

    def __init__(self) -> None:
        self._begun = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        self._begun.text = getattr(self._begun, "text", "") + text
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._begun.text = getattr(self._begun, "text", ""), ""
        if text.strip():
            log.error("%s", text.rstrip())


# --- the answer ---


class Relief:
    """Sees to it that somebody serves while the thread of an application gives an answer piece by piece.

    WSGI has applications made on the thread that called them, whatever that waits for, so each answer in pieces holds
    a thread.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        #: How many answers are given piece by piece; guarded by the lock.
        self._busy = 0

    def begin(self) -> None:
        with self._lock:
            self._busy += 1
        self.call()

    def call(self) -> None:
        """Starts one more thread where all are busy."""
        server = self._app._server
        if server is None:
            # Others serve a moment later.
            return
        crew = server._crew
        with self._lock, crew._lock:
            if self._busy < len(crew.threads) or crew._left == 0:
                return
            crew._left += 1
            name = f"hasty-{len(crew.threads) + 1}"
            thread = threading.Thread(target=crew._work, name=name, daemon=True)
            crew.threads.append(thread)
        thread.start()

    def end(self) -> None:
        with self._lock:
            self._busy -= 1


class Gone(Exception):
    """Nobody takes any more of the answer: the client has left, or has asked for the head alone."""


class Reply:
    """What an application answers to a request: `start` is its start_response, and `give` takes what it returns."""

    __slots__ = ("_code", "_length", "_lines", "_relief", "_res", "begun", "is_head")

    def __init__(self, res: _ffi.ResponsePointer, relief: Relief) -> None:
        self._res = res
        self._relief = relief
        self._code = 0
        self._lines: list[bytes] = []
        self._length: int | None = None
        #: Was the head sent?
        self.begun = False
        #: Is the head all that the client wants?
        self.is_head = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        """Takes status and header fields, which the first piece of the body takes along; gives `write`."""
        if exc_info is not None:
            try:
                if self.begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # Or the traceback would hold this frame, and the frame the traceback.
                exc_info = None
        elif self._code:
            raise StateError("start_response was called before: only an error, with exc_info, may start anew")
        code = _codes[status]
        self._lines, self._length = fields(headers)
        self._code = code
        return self.write

    def write(self, data: bytes, /) -> None:
        """Sends a piece of the body now, and before the first one the head."""
        if not isinstance(data, bytes):
            raise _no_bytes(data)
        if not self.begun:
            self._set_head()
            self.begun = True
            self._relief.begin()
        status = _ffi.hasty_response_write(self._res, data, len(data))
        while status == _ffi.ERR_LIMIT:
            # It waits for a slow client only where another thread serves meanwhile, and that one is on its way.
            self._relief.call()
            time.sleep(PAUSE_S)
            status = _ffi.hasty_response_write(self._res, data, len(data))
        if status in (_ffi.ERR_CLOSED, _ffi.ERR_TIMEOUT):
            raise Gone
        _ffi.check(status)

    def give(self, result: Iterable[bytes]) -> None:
        """Sends what an application has returned."""
        if isinstance(result, FileWrapper):
            if not self.begun and self._give_file(result):
                return
            result = result.pieces(self._length)
        elif type(result) not in _WHOLE:
            # Others may give what is all there too, as Django's answers do.
            result = iter(result)
        if not self.begun and type(result) in _WHOLE:
            self._give_whole(list(result))
            return
        for block in result:
            # PEP 3333: the head is to wait for the first block that is not empty.
            if block:
                self.write(block)
        if not self.begun:
            self._give_whole([])

    def _give_whole(self, blocks: list[bytes]) -> None:
        for block in blocks:
            if not isinstance(block, bytes):
                raise _no_bytes(block)
        body = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        self._set_head()
        if body:
            _ffi.check(_ffi.hasty_response_send(self._res, body, len(body)))
        elif self.is_head and self._length is None:
            # RFC 9110 8.6: it would be the length for GET, which whoever leaves the body out does not know. A stream
            # has none.
            _ffi.hasty_response_write(self._res, b"", 0)

    def _give_file(self, wrapper: FileWrapper) -> bool:
        """Lets the library send a file, where there is one and all of it is wanted."""
        path = wrapper.path(self._length)
        if path is None or _ffi.hasty_response_send_file(self._res, path) != _ffi.OK:
            return False
        self._set_head()
        return True

    def _set_head(self) -> None:
        if not self._code:
            raise StateError("the application did not call start_response before the first piece of its body")
        res, check = self._res, _ffi.check
        check(_ffi.hasty_response_set_status(res, self._code))
        for line in self._lines:
            name, _, value = line.partition(b": ")
            check(_ffi.hasty_response_add_header_bytes(res, name, value, len(value)))


#: Iterating over these runs no code of an application: all blocks are there.
_WHOLE: tuple[type, ...] = (list, tuple, type(iter([])), type(iter(())))


def _no_bytes(block: object) -> TypeError:
    return TypeError(f"a piece of a WSGI body is bytes, not {type(block).__name__}")


class Codes(dict[str, int]):
    """The number of a status.

    >>> Codes()["404 Not Found"]
    404
    """

    def __missing__(self, status: str) -> int:
        if not isinstance(status, str):
            raise TypeError(f"status {status!r} is not str")
        digits = status[:3]
        if not (digits.isascii() and digits.isdigit() and status[3:4] in ("", " ") and 200 <= int(digits) <= 599):
            raise InvalidError(f'status {status!r} is not a number from 200 to 599 with a reason, such as "200 OK"')
        if len(self) < KNOWN:
            self[status] = int(digits)
        return int(digits)


_codes = Codes()

#: What belongs to a connection, which is the server's: RFC 2616 13.5.1, which PEP 3333 goes by.
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer trailers transfer-encoding upgrade".split()
)


class Starts(dict[str, "str | None"]):
    """How the line of a header begins; None for those that are more than a line.

    >>> starts = Starts()
    >>> starts["X-Count"], starts["content-length"]
    ('X-Count: ', None)
    """

    def __missing__(self, name: str) -> str | None:
        if not isinstance(name, str):
            raise TypeError(f"header name {name!r} is not str")
        if not is_token(name):
            raise InvalidError(f"header name {name!r} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            raise InvalidError(f"header {name} is about the connection, which is the server's and not an application's")
        start = None if lower in ("content-length", "date") else f"{name}: "
        if len(self) < KNOWN:
            self[name] = start
        return start


_starts = Starts()


def fields(headers: list[tuple[str, str]]) -> tuple[list[bytes], int | None]:
    """Header fields as lines, and the length of the body where one of them tells it.

    >>> fields([("Content-Type", "text/plain"), ("Content-Length", "5")])
    ([b'Content-Type: text/plain', b'Content-Length: 5'], 5)
    """
    if not isinstance(headers, list):
        raise TypeError(f"the headers of an answer are a list of tuples, not {type(headers).__name__}")
    lines = []
    length = None
    for name, value in headers:
        if not isinstance(value, str):
            raise TypeError(f"value {value!r} of header {name} is not str")
        start = _starts[name]
        if not value and name.lower() == "content-type":
            # No type at all.
            continue
        if start is None:
            if name.lower() == "date":
                # The server's own says the same.
                continue
            if not (value.isascii() and value.isdigit()):
                raise InvalidError(f"header {name}: {value!r} is not a number of bytes")
            length = int(value)
            start = f"{name}: "
        if "\n" in value or "\r" in value or "\0" in value:
            raise InvalidError(f"value of header {name}: {value!r} holds a line break or NUL")
        lines.append((start + value).encode("latin-1"))
    return lines, length


class FileWrapper:
    """wsgi.file_wrapper: a file as an answer. Real ones are sent by the library, others are read piece by piece."""

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self._file = filelike
        self._block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block: bytes = self._file.read(self._block_size)
        if not block:
            raise StopIteration
        return block

    def pieces(self, length: int | None) -> Iterator[bytes]:
        """What is left of it, at most `length` bytes, in larger pieces where its blocks are small."""
        size = max(self._block_size, PIECE)
        while length is None or length > 0:
            piece: bytes = self._file.read(size if length is None else min(size, length))
            if not piece:
                return
            if length is not None:
                length -= len(piece)
            yield piece

    def path(self, length: int | None) -> bytes | None:
        """A path by which the library can open it; None for what is no file, or is not wanted from its beginning to
        its end."""
        file: Any = self._file
        if type(file) is tempfile._TemporaryFileWrapper:
            file = file.file
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        # Others have descriptors as well and read something else than there is: decompressors, decoders.
        if type(raw) is not io.FileIO or raw.closed:
            return None
        try:
            if file.tell() != 0:
                return None
            file.flush()
            found = os.fstat(raw.fileno())
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode) or length not in (None, found.st_size):
            return None
        return b"/proc/self/fd/%d" % raw.fileno()
