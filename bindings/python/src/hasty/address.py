"""Addresses in the library's syntax, and sockets that reserve a port without listening."""

from __future__ import annotations

import socket

__all__ = ["UNIX", "bound", "kind_of", "located", "resolved"]

#: The library's address for clients on Unix sockets.
UNIX = b"unix"


def kind_of(host: str) -> tuple[str, str]:
    """Returns the kind of a host: "tcp" and the host, "unix" and a path, or "fd" and the number of a listening socket.

    >>> kind_of("localhost"), kind_of("unix:/run/app.sock"), kind_of("fd:3")
    (('tcp', 'localhost'), ('unix', '/run/app.sock'), ('fd', '3'))
    """
    kind, _, rest = host.partition(":")
    # isdigit() alone accepts superscripts; longer numbers cannot be file descriptors.
    if (kind == "unix" and rest) or (kind == "fd" and rest.isascii() and rest.isdigit() and len(rest) < 10):
        return kind, rest
    return "tcp", host


def resolved(host: str) -> tuple[int, str]:
    """Returns the family and address of a host; of several the first IPv4 one, as the library does.

    >>> resolved("localhost")[1], resolved("[::1]")[1]
    ('127.0.0.1', '::1')

    Raises OSError or UnicodeError if the host is invalid or cannot be resolved.
    """
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # min() returns the first of equal items.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def located(host: str, port: int) -> tuple[str, int | None]:
    """Returns host and port of a server; for a Unix socket, its path if known, and no port.

    >>> located("127.0.0.1", 80), located("unix:/run/app.sock", 0), located("fd:3", 80)
    (('127.0.0.1', 80), ('/run/app.sock', None), ('0.0.0.0', 80))
    """
    kind, place = kind_of(host)
    if kind == "fd":
        # An inherited socket: its address is unknown here.
        return ("0.0.0.0", port) if port else (host, None)
    return (place, None) if kind == "unix" else (host, port)


def bound(family: int, address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Returns a socket that reserves a port but never listens, so that this and later processes can listen on the port.

    `shared`: several sockets listen there, each with SO_REUSEPORT. Raises OSError if the port cannot be bound.
    """
    kept = socket.socket(family, socket.SOCK_STREAM)
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        kept.bind((address, port))
    except OSError:
        kept.close()
        raise
    return kept
