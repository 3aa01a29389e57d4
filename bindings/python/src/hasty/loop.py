"""What is async: the loop on which an app's coroutines run, and what carries requests to it and answers back."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _ffi
from .desk import InSlot, Moves
from .errors import ClosedError
from .event import Chunk, Piece, pieces
from .exchange import PIECE, Exchange, serving
from .request import Request
from .response import Response
from .slot import USER_DATA, Slot, SlotRequest

if TYPE_CHECKING:
    from .handler import Route, Step
    from .server import Native

    _Begun = tuple[Route, "InTask", asyncio.Task[Optional[Response]]]

__all__ = ["Loop"]

#: So many requests are taken before other tasks of the loop have their turn.
TURN = 64

#: Whoever waits for room looks again after so many seconds, should nobody call.
_LOOK_AGAIN_S = 1.0


class InTask(Moves):
    """Where the answer of a coroutine goes: into its slot as long as it has not waited for anything, else apart."""

    __slots__ = ("gates", "request", "slot")

    def __init__(self, request: Request, slot: Slot | None, exchange: Exchange | None = None) -> None:
        super().__init__(exchange)
        self.request = request
        self.slot = slot
        #: Is there middleware?
        self.gates = True

    def move(self) -> None:
        """Others need the slot."""
        if self._exchange is None and not self.request._deferred:
            self.exchange()
        self.slot = None

    def exchange(self) -> Exchange:
        if self._exchange is None:
            assert self.slot is not None
            self._exchange = self.request._exchange = self.slot.exchange()
            self._exchange._lend(self.request)
        return self._exchange

    def send(self, response: Response) -> None:
        if self._exchange is not None:
            self._exchange.finish(response)
            return
        assert self.slot is not None
        assert isinstance(self.request, SlotRequest)
        InSlot(self.slot, self.request, self.gates).send(response)

    def write(self, response: Response, piece: Piece, data: Chunk) -> None:
        exchange = self.exchange()
        exchange._response = response
        # Waiting here would hold the loop.
        _ffi.check(exchange._write(piece, data))


class Loop:
    """The asyncio loop of one app. It also takes the app's requests, unless other threads do."""

    #: How much longer than others its end may take, in seconds.
    patience_s = 0.0

    def __init__(self) -> None:
        #: Are coroutines cancelled because nobody waits for them any more?
        self.is_ending = False
        #: Can coroutines be handed to it?
        self.begun = threading.Event()
        self._native: Native | None = None
        self._answers: list[Callable[[Slot], bytes | None]] = []
        self._slots: list[Slot] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._over: asyncio.Future[None] | None = None
        # Slots that hold an answer to be given or nothing, those that wait for use, and what has begun in others.
        self._ready: list[Slot] = []
        self._free: list[Slot] = []
        self._begun: list[_Begun] = []
        self._tasks: dict[asyncio.Task[Any], Step] = {}
        self._streams: dict[asyncio.Task[Any], Step] = {}

    # --- its life ---

    async def serve(self, native: Native, steps: list[Step], slots: list[Slot]) -> None:
        """Takes requests and runs coroutines until the app is stopped."""
        self._native, self._slots = native, slots
        self._answers = [step.answering() for step in steps]
        loop = self._begin()
        descriptor = _ffi.hasty_app_fd(native.pointer)
        if descriptor < 0:
            _ffi.check(_ffi.ERR_STATE)
        serving.add(self._thread)
        loop.add_reader(descriptor, self._pump)
        try:
            # What had come before there was a reader is told by the descriptor too.
            await self._until_over()
        finally:
            loop.remove_reader(descriptor)
            serving.discard(self._thread)
            await self._end()

    async def run(self) -> None:
        """Runs coroutines whose requests other threads take, until `close()`."""
        self._begin()
        try:
            await self._until_over()
        finally:
            await self._end()

    def close(self) -> None:
        """Ends `run()`, from any thread."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._stop)
            except RuntimeError:  # it is closed already
                pass

    def rest(self, until: float) -> None:
        """Waits until no handler runs, at most until the monotonic time `until`; for other threads."""
        while (self._tasks or self._begun) and time.monotonic() < until:
            time.sleep(0.005)

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._over = self._loop.create_future()
        self.begun.set()
        return self._loop

    async def _until_over(self) -> None:
        assert self._over is not None
        await self._over

    def _stop(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def cancels(self, error: BaseException) -> bool:
        """Does a coroutine end by this because the app does?"""
        return self.is_ending and isinstance(error, asyncio.CancelledError)

    async def _end(self) -> None:
        """Nobody waits for what still runs: the app has stopped."""
        self.is_ending = True
        tasks = [*self._tasks, *self._streams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for slot in self._slots:
            slot.end()
        self._slots.clear()

    # --- requests ---

    def _pump(self) -> None:
        """Takes the requests that wait, and gives the answers that are there."""
        take, answers, ready = _ffi.take_slot, self._answers, self._ready
        assert self._loop is not None
        if not ready:
            ready.append(self._another())
        for _ in range(TURN):
            slot = ready[-1]
            status = take(slot.ref)
            if status == _ffi.OK:
                try:
                    data = answers[slot.words[USER_DATA]](slot)
                except Exception as error:
                    data = slot.survive(error)
                if data is not None:
                    slot.give(data)
                if not ready:
                    ready.append(self._another())
                continue
            self._free.append(ready.pop())
            if status != _ffi.ERR_TIMEOUT:
                self._stop()
            if not ready:
                break
        else:
            self._loop.call_soon(self._pump)
        if self._begun:
            # The coroutines of these have run their first steps then.
            begun, self._begun = self._begun, []
            self._loop.call_soon(self._settle, begun)

    def _another(self) -> Slot:
        if self._free:
            return self._free.pop()
        assert self._native is not None
        slot = Slot(self._native)
        self._slots.append(slot)
        return slot

    def at_work(self) -> tuple[Any, object] | None:
        """The route whose coroutine is in the middle of something, for whoever watches, and what tells where it is."""
        if self._loop is None:
            return None
        task = asyncio.current_task(self._loop)
        route = None if task is None else self._tasks.get(task) or self._streams.get(task)
        if route is None:
            return None
        frame = getattr(task.get_coro(), "cr_frame", None)  # type: ignore[union-attr]
        return route, (task, None if frame is None else frame.f_lasti)

    def take(self, route: Route, request: SlotRequest, slot: Slot) -> None:
        """Runs the coroutine for a request in a slot."""
        if threading.get_ident() != self._thread:
            route._serve_later(request, slot.exchange())
            return
        desk = InTask(request, slot)
        desk.gates = route._shared.gates > 0
        self._begun.append((route, desk, self._task(route, desk)))
        self._ready.pop()

    def start(self, route: Route, request: Request, exchange: Exchange) -> None:
        """Runs the coroutine for a request that another thread has taken."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._start, route, InTask(request, None, exchange))
        except RuntimeError:  # it is closed: the app ends
            exchange.free()

    def _start(self, route: Route, desk: InTask) -> None:
        task = self._task(route, desk)
        self._tasks[task] = route
        task.add_done_callback(functools.partial(self._finish, route, desk))

    def _task(self, route: Route, desk: InTask) -> asyncio.Task[Response | None]:
        assert self._loop is not None
        return self._loop.create_task(route.run(desk.request, desk))

    def _settle(self, begun: list[_Begun]) -> None:
        """The answers of coroutines that are done go by their slots; the others go on apart."""
        for route, desk, task in begun:
            slot = desk.slot
            assert slot is not None
            if task.done():
                self._finish(route, desk, task)
            else:
                desk.move()
                self._tasks[task] = route
                task.add_done_callback(functools.partial(self._finish, route, desk))
            (self._ready if slot.ticket else self._free).append(slot)
        self._pump()

    def _finish(self, route: Route, desk: InTask, task: asyncio.Task[Response | None]) -> None:
        """A coroutine has ended: its outcome is the answer."""
        self._tasks.pop(task, None)
        request = desk.request
        try:
            response = task.result()
        except asyncio.CancelledError:
            # The app ends; nobody answers.
            desk.exchange().free()
        except BaseException as error:
            route._fail(request, None, desk, error)
        else:
            try:
                if response is not None:
                    route._give(request, response, desk)
            except BaseException as error:
                route._fail(request, None, desk, error)
        finally:
            request._leave()

    # --- streams ---

    def stream(self, route: Step, request: Any, response: Response, exchange: Exchange) -> None:
        """Runs an async generator to its end, or to that of its client."""
        assert self._loop is not None
        task = self._loop.create_task(_stream(route, request, response, exchange))
        self._streams[task] = route
        task.add_done_callback(self._streams.pop)
        # It may wait for something that never comes.
        exchange.on_close(functools.partial(self._cancel, task))

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # it is closed already
            pass


