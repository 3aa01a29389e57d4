"""The start and shutdown of an ASGI application, by its lifespan protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable

from .errors import InvalidError, StateError

if TYPE_CHECKING:
    from typing_extensions import Literal

    Mode = Literal["auto", "on", "off"]

__all__ = ["Application", "Lifespan", "LifespanError", "Message", "Scope"]

log = logging.getLogger("hasty")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
#: What ASGI 3.0 calls an application.
Application = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_ASGI = {"version": "3.0", "spec_version": "2.0"}

#: How long an application may take to return after it has shut down, and after it has failed to start, in seconds.
_RETURN_S = 5.0
_FAIL_S = 0.1


class LifespanError(StateError):
    """The application failed to start."""


class Lifespan:
    """Tells an application about the start and the shutdown of the server."""

    def __init__(self, application: Application, mode: Mode) -> None:
        if mode not in ("auto", "on", "off"):
            raise InvalidError(f'lifespan {mode!r} is none of "auto", "on" and "off"')
        self._application = application
        self._mode = mode
        #: Filled by the application during its startup; each request gets a shallow copy.
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] | None = None
        self._asked = ""
        self._answer: asyncio.Future[Message] | None = None
        self._started = False

    async def startup(self) -> None:
        """Starts the application. Raises LifespanError if it fails."""
        if self._mode == "off":
            return
        self._messages = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is None:
            self._refuse_where_wanted()
        elif answer["type"] == "lifespan.startup.failed":
            error = await self._outcome(_FAIL_S)
            raise LifespanError(f"the application failed to start: {_words(answer, error)}") from error
        else:
            self._started = True

    async def shutdown(self) -> None:
        """Shuts the application down. Failures are logged."""
        if not self._started:
            return
        self._started = False
        answer = await self._ask("lifespan.shutdown")
        error = await self._outcome(_RETURN_S)
        if answer is None:
            log.error("the application ended before the server did", exc_info=error)
        elif answer["type"] == "lifespan.shutdown.failed":
            log.error("the application failed to shut down: %s", _words(answer, error))

    def _refuse_where_wanted(self) -> None:
        """Handles an application that ended without answering the startup event, perhaps for lack of support."""
        assert self._task is not None
        error = None if self._task.cancelled() else self._task.exception()
        if self._mode == "on":
            what = f"raised {error!r}" if error is not None else "returned"
            raise LifespanError(f"the application {what} instead of starting; does it support lifespan?") from error
        assert self._messages is not None
        if error is not None and self._messages.empty():
            log.warning(
                'the application failed while it started, but is served nevertheless; to refuse it, use lifespan="on"',
                exc_info=error,
            )
        elif error is not None:
            log.info("the application does not support lifespan: %r", error)

    async def _ask(self, kind: str) -> Message | None:
        """Sends the application an event and returns its answer, or None if it ended without one."""
        assert self._task is not None and self._messages is not None
        self._asked = kind
        self._answer = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": kind})
        either: list[asyncio.Future[Any]] = [self._task, self._answer]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _outcome(self, seconds: float) -> BaseException | None:
        """Waits for the application to end, cancels it if it takes longer, and returns the exception it raised."""
        assert self._task is not None
        await asyncio.wait([self._task], timeout=seconds)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=seconds)
        return self._task.exception() if self._task.done() and not self._task.cancelled() else None

    # --- what the application calls ---

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _ASGI.copy(), "state": self.state}
        await self._application(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        assert self._messages is not None
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in (f"{self._asked}.complete", f"{self._asked}.failed"):
            raise StateError(f"send({kind!r}) is not an answer to {self._asked!r}")
        assert self._answer is not None
        if self._answer.done():
            raise StateError(f"send({kind!r}): {self._asked!r} was answered before")
        self._answer.set_result(message)


def _words(answer: Message, error: BaseException | None) -> str:
    """Extracts the reason of a failure: frameworks send a whole traceback, whose last line has it."""
    lines = str(answer.get("message", "")).strip().splitlines()
    return lines[-1] if lines else repr(error) if error is not None else "it did not say why"
