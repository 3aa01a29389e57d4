"""Where several processes listen: on a port, or on one socket that all of them inherit."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from typing import NamedTuple

from . import _ffi
from .address import bound, kind_of, resolved
from .errors import InvalidError, IoError

__all__ = ["Door", "opened"]


class Door(NamedTuple):
    """Where processes listen: each with a socket of its own on a port, or all on one listening socket they inherit."""

    port: int
    listener: int | None


@contextlib.contextmanager
def opened(host: str, port: int, backlog: int) -> Iterator[Door]:
    """Keeps the port or socket open inside the `with` block, while processes start and end.

    A TCP port is reserved, and each process listens on it with a socket of its own. For a Unix socket, and for a
    descriptor that listens already, all processes inherit the listening socket. Raises IoError and InvalidError.
    """
    kind, place = kind_of(host)
    if kind == "unix":
        with _unix(_ffi.encode(os.fsencode(place), "path"), backlog) as listener:
            yield Door(0, listener.fileno())
    elif kind == "fd":
        with _inherited(int(place)) as listener:
            yield Door(0, listener.fileno())
    else:
        with _port(host, port) as kept:
            yield Door(kept.getsockname()[1], None)


def _port(host: str, port: int) -> socket.socket:
    try:
        return bound(*resolved(host), port, shared=True)
    except OSError as error:
        raise _failed(f'"{host}" port {port}', error) from None


def _inherited(number: int) -> socket.socket:
    """Returns the listening socket that a service manager has passed as a descriptor."""
    try:
        passed = socket.socket(fileno=number)
    except OSError as error:
        raise _failed(f"descriptor {number}", error) from None
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        passed.detach()
        raise InvalidError(f"descriptor {number} is not a listening socket")
    return passed


@contextlib.contextmanager
def _unix(path: bytes, backlog: int) -> Iterator[socket.socket]:
    """Listens at a path, as the library does for one process; the file is removed at the end if it is still ours."""
    path = os.path.abspath(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _remove_stale(path)
            listener.bind(path)
            made = os.lstat(path)
            listener.listen(backlog)
        except OSError as error:
            raise _failed(f'"{os.fsdecode(path)}"', error) from None
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if os.path.samestat(made, os.lstat(path)):
                    os.unlink(path)


def _remove_stale(path: bytes) -> None:
    """Removes a socket that nobody listens on; anything else in its place is an error."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Avoids waiting for a listener that does not accept.
        probe.setblocking(False)
        refused = probe.connect_ex(path)
    if refused == errno.ECONNREFUSED:
        os.unlink(path)
    elif refused in (0, errno.EAGAIN):
        raise OSError(errno.EADDRINUSE, "another program listens there")
    else:
        raise OSError(refused, os.strerror(refused))


def _failed(where: str, error: OSError) -> IoError:
    # The error for a path that is too long has no errno.
    number = f" (os error {error.errno})" if error.errno else ""
    return IoError(f"listen on {where}: {error.strerror or error}{number}")
