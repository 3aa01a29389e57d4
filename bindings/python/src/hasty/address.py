"""Addresses as the library takes them, and sockets that keep a port without listening."""

from __future__ import annotations

import socket

__all__ = ["UNIX", "bound", "kind_of", "located", "resolved"]

#: What the library tells of a client without an address.
UNIX = b"unix"


def kind_of(host: str) -> tuple[str, str]:
    """What a host is: "tcp" and the host, "unix" and a path, or "fd" and the number of a socket that listens already.

    >>> kind_of("localhost"), kind_of("unix:/run/app.sock"), kind_of("fd:3")
    (('tcp', 'localhost'), ('unix', '/run/app.sock'), ('fd', '3'))
    """
    kind, _, rest = host.partition(":")
    # isdigit() alone takes superscripts, and longer numbers are none of a descriptor.
    if (kind == "unix" and rest) or (kind == "fd" and rest.isascii() and rest.isdigit() and len(rest) < 10):
        return kind, rest
    return "tcp", host


def resolved(host: str) -> tuple[int, str]:
    """Family and address of a host; of several the first IPv4 one, as the library chooses.

    >>> resolved("localhost")[1], resolved("[::1]")[1]
    ('127.0.0.1', '::1')

    Errors: OSError, or a UnicodeError, for what is none.
    """
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # min() keeps to the first of those that are alike.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def located(host: str, port: int) -> tuple[str, int | None]:
    """Host and port of a server; a Unix socket has a path, as far as that is known, and no port.

    >>> located("127.0.0.1", 80), located("unix:/run/app.sock", 0), located("fd:3", 80)
    (('127.0.0.1', 80), ('/run/app.sock', None), ('0.0.0.0', 80))
    """
    if host.startswith("fd:"):
        # Somebody else knows what it is bound to.
        return ("0.0.0.0", port) if port else (host, None)
    return (host[5:], None) if host.startswith("unix:") else (host, port)


def bound(family: int, address: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that keeps a port and never listens: those that do, here or in processes to come, find it free.

    `shared`: several listen there, each with SO_REUSEPORT. Errors: OSError.
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
