"""Coroutines that begin at once, as tasks do: what they find, and what becomes of them once they wait."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine
from typing import Any, Callable

import pytest

from hasty.eager import Starter

number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


def on_loop(test: Callable[[Starter], Coroutine[Any, Any, None]]) -> None:
    """Runs a test in a loop."""

    async def main() -> None:
        starter = Starter(asyncio.get_running_loop())
        try:
            await test(starter)
        finally:
            await starter.end()
        me = {asyncio.current_task()}
        # One that was given up, since somebody else had it in hand for a moment, has a turn of the loop to end.
        if others := asyncio.all_tasks() - me:
            await asyncio.wait(others, timeout=10)
        assert asyncio.all_tasks() == me

    asyncio.run(main())


async def start(starter: Starter, *coroutines: Coroutine[Any, Any, None]) -> list[Any]:
    """Starts coroutines in a callback of the loop, as servers do; their tasks, or what they have raised."""
    loop = asyncio.get_running_loop()
    started: list[Any] = []

    def begin() -> None:
        for coroutine in coroutines:
            try:
                started.append(starter.start(coroutine))
            except BaseException as error:
                started.append(error)

    loop.call_soon(begin)
    await asyncio.sleep(0)
    assert len(started) == len(coroutines)
    return started


def test_one_that_does_not_wait_has_ended_when_it_was_started() -> None:
    seen: list[int] = []

    async def run() -> None:
        seen.append(1)

    async def test(starter: Starter) -> None:
        assert await start(starter, run(), run()) == [None, None]
        assert seen == [1, 1]

    on_loop(test)


def test_one_that_waits_goes_on_in_its_task() -> None:
    seen: list[Any] = []

    async def run(name: str) -> None:
        seen.append((name, asyncio.current_task()))
        await asyncio.sleep(0)
        seen.append((name, asyncio.current_task()))
        await asyncio.sleep(0.001)
        seen.append((name, asyncio.current_task()))

    async def test(starter: Starter) -> None:
        one, two = await start(starter, run("one"), run("two"))
        await asyncio.gather(one, two)
        assert one is not two
        assert [task for name, task in seen if name == "one"] == [one] * 3
        assert [task for name, task in seen if name == "two"] == [two] * 3

    on_loop(test)


def test_an_exception_at_once_is_raised_and_a_later_one_is_the_tasks() -> None:
    async def run(waits: bool) -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError(waits)

    async def test(starter: Starter) -> None:
        now, later = await start(starter, run(False), run(True))
        assert isinstance(now, LookupError)
        with pytest.raises(LookupError, match="True"):
            await later

    on_loop(test)


def test_each_has_a_context_of_its_own_from_beginning_to_end() -> None:
    seen: list[int] = []

    async def run(value: int, waits: bool) -> None:
        assert number.get() == 0
        number.set(value)
        if waits:
            await asyncio.sleep(0)
        seen.append(number.get())

    async def test(starter: Starter) -> None:
        *_, three, four = await start(starter, run(1, False), run(2, False), run(3, True), run(4, True))
        await asyncio.gather(three, four)
        assert seen == [1, 2, 3, 4]
        assert number.get() == 0

    on_loop(test)


def test_what_it_waits_for_is_cancelled_with_it() -> None:
    seen: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("inner")
            raise

    async def run() -> None:
        try:
            await asyncio.ensure_future(inner())
        except asyncio.CancelledError:
            seen.append("outer")
            raise

    async def test(starter: Starter) -> None:
        for turns in range(3):
            (task,) = await start(starter, run())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        # In the first turn the inner one has not begun.
        assert [name for name in seen if name == "outer"] == ["outer"] * 3
        assert seen.count("inner") >= 1

    on_loop(test)


def test_one_may_be_cancelled_before_its_task_had_a_turn() -> None:
    seen: list[str] = []

    async def run() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def test(starter: Starter) -> None:
        tasks: list[Any] = []

        def begin() -> None:
            for _ in range(2):
                task = starter.start(run())
                assert task is not None
                task.cancel()
                tasks.append(task)

        asyncio.get_running_loop().call_soon(begin)
        await asyncio.sleep(0)
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert seen == ["cancelled"] * 2

    on_loop(test)


def test_one_may_cancel_itself_and_go_on() -> None:
    seen: list[str] = []

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
        await asyncio.sleep(0)
        seen.append("went on")

    async def test(starter: Starter) -> None:
        (task,) = await start(starter, run())
        await task
        assert seen == ["cancelled", "went on"]

    on_loop(test)


def test_one_that_cancels_itself_and_ends_does_not_harm_the_next() -> None:
    seen: list[str] = []

    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def run() -> None:
        await asyncio.sleep(0.001)
        seen.append("ran")

    async def test(starter: Starter) -> None:
        assert await start(starter, cancels()) == [None]
        _, task = await start(starter, cancels(), run())
        await task
        assert seen == ["ran"]

    on_loop(test)


def test_what_one_keeps_for_its_task_no_other_finds() -> None:
    kept: dict[Any, int] = {}
    ended: list[bool] = []

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None and task not in kept and not task.get_name().startswith("mine")
        if len(kept) % 2:
            task.set_name("mine")
        kept[task] = 1
        task.add_done_callback(lambda task: ended.append(task.cancelled()))

    async def test(starter: Starter) -> None:
        assert await start(starter, run(), run(), run()) == [None] * 3
        assert await start(starter, run()) == [None]
        while len(ended) < 4:
            await asyncio.sleep(0.001)
        assert ended == [False] * 4

    on_loop(test)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tasks begin at once, each for itself")
def test_those_that_do_not_wait_share_a_task() -> None:
    tasks: list[int] = []

    async def run() -> None:
        tasks.append(id(asyncio.current_task()))

    async def test(starter: Starter) -> None:
        for _ in range(3):
            assert await start(starter, run(), run()) == [None, None]
            await asyncio.sleep(0.001)
        assert len(set(tasks)) == 1

    on_loop(test)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of Python 3.11")
def test_timeouts_find_their_task() -> None:
    seen: list[str] = []

    async def run(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(3600)
        except TimeoutError:
            seen.append("timeout")

    async def test(starter: Starter) -> None:
        await asyncio.gather(*await start(starter, run(0), run(0.001)))
        assert seen == ["timeout", "timeout"]

    on_loop(test)


def test_wait_for_finds_its_task() -> None:
    seen: list[str] = []

    async def run() -> None:
        try:
            await asyncio.wait_for(asyncio.sleep(3600), 0.001)
        except asyncio.TimeoutError:
            seen.append("timeout")

    async def test(starter: Starter) -> None:
        await asyncio.gather(*await start(starter, run(), run()))
        assert seen == ["timeout", "timeout"]

    on_loop(test)


def test_task_groups_of_anyio_work_in_one() -> None:
    anyio = pytest.importorskip("anyio")
    seen: list[str] = []

    async def run() -> None:
        async def part(name: str) -> None:
            await anyio.sleep(0)
            seen.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(part, "a")
            group.start_soon(part, "b")
        with anyio.move_on_after(0):
            await anyio.sleep(3600)
        seen.append(await anyio.to_thread.run_sync(str, "thread"))

    async def test(starter: Starter) -> None:
        await asyncio.gather(*await start(starter, run()))
        assert seen == ["a", "b", "thread"]

    on_loop(test)
