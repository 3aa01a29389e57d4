"""What an application needs of a slot, by the shortest ways that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _ffi

if TYPE_CHECKING:
    from .slot import Slot
    from .taker import Taker

__all__ = ["CONTENT_TYPE", "Seat", "seat_of"]

#: Where it is among the words of a slot.
CONTENT_TYPE = _ffi.hasty_slot.content_type.offset // 8


class Seat:
    """What goes with one worker's slot."""

    __slots__ = ("kept", "slot", "taker", "words")

    #: Who gives the answer to the request that is served.
    taker: Taker

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.words = slot.words
        #: Owns the content type that the slot points to.
        self.kept: object = None


def seat_of(slot: Slot) -> Seat:
    """The seat of a slot, made for the first request there."""
    known: dict[str, Seat] = vars(slot)
    seat = known.get("wsgi_seat")
    if seat is None:
        seat = known["wsgi_seat"] = Seat(slot)
    return seat
