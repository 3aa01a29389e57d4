"""A running app: its address, its threads and its shutdown."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from ctypes import byref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi, plain
from ._interpreter import Ended, raise_in
from .address import kind_of
from .errors import HastyError, StateError
from .exchange import serving
from .slot import USER_DATA, Slot
from .threads import IDLE_S
from .watch import watch

if TYPE_CHECKING:
    import asyncio

    from .handler import Shared, Step

__all__ = ["Server"]

log = logging.getLogger("hasty")

#: Seconds for which a shutdown waits for running handlers. A second Ctrl-C ends the wait.
GRACE_S = 5.0
#: Milliseconds before that in which requests that have arrived are still answered, unless the app sets another time.
DRAIN_MS = 500
#: The wait in seconds if the program is ending; less than a second together with DRAIN_MS.
HURRY_S = 0.2

#: Polling interval in seconds of a wait that another thread may end. Ctrl-C ends it at once.
_LOOK_S = 0.1

_TIMEOUT = _ffi.ERR_TIMEOUT
_CLOSED = _ffi.ERR_CLOSED

_FORKED = "this process is a fork of the one that made the app, whose threads do not run here: make a new App"
#: How many forks this process is away from the one that first imported this module.
_forks = 0


class Native:
    """Owns one `hasty_app *` and everything that C may call through it, until it is freed.

    Workers hold it while they run, so that it cannot be freed under them. If the garbage collector finds it
    unreferenced, it runs `__del__` while the callbacks are still intact. Other threads that call the library with it
    are counted, and the last of them frees it if that was requested meanwhile.
    """

    __slots__ = ("__weakref__", "_callbacks", "_doomed", "_forks", "_free", "_lock", "_pointer", "_users", "stopped")

    def __init__(self) -> None:
        # Set first: __del__ runs even if what follows raises. At interpreter exit module globals may be gone, so the
        # function is kept here.
        self._pointer: _ffi.AppPointer | None = None
        # The pointer to free once it has no more users.
        self._doomed: _ffi.AppPointer | None = None
        self._users = 0
        self._free = _ffi.hasty_app_free
        # Reentrant: stop() may be called by a signal handler in the middle of another stop().
        self._lock = threading.RLock()
        self._callbacks: list[Any] = []
        self._forks = _forks
        #: Was a stop requested, perhaps before the start?
        self.stopped = False
        pointer = _ffi.AppPointer()
        _ffi.check(_ffi.hasty_app_new(None, byref(pointer)))
        self._pointer = pointer

    def keep(self, callback: Any) -> Any:
        """Keeps a ctypes callback alive as long as C may call it."""
        self._callbacks.append(callback)
        return callback

    def adopt(self, before: Native) -> None:
        """Keeps alive the callbacks of the instance that this one replaces."""
        self._callbacks.extend(before._callbacks)

    @property
    def pointer(self) -> _ffi.AppPointer:
        """The native app. Raises StateError once it was freed, and in a fork of its process."""
        self.refuse_fork()
        if self._pointer is None:
            raise StateError("this app has ended: an app runs only once, so make a new App to serve again")
        return self._pointer

    @contextmanager
    def used(self) -> Iterator[_ffi.AppPointer]:
        """The native app, which is not freed inside the `with` block. Raises StateError like `pointer`."""
        with self._lock:
            pointer = self.pointer
            self._users += 1
        try:
            yield pointer
        finally:
            with self._lock:
                self._users -= 1
            self._free_doomed()

    @property
    def is_forked(self) -> bool:
        """Is this a fork of the process that made it?"""
        return self._forks != _forks

    def refuse_fork(self) -> None:
        if self.is_forked:
            raise StateError(_FORKED)

    def drain(self, timeout_ms: int) -> None:
        """Answers the requests that have arrived, for at most `timeout_ms`, and stops."""
        self.stopped = True
        # Neither cut-off requests nor an app that has ended already are errors here.
        with suppress(StateError), self.used() as pointer:
            _ffi.hasty_app_drain(pointer, timeout_ms)

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            if self._pointer is not None:
                _ffi.hasty_app_stop(self._pointer)

    def free(self) -> None:
        """Frees it, at once or when its last user is done."""
        with self._lock:
            if self._pointer is not None:
                self._doomed, self._pointer = self._pointer, None
        self._free_doomed()

    def _free_doomed(self) -> None:
        with self._lock:
            if self._users:
                return
            pointer, self._doomed = self._doomed, None
        if pointer is not None:
            self._free(pointer)
            # Breaks a reference cycle: callbacks hold handlers, which may hold the app, which holds this object.
            self._callbacks.clear()

    def __del__(self) -> None:
        self.free()


class Relieved(BaseException):
    """Raised by a step in a slot when it is done, if another thread has taken over meanwhile."""


class Crew:
    """The worker threads of one app, and an event that is set when the last of them has ended."""

    def __init__(self, native: Native, count: int, shared: Shared, steps: list[Step]) -> None:
        self.native = native
        self._shared = shared
        self._steps = steps
        self._watch: threading.Thread | None = None
        #: Threads of tasks that did not end in time.
        self.busy: list[threading.Thread] = []
        self.failure: HastyError | None = None
        #: A wait for the handlers timed out or was interrupted, so they are not waited for again.
        self.given_up = False
        # Waiting for an Event can be interrupted by Ctrl-C, in every version of Python; joining a thread cannot.
        self.gone = threading.Event()
        self._lock = threading.Lock()
        #: Events that wake relieved threads, which stand by to take requests again; guarded by the lock.
        self._standing_by: list[threading.Event] = []
        tasks: list[Callable[[], None]] = [self._serve] * count
        #: Does the asyncio loop take the requests, rather than the threads?
        self._loop_takes = shared.loop is not None and count <= 1
        #: Threads that take requests for the loop.
        self._takers = count
        if self._loop_takes:
            tasks = [self._serve_loop] * count
        elif shared.loop is not None:
            # The loop starts first, because the other threads pass it the requests that they take.
            tasks.insert(0, self._run_loop)
        #: The slots of the serving threads, for the watch thread, which reports slow handlers.
        self.slots: list[Slot] = []
        self._left = self._made = len(tasks)
        # Daemon threads, because a program that forgets to stop would never end: `_at_exit` stops them in time.
        self.threads = [
            threading.Thread(target=self._work, args=[task], name=f"hasty-{number}", daemon=True)
            for number, task in enumerate(tasks, 1)
        ]

    def start(self) -> None:
        """Starts the threads. If one cannot start, raises and stops those that have."""
        _at_work.add(self)
        loop = self._shared.loop
        for number, thread in enumerate(self.threads, 1):
            try:
                thread.start()
                if loop is not None and not self._loop_takes:
                    loop.begun.wait()
                    # Later failures are raised by wait().
                    if self.failure is not None and not loop.has_begun:
                        raise self.failure
            except BaseException as error:
                # After Ctrl-C during its start, the thread runs and ends by itself.
                has_begun = not isinstance(error, RuntimeError) or thread.ident is not None
                self._do_without(self.threads[number - 1 + has_begun :])
                raise
        if len(self.threads) == 1:
            self._watch = watch(self.gone, self.slots, self._steps, self._shared)

    def _do_without(self, threads: list[threading.Thread]) -> None:
        """Stops the app, because these threads could not start."""
        self.native.stop()
        for thread in threads:
            self.threads.remove(thread)
            self._close_loop()
            self._count_out()

    def _work(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            log.error("a worker ended early: %s", error, exc_info=not isinstance(error, HastyError))
            self.failure = error if isinstance(error, HastyError) else HastyError(f"a worker ended early: {error!r}")
            self.native.stop()
        finally:
            if self._shared.loop is not None:
                self._shared.loop.leave()
            self._count_out()

    def _count_out(self) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self.leave()

    def leave(self) -> None:
        """Marks the crew as ended: no thread serves any more."""
        _at_work.discard(self)
        self.gone.set()

    def _serve(self) -> None:
        """Takes requests and runs their handlers until the app is stopped."""
        serving.add(threading.get_ident())
        try:
            slot = Slot(self.native)
            with self._lock:
                self.slots.append(slot)
            try:
                while self._take(slot):
                    pass
            finally:
                with self._lock:
                    self.slots.remove(slot)
                slot.end()
        finally:
            serving.discard(threading.get_ident())
            self._close_loop()

    def _take(self, slot: Slot) -> bool:
        """Answers requests until the app is stopped; returns True if another thread has taken over, so that this one
        stands by.
        """
        taker, wait, ref, words = slot.taker, _ffi.hasty_slot_wait, slot.ref, slot.words
        answers = [step.answering() for step in self._steps]
        serves = plain.servings(self._steps)
        user_data = USER_DATA
        try:
            # Testing the taker's truth value sends the answer and takes a request. It never waits, so it keeps the GIL.
            status = taker.status if taker else _ffi.OK
            while True:
                if not status:
                    number = words[user_data]
                    try:
                        serve = serves[number]
                        if serve is not None:
                            status = serve(slot, taker)
                            continue
                        data = answers[number](slot)
                    except Exception as error:
                        data = slot.survive(error)
                    taker.reply = data or b""
                elif status == _TIMEOUT:
                    # The library serves without the GIL until a request comes; each callback acquires the GIL itself.
                    wait(ref, -1)
                elif status == _CLOSED:
                    return False
                else:
                    _ffi.check(status)
                status = taker.status if taker else _ffi.OK
        except Relieved:
            serving.discard(threading.get_ident())
            goes_on = self._stand_by()
            serving.add(threading.get_ident())
            return goes_on

    def relieve(self) -> bool:
        """Lets another thread take requests, because this one will be busy for long; its step must then raise Relieved.

        Returns False if the app is stopping, if an asyncio loop takes the requests, or if no thread can be started.
        """
        if self._loop_takes:
            return False
        with self._lock:
            if self._left == 0 or self.native.stopped:
                return False
            if self._standing_by:
                self._standing_by.pop().set()
                return True
            self._left += 1
            self._takers += 1
            # Forget threads that have ended; one without an ident is about to start.
            self.threads = [known for known in self.threads if known.ident is None or known.is_alive()]
            self._made += 1
            name = f"hasty-{self._made}"
            thread = threading.Thread(target=self._work, args=[self._serve], name=name, daemon=True)
            self.threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                self.threads.remove(thread)
                self._takers -= 1
            self._count_out()
            return False
        return True

    def _stand_by(self) -> bool:
        """Waits until this thread is needed; returns False if it is not for a while, or if the app is stopping."""
        call = threading.Event()
        with self._lock:
            self._standing_by.append(call)
        for _ in range(int(IDLE_S / _LOOK_S)):
            if call.wait(_LOOK_S):
                return True
            if self.native.stopped:
                break
        with self._lock:
            if call in self._standing_by:
                self._standing_by.remove(call)
                return False
        # Called after the wait had ended, but before the lock was taken.
        return True

    def _close_loop(self) -> None:
        """Closes the loop when the last thread that hands it requests ends."""
        with self._lock:
            self._takers -= 1
            last = self._takers == 0
        if last and self._shared.loop is not None:
            self._shared.loop.close()

    def _serve_loop(self) -> None:
        assert self._shared.loop is not None
        _run(self._shared.loop.serve(self.native, self._steps, self.slots))

    def _run_loop(self) -> None:
        assert self._shared.loop is not None
        _run(self._shared.loop.run())

    def runs_this_thread(self) -> bool:
        """Is the caller a handler, or on the program's own loop while that serves?"""
        shared = self._shared
        on_loop = shared.loop is not None and shared.loop.runs_this_thread() and not self.gone.is_set()
        here = on_loop or threading.current_thread() in self.threads
        return here or shared.streams.runs_this_thread() or shared.blocking.runs_this_thread()

    def end(self, grace: float) -> bool:
        """Waits for the workers and frees the app; returns False if a handler still runs after `grace` seconds."""
        loop = self._shared.loop
        until = time.monotonic() + grace
        # Given up unless the wait ends well: it may also end with a second Ctrl-C.
        self.given_up = True
        gone = self.gone.wait(grace if loop is None else grace + loop.patience_s)
        if loop is not None and not gone:
            loop.close()
        self.busy = self._shared.blocking.end(until) + self._shared.streams.end(until)
        if not gone:
            return False
        # Threads that are still busy do not use the native app: their exchanges outlive it.
        self.given_up = False
        for thread in self.threads:
            thread.join()
        if self._watch is not None:
            self._watch.join()
        self.native.free()
        return True

    def rest(self, seconds: float) -> None:
        """Lets handlers on other threads finish, for at most `seconds`; a stop would answer in their place."""
        until = time.monotonic() + seconds
        if self.native.stopped:
            return
        self._shared.blocking.rest(until)
        if self._shared.loop is not None:
            self._shared.loop.rest(until)

    def interrupt(self) -> None:
        """Raises `Ended` in handlers that still run, because the interpreter could not end their threads cleanly."""
        threads = [thread for thread in self.threads + self.busy if thread.is_alive()]
        for thread in threads:
            raise_in(thread.ident or 0, Ended)
        until = time.monotonic() + HURRY_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine on a new loop of this thread."""
    import asyncio

    try:
        asyncio.run(coroutine)
    finally:
        # If no loop could be created, Python would warn that the coroutine was never awaited.
        coroutine.close()


#: Crews whose threads run, even if their Server object is gone.
_at_work: set[Crew] = set()


def _forget() -> None:
    """Clears the state in a fork, where none of the parent's threads run."""
    global _forks
    _forks += 1
    _at_work.clear()
    serving.clear()


