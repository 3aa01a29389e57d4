"""The port on which `python -m hasty` listens: the requested one, or a free one."""

from __future__ import annotations

import errno
import socket

from .address import bound, resolved
from .loading import Refused

__all__ = ["reserved"]

#: Ports to try in order if none is requested; 0 is any free one.
USUAL = (8000, 8080, 0)


def reserved(host: str, port: int | None) -> socket.socket:
    """Returns a socket that reserves the port for this program and its child processes: bound, but never listening.

    So a port in use is reported before anything is loaded, and a restarted server gets the same port again. Servers can
    listen on it with SO_REUSEADDR.

    >>> with reserved("127.0.0.1", 0) as kept:
    ...     kept.getsockname()[1] > 0
    True

    Raises Refused if the port is not available.
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
