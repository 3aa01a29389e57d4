"""One request of an ASGI application: which messages come and go, in which order. No socket is involved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Callable

import pytest

from hasty import ClosedError, InvalidError, StateError, _ffi
from hasty.cycle import Cycle, Head
from hasty.lifespan import Application, Message

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
FAILED = (500, [(b"content-type", b"text/plain; charset=utf-8")], b"500 Internal Server Error")


def body(octets: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": octets, "more_body": more}


def fields_of(head: Head, with_length: bool = False) -> list[tuple[bytes, bytes]]:
    pairs = [(name, value) for name, _, value in (line.partition(b": ") for line in head.fields.split(b"\n") if line)]
    if with_length and head.length is not None:
        pairs.append((b"content-length", b"%d" % head.length))
    return pairs


class Wire:
    """Writes down what it is told to send. `statuses` are what the next writes come to."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.statuses: list[int] = []
        self.waits = 0
        self.gone: Callable[[], None] | None = None

    def whole(self, head: Head, body: bytes, is_head: bool) -> None:
        self.sent.append((head.status, fields_of(head, is_head), body))

    def file(self, head: Head, path: bytes) -> None:
        self.sent.append((head.status, fields_of(head), path))

    def begin(self, head: Head) -> None:
        self.sent.append((head.status, fields_of(head, True)))

    def write(self, body: bytes) -> int:
        status = self.statuses.pop(0) if self.statuses else _ffi.OK
        if status == _ffi.OK:
            self.sent.append((body,))
        return status

    def finish(self) -> None:
        self.sent.append(("finish",))

    def cut(self) -> None:
        self.sent.append(("cut",))

    def on_close(self, gone: Callable[[], None]) -> None:
        self.gone = gone

    async def room(self) -> None:
        self.waits += 1
        await asyncio.sleep(0)


def run(application: Application, wire: Wire | None = None, octets: bytes = b"", method: str = "GET") -> list[Any]:
    """What is sent for one request."""
    wire = wire or Wire()

    async def main() -> None:
        scope = {"method": method, "path": "/x", "raw_path": b"/x"}
        await Cycle(scope, octets, asyncio.get_running_loop(), None, wire).run(application)  # type: ignore[arg-type]

    asyncio.run(main())
    return wire.sent


def sends(*messages: Message) -> Application:
    """An application that sends these."""

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        for message in messages:
            await send(message)

    return application


def refused(*messages: Message) -> BaseException:
    """What the last of some messages raises in the application."""
    raised: list[BaseException] = []

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except Exception as error:
            raised.append(error)

    run(application)
    assert raised, "nothing was raised"
    return raised[0]


# --- answers ---


