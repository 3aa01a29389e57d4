"""The functions that an app calls for requests: their signatures, and how their results become responses."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from . import _ffi, contexts, event, plain
from ._interpreter import Ended
from .desk import Apart, InCall, InSlot
from .errors import ClosedError, HttpError, InvalidError, StateError, reason
from .exchange import PIECE, Exchange
from .made import Made
from .progress import harmless
from .report import report
from .request import Request
from .response import TEXT, Response, Result, as_response, type_name
from .signals import keep
from .slot import KIND_TEXT, Slot, SlotRequest
from .threads import Threads

if TYPE_CHECKING:
    from .desk import Desk
    from .loop import Loop

__all__ = ["After", "ErrorHandler", "Handler", "Middleware", "Result"]

#: A handler: `def h(req)` returns or yields the response, `def h(req, res)` fills it in.
Handler = Union[
    Callable[[Request], Union[Result, Awaitable[Result]]],
    Callable[[Request, Response], Union[Response, Iterator[event.Chunk], None]],
    Callable[[Request, Response], Union[Awaitable[Optional[Response]], AsyncIterator[event.Chunk]]],
]
#: Middleware: passes the request on by returning None, or answers it as a handler does.
Middleware = Union[Callable[[Request], Result], Callable[[Request, Response], Optional[Response]]]
#: A function that may change a response.
After = Callable[[Request, Response], Optional[Response]]
#: A function that answers an exception.
ErrorHandler = Union[Callable[[Request, Any], Result], Callable[[Any], Result]]
#: The functions that decorators take and return.
H = TypeVar("H", bound=Handler)
M = TypeVar("M", bound=Middleware)
A = TypeVar("A", bound=After)
E = TypeVar("E", bound=ErrorHandler)


#: Maximum number of blocking handlers that run at once; further requests are queued.
BLOCKING_THREADS = 64
#: Maximum number of generators that run at once, each on its own thread; beyond it: 503.
STREAMS = 1000


class Errors:
    """The error handlers of an app, for exceptions and for the library's own responses from 400 to 599."""

    __slots__ = ("any", "by_code", "by_type")

    def __init__(self) -> None:
        self.by_type: dict[type[BaseException], Shape] = {}
        self.by_code: dict[int, Shape] = {}
        #: The function of on_error(), for errors without a handler of their own.
        self.any: Callable[..., Any] | None = None

    def change(self, request: Request, response: Response) -> None:
        """Lets the function of on_error() change a response."""
        if self.any is not None:
            changed(self.any, request, response)

    def _changed(self, request: Request, make: Callable[[], Response]) -> Response:
        """Returns the response that `make()` makes, changed by the function of on_error() unless that fails."""
        answer = make()
        if self.any is not None:
            try:
                changed(self.any, request, answer)
            except BaseException as error:
                complain(request, name_of(self.any), error)
                return make()
        return answer

    def answer(self, request: Request, error: BaseException, name: str) -> Response | None:
        """Returns the response to a function's exception; None leaves it to the library."""
        if not request._unsendable:
            for kind in type(error).__mro__:
                shape = self.by_type.get(kind)
                if shape is not None:
                    answer = shape(request, error, error.code if isinstance(error, HttpError) else 500)
                    if answer is not None:
                        return answer
                    break
            if isinstance(error, HttpError):
                answer = self._shaped(request, error)
                return answer or self._changed(request, functools.partial(refusal, request, error))
            if error is request._failure:
                return None
        complain(request, name, error)
        failure = HttpError(500)
        failure.__cause__ = error
        return self._shaped(request, failure)

    def last(self, request: Request) -> Response:
        """Returns the response to use if nothing else provides one."""
        return self._changed(request, functools.partial(_failure, request))

    def _shaped(self, request: Request, error: HttpError) -> Response | None:
        shape = self.by_code.get(error.code)
        return None if shape is None else shape(request, error, error.code)


