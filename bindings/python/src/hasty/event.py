"""What a stream is made of: text, bytes, and server-sent events."""

from __future__ import annotations

from typing import Any, NamedTuple, Union

from . import _ffi, _json
from .errors import InvalidError

__all__ = ["Chunk", "Event"]


class _Fields(NamedTuple):
    event: str | None = None
    data: Any = None
    id: str | None = None


class Event(_Fields):
    """A server-sent event, for handlers that yield; the answer's type becomes `text/event-stream`.

    `event` is its name and `id` what the browser's EventSource sends back when it connects again; both are text, and
    neither may hold a line break. `data` is text of any number of lines, which "" has as well; what else JSON has is
    sent as JSON. Without data pages do not see it: it keeps the connection alive, and its `id` is remembered.

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

    def __new__(cls, event: str | None = None, data: Any = None, id: str | None = None) -> Event:
        # Here the mistake is on the line that the traceback shows; the library finds it in the middle of a stream.
        if event is not None and not isinstance(event, str):
            raise TypeError(f'event {event!r:.100} is not str: the name comes first, as in Event("name", data=...)')
        if id is not None and not isinstance(id, str):
            raise TypeError(f"id {id!r:.100} of an Event is not str: str(...) makes it text")
        return super().__new__(cls, event, data, id)


#: A piece of a stream.
Chunk = Union[str, bytes, bytearray, memoryview, Event]


def kind_of(chunk: Chunk) -> str | None:
    """The content type of a stream that begins so; None where the library knows it."""
    if isinstance(chunk, str):
        return "text/plain; charset=utf-8"
    return None if isinstance(chunk, Event) else "application/octet-stream"


class Lines(NamedTuple):
    """An event as the library takes it, checked: what it would refuse in the middle of a stream is refused before."""

    event: bytes | None
    data: bytes | None
    id: bytes | None


#: What is written at once.
Piece = Union[bytes, Lines]


def pieces(chunk: Chunk, most: int) -> list[Piece]:
    """A chunk as it is written, in pieces of at most `most` bytes; TypeError for what is none."""
    if isinstance(chunk, Event):
        name, data, id_ = chunk
        text = data if data is None or isinstance(data, str) else _json.encode(data)
        return [
            Lines(_one_line(name, "event"), None if text is None else _ffi.encode(text, "data"), _one_line(id_, "id"))
        ]
    if isinstance(chunk, str):
        octets = chunk.encode()
    elif isinstance(chunk, (bytes, bytearray, memoryview)):
        octets = bytes(chunk)
    else:
        raise TypeError(f"a stream is made of str, bytes and hasty.Event, not {type(chunk).__name__}")
    if len(octets) <= most:
        return [octets]
    return [octets[start : start + most] for start in range(0, len(octets), most)]


def _one_line(text: str | None, what: str) -> bytes | None:
    if text is None:
        return None
    if "\r" in text or "\n" in text:
        # Whoever chose the text could write fields of their own.
        raise InvalidError(f"{what} {text!r} of an Event holds a line break")
    return _ffi.encode(text, what)


def write(res: _ffi.ResponsePointer, piece: Piece) -> int:
    """Writes a piece; the library's status says what came of it."""
    if isinstance(piece, Lines):
        return int(_ffi.hasty_response_write_event(res, piece.event, piece.data, piece.id))
    return int(_ffi.hasty_response_write(res, piece, len(piece)))
