"""What an application needs of a slot, by the shortest ways that there are."""

from __future__ import annotations

import sys
from ctypes import PyDLL, Structure, byref, c_char_p, c_void_p, sizeof, string_at
from typing import TYPE_CHECKING, Any

from . import _ffi

if TYPE_CHECKING:
    from .slot import Slot

__all__ = ["BEGIN", "Seat", "minor_version", "remote_address"]

#: Where the bytes of a bytes object begin, behind its address; 0 where that is not known. An address costs a fraction
#: of what ctypes does to keep an object alive.
BEGIN = bytes.__basicsize__ - 1 if sys.implementation.name == "cpython" else 0
_PROBE = b"a probe"
if BEGIN and string_at(id(_PROBE) + BEGIN, len(_PROBE)) != _PROBE:
    BEGIN = 0


# typedef struct hasty_slot hasty_slot;
class _Plain(Structure):
    """A slot whose texts are addresses."""

    _fields_ = [(field[0], c_void_p if field[1] is c_char_p else field[1]) for field in _ffi.hasty_slot._fields_]


assert sizeof(_Plain) == sizeof(_ffi.hasty_slot)

# Functions without types of arguments, which take time; a handle of its own has functions of its own.
_bare = PyDLL(str(_ffi.PATH))
remote_address = _bare.hasty_request_remote_address_to
minor_version = _bare.hasty_request_minor_version


class Seat:
    """One worker's slot."""

    __slots__ = ("kept", "out", "plain", "request", "slot", "view")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        #: The slot's memory.
        self.plain: Any = _Plain.from_buffer(slot)
        #: The pointer in it.
        self.request = c_void_p.from_buffer(slot, type(slot).request.offset)
        #: Keeps alive what the slot points to, until the next answer.
        self.kept = [b"", b"", b""]
        self.view = _ffi.hasty_str()
        self.out = byref(self.view)
