"""The port that `python -m hasty` serves at: asked for, or free."""

from __future__ import annotations

import errno
import socket

from .address import bound, resolved
from .loading import Refused

__all__ = ["reserved"]

#: Tried where none is asked for; then any that is free.
USUAL = (8000, 8080, 0)


def reserved(host: str, port: int | None) -> socket.socket:
    """A socket that keeps the port for this program, and for those that it starts: it is bound, and never listens.

    So a port that is in use is known before anything is loaded, a restarted server finds its port free, and servers
    can listen at it, each with SO_REUSEADDR.

    >>> with reserved("127.0.0.1", 0) as kept:
    ...     kept.getsockname()[1] > 0
    True

    Errors: Refused where it is not to be had.
    """
    try:
        family, address = resolved(host)
    except (OSError, UnicodeError):
        raise Refused(f'there is no host "{host}"') from None
    for candidate in USUAL if port is None else (port,):
        try:
            return bound(family, address, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port is not None:
                raise Refused(_why(error, host, candidate)) from None
    raise AssertionError("0 is always free")


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is not for this user: those below 1024 need more rights"
    return f"port {port} of {host} is not to be had: {error.strerror}"
