"""Answers that are made while they are sent: what runs a generator, and where."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable

__all__ = ["Streams"]

#: A thread without work waits so long for the next stream.
IDLE_S = 10.0


class Streams:
    """The threads of an app on which generators run, one for each at a time; those that are idle take the next.

    A generator may wait as long as it likes, for the next event or for a slow client. On a thread that serves it would
    keep others waiting.
    """

    def __init__(self) -> None:
        lock = threading.Lock()
        self._some = threading.Condition(lock)
        self._left = threading.Condition(lock)
        # All guarded by the lock.
        self._waiting: deque[Callable[[], None]] = deque()
        self._idle = 0
        self._made = 0
        self._ended = False
        self._threads: set[threading.Thread] = set()

    def start(self, task: Callable[[], None]) -> None:
        """Runs a task, which raises nothing, on a thread that does nothing else meanwhile."""
        with self._some:
            self._waiting.append(task)
            if self._idle >= len(self._waiting):
                self._some.notify()
                return
            self._made += 1
            # A daemon, as the workers are: a generator that never ends must not hold the program.
            thread = threading.Thread(target=self._work, name=f"hasty-stream-{self._made}", daemon=True)
            self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._some:
                self._idle += 1
                self._some.wait_for(lambda: self._waiting or self._ended, IDLE_S)
                self._idle -= 1
                if not self._waiting:
                    self._threads.discard(threading.current_thread())
                    self._left.notify_all()
                    return
                task = self._waiting.popleft()
            task()
            # Or what it holds would live until the next one comes.
            del task

    def runs_this_thread(self) -> bool:
        """Is the caller a generator that streams?"""
        with self._some:
            return threading.current_thread() in self._threads

    def end(self, until: float) -> list[str]:
        """Waits for the streams, at most until the monotonic time `until`; names the threads that still run."""
        with self._some:
            self._ended = True
            self._some.notify_all()
            threads = set(self._threads)
            self._left.wait_for(lambda: not self._threads, max(0.0, until - time.monotonic()))
            running = set(self._threads)
        for thread in threads - running:
            thread.join()
        return sorted(thread.name for thread in running)
