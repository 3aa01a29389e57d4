"""The one library call that each request needs, made without ctypes.

A call through ctypes takes 2,000 instructions, a fifth of a minimal request. CPython needs a hundred to call a type's
slot function: so here a function of the library is the `nb_bool` slot of a type, which runs when an object is tested.
"""

from __future__ import annotations

import ctypes
from ctypes import addressof, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import TYPE_CHECKING, Any

from . import _ffi

if TYPE_CHECKING:
    from typing import Protocol

    from .slot import Slot

    class Taker(Protocol):
        """Sends the response in a slot and takes the next request whenever its truth value is tested.

        It is false if a request was taken, and never waits for one.
        """

        #: The body of the response, unless the slot has one; kept alive until the next is set.
        reply: bytes

        @property
        def status(self) -> int:
            """The library's status: why no request was taken, if the object was true."""

        def __bool__(self) -> bool:
            """Sends the response, and takes the next request."""


__all__ = ["OCTETS", "Once", "Taker", "taker_of"]

#: Offset of the data in a bytes object, which in CPython ends with the data and a NUL. The hash precedes the data, and
#: the length precedes the hash.
OCTETS = bytes.__basicsize__ - 1
_LENGTH = OCTETS - 2 * ctypes.sizeof(c_size_t)


class Once:
    """A taker for a single request: it takes no other."""

    __slots__ = ("reply",)
    status = _ffi.ERR_TIMEOUT

    def __init__(self) -> None:
        self.reply = b""

    def __bool__(self) -> bool:
        return True


class Called:
    """A taker that uses ctypes, for builds of CPython with a different object header."""

    __slots__ = ("_slot", "reply", "status")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.reply = b""
        self.status = _ffi.OK

    def __bool__(self) -> bool:
        slot = self._slot
        if slot.reply is None:
            slot.give(self.reply)
        self.status = _ffi.take_slot(slot.ref)
        return self.status != _ffi.OK


# --- a type whose methods are the library's ---

# From CPython's structmember.h, typeslots.h and object.h, where they are the same in all versions.
_T_INT, _T_OBJECT_EX, _READONLY = 1, 16, 1
_NB_BOOL, _TP_MEMBERS = 9, 72
_HAVE_VERSION_TAG = 1 << 18


# typedef struct { const char *name; int type; Py_ssize_t offset; int flags; const char *doc; } PyMemberDef;
class _Member(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("type", c_int), ("offset", c_size_t), ("flags", c_int), ("doc", c_char_p)]


# typedef struct { int slot; void *pfunc; } PyType_Slot;
class _TypeSlot(ctypes.Structure):
    _fields_ = [("slot", c_int), ("pfunc", c_void_p)]


# typedef struct { const char *name; int basicsize; int itemsize; unsigned int flags; PyType_Slot *slots; } PyType_Spec;
class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("basicsize", c_int),
        ("itemsize", c_int),
        ("flags", c_uint),
        ("slots", ctypes.POINTER(_TypeSlot)),
    ]


_take: Any = _ffi.hasty_slot_take_object
# Kept as long as the module, because some versions of CPython use them after the call. A zero entry ends each array.
_members = (_Member * 3)(
    _Member(b"status", _T_INT, _ffi.hasty_slot_object.status.offset, _READONLY, None),
    _Member(b"reply", _T_OBJECT_EX, _ffi.hasty_slot_object.reply.offset, 0, None),
)
_slots = (_TypeSlot * 3)(
    _TypeSlot(_NB_BOOL, ctypes.cast(_take, c_void_p)),
    _TypeSlot(_TP_MEMBERS, ctypes.cast(_members, c_void_p)),
)
_spec = _Spec(b"hasty.taker.Native", ctypes.sizeof(_ffi.hasty_slot_object), 0, _HAVE_VERSION_TAG, _slots)


def _native() -> Any:
    """Returns the type whose truth test is a function of the library; None if the object header is not as usual."""
    if object.__basicsize__ != _ffi.hasty_slot_object.slot.offset:
        return None
    make = ctypes.pythonapi["PyType_FromSpec"]
    make.restype, make.argtypes = ctypes.py_object, [ctypes.POINTER(_Spec)]
    return make(_spec)


Native: Any = _native()


def taker_of(slot: Slot) -> Taker:
    """Returns a taker for a slot, which must outlive it."""
    if Native is None:
        return Called(slot)
    taker: Taker = Native()
    # In CPython an object's id is its address.
    told = _ffi.hasty_slot_object.from_address(id(taker))
    told.slot, told.length_at, told.bytes_at = addressof(slot), _LENGTH, OCTETS
    taker.reply = b""
    return taker
