"""JSON for responses: UTF-8, no spaces between tokens, and an encoder that is created only once."""

from __future__ import annotations

import dataclasses
import json
import json.encoder
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Callable, NoReturn


def _as_dict(value: Any) -> dict[Any, Any]:
    """The encoder's default(): converts mappings that are not dicts, such as a request's query."""
    if isinstance(value, Mapping):
        return dict(value)
    way = way_of(value) or "make text, a number, a list or a dict of it"
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable; {way}")


def way_of(value: object) -> str | None:
    """Returns advice on how to convert a value to JSON, or None."""
    if isinstance(value, Awaitable):
        return "await it, in an `async def`"
    if isinstance(value, (type, bytes, bytearray, memoryview)):
        return None
    if dataclasses.is_dataclass(value):
        return "dataclasses.asdict() makes a dict of it"
    if hasattr(value, "model_dump"):
        return 'its model_dump(mode="json") is a dict'
    if hasattr(value, "isoformat"):
        return "its isoformat() is text"
    if isinstance(value, Iterable):
        return "list() makes a list of it"
    return None


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_dict)
_escaping = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_as_dict)


def _chunks() -> Callable[[Any, int], Iterable[str]]:
    # JSONEncoder.encode() creates a C encoder for each call, which takes longer than encoding a small dict.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: _encoder.iterencode(value)
    # markers, default, encoder, indent, key separator, item separator, sort_keys, skipkeys, allow_nan.
    # Without markers threads share no state; circular structures hit the recursion limit instead.
    encode_string = json.encoder.encode_basestring
    encoder: Callable[[Any, int], Iterable[str]] = make(
        None, _as_dict, encode_string, None, ":", ",", False, False, False
    )
    return encoder


#: Returns the pieces of a value's JSON text; the second argument, the indentation level, is 0.
chunks = _chunks()


def encode(value: Any) -> bytes:
    """Returns a Python value as JSON text.

    >>> encode({"name": "Ada", "languages": ["en", "é"]}).decode()
    '{"name":"Ada","languages":["en","é"]}'
    """
    text = "".join(chunks(value, 0))
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate, which UTF-8 cannot encode but JSON can escape as \udXXX. Clients can send them.
        return _escaping.encode(value).encode()


def _refuse(constant: str) -> NoReturn:
    # RFC 8259 6: Infinity and NaN are not permitted.
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def decode(text: str) -> Any:
    """Returns JSON text as a Python value; raises json.JSONDecodeError, a ValueError with line and column."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None
