"""Python objects that the library carries along as user_data: a number goes in, and comes back."""

from __future__ import annotations

import itertools
from typing import Any

from . import _ffi
from .report import report

_numbers = itertools.count(1)
_objects: dict[int, Any] = {}


def put(kept: object) -> int:
    """Keeps an object until the library drops its number."""
    number = next(_numbers)
    _objects[number] = kept
    return number


def get(number: int) -> Any:
    """The object of a number that was not dropped."""
    return _objects[number]


def _drop(number: int | None) -> None:
    _objects.pop(number or 0, None)


def _call(number: int | None) -> None:
    """Calls what a number stands for, which takes no argument; no exception gets into C."""
    function = _objects.get(number or 0)
    if function is None:
        return
    try:
        function()
    except BaseException as error:
        report(error, "%r failed", function)


# They live as long as the module, so that the library may call them whatever became of an app.
DROP = _ffi.hasty_drop(_drop)
CALL = _ffi.hasty_notify_fn(_call)
