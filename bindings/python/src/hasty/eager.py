"""Starts coroutines eagerly: most of them end without waiting, and need no iteration of the loop."""

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
        """Starts coroutines as tasks of a loop. It may only be used in callbacks of the loop, outside of tasks."""

        __slots__ = ("_loop",)

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop

        def start(
            self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
        ) -> asyncio.Task[None] | None:
            """Runs a coroutine until it waits for something; returns its task, or None if it has ended.

            It runs in `context`, or in a copy of the current one. Raises what the coroutine raises before it waits.
            """
            task = asyncio.Task(coroutine, loop=self._loop, context=context, eager_start=True)
            if not task.done():
                return task
            # A task that was cancelled while it ended has run to its end nevertheless.
            if not task.cancelled():
                task.result()
            return None

        def running(self) -> tuple[asyncio.Task[Any], Callable[[], Any]]:
            """Returns a just started coroutine's task, and a function that tells whether that was cancelled."""
            task = asyncio.current_task(self._loop)
            assert task is not None
            return task, task.cancelling

        async def end(self) -> None:
            """Does nothing, because there is no spare task here."""

else:
    _enter, _leave = asyncio.tasks._enter_task, asyncio.tasks._leave_task
    _NOTHING: Any = object()

    class Starter:
        """Starts coroutines as tasks of a loop. It may only be used in callbacks of the loop, outside of tasks.

        In these Python versions a task's first step takes an iteration of the loop, and making a task costs more than
        many coroutines do. So a coroutine begins inside a spare task, which is its current task from the beginning, and
        becomes its own once it waits. If it never waits, the next coroutine uses the same task, unless this one has
        changed it or kept it.
        """

        __slots__ = ("_loop", "_spare")

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._spare: _Spare | None = None

        def start(
            self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
        ) -> asyncio.Task[None] | None:
            """Runs a coroutine until it waits for something; returns its task, or None if it has ended.

            It runs in `context`, or in a copy of the current one. Raises what the coroutine raises before it waits.
            """
            loop, spare = self._loop, self._spare
            if spare is None:
                spare = self._spare = _Spare(loop)
            if context is None:
                context = copy_context()
            waits = _NOTHING
            _enter(loop, spare.task)
            try:
                # Like `coroutine.send(None)`, but without a StopIteration at the end, which takes 1,500 instructions.
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
            """Returns a just started coroutine's task, and a function that tells whether that was cancelled."""
            assert self._spare is not None
            return self._spare.task, self._spare.is_cancelled

        async def end(self) -> None:
            """Ends the spare task."""
            spare = self._drop()
            if spare is not None:
                await asyncio.wait([spare.task])

        def _drop(self) -> _Spare | None:
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.go_on()
            return spare

    class _Spare(Coroutine[Any, Any, None]):
        """The coroutine of a spare task: waits for the actual coroutine, and then runs that."""

        __slots__ = ("_context", "_coroutine", "_given", "_waits", "is_cancelled", "task", "unused")

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._coroutine: Coroutine[Any, Any, None] | None = None
            self._context: Context
            # What the coroutine waits for first, until it is passed on to the task.
            self._waits: Any = _NOTHING
            self._given = loop.create_future()
            self.task: asyncio.Task[None] = loop.create_task(self)
            #: Was the task cancelled?
            self.is_cancelled: Callable[[], Any] = getattr(self.task, "cancelling", self._was_cancelled)
            #: What `use()` returns as long as no coroutine has changed or kept the task.
            self.unused = self.use()

        def use(self) -> tuple[Any, ...]:
            """Returns the traces that a coroutine may leave on the task; without any, the next one can use the task.

            Code that keeps a task may cancel it later (as a timeout does), store data for it, or await its end.
            """
            task: Any = self.task
            return sys.getrefcount(task), getweakrefcount(task), task.get_name(), self.is_cancelled(), task._callbacks

        def take(self, coroutine: Coroutine[Any, Any, None], context: Context, waits: Any) -> None:
            """Gives the task to a coroutine that has begun to wait for something."""
            self._coroutine, self._context, self._waits = coroutine, context, waits
            self.go_on()

        def go_on(self) -> None:
            """Lets the task continue with its coroutine, or end if it has none."""
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
                # Like a task, cancels what the coroutine waits for, which then raises CancelledError there.
                return waits
            return self._context.run(self._coroutine.throw, error)

        def close(self) -> None:
            if self._coroutine is not None:
                self._coroutine.close()

        def __await__(self) -> Any:
            raise TypeError("this is for a task alone")

        @property
        def cr_frame(self) -> Any:
            """The coroutine's frame, for code that inspects the task."""
            return getattr(self._coroutine, "cr_frame", None)