async def _stream(route: Step, request: Any, response: Response, exchange: Exchange) -> None:
    items: Any = response._stream
    response._stream = None
    exchange._response = response
    try:
        async for chunk in items:
            await write(exchange, chunk)
        exchange.finish()
    except (ClosedError, asyncio.CancelledError):
        pass
    except BaseException as error:
        route._give_up(request, exchange, error)
    finally:
        exchange.free()
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def write(exchange: Exchange, data: Chunk) -> None:
    """Writes what is there, and waits for room where there is none."""
    for piece in pieces(data, PIECE):
        status = exchange._write(piece, data)
        while status == _ffi.ERR_LIMIT:
            await _room(exchange)
            status = exchange._write(piece, data)
        _ffi.check(status)


async def _room(exchange: Exchange) -> None:
    loop = asyncio.get_running_loop()
    room = loop.create_future()
    exchange._on_ready(functools.partial(_tell, loop, room))
    try:
        await asyncio.wait_for(room, _LOOK_AGAIN_S)
    except asyncio.TimeoutError:
        pass


def _tell(loop: asyncio.AbstractEventLoop, room: asyncio.Future[None]) -> None:
    """There is room, says a thread that serves."""
    try:
        loop.call_soon_threadsafe(_settle, room)
    except RuntimeError:  # the loop was closed meanwhile
        pass


def _settle(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)
