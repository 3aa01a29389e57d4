"""What only the interpreter itself can do, through its C API."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from .errors import LibraryError

if TYPE_CHECKING:
    import asyncio

__all__ = ["Ended", "raise_in", "refuse_others", "running_loop"]


class Ended(SystemExit):
    """Raised in a handler that still runs when the program ends."""


def raise_in(ident: int, kind: type[BaseException]) -> None:
    """Raises an exception in another thread of Python's, at its next instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(kind))


def refuse_others() -> None:
    """LibraryError on other kinds of Python, whose objects lie elsewhere or are not guarded by a lock, and in a
    subinterpreter: callbacks of the library's would come into the main one."""
    if sys.implementation.name != "cpython":
        raise LibraryError(f"hasty needs CPython, but this is {sys.implementation.name}")
    # Since 3.13; loading an extension module may have switched it on again.
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
    """The asyncio loop that runs on this thread. Without asyncio none does, and then it is not loaded for this."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()
