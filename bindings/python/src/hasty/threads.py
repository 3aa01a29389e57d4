"""Thread pools for handlers that may take long: generators, and those that block."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Callable

from ._interpreter import Ended

__all__ = ["Threads"]

log = logging.getLogger("hasty")

#: Seconds for which an idle thread waits for a task before it ends.
IDLE_S = 10.0
#: Seconds after which a notified thread has surely woken, even on a busy machine.
_WAKE_S = 1.0


class Threads:
    """A pool of threads for tasks that may block, which would delay other requests on a serving thread.

    Idle threads are reused. Beyond `most` threads, tasks are queued.
    """

    def __init__(self, name: str, most: int | None = None) -> None:
        self._name = name
        self._most = most
        lock = threading.Lock()
        self._some = threading.Condition(lock)
        self._left = threading.Condition(lock)
        # All guarded by the lock.
        self._waiting: deque[Callable[[], None]] = deque()
        self._idle = 0
        self._made = 0
        self._ended = False
        self._threads: set[threading.Thread] = set()

    def start(self, task: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Runs a task, which must not raise, on a thread of its own.

        Calls `otherwise` instead if the system cannot start a thread.
        """
        with self._some:
            self._waiting.append(task)
            if self._idle >= len(self._waiting):
                self._some.notify()
                return
            if self._most is not None and len(self._threads) >= self._most:
                return
            self._made += 1
            # A daemon thread, like the workers: a task that never ends must not keep the program alive.
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            self._do_without(thread, task, otherwise, error)

    def _do_without(
        self, thread: threading.Thread, task: Callable[[], None], otherwise: Callable[[], None], error: RuntimeError
    ) -> None:
        with self._some:
            self._threads.discard(thread)
            self._left.notify_all()
            if task not in self._waiting:
                # A thread that became idle has taken it.
                return
            self._waiting.remove(task)
        log.error("a request is answered with 503, because no thread could be started for it: %s", error)
        otherwise()

    def _work(self) -> None:
        try:
            while True:
                with self._some:
                    self._idle += 1
                    self._left.notify_all()
                    self._some.wait_for(lambda: self._waiting or self._ended, IDLE_S)
                    self._idle -= 1
                    if not self._waiting:
                        self._threads.discard(threading.current_thread())
                        self._left.notify_all()
                        return
                    task = self._waiting.popleft()
                task()
                # Otherwise its objects would live until the next task.
                del task
        except Ended:
            # Raised just after the task that it was meant for.
            pass

    def would_exceed(self, most: int) -> bool:
        """Would another task need more than `most` threads?"""
        with self._some:
            return self._idle <= len(self._waiting) and len(self._threads) >= most

    def runs_this_thread(self) -> bool:
        """Is the caller a task of this pool?"""
        with self._some:
            return threading.current_thread() in self._threads

    def rest(self, until: float) -> None:
        """Waits until all tasks are done, at most until the monotonic time `until`."""
        with self._some:
            self._left.wait_for(
                lambda: not self._waiting and self._idle == len(self._threads), max(0.0, until - time.monotonic())
            )

    def end(self, until: float) -> list[threading.Thread]:
        """Waits for the tasks, at most until the monotonic time `until`; returns the threads that still run."""
        with self._some:
            self._ended = True
            self._some.notify_all()
            threads = set(self._threads)
            self._left.wait_for(lambda: not self._threads, max(0.0, until - time.monotonic()))
            # Idle threads end even after `until`: they only have to wake up.
            self._left.wait_for(lambda: self._idle <= len(self._waiting), _WAKE_S)
            running = set(self._threads)
        for thread in threads - running:
            thread.join()
        return list(running)