def test_an_answer_that_comes_at_once_is_sent_whole() -> None:
    head = {"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]}
    assert run(sends(head, body(b"hello"))) == [(201, [(b"X-A", b"1"), (b"x-a", b"2")], b"hello")]


def test_headers_and_body_may_be_left_out() -> None:
    head = {"type": "http.response.start", "status": 200}
    assert run(sends(head, {"type": "http.response.body"})) == [(200, [], b"")]


def test_headers_may_be_any_iterable_of_pairs() -> None:
    head = {"type": "http.response.start", "status": 200, "headers": iter([[b"a", bytearray(b"b")]])}
    assert run(sends(head, body())) == [(200, [(b"a", b"b")], b"")]


def test_pieces_are_sent_as_they_come() -> None:
    assert run(sends(START, body(b"a", True), body(b"", True), body(b"b", True), body())) == [
        (200, []),
        (b"a",),
        (b"b",),
        ("finish",),
    ]


def test_the_last_piece_may_hold_something() -> None:
    assert run(sends(START, body(b"a", True), body(b"b"))) == [(200, []), (b"a",), (b"b",), ("finish",)]


def test_a_head_with_an_empty_piece_is_sent_before_anything_follows() -> None:
    wire = Wire()
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await send(START)
        await send(body(b"", True))
        while not wire.sent:
            await asyncio.sleep(0)
        seen.extend(wire.sent)
        await send(body(b"later"))

    run(application, wire)
    assert seen == [(200, [])]
    assert wire.sent == [(200, []), (b"later",), ("finish",)]


def test_a_head_alone_is_sent_before_anything_follows() -> None:
    wire = Wire()

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await send(START)
        while not wire.sent:
            await asyncio.sleep(0)
        await send(body(b"later"))

    assert run(application, wire) == [(200, []), (b"later",), ("finish",)]


def test_an_empty_piece_before_a_whole_body_changes_nothing() -> None:
    assert run(sends(START, body(b"", True), body(b"all"))) == [(200, [], b"all")]


@pytest.mark.parametrize("octets", [bytearray(b"abc"), memoryview(b"abc")])
def test_a_body_may_be_any_bytes(octets: Any) -> None:
    assert run(sends(START, body(octets))) == [(200, [], b"abc")]


def test_a_file_is_sent_by_its_path() -> None:
    file = {"type": "http.response.pathsend", "path": "/tmp/é.txt"}
    assert run(sends(START, file)) == [(200, [], "/tmp/é.txt".encode())]


def test_fields_that_the_server_makes_itself_are_left_out() -> None:
    fields = [(b"Date", b"now"), (b"transfer-encoding", b"chunked"), (b"a", b"b")]
    head = {"type": "http.response.start", "status": 200, "headers": fields}
    assert run(sends(head, body())) == [(200, [(b"a", b"b")], b"")]


def test_an_answer_to_head_has_no_pieces() -> None:
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
    sent = run(sends(head, body(b"he", True), body(b"llo")), method="HEAD")
    assert sent == [(200, [(b"content-length", b"5")]), ("finish",)]


def test_the_content_length_of_an_answer_to_head_is_taken_as_it_is() -> None:
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
    assert run(sends(head, body()), method="HEAD") == [(200, [(b"content-length", b"5")], b"")]


# --- slow clients, and those that leave ---


def test_send_waits_for_room_and_sends_the_piece_once() -> None:
    wire = Wire()
    wire.statuses = [_ffi.ERR_LIMIT, _ffi.ERR_LIMIT, _ffi.OK]
    run(sends(START, body(b"a", True), body(b"b")), wire)
    assert wire.waits == 2
    assert wire.sent == [(200, []), (b"a",), (b"b",), ("finish",)]


def test_send_raises_an_os_error_once_the_client_has_left() -> None:
    wire = Wire()
    wire.statuses = [_ffi.ERR_CLOSED]
    raised: list[BaseException] = []

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await send(START)
        for octets in (b"a", b"", b"b"):
            try:
                await send(body(octets, True))
            except OSError as error:
                raised.append(error)

    run(application, wire)
    assert [type(error) for error in raised] == [ClosedError, ClosedError, ClosedError]


def test_leaving_is_no_error_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()
    wire.statuses = [_ffi.ERR_CLOSED]

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await send(START)
        try:
            await send(body(b"a", True))
        except OSError:
            raise LookupError("as frameworks do") from None

    with caplog.at_level(logging.INFO, "hasty"):
        assert run(application, wire) == [(200, []), ("cut",)]
    assert caplog.records == []


def test_an_error_of_another_kind_is_logged_although_the_client_has_left(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()

    async def application(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await receive()
        waits = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        assert wire.gone is not None
        wire.gone()
        assert await waits == {"type": "http.disconnect"}
        raise LookupError("mine")

    run(application, wire)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


# --- receive ---


def test_the_body_comes_first_and_once() -> None:
    seen: list[Message] = []

    async def application(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        seen.append(await receive())
        await send(START)
        await send(body())
        seen.append(await receive())
        seen.append(await receive())

    run(application, octets=b"hello")
    assert seen == [
        {"type": "http.request", "body": b"hello", "more_body": False},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]


def test_receive_waits_until_the_client_leaves_however_many_ask() -> None:
    wire = Wire()
    seen: list[Message] = []

    async def application(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        waiting = [asyncio.ensure_future(receive()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        assert wire.gone is not None
        wire.gone()
        seen.extend(await asyncio.gather(*waiting))

    run(application, wire)
    assert seen == [{"type": "http.disconnect"}] * 2


def test_receive_that_waits_returns_once_the_answer_is_complete() -> None:
    seen: list[Message] = []

    async def application(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        waits = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(START)
        await send(body())
        seen.append(await waits)

    run(application)
    assert seen == [{"type": "http.disconnect"}]


# --- applications that fail ---


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_an_exception_before_the_answer_is_logged_and_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    assert run(application) == [FAILED]
    assert logged(caplog) == ["GET /x: the application failed"]
    assert caplog.records[0].exc_info and caplog.records[0].exc_info[0] is LookupError


def test_an_exception_after_a_head_that_was_not_sent_is_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        raise LookupError("mine")

    assert run(application) == [FAILED]
    assert logged(caplog) == ["GET /x: the application failed"]


def test_an_exception_in_the_middle_of_an_answer_cuts_it_off(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"a", True))
        raise LookupError("mine")

    assert run(application) == [(200, []), (b"a",), ("cut",)]
    assert logged(caplog) == ["GET /x: the application failed"]


def test_an_exception_after_the_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"a"))
        raise LookupError("mine")

    assert run(application) == [(200, [], b"a")]
    assert logged(caplog) == ["GET /x: the application failed"]


def test_an_application_that_exits_harms_only_its_request(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(3)

    assert run(application) == [FAILED]
    assert logged(caplog) == ["GET /x: the application failed"]


def test_an_application_that_gives_no_answer_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    assert run(sends()) == [FAILED]
    assert logged(caplog) == ["GET /x: the application did not answer"]


@pytest.mark.parametrize(
    ("messages", "sent"),
    [([START], [FAILED]), ([START, body(b"a", True)], [(200, []), (b"a",), ("cut",)])],
)
def test_an_answer_without_its_end_is_told_to_client_and_log(
    messages: list[Message], sent: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(sends(*messages)) == sent
    assert logged(caplog) == ["GET /x: the application began an answer and did not end it"]


# --- messages that do not fit ---


@pytest.mark.parametrize(
    ("messages", "kind", "words"),
    [
        ([body(b"a")], StateError, "'http.response.body') comes before 'http.response.start'"),
        ([START, START], StateError, "comes twice"),
        ([START, body(b"a", True), START], StateError, "comes twice"),
        ([START, body(), body()], StateError, "comes after the end of the answer"),
        ([START, {"type": "websocket.send"}], StateError, "'websocket.send'): this server does not know"),
        ([START, {"type": "http.response.trailers"}], StateError, "does not know that message"),
        ([START, body("text")], TypeError, "is bytes, not str"),  # type: ignore[arg-type]
        ([START, body(b"a", True), {"type": "http.response.pathsend", "path": "/a"}], StateError, "after a part"),
        ([{"type": "http.response.start", "status": 101}], InvalidError, "status 101"),
        ([{"type": "http.response.start", "status": "200"}], InvalidError, "status '200'"),
        ([{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}], TypeError, "not pairs of bytes"),
        ([{"type": "http.response.start", "status": 200, "headers": {b"a": b"b"}}], TypeError, "not pairs of bytes"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")]}], InvalidError, "not a token"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"", b"c")]}], InvalidError, "not a token"),
        (
            [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}],
            InvalidError,
            "line break",
        ),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a", b"\0")]}], InvalidError, "NUL"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a", b"\1")]}], InvalidError, "control"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a", b"\x7f")]}], InvalidError, "control"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"x")]}], InvalidError, "no"),
    ],
)
def test_a_message_that_does_not_fit_raises_where_it_is_sent(
    messages: list[Message], kind: type[Exception], words: str
) -> None:
    error = refused(*messages)
    assert isinstance(error, kind)
    assert words in str(error)


LONG = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"3")]}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([LONG, body(b"four")], "1 bytes more than Content-Length"),
        ([LONG, body(b"ab", True), body(b"cd")], "1 bytes more than Content-Length"),
        ([LONG, body(b"ab")], "ends 1 bytes short of Content-Length"),
        ([LONG, body(b"ab", True), body()], "ends 1 bytes short of Content-Length"),
    ],
)
def test_a_body_of_another_length_than_it_says_raises(messages: list[Message], words: str) -> None:
    error = refused(*messages)
    assert isinstance(error, StateError)
    assert words in str(error)