class Shape:
    """An error handler: `def f(req, error)` or `def f(error)`."""

    __slots__ = ("_function", "_whole")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._whole = takes_two(function, "an error handler", "error", "req, error")
        self._function = function

    def __call__(self, request: Request, error: BaseException, code: int) -> Response | None:
        answer = self._function(request, error) if self._whole else self._function(error)
        if answer is None:
            return None
        # A result without a status gets that of the error; the default, 200, would hide the failure.
        if isinstance(answer, Response):
            return answer._of_status(code)
        try:
            return as_response(answer) if type(answer) is tuple else Response(answer, code)
        except TypeError as wrong:
            # The log entry names the route's handler, so the message must name the error handler.
            what = f"what the error handler {name_of(self._function)} returned is not a valid answer"
            raise TypeError(f"{what}: {wrong}") from wrong


class Shared:
    """State that all functions of one app share."""

    __slots__ = ("blocking", "context", "errors", "gates", "loop", "streams")

    def __init__(self) -> None:
        self.errors = Errors()
        #: The threads that run generators, and those that run blocking handlers.
        self.streams = Threads("hasty-stream")
        self.blocking = Threads("hasty-blocking", BLOCKING_THREADS)
        #: Runs async handlers once the app serves.
        self.loop: Loop | None = None
        #: Number of middleware functions, registered with `use()`.
        self.gates = 0
        #: The context from which that of each request is copied before its middleware runs.
        self.context = Context()

    def context_of(self, request: Request) -> Context | None:
        """Returns the context of a request, in which its middleware ran, if any; None if the app has no middleware."""
        return contexts.of(request, self.context) if self.gates else None


