"""A function and the place it has in an app: what it may look like, and what becomes of its result."""

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

#: A function that answers: `def h(req)` returns or yields the answer, `def h(req, res)` fills it in.
Handler = Union[
    Callable[[Request], Union[Result, Awaitable[Result]]],
    Callable[[Request, Response], Union[Response, Iterator[event.Chunk], None]],
    Callable[[Request, Response], Union[Awaitable[Optional[Response]], AsyncIterator[event.Chunk]]],
]
#: A function that lets a request pass (None) or answers it, in either of the shapes of a handler.
Middleware = Union[Callable[[Request], Result], Callable[[Request, Response], Optional[Response]]]
#: A function that may change an answer.
After = Callable[[Request, Response], Optional[Response]]
#: A function that answers for an exception.
ErrorHandler = Union[Callable[[Request, Any], Result], Callable[[Any], Result]]
#: The functions that decorators were given, and give back.
H = TypeVar("H", bound=Handler)
M = TypeVar("M", bound=Middleware)
A = TypeVar("A", bound=After)
E = TypeVar("E", bound=ErrorHandler)


#: Blocking handlers that run at once, at most; others wait for them.
BLOCKING_THREADS = 64
#: Generators that run at once, at most, each on a thread of its own; others are answered 503.
STREAMS = 1000


class Errors:
    """What becomes of exceptions, and of the answers from 400 to 599 that the library makes."""

    __slots__ = ("any", "by_code", "by_type")

    def __init__(self) -> None:
        self.by_type: dict[type[BaseException], Shape] = {}
        self.by_code: dict[int, Shape] = {}
        #: Changes those for which there is no function of its own.
        self.any: Callable[..., Any] | None = None

    def change(self, request: Request, response: Response) -> None:
        """Lets the function of on_error() change an answer."""
        if self.any is not None:
            changed(self.any, request, response)

    def _changed(self, request: Request, make: Callable[[], Response]) -> Response:
        """The answer that `make()` gives, as the function of on_error() changes it; as it was, where that fails."""
        answer = make()
        if self.any is not None:
            try:
                changed(self.any, request, answer)
            except BaseException as error:
                complain(request, name_of(self.any), error)
                return make()
        return answer

    def answer(self, request: Request, error: BaseException, name: str) -> Response | None:
        """The answer to a failed function; None leaves it to the library, which makes a 500."""
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
        """The answer where nobody else has one."""
        return self._changed(request, functools.partial(_failure, request))

    def _shaped(self, request: Request, error: HttpError) -> Response | None:
        shape = self.by_code.get(error.code)
        return None if shape is None else shape(request, error, error.code)


class Shape:
    """A function that answers for an exception: `def f(req, error)` or `def f(error)`."""

    __slots__ = ("_function", "_whole")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._whole = takes_two(function, "an error handler", "error", "req, error")
        self._function = function

    def __call__(self, request: Request, error: BaseException, code: int) -> Response | None:
        answer = self._function(request, error) if self._whole else self._function(error)
        if answer is None:
            return None
        # What says no status of its own is the words for this error; 200 would deny that there was one.
        if isinstance(answer, Response):
            return answer._of_status(code)
        try:
            return as_response(answer) if type(answer) is tuple else Response(answer, code)
        except TypeError as wrong:
            # It is logged with the handler's name, whose answer may have been right.
            what = f"what the error handler {name_of(self._function)} returned is no answer"
            raise TypeError(f"{what}: {wrong}") from wrong


class Shared:
    """What the functions of one app have in common."""

    __slots__ = ("blocking", "context", "errors", "gates", "loop", "streams")

    def __init__(self) -> None:
        self.errors = Errors()
        #: The threads on which generators run, and those of blocking handlers.
        self.streams = Threads("hasty-stream")
        self.blocking = Threads("hasty-blocking", BLOCKING_THREADS)
        #: Runs what is async, once the app serves.
        self.loop: Loop | None = None
        #: How many functions of `use()` there are.
        self.gates = 0
        #: What context variables are before a request's middleware sets some.
        self.context = Context()

    def context_of(self, request: Request) -> Context | None:
        """The context of a request, which its middleware may have filled; None where there is no middleware."""
        return contexts.of(request, self.context) if self.gates else None


