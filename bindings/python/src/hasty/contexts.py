"""Context variables: values set by middleware belong to the request, on whichever thread it is answered."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

from . import _ffi, _kept

if TYPE_CHECKING:
    from .request import Request

__all__ = ["begun", "of"]

_NAME = b"hasty.python.context"


def begun(request: Request, base: Context) -> Context:
    """Returns the context in which a request's middleware runs; the first call makes it."""
    pointer = request._live()
    number = _ffi.hasty_request_local(pointer, _NAME)
    if number is None:
        number = _kept.put(base.copy())
        _ffi.check(_ffi.hasty_request_set_local(pointer, _NAME, number, _kept.DROP))
    context: Context = _kept.get(number)
    return context


def of(request: Request, base: Context) -> Context:
    """Returns the context of a request for the code that runs after its middleware, or a new one if it has none."""
    number = None if request._is_over() else _ffi.hasty_request_local(request._live(), _NAME)
    if number is None:
        return base.copy()
    context: Context = _kept.get(number)
    return context
