"""What a loop answers in one go: requests for ASGI applications, one after the other."""

from __future__ import annotations

import asyncio
import sys
from contextvars import copy_context
from ctypes import addressof, c_char, sizeof, string_at
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from .cycle import FRESH, HEAD_SIZE, Cycle, Head, Sent
from .lifespan import Application, Scope
from .slot import REPLY_LEN, STATUS, USER_DATA, WHO, Slot

if TYPE_CHECKING:
    from .eager import Starter

    #: What makes the scope of the request in a slot, by the number of its method, the length of its query and who asks;
    #: and the application that it is for.
    Line = tuple[Callable[[int, int, int], Scope], Application]

__all__ = ["OVER", "TURN", "Turn"]

#: So many requests are answered before other tasks of the loop have their turn. Then there is a status of its own.
TURN = 64
OVER = 1

#: HASTY_HEAD
_HEAD = 2
#: Route and method of a request are one word, as numbers of 32 bits each: the first of those that tell of it.
_ROUTE = _ffi.hasty_slot.route.offset // 8
#: The scope of no request.
_NOWHERE: dict[str, Any] = {"method": "", "path": ""}
_BODY, _BODY_LEN, _QUERY_LEN = (
    getattr(_ffi.hasty_slot, name).offset // 8 for name in ("body", "body_len", "query_len")
)


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
        "_given",
        "_head",
        "_known",
        "_lines",
        "_loop",
        "_receive",
        "_ref",
        "_reply",
        "_send",
        "_sent",
        "_slot",
        "_starter",
        "_told",
        "_words",
        "left",
        "status",
    )

    def __init__(self, slot: Slot, lines: list[Line | None], starter: Starter, loop: asyncio.AbstractEventLoop) -> None:
        self._slot = slot
        # Its own attributes take ten times as long to find.
        self._ref, self._words, self._reply = slot.ref, slot.words, slot.reply_text
        self._lines = lines
        self._starter = starter
        self._loop = loop
        self._sent = Sent(loop)
        self._told: Any = (c_char * (sizeof(slot) - 8 * _ROUTE)).from_address(addressof(slot) + 8 * _ROUTE)
        # The numbers of the last request, as they are in the slot, and what is known by them.
        self._known: tuple[bytes | None, Any, Any, int, int, int, int] = (None, None, None, 0, 0, 0, 0)
        # Where a head goes. It holds addresses: whoever has it, has what they are of.
        self._head: Any = (c_char * HEAD_SIZE).from_address(addressof(slot) + 8 * STATUS)
        # What applications find before they set anything, and where they do.
        self._base = copy_context()
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
            self._slot.give(reply)

    def _renew(self) -> None:
        """Leaves what requests share to the one that has it."""
        self._context = self._base.copy()
        self._renew_cycle()

    def _renew_cycle(self) -> None:
        cycle = self._cycle = Cycle(_NOWHERE, b"", self._loop, self._slot, None, self._sent)
        self._send, self._receive = cycle.send, cycle.receive

    async def _serve(self) -> None:
        """Answers until something is to be done that this cannot do."""
        lines, base, context, left = self._lines, self._base, self._context, self.left
        take, ref, words, told = _ffi.take_slot, self._ref, self._words, self._told
        reply, head, count = self._reply, self._head, sys.getrefcount
        nowhere, reply_len = _NOWHERE, REPLY_LEN
        is_spoilt = self._starter.is_spoilt()
        cycle, send, receive = self._cycle, self._send, self._receive
        # Nobody else has them.
        alone = count(send) + count(receive)
        known, scope_of, application, method, query_len, size, who = self._known
        while True:
            its = told.raw
            if its != known:
                # To compare all numbers with those of the last request takes 500 instructions, to read each 1,500.
                line = lines[words[USER_DATA]]
                if line is None:
                    self.status = _ffi.OK
                    return
                scope_of, application = line
                method, query_len, size, who = words[_ROUTE] >> 32, words[_QUERY_LEN], words[_BODY_LEN], words[WHO]
                known = its
                self._known = known, scope_of, application, method, query_len, size, who
            cycle.scope = scope_of(method, query_len, who)
            cycle.is_head = method == _HEAD
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
                given = self._given = cycle.head
                head.raw = given.in_slot
                reply.value = data
                if not given.tells_length:
                    words[reply_len] = len(data)
                is_free = count(send) + count(receive) == alone
            if is_free:
                # Nothing of it is to live until the next one takes its place.
                cycle.scope, cycle.reply, cycle.state = nowhere, None, FRESH
                if size:
                    cycle.body = None
            else:
                # Somebody may still use them, for that request.
                self._renew_cycle()
                cycle, send, receive = self._cycle, self._send, self._receive
            try:
                is_over = context != base or is_spoilt()
            except Exception:  # what somebody has set cannot be compared
                is_over = True
            if is_over:
                self._context = base.copy()
            if left <= 0:
                self.status = OVER
                return
            status = take(ref)
            if status or is_over:
                self.status = status
                return
