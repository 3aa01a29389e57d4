"""The access log: a record for each finished request."""

from __future__ import annotations

import logging
from ctypes import byref, c_size_t, create_string_buffer
from typing import Any, Callable, NamedTuple

from . import _ffi
from .errors import InvalidError
from .report import report

__all__ = ["Access"]

FORMATS = ("common", "combined", "json")


class Access(NamedTuple):
    """A finished request, as passed to `App.on_access()` functions. Its plain values may be kept."""

    #: The method as sent.
    method: str
    #: The target as sent, path and query.
    target: str
    #: The pattern that matched; None where no route did.
    route: str | None
    #: The client's address, without port.
    remote_address: str
    #: The User-Agent field; None without one.
    user_agent: str | None
    #: The Referer field; None without one.
    referer: str | None
    #: X-Request-ID, or the id that was made.
    id: str
    #: The answer's status.
    status: int
    #: Bytes of the request, head and body.
    bytes_in: int
    #: Bytes of the answer's body.
    bytes_out: int
    #: From the first byte of the request to the last of the answer, in microseconds.
    duration_us: int
    #: When the answer was finished, in microseconds since 1970.
    time_us: int


#: What is called with the library's record.
Listener = Callable[[Any], None]


def recorder(function: Callable[[Access], object]) -> Listener:
    """Returns a listener that calls a function with each record."""

    def record(native: Any) -> None:
        function(_read(native[0]))

    return record


def writer(style: str, level: int) -> Listener:
    """Returns a listener that logs a line for each record to "hasty.access"."""
    if style not in FORMATS:
        raise InvalidError(f"access log format {style!r} is none of {', '.join(FORMATS)}")
    name = style.encode()
    lines = logging.getLogger("hasty.access")

    def record(native: Any) -> None:
        # A line that nobody reads is not made.
        if lines.isEnabledFor(level):
            lines.log(level, "%s", _line(native, name))

    return record


def passer(listeners: list[Listener]) -> Callable[[Any, int | None], None]:
    """Returns the callback for the library: it passes each record to every listener, and lets no exception into C."""

    def passing(native: Any, _: int | None) -> None:
        for listener in listeners:
            try:
                listener(native)
            except BaseException as error:
                report(error, "a function of on_access() failed")

    return passing


def _line(native: Any, style: bytes) -> str:
    buffer, needed = create_string_buffer(512), c_size_t()
    status = _ffi.hasty_access_to_text(native, style, buffer, len(buffer), byref(needed))
    if status == _ffi.ERR_LIMIT:
        buffer = create_string_buffer(needed.value)
        status = _ffi.hasty_access_to_text(native, style, buffer, len(buffer), byref(needed))
    _ffi.check(status)
    return buffer.value.decode(errors="replace")


def _read(native: Any) -> Access:
    return Access(
        _text(native.method) or "",
        _text(native.target) or "",
        _text(native.route),
        _text(native.remote_address) or "",
        _text(native.user_agent),
        _text(native.referer),
        _text(native.id) or "",
        native.status,
        native.bytes_in,
        native.bytes_out,
        native.duration_us,
        native.time_us,
    )


def _text(view: _ffi.hasty_str) -> str | None:
    octets = _ffi.octets(view)
    return None if octets is None else octets.decode(errors="replace")
