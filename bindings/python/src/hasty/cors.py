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

    #: Origins such as "https://example.org"; "https://*.example.org" is every subdomain. None: any.
    origins: Iterable[str] | None = None
    #: Methods. None: those that the path has.
    methods: Iterable[str] | None = None
    #: Request headers. None: those that a preflight asks for.
    headers: Iterable[str] | None = None
    #: Answer headers that scripts may read besides the common ones. None: no more.
    expose: Iterable[str] | None = None
    #: Seconds for which a browser may keep a preflight's answer; 0: not at all. None: 86400.
    max_age: int | None = None
    #: With cookies and other credentials; needs `origins`.
    credentials: bool = False
    #: From public pages to this private network.
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
            # The library's 0 is its default.
            0 if age is None else age or _ffi.NONE,
            int(self.credentials),
            int(self.private_network),
            0,
        )


def _listed(names: Iterable[str] | None, what: str) -> bytes | None:
    """Joins names with commas, as the library expects them."""
    if names is None:
        return None
    # Whoever writes origins="https://example.org" means one, not its letters.
    return _ffi.encode(names if isinstance(names, str) else ", ".join(names), what)
