"""WSGI (PEP 3333): serves Flask, Django, Bottle and other applications.

    import hasty.wsgi
    hasty.wsgi.serve(flask_app, port=8080, threads=16)

`as_app()` turns an application into an App, which can be tested and served like any other; `mount()` makes one
available below a prefix of an App.

>>> import hasty.wsgi
>>> def hello(environ, start_response):
...     start_response("200 OK", [("Content-Type", "text/plain")])
...     return [f"Hello from {environ['PATH_INFO']}!".encode()]
>>> with hasty.wsgi.as_app(hello).test_client() as client:
...     client.get("/here").text
'Hello from /here!'

The application is called once the whole body of a request has arrived, so that slow clients hold no thread. With
`body="stream"` it is called as soon as the headers have arrived and reads the body as it comes, in constant memory;
this suits large uploads, and needs enough threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import quote

from . import _ffi
from .app import App
from .desk import Apart, InCall
from .errors import ClosedError, InvalidError
from .handler import Route, Step, is_async, name_of, titled
from .progress import harmless
from .report import report
from .request import Request
from .server import Relieved
from .slot import ALIKE, STATUS, USER_DATA
from .taker import Once
from .wsgi_environ import Environs
from .wsgi_file import FileWrapper
from .wsgi_head import NOT_YET
from .wsgi_relief import Relief
from .wsgi_reply import CallReply, Gone, SlotReply, joined
from .wsgi_seat import CONTENT_TYPE, Seat, seat_of

if TYPE_CHECKING:
    from typing_extensions import Literal

    from .plain import Serving
    from .slot import Slot
    from .taker import Taker

__all__ = ["Application", "FileWrapper", "as_app", "mount", "serve"]

#: A WSGI application: `application(environ, start_response)` returns an iterable of bytes.
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

#: How many slashes a path may begin with. The library's `*` does not match an empty first segment, so each number of
#: slashes needs a pattern of its own.
SLASHES = 8

#: Stands for the environ until there is one.
_UNKNOWN: dict[str, Any] = {}


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
    """Prints the URL and serves a WSGI application until Ctrl-C or SIGTERM. Port 0 selects a free port.

    `threads` is the number of Python threads that call the application (0: one), `workers` the number of processes.
    With `body="stream"` the application runs before the body has arrived. Use `url_scheme="https"` behind a proxy that
    terminates TLS. `options` are those of `App`.
    """
    app = as_app(application, threads=threads, body=body, url_scheme=url_scheme, multiprocess=workers > 1, **options)
    app.listen(port, host, workers=workers)


def as_app(
    application: Application,
    *,
    threads: int = 0,
    body: Literal["buffer", "stream"] = "buffer",
    url_scheme: str = "http",
    multiprocess: bool = False,
    **options: Any,
) -> App:
    """Returns an App that passes every request to a WSGI application; the arguments are those of `serve()` and `App`.

    You can add routes, static files, CORS and middleware to it; the more specific route wins. `multiprocess` is the
    value of `wsgi.multiprocess`.

    Raises InvalidError if the application is not callable, and the errors of `App`.
    """
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
    """Passes every request at `prefix` and below it to a WSGI application, which receives the prefix in SCRIPT_NAME.

    >>> import hasty, hasty.wsgi
    >>> def where(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/plain")])
    ...     return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]
    >>> app = hasty.App()
    >>> hasty.wsgi.mount(app, "/old", where)
    >>> with app.test_client() as client:
    ...     client.get("/old/page").text
    '/old /page'

    Raises InvalidError if the application is not callable or a route conflicts, and StateError after the start.
    """
    if not callable(application):
        raise InvalidError(f"a WSGI application must be callable with (environ, start_response), not {application!r}")
    if is_async(application):
        raise InvalidError(f"{application!r} is async, like an ASGI application: use hasty.asgi for that")
    if not prefix.startswith("/") or "%" in prefix or any(part[:1] in (":", "*") for part in prefix.split("/")):
        raise InvalidError(f"prefix {prefix!r} must begin with a slash, without parameters or percent signs")
    prefix = prefix.rstrip("/")
    patterns = [prefix + "/" * count + "*" for count in range(1, SLASHES + 1)]
    if prefix:
        patterns.insert(0, prefix)
    environs = Environs(app, prefix, body == "stream", url_scheme, multiprocess)
    relief = Relief(app)
    # The application parses forms itself.
    options = {"body": "whole" if body == "buffer" else body}
    for pattern in patterns:
        app._register_route(Entrance(pattern, application, environs, relief, app), options.copy())


class Entrance(Route):
    """A route that passes requests to an application."""

    __slots__ = ("_environs", "_relief", "_steps")

    def __init__(self, pattern: str, application: Application, environs: Environs, relief: Relief, app: App) -> None:
        # Not Route.__init__(), which expects a handler.
        Step.__init__(self, application, app._shared)
        self._steps = app._steps
        self.method = "*"
        self.pattern = pattern
        self.names = ()
        self.inline = environs.reads
        self.blocking = self.is_async = self._fills = False
        self._environs = environs
        self._relief = relief

    def __repr__(self) -> str:
        return titled(self, "a WSGI application")

    @property
    def advice(self) -> str:
        return "threads=16, of as_app(), serve() or App(), runs so many of its requests at once"

    def serving(self) -> Serving:
        application, of_slot, relief = self._function, self._environs.of_slot, self._relief
        user_data, references = USER_DATA, getrefcount
        content_type, status_word, alike_word, ok, not_yet = CONTENT_TYPE, STATUS, ALIKE, _ffi.OK, NOT_YET

        # Each thread has its own copy of this function, so it can reuse the reply and its start_response for the next
        # request. `alone` is the number of references to start_response and the reply's writer while no application
        # has kept them.
        seat: Seat | None = None
        reply: SlotReply | None = None
        start: Any = None
        alone = 0
        # Most clients repeat identical requests. The environ of a request that came twice in a row is kept, and copied
        # for the next one: 1,000 instructions instead of 6,000.
        before = kept = 0
        last: dict[str, Any] = {}

        # This is the hottest path: it uses local variables and avoids every call that it can.
        def serve(slot: Slot, taker: Taker) -> int:
            nonlocal seat, reply, start, alone, before, kept, last
            words = slot.words
            number = words[user_data]
            if seat is None or seat.slot is not slot:
                seat, reply = seat_of(slot), None
            seat.taker = taker
            while True:
                now = reply
                if now is None:
                    reply = now = SlotReply(relief, seat)
                    start = now.start
                    alone = references(start) + references(now.writer)
                environ, blocks, left, close = _UNKNOWN, None, None, None
                try:
                    alike = words[alike_word]
                    if alike == kept:
                        environ = last.copy()
                    else:
                        if words[user_data] != number:
                            return ok
                        environ = of_slot(slot)
                        if alike == before and "CONTENT_LENGTH" not in environ:
                            last, kept = environ.copy(), alike
                        before = alike
                    result = application(environ, start)
                    kind = type(result)
                    if kind is list and len(result) == 1:
                        block = result[0]
                    else:
                        close = getattr(result, "close", None)
                        if kind is FileWrapper:
                            block = b""
                        else:
                            # Frameworks often return an iterator whose first block is the whole body.
                            blocks = iter(result)
                            block = next(blocks, b"")
                    head = now.head
                    if type(block) is bytes and len(block) == head.plain and not now.begun:
                        # Does the same as fits().
                        taker.reply = block
                        words[content_type] = head.address
                        if head.code != 200:
                            words[status_word] = head.code
                        left = blocks
                    elif blocks is None and type(block) is bytes and now.fits(block):
                        taker.reply = block
                    else:
                        taker.reply = b""
                        left = now.give(result if blocks is None else joined(block, blocks))
                        now.end()
                except Gone:
                    now.end_gone()
                except BaseException as error:  # includes SystemExit, which would end a thread, not the program
                    taker.reply = b""
                    self._fail_in_slot(slot, environ, now, error)
                if now.exchange is not None:
                    reply = None
                    self._finish(environ, left, close)
                    if now.leave():
                        raise Relieved
                    if taker:
                        return taker.status
                    continue
                now.begun = True
                status = ok
                # Sends the response before the rest of the iterator runs, and takes the next request.
                if taker:
                    # `Once` leaves the sending to its caller: until then, keep alive what the slot points to.
                    seat.kept = now.head
                    status = taker.status
                if close is not None or left is not None:
                    self._finish(environ, left, close)
                if references(start) + references(now.writer) == alone:
                    now.begun, now.head = False, not_yet
                else:
                    now.retire()
                    reply = None
                if status:
                    return status

        return serve

    def answering(self) -> Callable[[Slot], bytes | None]:
        serve, once = self.serving(), Once()

        def answer(slot: Slot) -> bytes | None:
            serve(slot, once)
            return once.reply or None

        return answer

    def answer(self, slot: Slot) -> bytes | None:
        return self.answering()(slot)

    def _finish(
        self, environ: dict[str, Any], left: Iterator[bytes] | None, close: Callable[[], object] | None
    ) -> None:
        """Exhausts and closes what the application returned. Errors are only logged, as the response is complete."""
        try:
            if left is not None:
                for block in left:
                    if block:
                        raise InvalidError("the body is longer than Content-Length")
        except BaseException as error:
            self._complain(environ, error)
        try:
            # PEP 3333: "If the iterable returned by the application has a close() method, the server or gateway must
            # call that method upon completion of the current request".
            if close is not None:
                close()
        except BaseException as error:
            self._complain(environ, error)

    def _fail_in_slot(self, slot: Slot, environ: dict[str, Any], reply: SlotReply, error: BaseException) -> None:
        if reply.begun:
            # Only closing the connection can show the client that the response is incomplete.
            self._complain(environ, error)
        elif reply.exchange is None:
            request: Any = Request(slot.request)
            self._fail(request, None, self._in_slot(slot, request), error)
            request._end()
        else:
            try:
                reply.reset()
                self._fail(reply.exchange.request, None, Apart(reply.exchange), error)
            except ClosedError:
                pass

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        environ = self._environs.of_call(req)
        incoming = environ["wsgi.input"].raw if self.inline else None
        reply = CallReply(res, self._relief, environ["REQUEST_METHOD"] == "HEAD")
        result: Any = None
        try:
            result = self._function(environ, reply.start)
            reply.give(result)
            return _ffi.OK
        except Gone:
            return _ffi.OK
        except BaseException as error:
            if incoming is not None and incoming.has_caused(error):
                # The client's fault, which the library knows already.
                return _ffi.ERR_CLOSED
            if reply.begun:
                self._complain(environ, error)
                return _ffi.ERR_CLOSED
            return self._fail_in_call(req, res, error)
        finally:
            self._finish(environ, None, getattr(result, "close", None))
            if incoming is not None:
                incoming.end()
            reply.leave()

    def _fail_in_call(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer, error: BaseException) -> int:
        request, desk = Request(req), InCall(res)
        # Part of a response may have been set.
        _ffi.check(_ffi.hasty_response_reset(res))
        self._fail(request, None, desk, error)
        request._end()
        return desk.status

    def _complain(self, environ: dict[str, Any], error: BaseException) -> None:
        """Logs an exception; names the request by its environ, because the request itself may have ended."""
        try:
            path = quote(environ["SCRIPT_NAME"] + environ["PATH_INFO"], encoding="latin-1", errors="replace")
            query = environ.get("QUERY_STRING")
            target = f"{path}?{harmless(query)}" if query else path
            what = f"{environ['REQUEST_METHOD']} {target}: {name_of(self._function)}"
        except Exception:  # the application may have changed its environ
            what = name_of(self._function)
        report(error, "%s failed", what)
