"""The ways to send a handler's response: in a callback, in a slot, or through an exchange."""

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
        """Sends a handler's response."""

        def send(self, response: Response) -> None:
            """Sends a whole response."""

        def write(self, response: Response, piece: Piece, data: Chunk) -> None:
            """Sends a piece of the body, after the head if it is the first; waits if the client is slow."""

        def end(self) -> None:
            """Ends a response that was written."""

        def exchange(self) -> Exchange:
            """Returns an exchange, to which the request and its response move."""

        def fail(self) -> bool:
            """Lets the library end a failed response; returns False if the caller must send an error response."""


__all__ = ["Apart", "InCall", "InSlot", "Moves"]


class InCall:
    """Answers in a callback, which returns `status` to the library."""

    __slots__ = ("res", "status")

    def __init__(self, res: _ffi.ResponsePointer) -> None:
        self.res = res
        self.status = _ffi.OK

    def send(self, response: Response) -> None:
        try:
            response._send(self.res)
        except BaseException:
            # Part of the response may have been set.
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
        # The library answers 500, or cuts off a response that was begun. It logs every other error status.
        self.status = _ffi.ERR_CLOSED
        return True


class Moves:
    """A desk that may use an exchange."""

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
    """Answers in a slot; a response with more than status, headers and body, or a streamed one, uses an exchange."""

    __slots__ = ("_gates", "_request", "_slot")

    def __init__(self, slot: Slot, request: SlotRequest, gates: bool) -> None:
        super().__init__(None)
        self._slot = slot
        self._request = request
        # Is there middleware? It may have set fields that this response has to replace, which a slot cannot do.
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
            # The exchange stays open for the error response.
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
            # This may be the only thread, so it has to send the buffered data itself.
            self._slot.look_after()
            status = exchange._write(piece, data)
        _ffi.check(status)

    def exchange(self) -> Exchange:
        return self._exchange or self._slot.exchange()


class Apart(Moves):
    """Answers through an exchange, for handlers that run on other threads."""

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
