"""A handler and its route: what a function may look like, and what becomes of its result."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar, Union

from . import _ffi
from .errors import BadRequest, InvalidError
from .request import Request
from .response import Body, Response, type_name

__all__ = ["Handler", "Result"]

log = logging.getLogger("hasty")

_Fields = Union[Mapping[str, str], list[tuple[str, str]]]
#: What a handler of one argument may return.
Result = Union[Body, Response, tuple[Body, int], tuple[Body, int, _Fields]]
#: A function that answers: `def h(req)` returns the answer, `def h(req, res)` fills it in.
Handler = Union[Callable[[Request], Result], Callable[[Request, Response], Optional[Response]]]
#: The function that a decorator was given, and gives back.
H = TypeVar("H", bound=Handler)


class Route:
    """A method, a pattern, and the function that answers there."""

    __slots__ = ("_fills", "_function", "method", "pattern")

    def __init__(self, method: str, pattern: str, function: Callable[..., Any]) -> None:
        self.method = method
        self.pattern = pattern
        self._fills = takes_response(function)
        self._function = function

    def __repr__(self) -> str:
        return f"{self.method} {self.pattern} -> {name_of(self._function)}"

    def __call__(self, req: _ffi.RequestPointer, res: _ffi.ResponsePointer) -> int:
        """Answers one request for the library. Whatever happens inside stays on this side of C."""
        request = Request(req)
        try:
            try:
                if self._fills:
                    response = Response()
                    answer = self._function(request, response)
                    if answer is not None and answer is not response:
                        response = self._other(answer)
                else:
                    response = as_response(self._function(request))
                response._send(res)
            except BadRequest as error:
                _ffi.check(_ffi.hasty_response_reset(res))
                refusal(request, error)._send(res)
            return _ffi.OK
        except BaseException as error:  # SystemExit too: it would end a worker, not the program
            self._log(request, error)
            # The library makes the 500, whatever was filled in. It logs every status but this one, and the traceback
            # says more than it could.
            return _ffi.ERR_CLOSED
        finally:
            request._end()

    def _other(self, answer: object) -> Response:
        if isinstance(answer, Response):
            return answer
        raise TypeError(
            f"{name_of(self._function)} takes (req, res) and returned {type_name(answer)}: "
            "give the answer to res, or take only req and return it"
        )

    def _log(self, request: Request, error: BaseException) -> None:
        try:
            log.error("%s %s: %s failed", request.method, request.target, name_of(self._function), exc_info=error)
        except Exception:  # a broken log handler is no reason to lose the answer
            pass


def refusal(request: Request, error: BadRequest) -> Response:
    """A client's mistake, told in its own words; to who prefers JSON, as the library tells those that it finds."""
    if prefers_json(request.headers.get("accept", "")):
        answer = {"error": {"status": 400, "reason": "Bad Request", "message": error.message}}
        return Response.json(answer, status=400)
    return Response.text(error.message, status=400)


def prefers_json(accept: str) -> bool:
    """Whether a client names JSON, and neither HTML nor text beside it.

    >>> prefers_json("application/json, */*"), prefers_json("text/html, application/json"), prefers_json("*/*")
    (True, False, False)
    """
    names = [media.split(";")[0].strip().lower() for media in accept.split(",")]
    wants = any(name == "application/json" or name.endswith("+json") for name in names)
    return wants and "text/html" not in names and "text/plain" not in names


def as_response(value: Any) -> Response:
    """What a handler returned, as a Response: None is 204, a tuple is (body, status[, headers])."""
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(None, 204)
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 3 or isinstance(value[0], (Response, tuple)):
            raise TypeError(f"a tuple is (body, status) or (body, status, headers), not {value!r}")
        return Response(*value)
    return Response(value)


_SHAPES = "`def {0}(req)` returns the answer, `def {0}(req, res)` fills it in"


def takes_response(function: Callable[..., Any]) -> bool:
    """Whether a handler is `def h(req, res)`; InvalidError, a ValueError, for what is neither that nor `def h(req)`.

    >>> takes_response(lambda req: "hello"), takes_response(lambda req, res: res.text("hello"))
    (False, True)
    """
    if not callable(function):
        raise InvalidError(f"a handler is a function, not {function!r}")
    name = name_of(function)
    plain = getattr(function, "__name__", "")
    shapes = _SHAPES.format(plain if plain.isidentifier() else "h")
    runs: Any = function
    while isinstance(runs, functools.partial):
        runs = runs.func
    if not inspect.isroutine(runs):
        runs = type(runs).__call__
    if inspect.iscoroutinefunction(runs) or inspect.isasyncgenfunction(runs) or inspect.isgeneratorfunction(runs):
        raise InvalidError(f"{name} is async or a generator, and this version runs plain functions only: {shapes}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidError(f"{name} does not tell its parameters; wrap it: lambda req: {name}(...)") from None

    required = positional = 0
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise InvalidError(f"{name} needs the keyword argument {parameter.name!r}, which nobody gives: {shapes}")
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += 2
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional += 1
            required += parameter.default is parameter.empty
    if required > 2 or positional < 1:
        counted = f"{required} argument{'s' if required != 1 else ''}"
        raise InvalidError(f"{name} takes {counted}: {shapes}")
    return required == 2


def name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function))
