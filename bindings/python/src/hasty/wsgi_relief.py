"""Who serves while an application gives an answer piece by piece."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .exchange import serving

if TYPE_CHECKING:
    from .app import App
    from .handler import Shared

__all__ = ["Relief", "Stay"]

#: An answer that takes longer than that has its thread relieved.
PATIENCE_S = 0.02
#: After so many looks at nothing the one who looks is gone, until there is something again.
LOOKS = 50


class Stay:
    """An answer that is given piece by piece, on the thread that its application was called on.

    WSGI promises no less: requests and connections to databases may be local to that. So whatever the application waits
    for, each such answer holds a thread.
    """

    __slots__ = ("comes_back", "ident", "is_relieved", "since")

    def __init__(self, comes_back: bool) -> None:
        self.ident = threading.get_ident()
        self.since = time.monotonic()
        #: Does this thread serve again afterwards, whoever has relieved it?
        self.comes_back = comes_back
        self.is_relieved = False


class Relief:
    """Has another thread serve where an answer takes long. Most that come in pieces are done before that is needed."""

    def __init__(self, app: App) -> None:
        self.shared: Shared = app._shared
        self._app = app
        self._lock = threading.Lock()
        # All guarded by the lock.
        self._stays: set[Stay] = set()
        self._looks = False
        #: Threads that serve beyond those there should be.
        self._spare = 0

    def begin(self, comes_back: bool) -> Stay:
        stay = Stay(comes_back)
        with self._lock:
            self._stays.add(stay)
            if not self._looks:
                # Where there is no thread to look, nobody is relieved: the next answer tries again.
                with suppress(RuntimeError):
                    threading.Thread(target=self._look, name="hasty-relief", daemon=True).start()
                    self._looks = True
        return stay

    def end(self, stay: Stay) -> bool:
        """The answer is given; was its thread relieved?"""
        with self._lock:
            self._stays.discard(stay)
            if stay.is_relieved and stay.comes_back:
                self._spare += 1
        if stay.is_relieved:
            serving.add(stay.ident)
        return stay.is_relieved

    def now(self, stay: Stay) -> bool:
        """Has another thread serve at once, for the client is slow; False where none can."""
        with self._lock:
            return self._relieve(stay)

    def _look(self) -> None:
        nothing = 0
        while nothing < LOOKS:
            time.sleep(PATIENCE_S)
            long_ago = time.monotonic() - PATIENCE_S
            with self._lock:
                nothing = 0 if self._stays else nothing + 1
                for stay in self._stays:
                    if stay.since <= long_ago:
                        self._relieve(stay)
                if nothing == LOOKS:
                    self._looks = False

    def _relieve(self, stay: Stay) -> bool:
        if stay.is_relieved:
            return True
        server = self._app.server
        if server is None:
            return False
        if self._spare > 0:
            self._spare -= 1
        elif not server._crew.relieve():
            return False
        stay.is_relieved = True
        # Here a slow client may be waited for.
        serving.discard(stay.ident)
        return True
