"""CORS: which scripts of other origins may read responses."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass

from . import _ffi
from .errors import InvalidError

__all__ = ["Cors"]


@dataclass(frozen=True)
class Cors:
    """A CORS policy, for `App.cors()`. The defaults suit a public API without cookies.

    >>> from hasty import App
    >>> app = App()
    >>> app.cors("/api", Cors(origins=["https://example.org"], credentials=True))
    >>> @app.get("/api/me")
    ... def me(req):
    ...     return {"name": "Ada"}
    >>> with app.test_client() as client:
    ...     client.get("/api/me", headers={"Origin": "https://example.org"}).headers["access-control-allow-origin"]
    'https://example.org'
    """

    #: Origins such as "https://example.org"; "https://*.example.org" matches every subdomain. None: any.
    origins: Iterable[str] | None = None
    #: Allowed methods. None: those that the path supports.
    methods: Iterable[str] | None = None
    #: Allowed request headers. None: those that the preflight asks for.
    headers: Iterable[str] | None = None
    #: Further response headers that scripts may read. None: only the safelisted ones.
    expose: Iterable[str] | None = None
    #: Seconds for which browsers may cache a preflight response; 0: not at all. None: 86400.
    max_age: int | None = None
    #: Allow cookies and other credentials; requires `origins`.
    credentials: bool = False
    #: Allow requests from public pages to this private network.
    private_network: bool = False

    def _native(self) -> _ffi.hasty_cors:
        age = self.max_age
        if age is not None and not 0 <= age < _ffi.NONE:
            raise InvalidError(f"max_age {age} of a CORS policy is not in 0 to {_ffi.NONE}")
        return _ffi.hasty_cors(
            ctypes.sizeof(_ffi.hasty_cors),
            _listed(self.origins, "origins"),
            _listed(self.methods, "methods"),
            _listed(self.headers, "headers"),
            _listed(self.expose, "expose"),
            # In the library 0 means the default.
            0 if age is None else age or _ffi.NONE,
            int(self.credentials),
            int(self.private_network),
            0,
        )


def _listed(names: Iterable[str] | None, what: str) -> bytes | None:
    """Joins names with commas, as the library expects them."""
    if names is None:
        return None
    # A str is a single name, not an iterable of letters.
    return _ffi.encode(names if isinstance(names, str) else ", ".join(names), what)