class Step:
    """A function that runs for a request. No exception may pass from it into C."""

    __slots__ = ("_errors", "_function", "_shared")

    def __init__(self, function: Callable[..., Any], shared: Shared) -> None:
        self._function = function
        self._shared = shared
        self._errors = shared.errors

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        """Called by the library; returns a library status."""
        raise NotImplementedError

    def answering(self) -> Callable[[Slot], bytes | None]:
        """Returns a function that answers the request in a slot; that returns the reply, or None if it is set or comes
        later.
        """
        return self.answer

    def serving(self) -> plain.Serving | None:
        """Returns a function that answers consecutive requests for this step; None if each is answered separately."""
        return None

    @property
    def is_plain(self) -> bool:
        """Does it run on the serving thread, take only the request, and return the response?"""
        return False

    def answer(self, slot: Slot) -> bytes | None:
        """Answers one request; the default for `answering()`."""
        raise NotImplementedError

    def _in_slot(self, slot: Slot, request: SlotRequest) -> InSlot:
        return InSlot(slot, request, self._shared.gates > 0)

    def _run(self, request: Request, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a function in the context of a request, so that it sees the context variables set by middleware."""
        context = self._shared.context_of(request)
        return function(*arguments) if context is None else context.run(function, *arguments)

    def _after(self, request: Request, function: Callable[..., Any], *arguments: Any) -> Any:
        """Like `_run()`, but in a copy of the context: the handler may still be running in it, and a context cannot be
        entered twice.
        """
        context = self._shared.context_of(request)
        return function(*arguments) if context is None else context.copy().run(function, *arguments)

    def _call(self, request: Request, response: Response | None) -> Any:
        return self._function(request) if response is None else self._function(request, response)

    def _give(self, request: Request, response: Response, desk: Desk) -> None:
        """Sends a response, or passes it to a thread or the event loop that streams it."""
        try:
            if response._stream is None:
                desk.send(response)
                return
            loop = self._shared.loop
            is_async = isinstance(response._stream, AsyncIterator)
            if is_async and loop is None:
                raise TypeError(f"{name_of(self._function)} returned an async iterator: make the handler async def")
            if not is_async and self._shared.streams.would_exceed(STREAMS):
                self._refuse_stream(response, desk.exchange())
                return
            exchange = desk.exchange()
            exchange._lend(request)
            if loop is not None and is_async:
                loop.stream(self, request, response, exchange)
            else:
                run = copy_context().run
                self._shared.streams.start(lambda: run(self._stream, request, response, exchange), exchange.free)
        except Exception:
            request._unsendable = True
            raise

    def _refuse_stream(self, response: Response, exchange: Exchange) -> None:
        """Answers 503 without starting the generator, because too many are running."""
        try:
            close = getattr(response._stream, "close", None)
            if close is not None:
                close()
        finally:
            exchange.free()

    def _stream(self, request: Request, response: Response, exchange: Exchange) -> None:
        """Runs a generator on a thread of its own, until it ends or the client disconnects."""
        try:
            exchange._response = response
            try:
                pump(self._function, request, response, exchange._put)
            except BaseException as error:
                self._give_up(request, exchange, error)
            else:
                end_stream(response, exchange)
        except ClosedError:
            pass
        except BaseException as error:
            complain(request, name_of(self._function), error)
        finally:
            exchange.free()

    def _give_up(self, request: Request, exchange: Exchange, error: BaseException) -> None:
        """Answers for a failed generator: before its first piece with an error; after that, the response is cut off."""
        if exchange._begun:
            complain(request, name_of(self._function), error)
            return
        answer = self._errors.answer(request, error, name_of(self._function))
        exchange.finish(answer or self._errors.last(request))

    def _fail(self, request: Request, response: Response | None, desk: Desk, error: BaseException) -> None:
        """Answers a request whose function raised an exception."""
        keep(error)
        try:
            if request._deferred:
                self._fail_deferred(request, error)
                return
            if response is not None and response._begun:
                self._cut(request, desk, error)
                return
            answer = self._errors.answer(request, error, name_of(self._function))
            if answer is None and not desk.fail():
                answer = self._errors.last(request)
            if answer is not None:
                self._give(request, answer, desk)
        except BaseException as second:
            complain(request, name_of(self._function), second)
            if not desk.fail():
                desk.send(Response("500 Internal Server Error", 500))

    def _fail_deferred(self, request: Request, error: BaseException) -> None:
        """Answers for a handler that failed after `defer()`: the holder of the exchange may never do so."""
        exchange = None if request._handed is None else request._handed()
        if exchange is None or exchange._pointer is None:
            complain(request, name_of(self._function), error)
            return
        try:
            exchange.request._unsendable = request._unsendable
            self._give_up(exchange.request, exchange, error)
        except BaseException as second:
            # Unless another thread answered first.
            if exchange._pointer is not None:
                complain(exchange.request, name_of(self._function), second)
                exchange.free()

    def _cut(self, request: Request, desk: Desk, error: BaseException) -> None:
        """Ends a response whose handler failed after its first piece."""
        if isinstance(error, ClosedError):
            # The client disconnected, or sent a HEAD request; the library knows which.
            desk.end()
            return
        if error is not request._failure:
            complain(request, name_of(self._function), error)
        desk.fail()

    def _other(self, answer: object) -> Response:
        if isinstance(answer, Response):
            return answer
        if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
            return as_response(answer)
        raise TypeError(
            f"{name_of(self._function)} takes (req, res) and returned {type_name(answer)}: "
            "set the answer on res, or take only req and return it"
        )


class Route(Step):
    """A method, a pattern, and their handler."""

    __slots__ = ("_fills", "blocking", "inline", "is_async", "method", "names", "pattern")

    def __init__(self, method: str, pattern: str, function: Callable[..., Any], shared: Shared) -> None:
        super().__init__(function, shared)
        self.method = method
        self.pattern = pattern
        self.names = names_of(pattern)
        #: Does the handler read the body itself? Then its generators run on its thread, the only one that can read.
        self.inline = False
        #: Does the handler run on a thread of its own, because it may block?
        self.blocking = False
        self._fills = takes_response(function)
        for name in list(inspect.signature(function).parameters)[: 1 + self._fills]:
            if name in self.names:
                raise InvalidError(
                    f"{name_of(function)} takes {name!r}, and is given the request: "
                    f"call that req, and what the path has is req.params[{name!r}]"
                )
        self.is_async = is_async(function)

    def __repr__(self) -> str:
        return f"{self.method} {self.pattern} -> {name_of(self._function)}"

    @property
    def advice(self) -> str:
        """How to keep the handler from delaying other requests, for the log."""
        if self.is_async:
            return "await asyncio.to_thread(...) is for what waits or computes"
        return "blocking=True gives it a thread of its own, App(threads=N) all"

    # --- in a slot ---

    def answering(self) -> Callable[[Slot], bytes | None]:
        if self.is_async:
            assert self._shared.loop is not None
            return self._shared.loop.answering(self)
        return plain.answering(self) if self.is_plain else self.answer

    @property
    def is_plain(self) -> bool:
        return type(self) is Route and not (self.blocking or self.is_async or self._fills)

    def answer(self, slot: Slot) -> bytes | None:
        """Runs the handler for the request in a slot; on a thread of its own if it may block."""
        request = SlotRequest()
        request._slot, request._names = slot, self.names
        if self.blocking:
            self._serve_later(request, slot.exchange())
        else:
            self._run(request, self._serve, request, self._in_slot(slot, request))
        return None

    @property
    def called(self) -> Callable[[Request], Any]:
        """The function to call for a plain route; with middleware, it enters the request's context first."""
        function, base = self._function, self._shared.context
        if not self._shared.gates:
            return function
        return lambda request: contexts.of(request, base).run(function, request)

    def _answer_with(self, request: SlotRequest, slot: Slot, answer: object) -> None:
        self._run(request, self._answer_within, request, slot, answer)

    def _answer_within(self, request: SlotRequest, slot: Slot, answer: object) -> None:
        desk = self._in_slot(slot, request)
        try:
            response = self._outcome(request, None, answer)
            if response is not None:
                self._give(request, response, desk)
        except BaseException as error:
            # Use the same desk: only it knows whether a response has begun.
            self._fail(request, None, desk, error)

    def _answer_failure(self, request: SlotRequest, slot: Slot, error: BaseException, answer: object) -> None:
        # With an answer, the function succeeded, so it is the answer that could not be sent.
        request._unsendable = answer is not None
        slot.kind = KIND_TEXT
        self._run(request, self._fail, request, None, self._in_slot(slot, request), error)

    def _answers_twice(self) -> TypeError:
        return TypeError(f"{name_of(self._function)} deferred its answer and gave one: return None then")

    def _serve_apart(self, request: Request, exchange: Exchange) -> None:
        """Runs the handler on a thread that may block."""
        try:
            self._serve(request, Apart(exchange))
        except ClosedError:
            pass
        except BaseException as error:
            complain(request, name_of(self._function), error)

    # --- in a callback ---

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req, res)
        desk = InCall(res)
        if self.blocking or self.is_async:
            self._serve_later(request, desk.exchange())
        else:
            request._unread = self.inline
            self._run(request, self._serve, request, desk)
        return desk.status

    def _serve_later(self, request: Request, exchange: Exchange) -> None:
        exchange._lend(request)
        request._exchange = exchange
        if self.blocking:
            # The thread serves many requests in turn, so each needs a context of its own.
            context = self._shared.context_of(request)
            run = (copy_context() if context is None else context).run
            self._shared.blocking.start(lambda: run(self._serve_apart, request, exchange), exchange.free)
        else:
            assert self._shared.loop is not None
            self._shared.loop.start(self, request, exchange)

    # --- both ---

    def _serve(self, request: Request, desk: Desk) -> None:
        response = None
        try:
            if self._fills:
                response = Response()
                response._desk = desk
            outcome = self._outcome(request, response, self._call(request, response))
            if outcome is None:
                if response is not None and response._begun:
                    desk.end()
            elif outcome._stream is not None and self.inline:
                self._here(request, outcome, desk)
            else:
                self._give(request, outcome, desk)
        except BaseException as error:  # SystemExit too: it would end a worker, not the program
            self._fail(request, response, desk, error)
        finally:
            if response is not None:
                response._desk = None
            request._leave()

    async def run(self, request: Request, desk: Desk) -> Response | None:
        """Runs an async handler; returns the response to send, or None if there is nothing left to send."""
        response = None
        if self._fills:
            response = Response()
            response._desk = desk
        try:
            answer = self._call(request, response)
            if inspect.isawaitable(answer):
                answer = await answer
            return self._outcome(request, response, answer)
        except BaseException as error:
            # SystemExit too, which would end the loop.
            loop = self._shared.loop
            if loop is not None and loop.cancels(error):
                raise
            self._fail(request, response, desk, error)
            return None
        finally:
            if response is not None:
                response._desk = None

    def _outcome(self, request: Request, response: Response | None, answer: object) -> Response | None:
        """Returns the response to send for a handler's result, or None if there is nothing left to send."""
        try:
            if response is None:
                response = as_response(answer)
            elif answer is not None and answer is not response:
                response = self._instead(response, answer)
            if not response._begun and request._over is None:
                return response
            # The response was written already, or was deferred.
            response._refuse_spent()
            if request._over is not None and not response._begun and response._answers() and response._status != 204:
                raise self._answers_twice()
            return None
        except Exception:
            request._unsendable = True
            raise

    def _instead(self, response: Response, answer: object) -> Response:
        """Returns the response to send if a handler with `res` returned something else."""
        other = self._other(answer)
        if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
            # The generator can use res: what it sets there before its first piece goes into the head.
            response._stream = other._stream
            return response
        if response._begun:
            raise TypeError(f"{name_of(self._function)} wrote an answer with res.write() and returned another one")
        return other

    def _here(self, request: Request, response: Response, desk: Desk) -> None:
        """Runs a generator on the handler's thread, where it can read the body."""
        response._desk = desk

        def write(piece: event.Piece, chunk: event.Chunk) -> int:
            desk.write(response, piece, chunk)
            return _ffi.OK

        try:
            pump(self._function, request, response, write)
            if not response._begun:
                self._give(request, response, desk)
                response._begun = True
        finally:
            response._desk = None


