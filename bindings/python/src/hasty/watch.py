"""Detects handlers that delay all other requests, and warns once about each."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handler import Shared, Step
    from .slot import Slot

__all__ = ["watch"]

log = logging.getLogger("hasty")

#: The polling interval, and how many more polls in a row must find the same request: together 100 ms.
_LOOK_S = 0.05
_LOOKS = 2


class _Watch:
    """Polls an app with a single thread from outside, so that watching costs requests nothing."""

    def __init__(self, gone: threading.Event, slots: list[Slot], steps: list[Step], shared: Shared) -> None:
        self._gone = gone
        self._slots = slots
        self._steps = steps
        self._shared = shared
        self._named: set[str] = set()

    def run(self) -> None:
        before = None
        same = 0
        while not self._gone.wait(_LOOK_S):
            now = self._at_work()
            same = same + 1 if now == before else 0
            before = now
            if now is not None and same >= _LOOKS:
                self._name(now[0])

    def _at_work(self) -> tuple[Any, object] | None:
        """Returns the step that is running, and a value that identifies this run of it; None if there is none."""
        for slot in self._slots:
            ticket, number = slot.ticket, slot.user_data
            if ticket and number:
                return self._steps[number], ticket
        loop = self._shared.loop
        return None if loop is None else loop.at_work()

    def _name(self, step: Any) -> None:
        # By name: a mounted application has several steps with the same name.
        name = repr(step)
        if name in self._named:
            return
        self._named.add(name)
        log.warning(
            "%s held the loop for over 100 ms, and delayed all other requests (logged once): %s",
            name,
            step.advice,
        )


def watch(gone: threading.Event, slots: list[Slot], steps: list[Step], shared: Shared) -> threading.Thread:
    """Starts a thread that watches an app until its threads have ended."""
    target = _Watch(gone, slots, steps, shared).run
    thread = threading.Thread(target=target, name="hasty-watch", daemon=True)
    thread.start()
    return thread
