"""An app at work: its address, its threads, and its end."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from ctypes import byref
from types import TracebackType
from typing import Any

from . import _ffi
from .errors import HastyError, StateError
from .exchange import serving
from .stream import Streams

__all__ = ["Server"]

log = logging.getLogger("hasty")

#: How long an end waits for handlers that still run. Ctrl-C again does not wait.
GRACE_S = 5.0


class Native:
    """Owns one `hasty_app *` and everything that C may call through it, until it is freed.

    Workers hold it while they run, so that it cannot be freed under them; a garbage collector that finds it alone
    runs `__del__` while the callbacks are still whole.
    """

    __slots__ = ("__weakref__", "_callbacks", "_free", "_lock", "_pointer", "stopped")

    def __init__(self) -> None:
        # Set first: __del__ runs even if what follows raises. The function is kept for the interpreter's last moments.
        self._pointer: _ffi.AppPointer | None = None
        self._free = _ffi.hasty_app_free
        # Reentrant: stop() may be called by a signal handler in the middle of another stop().
        self._lock = threading.RLock()
        self._callbacks: list[Any] = []
        #: Was the end asked for, perhaps before the beginning?
        self.stopped = False
        pointer = _ffi.AppPointer()
        _ffi.check(_ffi.hasty_app_new(None, byref(pointer)))
        self._pointer = pointer

    def keep(self, callback: Any) -> Any:
        """Keeps a ctypes callback alive as long as C may call it."""
        self._callbacks.append(callback)
        return callback

    @property
    def pointer(self) -> _ffi.AppPointer:
        """The app; StateError once it was freed."""
        if self._pointer is None:
            raise StateError("this app has ended: an app runs once, make a new App to serve again")
        return self._pointer

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            if self._pointer is not None:
                _ffi.hasty_app_stop(self._pointer)

    def free(self) -> None:
        with self._lock:
            pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._free(pointer)
            # They hold the handlers, which may hold the app that holds this.
            self._callbacks.clear()

    def __del__(self) -> None:
        self.free()


class _Crew:
    """The worker threads of one app, and the news that the last of them has left."""

    __slots__ = ("_left", "_lock", "failure", "given_up", "gone", "native", "streaming", "streams", "threads")

    def __init__(self, native: Native, count: int, streams: Streams) -> None:
        self.native = native
        self.streams = streams
        #: The names of threads whose generators did not end in time.
        self.streaming: list[str] = []
        self._left = count
        self._lock = threading.Lock()
        self.failure: HastyError | None = None
        #: Somebody waited in vain for a handler to end; nobody will wait again.
        self.given_up = False
        # Waiting for an Event can be interrupted by Ctrl-C, in every version of Python; joining a thread cannot.
        self.gone = threading.Event()
        # Daemons, or a program that forgets to stop would never end: `_at_exit` stops them in time.
        self.threads = [
            threading.Thread(target=self._work, name=f"hasty-{number + 1}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        _at_work.add(self)
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        serving.add(threading.get_ident())
        try:
            # Serves until the app is stopped, without the GIL, which each callback takes for itself.
            _ffi.check(_ffi.hasty_app_run(self.native.pointer))
        except HastyError as error:
            log.error("a worker ended early: %s", error)
            self.failure = error
            self.native.stop()
        finally:
            serving.discard(threading.get_ident())
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                _at_work.discard(self)
                self.gone.set()

    def end(self, grace: float) -> bool:
        """Waits for the workers and frees the app; False where a handler still runs after `grace` seconds."""
        until = time.monotonic() + grace
        # Given up unless the wait ends well: it may also end with a second Ctrl-C.
        self.given_up = True
        gone = self.gone.wait(grace)
        self.streaming = self.streams.end(until)
        if not gone:
            return False
        # Generators hold nothing of the app: their exchanges outlive it.
        self.given_up = False
        for thread in self.threads:
            thread.join()
        self.native.free()
        return True


#: Crews whose threads run, whether or not anybody still holds their server.
_at_work: set[_Crew] = set()


@atexit.register
def _at_exit() -> None:
    """Ends what still serves while there is an interpreter for handlers to return to."""
    crews = [crew for crew in _at_work.copy() if not crew.given_up]
    for crew in crews:
        crew.native.stop()
    until = time.monotonic() + GRACE_S
    for crew in crews:
        crew.end(max(0.0, until - time.monotonic()))


class Server:
    """An app that serves in the background; made by `App.start()`.

    >>> from hasty import App
    >>> app = App()
    >>> with app.start(port=0) as server:
    ...     server.url == f"http://127.0.0.1:{server.port}"
    True
    """

    def __init__(self, native: Native, host: str, threads: int, streams: Streams) -> None:
        self._native = native
        self.host = host
        #: The port that was taken; of use where 0 was asked for.
        self.port = int(_ffi.hasty_app_port(native.pointer))
        self._crew = _Crew(native, threads, streams)
        self._crew.start()

    @property
    def url(self) -> str:
        """Where a program on this machine reaches it, without a slash at the end."""
        # The addresses that mean "every address of this machine" are none that one can ask.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Asks the server to stop, and returns at once; for any thread, handlers and signal handlers."""
        self._native.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped, at most `timeout` seconds; says whether it has.

        >>> from hasty import App
        >>> server = App().start(port=0)
        >>> server.wait(timeout=0.01)
        False
        >>> server.stop()
        >>> server.wait()
        True
        """
        self._refuse_inside("wait")
        gone = self._crew.gone.wait(timeout)
        if gone and self._crew.failure is not None:
            raise self._crew.failure
        return gone

    def close(self) -> None:
        """Stops, waits for the handlers that still run, and frees everything. Done by `with`; twice is once."""
        self._refuse_inside("close")
        self.stop()
        self._crew.end(GRACE_S)
        names = [thread.name for thread in self._crew.threads if thread.is_alive()] + self._crew.streaming
        if names:
            log.warning(
                "handlers still run %g s after the server was stopped; their threads are left behind: %s",
                GRACE_S,
                ", ".join(names),
            )

    def _refuse_inside(self, name: str) -> None:
        if threading.current_thread() in self._crew.threads or self._crew.streams.runs_this_thread():
            raise StateError(f"{name}() inside a handler would wait for that handler; stop() returns at once")

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Nobody can reach it any more: the workers leave, and the last one to let `native` go frees it.
        native = getattr(self, "_native", None)
        if native is not None:
            native.stop()

    def __repr__(self) -> str:
        return f"<Server {self.url}{', stopped' if self._crew.gone.is_set() else ''}>"