class Gate(Step):
    """Middleware: a function that runs before the handlers below a prefix, and may answer in their place."""

    __slots__ = ("_fills",)

    def __init__(self, function: Callable[..., Any], shared: Shared) -> None:
        super().__init__(function, shared)
        self._fills = takes_two(function, "middleware", "req", "req, res")

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req, res)
        request._unread = True
        status: int = contexts.begun(request, self._shared.context).run(self._pass, request, res)
        return status

    def _pass(self, request: Request, res: _ffi.ResponsePointer) -> int:
        response = None
        desk = InCall(res)
        try:
            if self._fills:
                response = Response()
                response._desk = desk
            answer = self._call(request, response)
            try:
                if response is None:
                    if answer is None:
                        return _ffi.OK if request._deferred else _ffi.NEXT
                    response = as_response(answer)
                elif answer is not None and answer is not response:
                    response = self._other(answer)
                elif answer is None and not response._answers():
                    # Header fields that it has set are kept for the later response.
                    response._set_head(res)
                    return _ffi.OK if request._deferred else _ffi.NEXT
                if response._begun or request._deferred:
                    response._refuse_spent()
                    return _ffi.OK
                self._give(request, response, desk)
            except Exception:
                request._unsendable = True
                raise
        except BaseException as error:
            self._fail(request, response, desk, error)
        finally:
            if response is not None:
                response._desk = None
            request._leave()
        return desk.status


