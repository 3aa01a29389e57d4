"""What a loop answers in one go: requests for ASGI applications, one after the other."""

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

    #: What makes the scope of the request in a slot, told whether it is like the one before; and its application.
    Line = tuple[Callable[[bool], Scope], Application]

__all__ = ["BODY_LEN", "OVER", "TURN", "Turn"]

#: So many requests are answered before other tasks of the loop have their turn. Then there is a status of its own.
TURN = 64
OVER = 1

#: HASTY_HEAD
_HEAD = 2
#: The scope of no request.
_NOWHERE: dict[str, Any] = {"method": "", "path": ""}
_BODY, BODY_LEN = (getattr(_ffi.hasty_slot, name).offset // 8 for name in ("body", "body_len"))


class Turn:
    """Answers requests in a slot, one after the other in one coroutine, as long as their applications do not wait.

    One that waits has this coroutine, and the task it runs in, to itself from then on; the next request begins another.
    So most requests share what each would need otherwise: a task, a context, a `Cycle` with its methods, 10,000
    instructions altogether. None finds anything of the one before it: what was changed or kept by somebody is not used
    again.
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
        # Its own attributes take ten times as long to find.
        self._taker, self._words = slot.taker, slot.words
        self._lines = lines
        self._starter = starter
        self._loop = loop
        self._sent = Sent(loop)
        # What the last request is alike to, where its scope comes from, its application, and whether it was HEAD.
        self._known: tuple[int, Any, Any, bool] = (0, None, None, False)
        # Where a head goes. It holds addresses: whoever has it, has what they are of.
        self._head: Any = (c_char * HEAD_SIZE).from_address(addressof(slot) + 8 * STATUS)
        # What applications find before they set anything, and where they do.
        self._base = copy_context()
        self._differs = differs_from(self._base)
        self._renew()
        #: What the head in the slot has its addresses of.
        self._given: Head | None = None
        #: How many requests there is time for.
        self.left = TURN
        #: What came of the last attempt to take one.
        self.status: int = _ffi.OK

    def comes(self) -> bool:
        """Is the request in the slot for an application?"""
        return self._lines[self._words[USER_DATA]] is not None

    def take(self) -> int:
        """Gives the answer that is there, and takes a request if there is time for one; gives the status."""
        if self.left <= 0:
            return OVER
        return self._taker.status if self._taker else _ffi.OK

    def start(self) -> tuple[asyncio.Task[None], Cycle] | None:
        """Answers the request in the slot, and those after it; gives the task and the cycle of one that waits.

        Where none does, `status` is that of the library, for what it has not answered, or `OVER`.
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
        """Gives the answer of a cycle, if that is there at once."""
        reply = cycle.reply
        if reply is not None:
            self._given, cycle.reply = cycle.head, None
            self._head.raw = cycle.head.in_slot
            self._taker.reply = reply

    def _renew(self) -> None:
        """Leaves what requests share to the one that has it."""
        self._context = self._base.copy()
        self._renew_cycle()

    def _renew_cycle(self) -> None:
        cycle = self._cycle = Cycle(_NOWHERE, b"", self._loop, self._slot, None, self._sent)
        self._send, self._receive = cycle.send, cycle.receive

    async def _serve(self) -> None:
        """Answers until something is to be done that this cannot do."""
        lines, context, differs, left = self._lines, self._context, self._differs, self.left
        taker, words, head, count = self._taker, self._words, self._head, sys.getrefcount
        alike, body_len, nowhere = ALIKE, BODY_LEN, _NOWHERE
        # Who has got hold of the task may cancel it later, as a time-out does, keep something for it, or await its end.
        task: Any
        task, is_cancelled = self._starter.running()
        weak_count, name_of = getweakrefcount, task.get_name
        name, references, weak = name_of(), count(task), weak_count(task)
        cycle, send, receive = self._cycle, self._send, self._receive
        # Nobody else has these. A coroutine of theirs that has not begun has the cycle alone.
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
            except BaseException as error:  # SystemExit too: it would end the loop, not the program
                cycle.end(error)
                data = cycle.reply
            if data is None:
                if cycle.has_left:
                    return
                is_free = False
            else:
                # As give() does.
                self._given = cycle.head
                head.raw = cycle.head.in_slot
                taker.reply = data
                is_free = count(send) + count(receive) + count(cycle) == alone
            if is_free:
                # Nothing of it is to live until the next one takes its place.
                cycle.scope, cycle.reply, cycle.state = nowhere, None, FRESH
                if size:
                    cycle.body = None
            else:
                # Somebody may still use them, for that request.
                self._renew_cycle()
                cycle, send, receive = self._cycle, self._send, self._receive
            is_over = differs(context)
            if is_over:
                self._context = self._base.copy()
            if left <= 0:
                self.status = OVER
                return
            # Gives the answer, and takes the next request.
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
    """What tells whether a context has other values than its base.

    Values that are equal may still be others, for somebody may change them. And to compare them may fail.
    """
    values = list(base.items())
    if not values:
        return len

    def differs(context: Context) -> bool:
        return len(context) != len(values) or any(context.get(name, _NOWHERE) is not value for name, value in values)

    return differs
