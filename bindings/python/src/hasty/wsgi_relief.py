"""Lets other threads serve while an application takes long to give a response piece by piece."""

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

#: If a response takes longer than this, another thread takes requests instead.
PATIENCE_S = 0.02
#: The watching thread ends after so many checks without a response in progress; the next one starts it again.
LOOKS = 50


class Stay:
    """A response that is given piece by piece, on the thread on which its application was called.

    WSGI applications rely on that, for example with thread-local requests and database connections. So each such
    response occupies a thread, whatever the application waits for.
    """

    __slots__ = ("comes_back", "ident", "is_relieved", "since")

    def __init__(self, comes_back: bool) -> None:
        self.ident = threading.get_ident()
        self.since = time.monotonic()
        #: Will this thread take requests again afterwards, even if it was relieved?
        self.comes_back = comes_back
        self.is_relieved = False


class Relief:
    """Lets another thread serve if a response takes long. Most responses end before that is needed."""

    def __init__(self, app: App) -> None:
        self.shared: Shared = app._shared
        self._app = app
        self._lock = threading.Lock()
        # All guarded by the lock.
        self._stays: set[Stay] = set()
        self._looks = False
        #: How many threads serve in excess of the intended number, because relieved ones came back.
        self._spare = 0

    def begin(self, comes_back: bool) -> Stay:
        stay = Stay(comes_back)
        with self._lock:
            self._stays.add(stay)
            if not self._looks:
                # If no thread can be started, nothing is relieved until the next response tries again.
                with suppress(RuntimeError):
                    threading.Thread(target=self._look, name="hasty-relief", daemon=True).start()
                    self._looks = True
        return stay

    def end(self, stay: Stay) -> bool:
        """Ends a stay after its response; returns whether its thread was relieved."""
        with self._lock:
            self._stays.discard(stay)
            if stay.is_relieved and stay.comes_back:
                self._spare += 1
        if stay.is_relieved:
            serving.add(stay.ident)
        return stay.is_relieved

    def now(self, stay: Stay) -> bool:
        """Lets another thread serve at once, because the client is slow; returns False if none can."""
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
        # A thread that does not serve may wait for a slow client.
        serving.discard(stay.ident)
        return True