class Hook(Step):
    """A function that sees every response below a prefix before it is sent, and may change it."""

    __slots__ = ()

    def __init__(self, function: Callable[..., Any], shared: Shared) -> None:
        super().__init__(function, shared)
        takes_two(function, "an after function", "", "req, res")

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req)
        response = Made(res)
        try:
            self._after(request, changed, self._function, request, response)
            response._send(res)
            return _ffi.OK
        except BaseException as error:
            complain(request, name_of(self._function), error)
            return _ffi.ERR_CLOSED
        finally:
            response._end()
            request._end()


class Refusals(Step):
    """Passes the library's own responses from 400 to 599 to the functions of `error()` and `on_error()`."""

    __slots__ = ()

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared.errors.answer, shared)

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        why = _ffi.last_error()
        code = int(_ffi.hasty_response_status(res))
        request = Request(req)
        made = Made(res, why or reason(code))
        try:
            shape = self._errors.by_code.get(code)
            error = HttpError(code, why or reason(code))
            answer = None if shape is None else self._after(request, shape, request, error, code)
            if answer is None:
                answer = made
                self._after(request, self._errors.change, request, made)
            else:
                # Needed for 200: `_send()` takes that for the default, but here the status is that of the error.
                _ffi.check(_ffi.hasty_response_set_status(res, answer.status_code))
            answer._send(res)
            return _ffi.OK
        except BaseException as error:
            complain(request, f"the function for a {code}", error)
            # This makes the library send its own response.
            return _ffi.ERR_CLOSED
        finally:
            made._end()
            request._end()


