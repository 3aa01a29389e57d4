"""What an application needs of a slot, by the shortest ways that there are."""

from __future__ import annotations

from ctypes import PyDLL, byref, c_void_p
from typing import TYPE_CHECKING

from . import _ffi

if TYPE_CHECKING:
    from .slot import Slot

__all__ = ["CONTENT_TYPE", "STATUS", "Seat", "minor_version", "remote_address", "seat_of"]

#: Where fields are among the words of a slot. The first half of STATUS is the status, the other one the kind.
STATUS, CONTENT_TYPE = (getattr(_ffi.hasty_slot, field).offset // 8 for field in ("status", "content_type"))

# Functions without types of arguments, which take time; a handle of its own has functions of its own.
_bare = PyDLL(str(_ffi.PATH))
remote_address = _bare.hasty_request_remote_address_to
minor_version = _bare.hasty_request_minor_version


class Seat:
    """What goes with one worker's slot."""

    __slots__ = ("kept", "out", "request", "slot", "view", "words")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.words = slot.words
        #: The slot's pointer to the request, to be passed on as it is.
        self.request = c_void_p.from_buffer(slot, type(slot).request.offset)
        #: Owns the content type that the slot points to.
        self.kept: object = None
        self.view = _ffi.hasty_str()
        self.out = byref(self.view)


def seat_of(slot: Slot) -> Seat:
    """The seat of a slot, made for the first request there."""
    known: dict[str, Seat] = vars(slot)
    seat = known.get("wsgi_seat")
    if seat is None:
        seat = known["wsgi_seat"] = Seat(slot)
    return seat
