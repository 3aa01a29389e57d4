"""A function and the place it has in an app: what it may look like, and what becomes of its result."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Iterator
from typing import Any, Callable, Optional, TypeVar, Union

from . import _ffi, event
from .errors import ClosedError, HttpError, InvalidError, reason
from .exchange import PIECE, Exchange
from .made import Made
from .request import Request
from .response import Response, Result, as_response, type_name
from .stream import Streams

__all__ = ["After", "ErrorHandler", "Handler", "Middleware", "Result"]

log = logging.getLogger("hasty")

#: A function that answers: `def h(req)` returns or yields the answer, `def h(req, res)` fills it in.
Handler = Union[
    Callable[[Request], Result], Callable[[Request, Response], Union[Response, Iterator[event.Chunk], None]]
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

    def answer(self, request: Request, error: BaseException, name: str) -> Response | None:
        """The answer to a failed function; None leaves it to the library, which makes a 500."""
        for kind in type(error).__mro__:
            shape = self.by_type.get(kind)
            if shape is not None:
                answer = shape(request, error, error.code if isinstance(error, HttpError) else 500)
                if answer is not None:
                    return answer
                break
        if isinstance(error, HttpError):
            answer = self._shaped(request, error)
            if answer is None:
                answer = refusal(request, error)
                self.change(request, answer)
            return answer
        if error is request._failure:
            return None
        complain(request, name, error)
        failure = HttpError(500)
        failure.__cause__ = error
        return self._shaped(request, failure)

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
        # A plain body is the words for this error; 200 would deny that there was one.
        return as_response(answer) if isinstance(answer, (Response, tuple)) else Response(answer, code)


class Step:
    """A function that the library calls for a request. Whatever happens inside stays on this side of C."""

    __slots__ = ("_errors", "_function", "_streams")

    def __init__(self, function: Callable[..., Any], errors: Errors, streams: Streams) -> None:
        self._function = function
        self._errors = errors
        self._streams = streams

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        raise NotImplementedError

    def _send(self, request: Request, response: Response, res: _ffi.ResponsePointer) -> int:
        """Hands an answer to the library: at once, or to a thread that streams it."""
        if response._stream is None:
            try:
                response._send(res)
            except BaseException:
                # Half of it may be there.
                _ffi.check(_ffi.hasty_response_reset(res))
                raise
            return _ffi.OK
        exchange = Exchange(res)
        exchange._lend(request)
        self._streams.start(functools.partial(self._stream, request, response, exchange))
        return _ffi.OK

    def _stream(self, request: Request, response: Response, exchange: Exchange) -> None:
        """Runs a generator to its end, or to that of its client, on a thread of its own."""
        try:
            exchange._response = response
            try:
                pump(response, exchange._put)
            except BaseException as error:
                self._break(request, exchange, error)
            else:
                exchange.finish()
        except ClosedError:
            pass
        except BaseException as error:
            complain(request, name_of(self._function), error)
        finally:
            exchange.free()
            request._end()

    def _break(self, request: Request, exchange: Exchange, error: BaseException) -> None:
        """A generator failed: before its first piece an error can still be told, after that the answer is cut off."""
        if exchange._begun:
            complain(request, name_of(self._function), error)
            return
        answer = self._errors.answer(request, error, name_of(self._function))
        exchange.finish(answer or refusal(request, HttpError(500)))

    def _fail(
        self, request: Request, response: Response | None, res: _ffi.ResponsePointer, error: BaseException
    ) -> int:
        """Answers for an exception. ERR_CLOSED makes the library answer 500, or cut off what was begun; it logs every
        status but that one, and the traceback says more than it could."""
        try:
            if request._deferred:
                complain(request, name_of(self._function), error)
                return _ffi.OK
            if response is not None and response._begun:
                if isinstance(error, ClosedError):
                    # The client left, or asked for the head only: the library knows which.
                    return _ffi.OK
                if error is not request._failure:
                    complain(request, name_of(self._function), error)
                return _ffi.ERR_CLOSED
            answer = self._errors.answer(request, error, name_of(self._function))
            return _ffi.ERR_CLOSED if answer is None else self._send(request, answer, res)
        except BaseException as second:
            complain(request, name_of(self._function), second)
            return _ffi.ERR_CLOSED

    def _other(self, answer: object) -> Response:
        if isinstance(answer, Response):
            return answer
        if inspect.isgenerator(answer):
            return as_response(answer)
        raise TypeError(
            f"{name_of(self._function)} takes (req, res) and returned {type_name(answer)}: "
            "give the answer to res, or take only req and return it"
        )


class Route(Step):
    """A method, a pattern, and the function that answers there."""

    __slots__ = ("_fills", "inline", "method", "pattern")

    def __init__(
        self, method: str, pattern: str, function: Callable[..., Any], errors: Errors, streams: Streams
    ) -> None:
        super().__init__(function, errors, streams)
        self.method = method
        self.pattern = pattern
        #: Is the body read by the handler? Then generators run where the request is served: only there can they read.
        self.inline = False
        self._fills = takes_response(function)

    def __repr__(self) -> str:
        return f"{self.method} {self.pattern} -> {name_of(self._function)}"

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req, res)
        request._unread = self.inline
        response = None
        try:
            if self._fills:
                response = Response()
                response._native = res
                answer = self._function(request, response)
                if answer is not None and answer is not response:
                    response = self._instead(response, answer)
            else:
                response = as_response(self._function(request))
            if response._begun or request._over is not None:
                return self._given(request, response)
            if response._stream is not None and self.inline:
                return self._here(response, res)
            return self._send(request, response, res)
        except BaseException as error:  # SystemExit too: it would end a worker, not the program
            return self._fail(request, response, res, error)
        finally:
            if response is not None:
                response._native = None
            if request._res is not None:
                request._end()

    def _instead(self, response: Response, answer: object) -> Response:
        """A handler with res returned another answer."""
        other = self._other(answer)
        if inspect.isgenerator(answer):
            # It has res as its second argument: what is set there before the first piece is the head.
            response._stream = other._stream
            return response
        if response._begun:
            raise TypeError(f"{name_of(self._function)} wrote an answer and returned another one")
        return other

    def _given(self, request: Request, response: Response) -> int:
        """The answer was written, or is to come."""
        response._refuse_spent()
        if request._over is not None and not response._begun and response._answers() and response._status != 204:
            raise TypeError(f"{name_of(self._function)} deferred its answer and gave one: return None then")
        return _ffi.OK

    def _here(self, response: Response, res: _ffi.ResponsePointer) -> int:
        response._native = res

        def write(piece: event.Piece, chunk: event.Chunk) -> int:
            if not response._begun:
                response._begin(res, chunk)
            return event.write(res, piece)

        pump(response, write)
        if not response._begun:
            response._send(res)
        return _ffi.OK


class Gate(Step):
    """A function that runs before the handlers below a prefix, and may answer in their place."""

    __slots__ = ("_fills",)

    def __init__(self, function: Callable[..., Any], errors: Errors, streams: Streams) -> None:
        super().__init__(function, errors, streams)
        self._fills = takes_two(function, "middleware", "req", "req, res")

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req, res)
        request._unread = True
        response = None
        try:
            if self._fills:
                response = Response()
                response._native = res
                answer = self._function(request, response)
                if answer is None and not response._answers():
                    # Fields that it has set stay, for whoever answers.
                    response._set_head(res)
                    return _ffi.OK if request._deferred else _ffi.NEXT
                if answer is not None and answer is not response:
                    response = self._other(answer)
            else:
                answer = self._function(request)
                if answer is None:
                    return _ffi.OK if request._deferred else _ffi.NEXT
                response = as_response(answer)
            if response._begun or request._deferred:
                response._refuse_spent()
                return _ffi.OK
            return self._send(request, response, res)
        except BaseException as error:
            return self._fail(request, response, res, error)
        finally:
            if response is not None:
                response._native = None
            if request._res is not None:
                request._end()


class Hook(Step):
    """A function that looks at every answer below a prefix before it leaves, and may change it."""

    __slots__ = ()

    def __init__(self, function: Callable[..., Any], errors: Errors, streams: Streams) -> None:
        super().__init__(function, errors, streams)
        takes_two(function, "an after function", "", "req, res")

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        request = Request(req)
        response = Made(res)
        try:
            changed(self._function, request, response)
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

    def __init__(self, errors: Errors, streams: Streams) -> None:
        super().__init__(errors.answer, errors, streams)

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        why = _ffi.last_error()
        code = int(_ffi.hasty_response_status(res))
        request = Request(req)
        made = Made(res, why or reason(code))
        try:
            shape = self._errors.by_code.get(code)
            answer = None if shape is None else shape(request, HttpError(code, why or reason(code)), code)
            if answer is None:
                answer = made
                self._errors.change(request, made)
            answer._send(res)
            return _ffi.OK
        except BaseException as error:
            complain(request, f"the function for a {code}", error)
            # Then the library's own answer is sent.
            return _ffi.ERR_CLOSED
        finally:
            made._end()
            request._end()


def pump(response: Response, write: Callable[[event.Piece, event.Chunk], int]) -> None:
    """Writes what a stream yields, until its end or its client's. The stream is closed, whatever happens."""
    items: Any = response._stream
    response._stream = None
    try:
        for chunk in items:
            for piece in event.pieces(chunk, PIECE):
                status = write(piece, chunk)
                if status == _ffi.ERR_CLOSED:
                    return
                _ffi.check(status)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def changed(function: Callable[..., Any], request: Request, response: Response) -> None:
    """Runs a function that may change an answer."""
    answer = function(request, response)
    if answer is not None and answer is not response:
        raise TypeError(f"{name_of(function)} returned {type_name(answer)}: it is to change the res that it gets")


def complain(request: Request, name: str, error: BaseException) -> None:
    """Logs an exception with its traceback."""
    try:
        what = "" if request._pointer is None else f"{request.method} {request.target}: "
        log.error("%s%s failed", what, name, exc_info=error)
    except Exception:  # a broken log handler is no reason to lose the answer
        pass


def refusal(request: Request, error: HttpError) -> Response:
    """An error in its own words; as JSON to who prefers that, as the library tells those that it finds."""
    if prefers_json(request.headers.get("accept", "")):
        answer = {"error": {"status": error.code, "reason": reason(error.code), "message": error.message}}
        response = Response.json(answer, status=error.code)
    else:
        response = Response.text(error.message, status=error.code)
    response._why = error.message
    return response


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
    runs: Any = function
    while isinstance(runs, functools.partial):
        runs = runs.func
    if not inspect.isroutine(runs):
        runs = type(runs).__call__
    if inspect.iscoroutinefunction(runs) or inspect.isasyncgenfunction(runs):
        raise InvalidError(f"{name} is async, and this version runs plain functions and generators only: {shapes}")
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


def name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function))
