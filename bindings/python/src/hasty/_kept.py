"""Python objects that the library refers to in its user_data, by numbers instead of pointers."""

from __future__ import annotations

import itertools
from typing import Any

from . import _ffi
from .report import report

_numbers = itertools.count(1)
_objects: dict[int, Any] = {}


def put(kept: object) -> int:
    """Keeps an object until the library drops its number, and returns that."""
    number = next(_numbers)
    _objects[number] = kept
    return number


def get(number: int) -> Any:
    """Returns the object of a number that was not dropped."""
    return _objects[number]


def _drop(number: int | None) -> None:
    _objects.pop(number or 0, None)


def _call(number: int | None) -> None:
    """Calls the function with this number, without arguments; lets no exception into C."""
    function = _objects.get(number or 0)
    if function is None:
        return
    try:
        function()
    except BaseException as error:
        report(error, "%r failed", function)


# They live as long as the module, because the library may call them after an app has been freed.
DROP = _ffi.hasty_drop(_drop)
CALL = _ffi.hasty_notify_fn(_call)
