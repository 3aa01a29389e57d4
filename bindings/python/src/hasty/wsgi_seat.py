"""What serving a WSGI request needs of a slot, in the form that is fastest to access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _ffi

if TYPE_CHECKING:
    from .slot import Slot
    from .taker import Taker

__all__ = ["CONTENT_TYPE", "Seat", "seat_of"]

#: The index of the content type among the words of a slot.
CONTENT_TYPE = _ffi.hasty_slot.content_type.offset // 8


class Seat:
    """What belongs to one thread's slot."""

    __slots__ = ("kept", "slot", "taker", "words")

    #: Sends the response to the current request.
    taker: Taker

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.words = slot.words
        #: Keeps alive the content type that the slot points to.
        self.kept: object = None


def seat_of(slot: Slot) -> Seat:
    """Returns the seat of a slot, which is made for its first request."""
    known: dict[str, Seat] = vars(slot)
    seat = known.get("wsgi_seat")
    if seat is None:
        seat = known["wsgi_seat"] = Seat(slot)
    return seat
