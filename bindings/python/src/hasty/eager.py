"""Coroutines whose first steps are taken at once: most of them end there, and cost the loop no turn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, Callable
from weakref import getweakrefcount

__all__ = ["Starter"]

if sys.version_info >= (3, 12):

    class Starter:
        """Starts coroutines as tasks of a loop. It is used in the loop's callbacks, outside of tasks."""

        __slots__ = ("_loop",)

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop

        def start(
            self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
        ) -> asyncio.Task[None] | None:
            """Runs a coroutine until it waits for something; gives its task, or None where it has ended.

            It runs in that context, or in a copy of the current one. What it raises before it has waited, this raises.
            """
            task = asyncio.Task(coroutine, loop=self._loop, context=context, eager_start=True)
            if not task.done():
                return task
            # One that was cancelled as it ended has done what it was to do.
            if not task.cancelled():
                task.result()
            return None

        def running(self) -> tuple[asyncio.Task[Any], Callable[[], Any]]:
            """For a coroutine that was just started: its task, and what tells whether that was cancelled."""
            task = asyncio.current_task(self._loop)
            assert task is not None
            return task, task.cancelling

        async def end(self) -> None:
            """Leaves nothing behind."""

else:
    _enter, _leave = asyncio.tasks._enter_task, asyncio.tasks._leave_task
    _NOTHING: Any = object()

    class Starter:
        """Starts coroutines as tasks of a loop. It is used in the loop's callbacks, outside of tasks.

        A task of these versions begins with a turn of its loop, and to make one costs as much as many coroutines do
        altogether. So coroutines begin inside a spare task, which does nothing yet, and which is theirs once they wait:
        they find it as their task from the beginning. One that never waits leaves it to the next, unless it
        has made something of it.
        """

        __slots__ = ("_loop", "_spare")

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._spare: _Spare | None = None

        def start(
            self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
        ) -> asyncio.Task[None] | None:
            """Runs a coroutine until it waits for something; gives its task, or None where it has ended.

            It runs in that context, or in a copy of the current one. What it raises before it has waited, this raises.
            """
            loop, spare = self._loop, self._spare
            if spare is None:
                spare = self._spare = _Spare(loop)
            if context is None:
                context = copy_context()
            waits = _NOTHING
            _enter(loop, spare.task)
            try:
                # As `coroutine.send(None)`, which tells an end by an exception: that would take 1,500 instructions.
                waits = context.run(next, coroutine.__await__(), _NOTHING)
            finally:
                _leave(loop, spare.task)
                if waits is _NOTHING and spare.use() != spare.unused:
                    self._drop()
            if waits is _NOTHING:
                return None
            self._spare = None
            spare.take(coroutine, context, waits)
            return spare.task

        def running(self) -> tuple[asyncio.Task[Any], Callable[[], Any]]:
            """For a coroutine that was just started: its task, and what tells whether that was cancelled."""
            assert self._spare is not None
            return self._spare.task, self._spare.is_cancelled

        async def end(self) -> None:
            """Leaves nothing behind."""
            spare = self._drop()
            if spare is not None:
                await asyncio.wait([spare.task])

        def _drop(self) -> _Spare | None:
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.go_on()
            return spare

    class _Spare(Coroutine[Any, Any, None]):
        """What a task runs that is there before its coroutine."""

        __slots__ = ("_context", "_coroutine", "_given", "_waits", "is_cancelled", "task", "unused")

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._coroutine: Coroutine[Any, Any, None] | None = None
            self._context: Context
            # What the coroutine has begun to wait for, until the task knows.
            self._waits: Any = _NOTHING
            self._given = loop.create_future()
            self.task: asyncio.Task[None] = loop.create_task(self)
            #: Was the task cancelled?
            self.is_cancelled: Callable[[], Any] = getattr(self.task, "cancelling", self._was_cancelled)
            #: What `use()` has told first.
            self.unused = self.use()

        def use(self) -> tuple[Any, ...]:
            """What is made of the task: as long as that is the same, the next coroutine finds nothing of the last.

            Whoever has a task may cancel it later, as a time-out does, keep something for it, or await its end.
            """
            task: Any = self.task
            return sys.getrefcount(task), getweakrefcount(task), task.get_name(), self.is_cancelled(), task._callbacks

        def take(self, coroutine: Coroutine[Any, Any, None], context: Context, waits: Any) -> None:
            """From now on the task is that of a coroutine which waits for something."""
            self._coroutine, self._context, self._waits = coroutine, context, waits
            self.go_on()

        def go_on(self) -> None:
            """Lets the task go on: to its end, where it has no coroutine."""
            if not self._given.done():
                self._given.set_result(None)

        def _was_cancelled(self) -> bool:
            task: Any = self.task
            return self._given.cancelled() or bool(task._must_cancel)

        # --- what the task calls ---

        def send(self, value: Any) -> Any:
            if self._coroutine is None:
                return next(self._given.__await__())
            if self._waits is not _NOTHING:
                waits, self._waits = self._waits, _NOTHING
                return waits
            return self._context.run(self._coroutine.send, value)

        def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
            error = kind if value is None else value
            if self._coroutine is None:
                raise error
            waits, self._waits = self._waits, _NOTHING
            if isinstance(error, asyncio.CancelledError) and asyncio.isfuture(waits) and waits.cancel():
                # As a task does: what is waited for is cancelled, and tells.
                return waits
            return self._context.run(self._coroutine.throw, error)

        def close(self) -> None:
            if self._coroutine is not None:
                self._coroutine.close()

        def __await__(self) -> Any:
            raise TypeError("this is for a task alone")

        @property
        def cr_frame(self) -> Any:
            """Where the coroutine is, for whoever looks at the task."""
            return getattr(self._coroutine, "cr_frame", None)
