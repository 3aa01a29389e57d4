"""Status and header fields: checks what start_response is given, and converts it to what the library needs."""

from __future__ import annotations

from typing import Any

from .errors import InvalidError
from .headers import is_token
from .taker import OCTETS

__all__ = ["NOT_YET", "Fields", "Head", "head_of", "heads"]

#: Names and values of header fields.
Fields = list[tuple[str, str]]

#: The maximum size of each cache: applications that make ever new heads cost time, not memory.
KNOWN = 1000
#: Heads and texts longer than this, in bytes, are not kept.
LINES = 1024


class Head:
    """The status and header fields of a response."""

    __slots__ = ("address", "code", "length", "lines", "plain", "type")

    def __init__(self, code: int, octets: bytes, length: int | None, lines: bytes) -> None:
        #: The status code.
        self.code = code
        #: The content type, empty if there is none; and the address of its bytes.
        self.type = octets
        self.address = id(octets) + OCTETS
        #: The value of Content-Length, or None.
        self.length = length
        #: All other fields, in the format of a slot.
        self.lines = lines
        #: The length of the body if there are no fields but Content-Type and Content-Length, which is the fast path;
        #: otherwise -1.
        self.plain = length if length and octets and not lines else -1


#: Stands for the head until start_response is called.
NOT_YET = Head(0, b"", None, b"")

#: Heads that came more than once, by status and then by header fields. Applications use few different ones, and finding
#: one takes a third of the time of making it. Plain dicts, because their lookup is the fastest.
heads: dict[str, dict[tuple[tuple[str, str], ...], Head]] = {}
#: The number of heads in `heads`, and the hashes of all heads seen.
_count = 0
_seen: set[int] = set()


def head_of(status: str, fields: Fields) -> Head:
    """Makes the Head of a status and header fields.

    >>> head = head_of("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-Count", "1")])
    >>> head.code, head.type, head.length, head.lines
    (200, b'text/plain', 5, b'X-Count: 1')

    Raises TypeError or InvalidError if they are not valid.
    """
    while True:
        octets, length, lines = b"", None, None
        try:
            code = _codes[status]
            for name, value in fields:
                begin = _begins[name]
                if begin is _TYPE:
                    octets = _types[value]
                elif begin is _LENGTH:
                    length = _lengths[value]
                elif begin is not _DATE:
                    # The server sets Date itself.
                    if lines is None:
                        lines = []
                    lines.append(_line(begin, value))  # type: ignore[arg-type]
            break
        except KeyError:
            _learn(status, fields)
    head = Head(code, octets, length, b"" if lines is None else _joined(lines, fields))
    if len(head.lines) <= LINES:
        _remember(status, fields, head)
    return head


def _remember(status: str, fields: Fields, head: Head) -> None:
    global _count
    try:
        sight = hash((status, *fields))
    except TypeError:
        # Unhashable, for example lists instead of tuples.
        return
    if sight not in _seen:
        if len(_seen) >= KNOWN:
            _seen.clear()
        _seen.add(sight)
        return
    if _count >= KNOWN:
        heads.clear()
        _count = 0
    _count += 1
    heads.setdefault(status, {})[tuple(fields)] = head


#: Parsed statuses such as "200 OK", and lengths; content types as bytes; and for each header name the beginning of its
#: line, or one of the numbers below for headers that are treated specially.
_codes: dict[str, int] = {}
_lengths: dict[str, int] = {}
_types: dict[str, bytes] = {}
_begins: dict[str, str | int] = {}
#: Does one of these caches hold a text longer than LINES?
_has_long = False

#: Hop-by-hop headers, which PEP 3333 forbids to applications (RFC 2616 13.5.1).
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer trailers transfer-encoding upgrade".split()
)
_TYPE, _LENGTH, _DATE = 1, 2, 3
_MORE = {"content-type": _TYPE, "content-length": _LENGTH, "date": _DATE}


def _learn(status: str, fields: Fields) -> None:
    """Checks a status and header fields, and caches what they mean; long texts only until the next call."""
    global _has_long
    caches: list[dict[str, Any]] = [_codes, _lengths, _types, _begins]
    for known in caches:
        if _has_long or len(known) >= KNOWN:
            known.clear()
    _codes[status] = _code_of(status)
    _has_long = len(status) > LINES
    for name, value in fields:
        begin = _begins[name] = _begin_of(name)
        if begin is _TYPE:
            _check(name, value)
            _types[value] = value.strip(" \t").encode("latin-1")
        elif begin is _LENGTH:
            _lengths[value] = _length_of(value)
        _has_long |= len(name) > LINES or (begin in (_TYPE, _LENGTH) and len(value) > LINES)


def _code_of(status: str) -> int:
    if not isinstance(status, str):
        raise TypeError(f"status {status!r} is not str")
    digits = status[:3]
    if not (digits.isascii() and digits.isdigit() and status[3:4] in ("", " ") and 200 <= int(digits) <= 599):
        raise InvalidError(f'status {status!r} is not a number from 200 to 599 with a reason, such as "200 OK"')
    return int(digits)


def _begin_of(name: str) -> str | int:
    if not isinstance(name, str):
        raise TypeError(f"header name {name!r} is not str")
    if not is_token(name):
        raise InvalidError(f"header name {name!r} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
    lower = name.lower()
    if lower in _HOP_BY_HOP:
        raise InvalidError(f"header {name} concerns the connection, which is up to the server, not the application")
    return _MORE.get(lower) or f"{name}: "


def _length_of(value: str) -> int:
    _check("Content-Length", value)
    if not (value.isascii() and value.isdigit()):
        raise InvalidError(f"header Content-Length: {value!r} is not a number of bytes")
    return int(value)


def _line(begin: str, value: str) -> str:
    if not isinstance(value, str):
        _check(begin.rstrip(": "), value)
    return begin + value


def _joined(lines: list[str], fields: Fields) -> bytes:
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text:
        for name, value in fields:
            _check(name, value)
    return text.encode("latin-1")


def _check(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"value {value!r} of header {name} is not str")
    if "\n" in value or "\r" in value or "\0" in value:
        raise InvalidError(f"value of header {name}: {value!r} contains a line break or NUL")