def pump(
    function: Callable[..., Any],
    request: Request,
    response: Response,
    write: Callable[[event.Piece, event.Chunk], int],
) -> None:
    """Writes what a stream yields until it ends or the client disconnects; closes the stream in any case."""
    items: Any = response._stream
    response._stream = None
    try:
        for chunk in _yielded(function, items):
            try:
                for piece in event.pieces(chunk, PIECE):
                    status = write(piece, chunk)
                    if status == _ffi.ERR_CLOSED:
                        return
                    _ffi.check(status)
            except Exception:
                request._unsendable = True
                raise
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def end_stream(response: Response, exchange: Exchange) -> None:
    """Ends a streamed response. Even if nothing was written it counts as sent, so that it cannot be returned again."""
    if not response._begun:
        exchange._response = copy.copy(response)
        response._begun = True
    exchange.finish()


def _yielded(function: Callable[..., Any], items: Any) -> Iterator[event.Chunk]:
    """Yields the chunks of a stream; raises TypeError if a generator handler also returns a response, which would be
    lost.
    """
    # Not `yield from`, which would close the items too: pump() does that, once.
    while True:
        try:
            chunk = next(items)
        except StopIteration as end:
            answer = end.value
            break
        yield chunk
    if answer is not None and inspect.isgeneratorfunction(_runs(function)):
        raise TypeError(
            f"{name_of(function)} yields, but also returned {type_name(answer)}: "
            "for other answers than a stream, return the generator of another function instead of yielding"
        )


def changed(function: Callable[..., Any], request: Request, response: Response) -> None:
    """Calls a function that may change a response."""
    answer = function(request, response)
    if answer is not None and answer is not response:
        raise TypeError(f"{name_of(function)} returned {type_name(answer)}: it must change res and return None")


def complain(request: Request, name: str, error: BaseException) -> None:
    """Logs an exception with its traceback."""
    if isinstance(error, Ended):
        # The shutdown interrupted the handler; it did not fail.
        return
    try:
        what = f"{request.method} {harmless(request.target)}: "
    except StateError:  # the request has ended
        what = ""
    report(error, "%s%s failed", what, name)


def refusal(request: Request, error: HttpError) -> Response:
    """Returns the response for an HttpError: text, or JSON if the client prefers it, as the library's own errors."""
    if prefers_json(request.headers.get("accept", "")):
        answer = {"error": {"status": error.code, "reason": reason(error.code), "message": error.message}}
        response = Response.json(answer, status=error.code)
    else:
        response = Response.text(error.message, status=error.code)
    response._why = error.message
    return response