class Step:
    """A function that runs for a request. Whatever happens inside stays on this side of C."""

    __slots__ = ("_errors", "_function", "_shared")

    def __init__(self, function: Callable[..., Any], shared: Shared) -> None:
        self._function = function
        self._shared = shared
        self._errors = shared.errors

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        """The library calls for it; gives a status of the library's."""
        raise NotImplementedError

    def answering(self) -> Callable[[Slot], bytes | None]:
        """What answers a request in a slot: it gives the reply, or None where that is there already, or to come."""
        return self.answer

    def serving(self) -> plain.Serving | None:
        """What answers request after request of this step's; None where each is answered by itself."""
        return None

    @property
    def is_plain(self) -> bool:
        """Does it take a request, where that is served, and return the answer?"""
        return False

    def answer(self, slot: Slot) -> bytes | None:
        """The same as `answering`, for one."""
        raise NotImplementedError

    def _in_slot(self, slot: Slot, request: SlotRequest) -> InSlot:
        return InSlot(slot, request, self._shared.gates > 0)

    def _run(self, request: Request, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a function in the context of a request, where there is middleware that may have set something in it."""
        context = self._shared.context_of(request)
        return function(*arguments) if context is None else context.run(function, *arguments)

    def _after(self, request: Request, function: Callable[..., Any], *arguments: Any) -> Any:
        """The same where the answer passes: perhaps in the middle of the handler, whose context cannot begin twice."""
        context = self._shared.context_of(request)
        return function(*arguments) if context is None else context.copy().run(function, *arguments)

    def _call(self, request: Request, response: Response | None) -> Any:
        return self._function(request) if response is None else self._function(request, response)

    def _give(self, request: Request, response: Response, desk: Desk) -> None:
        """Hands an answer over: at once, or to a thread that streams it."""
        try:
            if response._stream is None:
                desk.send(response)
                return
            loop = self._shared.loop
            is_async = isinstance(response._stream, AsyncIterator)
            if is_async and loop is None:
                raise TypeError(f"{name_of(self._function)} gave an async iterator: make it async itself")
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
        """As many as may run do: 503, and nothing of it begins."""
        try:
            close = getattr(response._stream, "close", None)
            if close is not None:
                close()
        finally:
            exchange.free()

    def _stream(self, request: Request, response: Response, exchange: Exchange) -> None:
        """Runs a generator to its end, or to that of its client, on a thread of its own."""
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
        """A generator failed: before its first piece an error can still be told, after that the answer is cut off."""
        if exchange._begun:
            complain(request, name_of(self._function), error)
            return
        answer = self._errors.answer(request, error, name_of(self._function))
        exchange.finish(answer or self._errors.last(request))

    def _fail(self, request: Request, response: Response | None, desk: Desk, error: BaseException) -> None:
        """Answers for an exception."""
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
        """A handler failed after `defer()`: who has the exchange may never hear of it, and its client would wait."""
        exchange = None if request._handed is None else request._handed()
        if exchange is None or exchange._pointer is None:
            complain(request, name_of(self._function), error)
            return
        try:
            exchange.request._unsendable = request._unsendable
            self._give_up(exchange.request, exchange, error)
        except BaseException as second:
            # Not where another thread was the first to answer.
            if exchange._pointer is not None:
                complain(exchange.request, name_of(self._function), second)
                exchange.free()

    def _cut(self, request: Request, desk: Desk, error: BaseException) -> None:
        """A handler failed after its first piece."""
        if isinstance(error, ClosedError):
            # The client left, or asked for the head only: the library knows which.
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
            "give the answer to res, or take only req and return it"
        )


class Route(Step):
    """A method, a pattern, and the function that answers there."""

    __slots__ = ("_fills", "blocking", "inline", "is_async", "method", "names", "pattern")

    def __init__(self, method: str, pattern: str, function: Callable[..., Any], shared: Shared) -> None:
        super().__init__(function, shared)
        self.method = method
        self.pattern = pattern
        self.names = names_of(pattern)
        #: Is the body read by the handler? Then generators run where the request is served: only there can they read.
        self.inline = False
        #: Does it run on a thread of its own, where it may wait?
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
        """What keeps it from holding up others."""
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
        """Runs the function for the request in a slot, where its kind of functions run."""
        request = SlotRequest()
        request._slot, request._names = slot, self.names
        if self.blocking:
            self._serve_later(request, slot.exchange())
        else:
            self._run(request, self._serve, request, self._in_slot(slot, request))
        return None

    @property
    def called(self) -> Callable[[Request], Any]:
        """What is called where the route is plain."""
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
            # What the desk has begun is known to it alone.
            self._fail(request, None, desk, error)

    def _answer_failure(self, request: SlotRequest, slot: Slot, error: BaseException, answer: object) -> None:
        # Where there is an answer, the function has done its part.
        request._unsendable = answer is not None
        slot.kind = KIND_TEXT
        self._run(request, self._fail, request, None, self._in_slot(slot, request), error)

    def _answers_twice(self) -> TypeError:
        return TypeError(f"{name_of(self._function)} deferred its answer and gave one: return None then")

    def _serve_apart(self, request: Request, exchange: Exchange) -> None:
        """Runs the function on a thread that may wait."""
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
            # Its thread has those of many requests, one after the other.
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
        """Runs a coroutine; gives what is to be sent, None where that is done."""
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
        """What is to be sent, now that the function has returned; None: nothing any more."""
        try:
            if response is None:
                response = as_response(answer)
            elif answer is not None and answer is not response:
                response = self._instead(response, answer)
            if not response._begun and request._over is None:
                return response
            # The answer was written, or is to come.
            response._refuse_spent()
            if request._over is not None and not response._begun and response._answers() and response._status != 204:
                raise self._answers_twice()
            return None
        except Exception:
            request._unsendable = True
            raise

    def _instead(self, response: Response, answer: object) -> Response:
        """A handler with res returned another answer."""
        other = self._other(answer)
        if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
            # It has res as its second argument: what is set there before the first piece is the head.
            response._stream = other._stream
            return response
        if response._begun:
            raise TypeError(f"{name_of(self._function)} wrote an answer and returned another one")
        return other

    def _here(self, request: Request, response: Response, desk: Desk) -> None:
        """Runs a generator where the body is read."""
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
    """A function that runs before the handlers below a prefix, and may answer in their place."""

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
                    # Fields that it has set stay, for whoever answers.
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
    """A function that looks at every answer below a prefix before it leaves, and may change it."""

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
    """Gives the answers from 400 to 599 that the library makes to the functions of `error()` and `on_error()`."""

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
                # 200 as well, which no other answer needs to be told.
                _ffi.check(_ffi.hasty_response_set_status(res, answer.status_code))
            answer._send(res)
            return _ffi.OK
        except BaseException as error:
            complain(request, f"the function for a {code}", error)
            # Then the library's own answer is sent.
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
    """Writes what a stream yields, until its end or its client's. The stream is closed, whatever happens."""
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
    """Ends what was streamed. Whoever keeps the answer has none for another request, even if nothing was written."""
    if not response._begun:
        exchange._response = copy.copy(response)
        response._begun = True
    exchange.finish()


def _yielded(function: Callable[..., Any], items: Any) -> Iterator[event.Chunk]:
    """What a stream yields; TypeError where a handler that yields gives an answer as well, which nobody would see."""
    # Not `yield from`, which closes them as well: pump() does, once.
    while True:
        try:
            chunk = next(items)
        except StopIteration as end:
            answer = end.value
            break
        yield chunk
    if answer is not None and inspect.isgeneratorfunction(_runs(function)):
        raise TypeError(
            f"{name_of(function)} yields, and returned {type_name(answer)}: "
            "to answer in another way as well, return the generator of a function that yields"
        )


def changed(function: Callable[..., Any], request: Request, response: Response) -> None:
    """Runs a function that may change an answer."""
    answer = function(request, response)
    if answer is not None and answer is not response:
        raise TypeError(f"{name_of(function)} returned {type_name(answer)}: it is to change the res that it gets")


def complain(request: Request, name: str, error: BaseException) -> None:
    """Logs an exception with its traceback."""
    if isinstance(error, Ended):
        # Whoever ended it says so.
        return
    try:
        what = f"{request.method} {harmless(request.target)}: "
    except StateError:  # it is over
        what = ""
    report(error, "%s%s failed", what, name)


def refusal(request: Request, error: HttpError) -> Response:
    """An error in its own words; as JSON to who prefers that, as the library tells those that it finds."""
    if prefers_json(request.headers.get("accept", "")):
        answer = {"error": {"status": error.code, "reason": reason(error.code), "message": error.message}}
        response = Response.json(answer, status=error.code)
    else:
        response = Response.text(error.message, status=error.code)
    response._why = error.message
    return response


def _failure(request: Request) -> Response:
    """What the library answers where a callback fails."""
    error = HttpError(500, "the handler of this route failed")
    answer = refusal(request, error)
    if answer.content_type == TEXT:
        answer.text(f"500 {reason(500)}: {error.message}\n")
    return answer


def prefers_json(accept: str) -> bool:
    """Whether a client names JSON, and neither HTML nor text beside it.

    >>> prefers_json("application/json, */*"), prefers_json("text/html, application/json"), prefers_json("*/*")
    (True, False, False)
    """
    names = [media.split(";")[0].strip().lower() for media in accept.split(",")]
    wants = any(name == "application/json" or name.endswith("+json") for name in names)
    return wants and "text/html" not in names and "text/plain" not in names


def takes_response(function: Callable[..., Any]) -> bool:
    """Whether a handler is `def h(req, res)`; InvalidError, a ValueError, for what is neither that nor `def h(req)`.

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
    """Whether a function takes the two arguments, as against the one; InvalidError for what takes neither."""
    if not callable(function):
        raise InvalidError(f"{what} is a function, not {function!r}")
    name = name_of(function)
    plain = getattr(function, "__name__", "")
    shapes = _SHAPES[one].format(plain if plain.isidentifier() else "h")
    runs = _runs(function)
    if is_async(function) and what != "a handler":
        raise InvalidError(f"{name} is async, and {what} is not: only handlers may be. {shapes}")
    if inspect.isgeneratorfunction(runs) and what != "a handler":
        raise InvalidError(f"{name} yields, and {what} returns: {shapes}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidError(f"{name} does not tell its parameters; wrap it: lambda {two}: {name}(...)") from None

    required = positional = 0
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise InvalidError(f"{name} needs the keyword argument {parameter.name!r}, which nobody gives: {shapes}")
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
    """The code behind partials and objects that can be called."""
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
    """The names of a pattern, in order.

    >>> names_of("/users/:id/files/*path"), names_of("/any/*")
    (('id', 'path'), ('*',))
    """
    parts = [part for part in pattern.split("/") if part[:1] in (":", "*")]
    return tuple(part if part == "*" else part[1:] for part in parts)


def name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function))


def titled(entrance: Route, kind: str) -> str:
    """What an application is called in messages, whichever of its patterns it is."""
    prefix = entrance.pattern.rstrip("/*")
    return f"{name_of(entrance._function)}, {kind}{f' at {prefix}' if prefix else ''},"