os.register_at_fork(after_in_child=_forget)


@atexit.register
def _at_exit() -> None:
    """Stops all servers that still run, while there is an interpreter for handlers to return to."""
    crews = [crew for crew in _at_work.copy() if not crew.given_up]
    for crew in crews:
        crew.native.stop()
    until = time.monotonic() + DRAIN_MS / 1000 + HURRY_S
    for crew in crews:
        crew.end(max(0.0, until - time.monotonic()))
        crew.interrupt()


def url_of(host: str, port: int) -> str:
    """The URL at which programs on this machine reach a host and port.

    >>> url_of("0.0.0.0", 80), url_of("::1", 8080)
    ('http://127.0.0.1:80', 'http://[::1]:8080')
    """
    if kind_of(host)[0] != "tcp":
        return host
    # The wildcard addresses are for listening; clients connect to loopback.
    host = host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """An app that serves in the background; returned by `App.start()`.

    >>> from hasty import App
    >>> app = App()
    >>> with app.start(port=0) as server:
    ...     server.url == f"http://127.0.0.1:{server.port}"
    True
    """

    def __init__(self, native: Native, host: str, crew: Crew, drain_ms: int) -> None:
        self._native = native
        self._drain_ms = drain_ms
        self.host = host
        #: The port; if 0 was requested, the one that was selected.
        self.port = int(_ffi.hasty_app_port(native.pointer))
        self._crew = crew
        # What stop() calls instead of an immediate stop, if its caller shuts down gracefully afterwards.
        self._ask: Callable[[], None] | None = None
        self._drain: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The URL at which programs on this machine reach the server, without a final slash; for "unix:" and "fd:", the
        host.
        """
        return url_of(self.host, self.port)

    def stop(self) -> None:
        """Asks the server to stop, and returns at once. May be called from any thread, handler or signal handler.

        See `App.stop()`.
        """
        (self._ask or self._native.stop)()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped, at most `timeout` seconds (None: without a limit), and returns whether it
        has.

        Raises StateError inside a handler, and the error that ended the server, if there was one.

        >>> from hasty import App
        >>> server = App().start(port=0)
        >>> server.wait(timeout=0.01)
        False
        >>> server.stop()
        >>> server.wait()
        True
        """
        self._native.refuse_fork()
        self._refuse_inside("wait")
        gone = self._crew.gone.wait(timeout)
        if gone and self._crew.failure is not None:
            raise self._crew.failure
        return gone

    def close(self) -> None:
        """Stops, waits for running handlers for up to five seconds, and frees everything. A `with` block does this at
        its end.

        Responses that are ready within the app's `drain_timeout_ms` are still sent. May be called twice. Raises
        StateError inside a handler.
        """
        self._close(GRACE_S)

    def _close(self, grace: float) -> None:
        if self._native.is_forked:
            return
        self._refuse_inside("close")
        self._crew.rest(self._drain_ms / 1000)
        self._native.stop()
        gone = self._crew.end(grace)
        names = [thread.name for thread in self._crew.threads if thread.is_alive()]
        names += sorted(thread.name for thread in self._crew.busy)
        if names or not gone:
            log.warning(
                "handlers still run %g s after the server was stopped; their threads are abandoned: %s",
                grace,
                ", ".join(names),
            )

    def _wait_for_end(self) -> None:
        """Waits until the app is stopped, even if handlers still run."""
        while not self._native.stopped and not self._crew.gone.wait(_LOOK_S):
            pass
        if self._crew.gone.is_set() and self._crew.failure is not None:
            raise self._crew.failure

    def _only_tell(self) -> None:
        """Makes stop() wake `_wait_for_end()`, which then ends everything as a signal does."""
        self._ask = functools.partial(setattr, self._native, "stopped", True)

    def _drain_beside(self, loop: asyncio.AbstractEventLoop) -> None:
        """Makes stop() drain the app on another thread, while the loop goes on serving."""

        def drain() -> None:
            if self._drain is None:
                self._drain = threading.Thread(
                    target=self._native.drain, args=[self._drain_ms], name="hasty-drain", daemon=True
                )
                self._drain.start()

        def ask() -> None:
            self._native.stopped = True
            try:
                loop.call_soon_threadsafe(drain)
            except RuntimeError:  # the loop is closed already
                self._native.stop()

        self._ask = ask

    def _end_beside(self) -> None:
        """Ends the server after its loop has stopped serving."""
        self._ask = None
        self._native.stop()
        if self._drain is not None:
            self._drain.join()
        self._crew.leave()
        self._crew.end(0.0)

    def _leave(self) -> None:
        """Ends the server because the program ends: answers what has arrived, and does not wait for slow handlers."""
        # On a thread, because callbacks that do not return make the drain exceed its timeout.
        drain = threading.Thread(target=self._native.drain, args=[self._drain_ms], name="hasty-drain", daemon=True)
        # If no thread can be started, the stop in `_close()` has to do.
        with suppress(RuntimeError):
            drain.start()
            drain.join(self._drain_ms / 1000 + _LOOK_S)
        self._close(HURRY_S)
        self._crew.interrupt()

    def _give_up(self) -> None:
        """Ends a server that could not start."""
        self.stop()
        self._close(HURRY_S)

    def _refuse_inside(self, name: str) -> None:
        if self._crew.runs_this_thread():
            raise StateError(
                f"{name}() inside a handler, or on the loop of serve(), would wait for itself; "
                "use stop(), which returns at once"
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # Ctrl-C, SystemExit and the like.
            self._leave()
        else:
            self.close()

    def __del__(self) -> None:
        # The server is unreachable: its workers end, and the last one to release `native` frees it.
        native = getattr(self, "_native", None)
        if native is not None:
            native.stop()

    def __repr__(self) -> str:
        return f"<Server {self.url}{', stopped' if self._crew.gone.is_set() else ''}>"
