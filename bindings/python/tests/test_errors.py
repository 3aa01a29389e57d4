"""The errors: one class per status, each also the built-in that it resembles."""

from __future__ import annotations

import copy
import pickle

import pytest

import hasty
from hasty import _ffi, errors


@pytest.mark.parametrize(
    ("kind", "status", "builtin"),
    [
        (hasty.NullError, 1, ValueError),
        (hasty.InvalidError, 2, ValueError),
        (hasty.StateError, 3, RuntimeError),
        (hasty.IoError, 4, OSError),
        (hasty.ClosedError, 5, ConnectionError),
        (hasty.TimedOutError, 6, TimeoutError),
        (hasty.PanicError, 7, RuntimeError),
        (hasty.LimitError, 8, BufferError),
        (hasty.NotFoundError, 9, LookupError),
        (hasty.UnsupportedError, 10, NotImplementedError),
    ],
)
def test_each_status_has_its_class(kind: type[hasty.HastyError], status: int, builtin: type[Exception]) -> None:
    error = errors.from_status(status, "words")
    assert type(error) is kind
    assert isinstance(error, builtin) and isinstance(error, hasty.HastyError)
    assert (error.status, error.message, str(error)) == (status, "words", "words")


def test_the_statuses_are_the_librarys() -> None:
    names = {kind.status: kind.__name__ for kind in errors._BY_STATUS.values()}
    for status, name in names.items():
        known = _ffi.hasty_status_name(status).decode().lower()
        word = {"IoError": "io", "TimedOutError": "timeout", "NotFoundError": "not"}.get(name, name[:-5].lower())
        assert word in known.replace("hasty_err_", ""), (status, name, known)


def test_a_status_of_a_newer_library_keeps_its_number() -> None:
    error = errors.from_status(77, "words")
    assert type(error) is hasty.HastyError
    assert (error.status, error.message) == (77, "words")


@pytest.mark.parametrize("kind", [*errors._BY_STATUS.values(), hasty.LibraryError, hasty.BadRequest, hasty.JsonError])
def test_errors_can_be_copied_and_pickled(kind: type[hasty.HastyError]) -> None:
    error = kind("words")
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is kind
        assert (same.status, same.message, str(same)) == (error.status, "words", "words")


def test_a_json_error_keeps_its_place() -> None:
    error = pickle.loads(pickle.dumps(hasty.JsonError("words", 2, 3)))
    assert (error.line, error.column, error.status) == (2, 3, 2)


def test_an_error_of_the_library_carries_its_words() -> None:
    with pytest.raises(hasty.InvalidError) as caught:
        hasty.App(max_headers="many")  # type: ignore[arg-type]
    assert caught.value.message == str(caught.value)
    assert "max_headers" in caught.value.message and "many" in caught.value.message


def test_closed_and_timed_out_do_not_borrow_the_words_of_another_error() -> None:
    with pytest.raises(hasty.InvalidError):
        hasty.App(max_headers="many")  # type: ignore[arg-type]
    for status, kind in ((_ffi.ERR_CLOSED, hasty.ClosedError), (_ffi.ERR_TIMEOUT, hasty.TimedOutError)):
        with pytest.raises(kind) as caught:
            _ffi.check(status)
        assert caught.value.message and "many" not in caught.value.message


def test_ok_is_no_error() -> None:
    _ffi.check(_ffi.OK)


def test_every_error_is_exported() -> None:
    for name in errors.__all__:
        assert getattr(hasty, name) is getattr(errors, name)


class Forbidden(hasty.HttpError):
    """An error of a program's own, which takes other arguments."""

    def __init__(self, user: str, *, realm: str) -> None:
        super().__init__(403, f"{user} is not let in")
        self.realm = realm


def test_an_http_error_can_be_copied_and_pickled() -> None:
    error: hasty.HttpError
    for error in (hasty.HttpError(418, "tea"), hasty.BadRequest("no"), Forbidden("Eve", realm="here")):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            same = pickle.loads(pickle.dumps(error, protocol))
            assert type(same) is type(error) and same.__dict__ == error.__dict__ and str(same) == str(error)
        same = copy.deepcopy(error)
        assert (same.code, same.message, same.args) == (error.code, error.message, error.args)