def _failure(request: Request) -> Response:
    """Returns the response that the library sends if a callback fails."""
    error = HttpError(500, "the handler of this route failed")
    answer = refusal(request, error)
    if answer.content_type == TEXT:
        answer.text(f"500 {reason(500)}: {error.message}\n")
    return answer


def prefers_json(accept: str) -> bool:
    """Does an Accept field name JSON, but neither HTML nor plain text?

    >>> prefers_json("application/json, */*"), prefers_json("text/html, application/json"), prefers_json("*/*")
    (True, False, False)
    """
    names = [media.split(";")[0].strip().lower() for media in accept.split(",")]
    wants = any(name == "application/json" or name.endswith("+json") for name in names)
    return wants and "text/html" not in names and "text/plain" not in names


def takes_response(function: Callable[..., Any]) -> bool:
    """Is a handler `def h(req, res)`? Raises InvalidError, a ValueError, unless it is that or `def h(req)`.

    >>> takes_response(lambda req: "hello"), takes_response(lambda req, res: res.text("hello"))
    (False, True)
    """
    return takes_two(function, "a handler", "req", "req, res")


_SHAPES = {
    "req": "`def {0}(req)` returns the answer, `def {0}(req, res)` fills it in",
    "error": "`def {0}(error)` or `def {0}(req, error)` returns the answer",
    "": "`def {0}(req, res)` may change the answer",
}


def takes_two(function: Callable[..., Any], what: str, one: str, two: str) -> bool:
    """Does a function take the two arguments rather than the one? Raises InvalidError if it takes neither."""
    if not callable(function):
        raise InvalidError(f"{what} is a function, not {function!r}")
    name = name_of(function)
    plain = getattr(function, "__name__", "")
    shapes = _SHAPES[one].format(plain if plain.isidentifier() else "h")
    runs = _runs(function)
    if is_async(function) and what != "a handler":
        raise InvalidError(f"{name} is async, and {what} is not: only handlers may be async. {shapes}")
    if inspect.isgeneratorfunction(runs) and what != "a handler":
        raise InvalidError(f"{name} yields, and {what} returns: {shapes}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidError(f"{name} has no readable signature; wrap it: lambda {two}: {name}(...)") from None

    required = positional = 0
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise InvalidError(
                f"{name} needs the keyword argument {parameter.name!r}, which hasty does not pass: {shapes}"
            )
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += 2
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional += 1
            required += parameter.default is parameter.empty
    if required > 2 or positional < (1 if one else 2):
        counted = f"{required} argument{'s' if required != 1 else ''}"
        raise InvalidError(f"{name} takes {counted}: {shapes}")
    return required == 2 or not one


def _runs(function: Any) -> Any:
    """Returns the function behind partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def is_async(function: Callable[..., Any]) -> bool:
    """Is it `async def`, with or without `yield`?

    >>> async def later(req): ...
    >>> is_async(later), is_async(lambda req: "now")
    (True, False)
    """
    return is_coroutine(function) or inspect.isasyncgenfunction(_runs(function))


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Is it `async def` without `yield`?"""
    return inspect.iscoroutinefunction(_runs(function))


def names_of(pattern: str) -> tuple[str, ...]:
    """Returns the parameter names of a pattern, in order.

    >>> names_of("/users/:id/files/*path"), names_of("/any/*")
    (('id', 'path'), ('*',))
    """
    parts = [part for part in pattern.split("/") if part[:1] in (":", "*")]
    return tuple(part if part == "*" else part[1:] for part in parts)


def name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function))


def titled(entrance: Route, kind: str) -> str:
    """Returns the name of a mounted application for messages; the same for all of its patterns."""
    prefix = entrance.pattern.rstrip("/*")
    return f"{name_of(entrance._function)}, {kind}{f' at {prefix}' if prefix else ''},"
