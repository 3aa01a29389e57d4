"""Exceptions: one class for each status of the library, each also a subclass of the corresponding built-in.

    try:
        app.listen(80)
    except OSError as error:          # hasty.IoError is an OSError
        print(error)

`HastyError` is the base class of all; `.status` is the library's status number, `.message` its message.
"""

from __future__ import annotations

import copyreg
import re
from http import HTTPStatus
from typing import Any

__all__ = [
    "BadRequest",
    "ClosedError",
    "HastyError",
    "HttpError",
    "InvalidError",
    "IoError",
    "JsonError",
    "LibraryError",
    "LimitError",
    "NotFoundError",
    "NullError",
    "PanicError",
    "StateError",
    "TimedOutError",
    "UnsupportedError",
]


class HastyError(Exception):
    """Base class of all errors of this package.

    >>> error = InvalidError("status 99 is not in 200 to 599")
    >>> error.status, error.message
    (2, 'status 99 is not in 200 to 599')
    >>> isinstance(error, ValueError)
    True
    """

    #: The number of `hasty_status`; 0 where no status of the library fits.
    status: int = 0
    #: A sentence that names the value and the rule.
    message: str

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        # The built-ins mixed in below have formats of their own: OSError shows errno, KeyError quotes.
        return self.message


class NullError(HastyError, ValueError):
    """A required value is missing."""

    status = 1


class InvalidError(HastyError, ValueError):
    """A value breaks a rule; the message names both."""

    status = 2


class StateError(HastyError, RuntimeError):
    """The call is not possible now: for example, a route registered after the start, or a request that has ended."""

    status = 3


class IoError(HastyError, OSError):
    """The operating system reported an error; `errno` is its number, or None if unknown."""

    status = 4

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message, status)
        number = re.search(r"\(os error (\d+)\)", message)
        self.errno = int(number[1]) if number else None


class ClosedError(HastyError, ConnectionError):
    """The client has disconnected, or the app has stopped."""

    status = 5


class TimedOutError(HastyError, TimeoutError):
    """The time allowed has passed."""

    status = 6


class PanicError(HastyError, RuntimeError):
    """A bug in the library, caught before it reached the program."""

    status = 7


class LimitError(HastyError, BufferError):
    """A limit was reached."""

    status = 8


class NotFoundError(HastyError, LookupError):
    """Nothing has that name."""

    status = 9


class UnsupportedError(HastyError, NotImplementedError):
    """This build or this machine does not support it."""

    status = 10


class LibraryError(HastyError, ImportError):
    """libhasty was not found, cannot be loaded, or does not match this package; the message lists what was tried."""


class HttpError(HastyError):
    """An error response: raise it in a handler to answer with `code`, 400 to 599, and `message`, which the client sees.

    The message is sent as text, or as JSON if the client prefers that; None is the standard phrase of the status. A
    function registered with `App.error(code)` can answer instead. To send header fields, return a response: `return
    "who are you?", 401, {"WWW-Authenticate": "Basic"}`.

    >>> from hasty import App
    >>> app = App()
    >>> @app.get("/users/:id")
    ... def user(req):
    ...     raise HttpError(404, f"there is no user {req.params['id']}")
    >>> with app.test_client() as client:
    ...     answer = client.get("/users/7")
    ...     answer.status_code, answer.text
    (404, 'there is no user 7')

    Raises InvalidError for another code, and TypeError for a message that is not str.
    """

    #: The answer's status.
    code: int

    def __init__(self, code: int, message: str | None = None) -> None:
        if not isinstance(code, int) or not 400 <= code <= 599:
            raise InvalidError(f"code {code!r} of an HttpError is not in 400 to 599")
        if message is None:
            message = reason(code)
        elif not isinstance(message, str):
            raise TypeError(
                f"message {message!r} of an HttpError is not str; for JSON return the answer instead of raising it: "
                f"return {message!r}, {code}"
            )
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by way of __init__, which takes other arguments than Exception keeps; in programs' subclasses any.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class BadRequest(HttpError, InvalidError):
    """An HttpError with status 400, for invalid requests. It is not logged as an error.

    >>> from hasty import App
    >>> app = App()
    >>> @app.get("/age")
    ... def age(req):
    ...     if not req.query.get("year", "").isdigit():
    ...         raise BadRequest("year must be a number")
    ...     return str(2000 - int(req.query["year"]))
    >>> with app.test_client() as client:
    ...     answer = client.get("/age?year=old")
    ...     answer.status_code, answer.text
    (400, 'year must be a number')
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(400, message)


def reason(code: int) -> str:
    """Returns the standard phrase of a status.

    >>> reason(404), reason(499)
    ('Not Found', 'Error')
    """
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Error"


class JsonError(BadRequest):
    """Raised for malformed JSON in a body; `line` and `column`, counted from 1, say where."""

    line: int
    column: int

    def __init__(self, message: str = "", line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


_BY_STATUS: dict[int, type[HastyError]] = {
    kind.status: kind
    for kind in (
        NullError,
        InvalidError,
        StateError,
        IoError,
        ClosedError,
        TimedOutError,
        PanicError,
        LimitError,
        NotFoundError,
        UnsupportedError,
    )
}


def from_status(status: int, message: str) -> HastyError:
    """Returns the exception for a status of the library; an unknown status becomes a HastyError that keeps the number.
    """
    kind = _BY_STATUS.get(status)
    return kind(message) if kind else HastyError(message, status)
