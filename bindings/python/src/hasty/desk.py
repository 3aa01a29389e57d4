"""Where an answer goes: into a callback's response, into a slot, or into an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _ffi, event
from .event import Chunk, Piece
from .exchange import Exchange
from .slot import KIND_BYTES, KIND_NONE, Slot, SlotRequest

if TYPE_CHECKING:
    from typing import Protocol

    from .response import Response

    class Desk(Protocol):
        """What a handler's answer passes over."""

        def send(self, response: Response) -> None:
            """Sends a whole answer."""

        def write(self, response: Response, piece: Piece, data: Chunk) -> None:
            """Sends a piece of one, and first its head; waits where the client is slow."""

        def end(self) -> None:
            """What was written is all."""

        def exchange(self) -> Exchange:
            """Takes request and answer along."""

        def fail(self) -> bool:
            """Lets the library end what cannot be answered. False: it was not begun, and needs an answer."""


__all__ = ["Apart", "InCall", "InSlot", "Moves"]


class InCall:
    """In a callback, whose `status` tells the library what has become of the request."""

    __slots__ = ("res", "status")

    def __init__(self, res: _ffi.ResponsePointer) -> None:
        self.res = res
        self.status = _ffi.OK

    def send(self, response: Response) -> None:
        try:
            response._send(self.res)
        except BaseException:
            # Half of it may be there.
            _ffi.check(_ffi.hasty_response_reset(self.res))
            raise

    def write(self, response: Response, piece: Piece, data: Chunk) -> None:
        if not response._begun:
            response._begin(self.res, data)
        _ffi.check(event.write(self.res, piece))

    def end(self) -> None:
        pass

    def exchange(self) -> Exchange:
        return Exchange._of(self.res)

    def fail(self) -> bool:
        # The library answers 500, or cuts off what was begun; it logs every status but this one.
        self.status = _ffi.ERR_CLOSED
        return True


class Moves:
    """What may end in an exchange, where it is one already."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange | None) -> None:
        self._exchange = exchange

    def end(self) -> None:
        if self._exchange is not None:
            self._exchange.finish()

    def fail(self) -> bool:
        if self._exchange is None or not self._exchange._begun:
            return False
        self._exchange.free()
        return True


class InSlot(Moves):
    """In a slot; what is more than a status, a few fields and a body goes into an exchange."""

    __slots__ = ("_gates", "_request", "_slot")

    def __init__(self, slot: Slot, request: SlotRequest, gates: bool) -> None:
        super().__init__(None)
        self._slot = slot
        self._request = request
        # Is there middleware, which may have set fields that this answer's are to replace?
        self._gates = gates

    def send(self, response: Response) -> None:
        headers = response._headers
        if (
            response._file is None
            and response._cookies is None
            and response._location is None
            and (headers is None or not self._gates)
        ):
            self._fill(response)
            return
        exchange = self.exchange()
        try:
            exchange.finish(response)
        except BaseException:
            # It is open for the answer that tells so.
            self._exchange = exchange
            exchange._lend(self._request)
            raise

    def _fill(self, response: Response) -> None:
        response._refuse_spent()
        if self._exchange is not None:
            self._exchange.finish(response)
            return
        slot, body = self._slot, response._body
        slot.status = response._status
        if body is None:
            slot.kind = KIND_NONE
        else:
            slot.kind = KIND_BYTES
            slot.give(body)
        if response._type is not None:
            slot.content_type = response._type.encode()
        if response._headers is not None:
            lines = "".join([f"{name}: {value}\n" for name, value in response._headers.pairs()]).encode()
            slot.extra_headers = lines
            slot.extra_headers_len = len(lines)

    def write(self, response: Response, piece: Piece, data: Chunk) -> None:
        exchange = self._exchange
        if exchange is None:
            exchange = self._exchange = self.exchange()
            exchange._lend(self._request)
            exchange._response = response
        status = exchange._write(piece, data)
        while status == _ffi.ERR_LIMIT:
            # Nobody else may be there to send what waits.
            self._slot.look_after()
            status = exchange._write(piece, data)
        _ffi.check(status)

    def exchange(self) -> Exchange:
        return self._exchange or self._slot.exchange()


class Apart(Moves):
    """In an exchange, for handlers that run elsewhere."""

    __slots__ = ()
    _exchange: Exchange

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)

    def send(self, response: Response) -> None:
        self._exchange.finish(response)

    def write(self, response: Response, piece: Piece, data: Chunk) -> None:
        self._exchange._response = response
        _ffi.check(self._exchange._put(piece, data))

    def exchange(self) -> Exchange:
        return self._exchange
