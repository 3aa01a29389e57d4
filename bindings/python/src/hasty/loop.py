"""Async handlers: the loop on which an app's coroutines run, and how requests get there and responses back."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi, _json, contexts
from .desk import InSlot, Moves
from .eager import Starter
from .errors import ClosedError, StateError
from .event import Chunk, Piece, pieces
from .exchange import PIECE, Exchange, serving
from .handler import end_stream, is_coroutine
from .request import Request
from .response import Response
from .slot import KIND_BYTES, KIND_JSON, USER_DATA, Slot, SlotRequest

if TYPE_CHECKING:
    from .handler import Route, Step
    from .server import Native

__all__ = ["Loop"]

#: How many requests are taken before other tasks of the loop run.
TURN = 64

#: Waiting writers try again after this many seconds, even if the library does not call.
_LOOK_AGAIN_S = 1.0


class InTask(Moves):
    """Sends a coroutine's response: in its slot if the coroutine has not waited for anything, else in an exchange."""

    __slots__ = ("_gates", "_request", "_slot")

    def __init__(self, request: Request, slot: Slot | None, exchange: Exchange | None, gates: bool) -> None:
        super().__init__(exchange)
        self._request = request
        self._slot = slot
        # Is there middleware?
        self._gates = gates

    def move(self) -> None:
        """Frees the slot for other requests."""
        if self._exchange is None and not self._request._deferred:
            self.exchange()
        self._slot = None

    def exchange(self) -> Exchange:
        if self._exchange is None:
            assert self._slot is not None
            self._exchange = moved(self._request, self._slot)
        return self._exchange

    def send(self, response: Response) -> None:
        if self._exchange is not None:
            self._exchange.finish(response)
            return
        assert self._slot is not None
        assert isinstance(self._request, SlotRequest)
        InSlot(self._slot, self._request, self._gates).send(response)

    def write(self, response: Response, piece: Piece, data: Chunk) -> None:
        # For a slow client it would have to block the loop, or to give up in the middle of the response.
        raise StateError(
            "write() cannot be used in an async handler: yield the pieces instead; "
            "status and headers set on res before the first one are sent"
        )


def moved(request: Request, slot: Slot) -> Exchange:
    """Moves a request from its slot to an exchange, to free the slot for other requests."""
    exchange = request._exchange = slot.exchange()
    exchange._lend(request)
    return exchange


