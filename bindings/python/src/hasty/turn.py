"""Answers several requests for ASGI applications in one callback of the loop, one after the other."""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context, copy_context
from ctypes import addressof, c_char, string_at
from typing import TYPE_CHECKING, Any, Callable
from weakref import getweakrefcount

from . import _ffi
from .cycle import FRESH, HEAD_SIZE, Cycle, Head, Sent
from .lifespan import Application, Scope
from .slot import ALIKE, STATUS, USER_DATA, Slot

if TYPE_CHECKING:
    from .eager import Starter

    #: A function that makes the scope of the request in a slot (its argument: is the request like the one before?), and
    #: the application.
    Line = tuple[Callable[[bool], Scope], Application]

__all__ = ["BODY_LEN", "OVER", "TURN", "Turn"]

#: How many requests are answered before other tasks of the loop run; the status is then OVER, not one of the library's.
TURN = 64
OVER = 1

#: HASTY_HEAD
_HEAD = 2
#: The scope of a cycle that has no request.
_NOWHERE: dict[str, Any] = {"method": "", "path": ""}
_BODY, BODY_LEN = (getattr(_ffi.hasty_slot, name).offset // 8 for name in ("body", "body_len"))


class Turn:
    """Answers requests in a slot, one after the other in one coroutine, as long as their applications do not wait.

    When an application waits, the coroutine and its task belong to that request from then on, and the next request
    begins a new one. So most requests share a task, a context and a `Cycle` with its methods, which would cost each
    10,000 instructions. No request sees traces of another: what an application has changed or kept is not reused.
    """

    __slots__ = (
        "_base",
        "_context",
        "_cycle",
        "_differs",
        "_given",
        "_head",
        "_known",
        "_lines",
        "_loop",
        "_receive",
        "_send",
        "_sent",
        "_slot",
        "_starter",
        "_taker",
        "_words",
        "left",
        "status",
    )

    def __init__(self, slot: Slot, lines: list[Line | None], starter: Starter, loop: asyncio.AbstractEventLoop) -> None:
        self._slot = slot
        # Looking these up on the slot takes ten times as long.
        self._taker, self._words = slot.taker, slot.words
        self._lines = lines
        self._starter = starter
        self._loop = loop
        self._sent = Sent(loop)
        # Of the last request: its ALIKE word, the function that makes its scope, its application, and whether it was
        # HEAD.
        self._known: tuple[int, Any, Any, bool] = (0, None, None, False)
        # The slot's bytes for a head. They contain addresses, so the Head must be kept: see `_given`.
        self._head: Any = (c_char * HEAD_SIZE).from_address(addressof(slot) + 8 * STATUS)
        # The context variables as every application finds them, and a function that notices changes.
        self._base = copy_context()
        self._differs = differs_from(self._base)
        self._renew()
        #: Keeps alive the head whose addresses are in the slot.
        self._given: Head | None = None
        #: How many more requests this turn may answer.
        self.left = TURN
        #: The status of the last attempt to take a request.
        self.status: int = _ffi.OK

    def comes(self) -> bool:
        """Is the request in the slot for an application?"""
        return self._lines[self._words[USER_DATA]] is not None

    def take(self) -> int:
        """Sends the response in the slot and takes the next request, unless the turn is over; returns the status."""
        if self.left <= 0:
            return OVER
        return self._taker.status if self._taker else _ffi.OK

    def start(self) -> tuple[asyncio.Task[None], Cycle] | None:
        """Answers the request in the slot and those after it; returns task and cycle of the first one that waits.

        If None, see `status`: with OK there is a request in the slot to answer, with the library's others or OVER none.
        """
        try:
            task = self._starter.start(self._serve(), self._context)
        except BaseException:
            self._renew()
            raise
        if task is None:
            return None
        cycle = self._cycle
        self._renew()
        return task, cycle

    def give(self, cycle: Cycle) -> None:
        """Puts a cycle's response into the slot, if there is one already."""
        reply = cycle.reply
        if reply is not None:
            self._given, cycle.reply = cycle.head, None
            self._head.raw = cycle.head.in_slot
            self._taker.reply = reply

    def _renew(self) -> None:
        """Makes a new context and cycle; the request that uses the old ones keeps them."""
        self._context = self._base.copy()
        self._renew_cycle()

    def _renew_cycle(self) -> None:
        cycle = self._cycle = Cycle(_NOWHERE, b"", self._loop, self._slot, None, self._sent)
        self._send, self._receive = cycle.send, cycle.receive

    async def _serve(self) -> None:
        """Answers requests until the turn is over, none is left, or the next one cannot share the task."""
        lines, context, differs, left = self._lines, self._context, self._differs, self.left
        taker, words, head, count = self._taker, self._words, self._head, sys.getrefcount
        alike, body_len, nowhere = ALIKE, BODY_LEN, _NOWHERE
        # An application that keeps the task may cancel it later (as a timeout does), store data for it, or await it.
        # Such a task is not reused.
        task: Any
        task, is_cancelled = self._starter.running()
        weak_count, name_of = getweakrefcount, task.get_name
        name, references, weak = name_of(), count(task), weak_count(task)
        cycle, send, receive = self._cycle, self._send, self._receive
        # The reference counts while nothing else refers to these. A coroutine of receive() or send() that has not begun
        # refers to the cycle only.
        alone = count(send) + count(receive) + count(cycle)
        known, scope_of, application, is_head = self._known
        while True:
            mark = words[alike]
            if mark == known:
                cycle.scope = scope_of(True)
            else:
                line = lines[words[USER_DATA]]
                if line is None:
                    self.status = _ffi.OK
                    return
                scope_of, application = line
                cycle.scope = scope_of(False)
                known, is_head = mark, self._slot.method == _HEAD
                self._known = known, scope_of, application, is_head
            cycle.is_head = is_head
            size = words[body_len]
            cycle.body = string_at(words[_BODY], size) if size else b""
            self.left = left = left - 1
            try:
                await application(cycle.scope, receive, send)
                data = cycle.reply
                if data is None:
                    cycle.end()
            except BaseException as error:  # includes SystemExit, which would end the loop, not the program
                cycle.end(error)
                data = cycle.reply
            if data is None:
                if cycle.has_left:
                    return
                is_free = False
            else:
                # Does the same as give().
                self._given = cycle.head
                head.raw = cycle.head.in_slot
                taker.reply = data
                is_free = count(send) + count(receive) + count(cycle) == alone
            if is_free:
                # Frees the request's objects now, not only when the next request replaces them.
                cycle.scope, cycle.reply, cycle.state = nowhere, None, FRESH
                if size:
                    cycle.body = None
            else:
                # The application may still use them for this request.
                self._renew_cycle()
                cycle, send, receive = self._cycle, self._send, self._receive
            is_over = differs(context)
            if is_over:
                self._context = self._base.copy()
            if left <= 0:
                self.status = OVER
                return
            # Sends the response, and takes the next request.
            if taker:
                self.status = taker.status
                return
            if (
                is_over
                or count(task) != references
                or weak_count(task) != weak
                or name_of() is not name
                or is_cancelled()
                or task._callbacks
            ):
                self.status = _ffi.OK
                return


def differs_from(base: Context) -> Callable[[Context], Any]:
    """Returns a function that tells whether a context has other values than `base`.

    It compares identities: equal values may be different objects that can change, and a comparison may raise.
    """
    values = list(base.items())
    if not values:
        return len

    def differs(context: Context) -> bool:
        return len(context) != len(values) or any(context.get(name, _NOWHERE) is not value for name, value in values)

    return differs
