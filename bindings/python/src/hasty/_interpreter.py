"""Operations that need the interpreter's C API or internals."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from .errors import LibraryError

if TYPE_CHECKING:
    import asyncio

__all__ = ["Ended", "raise_in", "refuse_others", "running_loop"]


class Ended(SystemExit):
    """Raised in handlers that are still running when the program ends."""


def raise_in(ident: int, kind: type[BaseException]) -> None:
    """Raises an exception in another Python thread, at its next bytecode instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(kind))


def refuse_others() -> None:
    """Raises LibraryError on other implementations, which lay out objects differently; without the GIL, which guards
    shared state; and in a subinterpreter, because the library's callbacks would run in the main one.
    """
    if sys.implementation.name != "cpython":
        raise LibraryError(f"hasty needs CPython, but this is {sys.implementation.name}")
    # Since 3.13. Loading an extension module may have enabled the GIL again.
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)
    if is_gil_enabled is not None and not is_gil_enabled():
        raise LibraryError(
            "hasty needs the GIL, which guards what its threads share, and this is a free-threaded Python without it: "
            "PYTHON_GIL=1 switches it on, and workers, which are processes, use more than one processor"
        )
    api = ctypes.pythonapi
    here, main = api.PyInterpreterState_Get, api.PyInterpreterState_Main
    here.restype = main.restype = ctypes.c_void_p
    if here() != main():
        raise LibraryError(
            "hasty serves from the main interpreter only, and this is a subinterpreter: import it there, "
            "or use workers, which are processes"
        )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Returns the asyncio loop that runs on this thread, if any; does not import asyncio, which is slow."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()