class Loop:
    """The asyncio loop of one app. It also takes the app's requests, unless other threads do."""

    #: How much longer than usual the shutdown may take, in seconds.
    patience_s = 0.0

    def __init__(self) -> None:
        #: Are coroutines being cancelled because the app has stopped?
        self.is_ending = False
        #: Set once coroutines can be handed to the loop, or once its thread has ended.
        self.begun = threading.Event()
        self._native: Native | None = None
        self._answers: list[Callable[[Slot], bytes | None]] = []
        self._slot: Slot
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starter: Starter
        self._thread = 0
        self._over: asyncio.Future[None] | None = None
        self._tasks: dict[asyncio.Task[Any], Step] = {}
        self._streams: dict[asyncio.Task[Any], Step] = {}

    # --- start and end ---

    async def serve(self, native: Native, steps: list[Step], slots: list[Slot]) -> None:
        """Takes requests and runs coroutines until the app is stopped."""
        self._native = native
        loop = self._begin()
        self._slot = Slot(native)
        self._make_ready(steps)
        slots.append(self._slot)
        descriptor = _ffi.hasty_app_fd(native.pointer)
        if descriptor < 0:
            _ffi.check(_ffi.ERR_STATE)
        serving.add(self._thread)
        loop.add_reader(descriptor, self._pump)
        try:
            # The descriptor is also readable for requests that came before add_reader().
            await self._until_over()
        finally:
            loop.remove_reader(descriptor)
            serving.discard(self._thread)
            await self._end()
            slots.clear()
            self._slot.end()

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
            except RuntimeError:  # the loop is closed already
                pass

    @property
    def has_begun(self) -> bool:
        return self._over is not None

    def runs_this_thread(self) -> bool:
        """Does the loop run on the calling thread, or did it?"""
        return threading.get_ident() == self._thread

    def leave(self) -> None:
        """Called when the loop's thread ends, perhaps before the loop has begun: releases those that wait for that."""
        self.begun.set()

    def rest(self, until: float) -> None:
        """Called by other threads: waits until no handler runs, at most until the monotonic time `until`."""
        while self._tasks and time.monotonic() < until:
            time.sleep(0.005)

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._starter = Starter(self._loop)
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
        """Is this the exception of a coroutine that was cancelled because the app has stopped?"""
        return self.is_ending and isinstance(error, asyncio.CancelledError)

    async def _end(self) -> None:
        """Cancels everything that still runs after the app has stopped."""
        self.is_ending = True
        tasks = [*self._tasks, *self._streams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._starter.end()

    # --- requests ---

    def _make_ready(self, steps: list[Step]) -> None:
        """Prepares the functions that answer requests in the slot."""
        self._answers = [step.answering() for step in steps]

    def _pump(self) -> None:
        """Takes waiting requests and sends their responses, up to TURN of them before other tasks of the loop run."""
        answers, slot = self._answers, self._slot
        words, taker = slot.words, slot.taker
        assert self._loop is not None
        for _ in range(TURN):
            # Sends the response, and takes the next request.
            if taker:
                if taker.status != _ffi.ERR_TIMEOUT:
                    self._stop()
                return
            try:
                data = answers[words[USER_DATA]](slot)
            except Exception as error:
                data = slot.survive(error)
            taker.reply = data or b""
        self._loop.call_soon(self._pump)

    def at_work(self) -> tuple[Any, object] | None:
        """Returns the route whose coroutine is running, and a value that changes as it proceeds, for the watchdog."""
        if self._loop is None:
            return None
        task = asyncio.current_task(self._loop)
        route = None if task is None else self._tasks.get(task) or self._streams.get(task)
        if route is None:
            return None
        frame = getattr(task.get_coro(), "cr_frame", None)  # type: ignore[union-attr]
        return route, (task, None if frame is None else frame.f_lasti)

    def answering(self, route: Route) -> Callable[[Slot], bytes | None]:
        """Returns a function that runs a route's coroutine for a request in a slot of the calling thread."""
        if threading.get_ident() != self._thread:
            return functools.partial(_hand_over, route)
        if route._fills or not is_coroutine(route._function):
            return functools.partial(self._answer, route)
        names, starter, keep, shared = route.names, self._starter, self._keep, route._shared
        # Middleware gives requests their own contexts.
        base = shared.context if shared.gates else None

        # The equivalent for plain functions is in Route.answering().
        def answer(slot: Slot) -> None:
            request = SlotRequest()
            request._slot = slot
            if names:
                request._names = names
            context = None if base is None else contexts.of(request, base)
            task = starter.start(self._serve_plain(route, request, slot), context)
            if task is not None:
                keep(task, route)
                if request._slot is not None:
                    moved(request, slot)

        return answer

    async def _serve_plain(self, route: Route, request: SlotRequest, slot: Slot) -> None:
        """Runs a coroutine that returns its answer, and sends that; the fast path."""
        try:
            answer = await route._function(request)
            if request._slot is not None:
                # The coroutine has not waited, so the request is still in the slot.
                kind = type(answer)
                try:
                    if kind is str:
                        slot.give(answer.encode())
                        return
                    if kind is dict or kind is list:
                        slot.give(_json.encode(answer))
                        slot.kind = KIND_JSON
                        return
                    if kind is bytes:
                        slot.give(answer)
                        slot.kind = KIND_BYTES
                        return
                except Exception:
                    request._unsendable = True
                    raise
            response = route._outcome(request, None, answer)
            if response is not None:
                route._give(request, response, self._desk(route, request))
        except BaseException as error:
            self._fail(route, request, self._desk(route, request), error)
        finally:
            request._slot = None
            if route.names:
                request._leave()

    def _answer(self, route: Route, slot: Slot) -> None:
        request = SlotRequest()
        request._slot, request._names = slot, route.names
        desk = self._desk(route, request)
        task = self._begin_task(route, request, desk)
        if task is not None:
            self._keep(task, route)
            desk.move()

    def _begin_task(self, route: Route, request: Request, desk: InTask) -> asyncio.Task[None] | None:
        return self._starter.start(self._serve(route, request, desk), route._shared.context_of(request))

    async def _serve(self, route: Route, request: Request, desk: InTask) -> None:
        """Runs any kind of coroutine handler, and sends its answer."""
        try:
            response = await route.run(request, desk)
            if response is not None:
                route._give(request, response, desk)
        except BaseException as error:
            self._fail(route, request, desk, error)
        finally:
            request._leave()

    def _fail(self, route: Route, request: Request, desk: InTask, error: BaseException) -> None:
        if self.cancels(error):
            # The app has stopped, so there is no response.
            if not request._deferred:
                desk.exchange().free()
        else:
            # Includes SystemExit, which would end the loop.
            route._fail(request, None, desk, error)

    def _desk(self, route: Route, request: Request) -> InTask:
        slot = request._slot if isinstance(request, SlotRequest) else None
        return InTask(request, slot, request._exchange, route._shared.gates > 0)

    def start(self, route: Route, request: Request, exchange: Exchange) -> None:
        """Called by other threads: runs the coroutine for a request that one of them has taken."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._start, route, request)
        except RuntimeError:  # the loop is closed, because the app has stopped
            exchange.free()

    def _start(self, route: Route, request: Request) -> None:
        task = self._begin_task(route, request, self._desk(route, request))
        if task is not None:
            self._keep(task, route)

    def _keep(self, task: asyncio.Task[None], route: Route) -> None:
        """Holds a reference to a task until it ends; asyncio holds only a weak one."""
        self._tasks[task] = route
        task.add_done_callback(self._tasks.pop)

    # --- streams ---

    def stream(self, route: Step, request: Any, response: Response, exchange: Exchange) -> None:
        """Runs an async generator until it ends or its client leaves."""
        assert self._loop is not None
        task = self._loop.create_task(self._stream(route, request, response, exchange))
        self._streams[task] = route
        task.add_done_callback(self._streams.pop)
        # Cancels it when the client leaves, because it may wait for something that never comes.
        exchange.on_close(functools.partial(self._cancel, task))

    async def _stream(self, route: Step, request: Any, response: Response, exchange: Exchange) -> None:
        items: Any = response._stream
        response._stream = None
        exchange._response = response
        try:
            async for chunk in items:
                try:
                    await write(exchange, chunk)
                except Exception:
                    request._unsendable = True
                    raise
            end_stream(response, exchange)
        except ClosedError:
            pass
        except BaseException as error:
            # A client that has left, and the end of the app, cancel the task; so may the generator's own code.
            is_cancelled = isinstance(error, asyncio.CancelledError)
            if not is_cancelled or (exchange.alive and not self.is_ending):
                route._give_up(request, exchange, error)
        finally:
            exchange.free()
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # the loop is closed already
            pass


def _hand_over(route: Route, slot: Slot) -> None:
    """Passes a request to the loop, which runs on another thread."""
    request = SlotRequest()
    request._slot, request._names = slot, route.names
    route._serve_later(request, slot.exchange())


async def write(exchange: Exchange, data: Chunk) -> None:
    """Writes a chunk of the body; waits whenever there is no room in the buffer."""
    for piece in pieces(data, PIECE):
        status = exchange._write(piece, data)
        while status == _ffi.ERR_LIMIT:
            await _room(exchange)
            status = exchange._write(piece, data)
        _ffi.check(status)


async def _room(exchange: Exchange) -> None:
    loop = asyncio.get_running_loop()
    room = loop.create_future()
    try:
        with exchange._on_ready(functools.partial(_tell, loop, room)):
            await asyncio.wait_for(room, _LOOK_AGAIN_S)
    except asyncio.TimeoutError:
        pass


def _tell(loop: asyncio.AbstractEventLoop, room: asyncio.Future[None]) -> None:
    """Called by a serving thread when there is room again: wakes the writer on its loop."""
    try:
        loop.call_soon_threadsafe(_settle, room)
    except RuntimeError:  # the loop was closed in the meantime
        pass


def _settle(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)
