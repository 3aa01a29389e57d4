"""The pieces of a stream: text, bytes and server-sent events."""

from __future__ import annotations

from typing import Any, NamedTuple, Union

from . import _ffi, _json
from .errors import InvalidError

__all__ = ["Chunk", "Event"]


class _Fields(NamedTuple):
    event: str | None = None
    data: Any = None
    id: str | None = None
    retry: int | None = None


class Event(_Fields):
    """A server-sent event, for handlers that yield. The response then has the type `text/event-stream`.

    `event` is the name of the event. `id` is what a browser's EventSource sends back when it reconnects. Both are str
    without line breaks. `data` is a str of any number of lines, or any other JSON value, which is sent as JSON; "" is
    an event with empty data. Without data, pages do not see the event: it only keeps the connection alive and sets the
    last event id. `retry` is how many milliseconds a page waits before it reconnects.

    Raises TypeError if `event` or `id` is not str, and InvalidError if `retry` is not a number from 0.

    >>> from hasty import App
    >>> app = App()
    >>> @app.get("/ticks")
    ... def ticks(req):
    ...     for count in range(2):
    ...         yield Event("tick", data={"count": count})
    >>> with app.test_client() as client:
    ...     print(client.get("/ticks").text, end="")
    event: tick
    data: {"count":0}
    <BLANKLINE>
    event: tick
    data: {"count":1}
    <BLANKLINE>
    """

    __slots__ = ()

    def __new__(
        cls, event: str | None = None, data: Any = None, id: str | None = None, retry: int | None = None
    ) -> Event:
        # Checked here, so that the traceback shows the line; the library would find it only in the middle of a stream.
        if event is not None and not isinstance(event, str):
            raise TypeError(f'event {event!r:.100} is not str: the name comes first, as in Event("name", data=...)')
        if id is not None and not isinstance(id, str):
            raise TypeError(f"id {id!r:.100} of an Event is not str: convert it with str(...)")
        if retry is not None and (not isinstance(retry, int) or retry < 0):
            raise InvalidError(f"retry {retry!r:.100} of an Event is not a number of milliseconds from 0")
        return super().__new__(cls, event, data, id, retry)


#: A piece of a stream.
Chunk = Union[str, bytes, bytearray, memoryview, Event]


def kind_of(chunk: Chunk) -> str | None:
    """Returns the content type of a stream that begins with this piece; None if the library sets it."""
    if isinstance(chunk, str):
        return "text/plain; charset=utf-8"
    return None if isinstance(chunk, Event) else "application/octet-stream"


class Lines(NamedTuple):
    """An event in the form that the library expects, checked before any part of it is sent."""

    event: bytes | None
    data: bytes | None
    id: bytes | None


#: The argument of a single write.
Piece = Union[bytes, Lines]


def pieces(chunk: Chunk, most: int) -> list[Piece]:
    """Returns what to write for a chunk, in pieces of at most `most` bytes. Raises TypeError for other types."""
    if isinstance(chunk, Event):
        return _event_pieces(chunk)
    if isinstance(chunk, str):
        octets = chunk.encode()
    elif isinstance(chunk, (bytes, bytearray, memoryview)):
        octets = bytes(chunk)
    else:
        raise TypeError(f"a piece of a stream is str, bytes or hasty.Event, not {type(chunk).__name__}")
    if len(octets) <= most:
        return [octets]
    return [octets[start : start + most] for start in range(0, len(octets), most)]


def _event_pieces(event: Event) -> list[Piece]:
    name, data, id_, retry = event
    text = data if data is None or isinstance(data, str) else _json.encode(data)
    octets = None if text is None else _ffi.encode(text, "data")
    lines = Lines(_one_line(name, "event"), octets, _one_line(id_, "id"))
    if retry is None:
        return [lines]
    # The library's events have no such field. The comment before it makes the response an event stream. If there is no
    # room for what follows, writing all of it again does no harm.
    before: list[Piece] = [Lines(None, None, None), b"retry: %d\n\n" % retry]
    return before if lines == Lines(None, None, None) else [*before, lines]


def _one_line(text: str | None, what: str) -> bytes | None:
    if text is None:
        return None
    if "\r" in text or "\n" in text:
        # A line break in untrusted text would inject fields.
        raise InvalidError(f"{what} {text!r} of an Event contains a line break")
    return _ffi.encode(text, what)


def write(res: _ffi.ResponsePointer, piece: Piece) -> int:
    """Writes a piece and returns the library's status."""
    if isinstance(piece, Lines):
        return int(_ffi.hasty_response_write_event(res, piece.event, piece.data, piece.id))
    return int(_ffi.hasty_response_write(res, piece, len(piece)))
