"""Answers that are given later, from any thread."""

from __future__ import annotations

import asyncio
import gc
import queue
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from hasty import (
    App,
    Client,
    ClosedError,
    Event,
    Exchange,
    HttpError,
    InvalidError,
    LimitError,
    Request,
    Response,
    StateError,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Desk:
    """An app whose route "/" defers every request, and hands the exchanges over."""

    def __init__(self, app: App) -> None:
        self.exchanges: queue.Queue[Exchange] = queue.Queue()
        self.server = app.start()

    def take(self) -> Exchange:
        return self.exchanges.get(timeout=10)

    def ask(self, octets: bytes = GET) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        connection.sendall(octets)
        return connection


@pytest.fixture
def desk(app: App) -> Iterator[Desk]:
    def defer(req: Request) -> None:
        desk.exchanges.put(req.defer())

    app.any("/*")(defer)
    app.any("/")(defer)
    desk = Desk(app)
    yield desk
    desk.server.close()


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        if not part:
            return answer
        answer += part
    return answer


def rest_of(connection: socket.socket) -> bytes:
    """What still comes before the connection ends, in whatever way."""
    answer = b""
    try:
        while part := connection.recv(1 << 20):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def test_an_answer_is_given_later_from_another_thread(app: App, client: Client) -> None:
    def later(exchange: Exchange) -> None:
        assert exchange.finish({"path": exchange.request.path, "body": exchange.request.text}) is True

    @app.post("/later/:name")
    def handler(req: Request) -> None:
        threading.Thread(target=later, args=[req.defer()]).start()

    assert client.post("/later/a", body="b").json() == {"path": "/later/a", "body": "b"}
    assert client.post("/later/c", body="d").json() == {"path": "/later/c", "body": "d"}


@pytest.mark.parametrize(
    ("give", "status", "body"),
    [
        (lambda x: x.finish("text"), 200, b"text"),
        (lambda x: x.finish(("made", 201)), 201, b"made"),
        (lambda x: x.finish(None), 204, b""),
        (lambda x: x.finish(Response.text("value", status=202)), 202, b"value"),
        (lambda x: (x.response.status(203).json({"a": 1}), x.finish()), 203, b'{"a":1}'),
        (lambda x: x.finish(), 200, b""),
        (lambda x: x.free(), 503, None),
    ],
)
def test_whatever_a_handler_may_return_finishes_an_exchange(
    give: Callable[[Exchange], object], status: int, body: bytes | None, desk: Desk
) -> None:
    with desk.ask() as connection:
        give(desk.take())
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert body is None or answer.endswith(b"\r\n\r\n" + body)


def test_a_waiting_exchange_keeps_nobody_waiting(desk: Desk, app: App) -> None:
    connections = [desk.ask() for _ in range(50)]
    exchanges = [desk.take() for _ in connections]
    assert all(exchange.alive for exchange in exchanges)
    for exchange in reversed(exchanges):
        assert exchange.finish("done")
    for connection in connections:
        assert answer_of(connection).endswith(b"done")
        connection.close()


def test_everything_of_the_request_is_there_after_the_handler(desk: Desk) -> None:
    with desk.ask(
        b"POST /a%20b?q=1 HTTP/1.1\r\nHost: a\r\nCookie: c=2\r\nContent-Length: 7\r\n\r\n[1,2,3]"
    ) as connection:
        exchange = desk.take()
        req = exchange.request
        assert (req.method, req.path, req.query["q"], req.cookies["c"], req.json()) == (
            "POST",
            "/a b",
            "1",
            "2",
            [1, 2, 3],
        )
        assert (req.headers["host"], req.body, req.params["*"]) == ("a", b"[1,2,3]", "a b")
        req.locals["seen"] = True
        assert exchange.request.locals["seen"]
        exchange.finish("")
        answer_of(connection)
    with pytest.raises(StateError, match="ended when its exchange was finished"):
        _ = req.path
    with pytest.raises(StateError, match="ended when its exchange was finished"):
        req.json()


def test_locals_of_the_handler_go_along(app: App, client: Client) -> None:
    @app.get("/")
    def handler(req: Request) -> None:
        req.locals["name"] = "Ada"
        exchange = req.defer()
        exchange.finish(exchange.request.locals["name"])

    assert client.get("/").text == "Ada"


def test_the_handlers_request_ends_with_defer(app: App, client: Client) -> None:
    errors: list[str] = []

    @app.get("/")
    def handler(req: Request) -> None:
        path = req.path
        exchange = req.defer()
        for use in (lambda: req.path, req.defer, req.json):
            with pytest.raises(StateError) as caught:
                use()
            errors.append(str(caught.value))
        assert repr(req) == "<Request, deferred>"
        exchange.finish(path)

    assert client.get("/").text == "/"
    assert len(errors) == 3 and all("this request was deferred: use exchange.request" in error for error in errors)


def test_an_exchange_is_finished_once(desk: Desk) -> None:
    with desk.ask() as connection:
        exchange = desk.take()
        assert exchange.finish("once")
        assert answer_of(connection).endswith(b"once")
    for late in (lambda: exchange.finish("twice"), lambda: exchange.write("x"), lambda: exchange.on_close(print)):
        with pytest.raises(StateError, match="this exchange is already finished"):
            late()
    exchange.free()
    assert not exchange.alive and repr(exchange) == "<Exchange, finished>"


def test_a_refused_answer_leaves_the_exchange_open_for_another(desk: Desk) -> None:
    with desk.ask() as connection:
        exchange = desk.take()
        with pytest.raises(InvalidError):
            exchange.finish(("", 200, {"Date": "today", "X-Half": "1"}))
        with pytest.raises(TypeError):
            exchange.finish(object())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a stream can be returned only by handlers and middleware"):
            exchange.finish(iter(["a"]))
        assert exchange.finish("better")
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"better") and b"X-Half" not in answer


# --- with ---


def test_a_with_block_frees_what_was_not_finished(desk: Desk) -> None:
    with desk.ask() as connection:
        with desk.take():
            pass
        assert answer_of(connection).startswith(b"HTTP/1.1 503 ")


def test_a_with_block_that_fails_is_500(desk: Desk) -> None:
    with desk.ask() as connection:
        with pytest.raises(RuntimeError), desk.take():
            raise RuntimeError
        assert answer_of(connection).startswith(b"HTTP/1.1 500 ")


def test_a_with_block_ends_what_was_written(desk: Desk) -> None:
    with desk.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as connection:
        with desk.take() as exchange:
            exchange.write("written")
        answer = b""
        while part := connection.recv(1000):
            answer += part
    assert answer.endswith(b"written\r\n0\r\n\r\n")


def test_a_with_block_that_fails_in_the_middle_cuts_the_answer_off(desk: Desk) -> None:
    with desk.ask() as connection:
        with pytest.raises(RuntimeError), desk.take() as exchange:
            exchange.write("written")
            answer = b""
            while not answer.endswith(b"written\r\n"):
                answer += connection.recv(1000)
            raise RuntimeError
        assert rest_of(connection) == b"", "no last chunk, so that the client can tell"


def test_a_with_block_may_end_while_on_close_runs(desk: Desk) -> None:
    inside, looked = threading.Event(), threading.Event()

    def gone() -> None:
        inside.set()
        # Long enough for the block to end meanwhile, which must not hold what this needs.
        ending.wait(10)
        _ = exchange.alive
        looked.set()

    ending = threading.Event()
    connection = desk.ask()
    with desk.take() as exchange:
        exchange.on_close(gone)
        connection.close()
        assert inside.wait(10)
        ending.set()
    assert looked.wait(10)


def test_a_forgotten_exchange_is_503_and_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with desk.ask() as connection:
        desk.take()
        gc.collect()
        assert answer_of(connection).startswith(b"HTTP/1.1 503 ")
    assert "was never finished" in caplog.text


# --- writing ---


def test_an_exchange_is_written_piece_by_piece(desk: Desk) -> None:
    with desk.ask() as connection:
        exchange = desk.take()
        exchange.response.status(201).type("csv").header("X-A", "1")
        exchange.write("one ")
        head = answer_of(connection)
        assert head.startswith(b"HTTP/1.1 201 ") and b"text/csv" in head and b"X-A: 1" in head
        exchange.write(b"two")
        with pytest.raises(StateError, match="the response was written already"):
            exchange.finish("answer")
        with pytest.raises(StateError, match="the head was sent"):
            exchange.response.status(404)
        assert exchange.finish()
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += connection.recv(1000)
        assert b"two" in head + rest


def test_events_are_written(desk: Desk) -> None:
    with desk.ask() as connection:
        with desk.take() as exchange:
            exchange.write(Event("tick", {"n": 1}))
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            answer += connection.recv(1000)
    assert b"text/event-stream" in answer and b'event: tick\ndata: {"n":1}\n\n' in answer


def test_writing_waits_for_a_slow_client(desk: Desk) -> None:
    size = 40 << 20
    with desk.ask() as connection:
        exchange = desk.take()
        done = threading.Event()

        def write() -> None:
            exchange.response.header("Content-Length", str(size))
            for _ in range(40):
                exchange.write(b"x" * (1 << 20), timeout=None)
            exchange.finish()
            done.set()

        writing = threading.Thread(target=write)
        writing.start()
        head = answer_of(connection)
        assert not done.wait(0.2), "40 MiB are more than the buffers hold"
        taken = len(head.split(b"\r\n\r\n", 1)[1])
        while taken < size:
            taken += len(connection.recv(1 << 20))
        assert done.wait(10) and taken == size
        writing.join()


def test_several_threads_wait_for_room_and_all_of_them_are_called(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hasty.exchange._LOOK_AGAIN_S", 3600.0)
    with desk.ask() as connection:
        exchange = desk.take()

        def write() -> None:
            for _ in range(100):
                exchange.write(b"x" * 65536, timeout=None)

        threads = [threading.Thread(target=write, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()

        def finish() -> None:
            for thread in threads:
                thread.join()
            exchange.finish()

        threading.Thread(target=finish, daemon=True).start()
        connection.shutdown(socket.SHUT_WR)
        answer = answer_of(connection) + rest_of(connection)
    assert answer.endswith(b"\r\n0\r\n\r\n") and answer.count(b"x") == 400 << 16


def test_writing_waits_no_longer_than_it_is_told(desk: Desk) -> None:
    with desk.ask():
        exchange = desk.take()
        with pytest.raises(TimeoutError):
            for _ in range(100):
                exchange.write(b"x" * (1 << 20), timeout=0.05)
        exchange.free()


def test_writing_does_not_wait_by_itself_and_what_found_no_room_may_be_written_again(desk: Desk) -> None:
    with desk.ask() as connection:
        exchange = desk.take()
        written = 0
        with pytest.raises(LimitError):
            while written < 100:
                exchange.write(b"%07d\n" % written * (1 << 16))
                written += 1
        reading = threading.Thread(target=lambda: bodies.append(rest_of(connection)))
        bodies: list[bytes] = []
        reading.start()
        exchange.write(b"%07d\n" % written * (1 << 16), timeout=10)
        assert exchange.finish()
        connection.shutdown(socket.SHUT_WR)
        reading.join(10)
    numbers = re.findall(rb"(?m)^\d{7}$", bodies[0])
    assert len(set(numbers)) == written + 1 and len(numbers) > written << 16, "each whole, and once"


def test_a_thread_that_serves_does_not_wait(app: App) -> None:
    errors: list[BaseException] = []
    tried = threading.Event()

    @app.get("/")
    def handler(req: Request) -> None:
        with req.defer() as exchange:
            try:
                for _ in range(100):
                    exchange.write(b"x" * (1 << 20), timeout=None)
            except LimitError as error:
                errors.append(error)
            tried.set()

    with app.start() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(GET)
        # Nobody reads meanwhile.
        assert tried.wait(10)
    assert len(errors) == 1 and "this thread may not wait because it serves requests" in str(errors[0])


def test_one_thread_writes_to_a_hundred_watchers_and_drops_those_who_lag() -> None:
    app = App(stream_buffer_bytes=20_000)
    watchers: list[Exchange] = []
    app.get("/events")(lambda req: watchers.append(req.defer()))
    app.get("/quick")(lambda req: "quick")
    tick = Event("tick", data="x" * 10_000)
    with app.start() as server:
        ask = GET.replace(b"/", b"/events", 1)
        connections = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(100)]
        for connection in connections:
            connection.sendall(ask)
        with Client(server.host, server.port) as other:
            while len(watchers) < 100:
                assert other.get("/quick").text == "quick"
            asleep, awake = connections[:5], connections[5:]
            there = watchers[:]
            while len(there) > 95:
                for watcher in there[:]:
                    try:
                        watcher.write(tick)
                    except LimitError:
                        there.remove(watcher)
                # Those who read take all that has come, so that only sleepers lag.
                for connection in awake:
                    received = b""
                    while not received.endswith(b"\n\n\r\n"):
                        received += connection.recv(100_000)
                assert other.get("/quick").text == "quick"
            for watcher in there:
                assert watcher.finish()
        for connection in awake:
            assert rest_of_chunks(connection) == b"0\r\n\r\n"
        for connection in connections:
            connection.close()
        assert len(asleep) == 100 - len(there) == 5


def rest_of_chunks(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"0\r\n\r\n"):
        answer += connection.recv(1000)
    return answer


# --- clients that leave ---


def test_a_client_that_leaves_is_noticed(desk: Desk) -> None:
    gone = threading.Event()
    connection = desk.ask()
    exchange = desk.take()
    exchange.on_close(gone.set)
    assert exchange.alive
    connection.close()
    assert gone.wait(10)
    assert not exchange.alive
    late = threading.Event()
    exchange.on_close(late.set)
    assert late.wait(10), "who asks too late hears at once"
    exchange.finish("nobody reads this")


def test_writing_for_a_client_who_left_is_a_closed_error(desk: Desk) -> None:
    connection = desk.ask()
    exchange = desk.take()
    exchange.write("first")
    connection.close()
    with pytest.raises(ClosedError):
        while True:
            exchange.write("x" * 10_000, timeout=None)
    assert exchange.finish() is False


def test_on_close_is_not_called_after_the_end(desk: Desk) -> None:
    called: list[int] = []
    with desk.ask() as connection:
        exchange = desk.take()
        exchange.on_close(lambda: called.append(1))
        exchange.finish("done")
        answer_of(connection)
    desk.server.close()
    assert called == []


def test_a_function_of_on_close_may_end_the_exchange_and_fail(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()

    def gone() -> None:
        assert not exchange.alive
        exchange.free()
        ended.set()
        raise RuntimeError("in on_close")

    connection = desk.ask()
    exchange = desk.take()
    exchange.on_close(gone)
    connection.close()
    assert ended.wait(10)
    desk.server.close()
    assert "RuntimeError: in on_close" in caplog.text


def test_a_forgotten_stream_ends_without_a_word(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    connection = desk.ask()
    exchange = desk.take()
    exchange.write("first")
    connection.close()
    del exchange
    gc.collect()
    assert not caplog.records


def test_nothing_of_an_exchange_is_kept(desk: Desk) -> None:
    from hasty import _kept

    before = len(_kept._objects)
    with desk.ask() as connection:
        exchange = desk.take()
        exchange.on_close(print)
        exchange.request.locals["a"] = 1
        exchange.finish("")
        answer_of(connection)
    assert len(_kept._objects) == before


# --- the end ---


def test_an_exchange_that_takes_too_long_is_504(app: App, client: Client) -> None:
    kept: list[Exchange] = []
    app.get("/", exchange_timeout_ms=50)(lambda req: kept.append(req.defer()))
    assert client.get("/").status_code == 504
    assert not kept[0].alive
    assert kept[0].finish("too late") is False


def test_an_exchange_outlives_its_app(desk: Desk) -> None:
    with desk.ask() as connection:
        exchange = desk.take()
        desk.server.close()
        assert answer_of(connection).startswith(b"HTTP/1.1 503 ")
        assert not exchange.alive
        assert exchange.request.path == "/"
        assert exchange.finish("too late") is False


def test_many_threads_may_use_one_exchange(desk: Desk) -> None:
    results: list[object] = []

    def use(exchange: Exchange, number: int) -> None:
        try:
            for _ in range(50):
                _ = (exchange.request.path, exchange.alive)
            results.append(exchange.finish(str(number)))
        except StateError:
            results.append(None)

    for _ in range(10):
        results.clear()
        with desk.ask() as connection:
            exchange = desk.take()
            threads = [threading.Thread(target=use, args=(exchange, number)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
        assert results.count(True) == 1


# --- where it may not be ---


def test_defer_in_middleware_ends_the_way(app: App, client: Client) -> None:
    @app.use("/")
    def later(req: Request) -> None:
        exchange = req.defer()
        threading.Thread(target=exchange.finish, args=["from the middleware"]).start()

    app.get("/")(lambda req: "never")
    assert client.get("/").text == "from the middleware"


def test_defer_in_after_is_refused(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.after(lambda req, res: req.defer() and None)
    app.get("/")(lambda req: "fine")
    client.get("/")
    assert "StateError: defer() works only in handlers and middleware" in caplog.text


def test_an_answer_beside_a_deferred_one_is_told(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    def handler(req: Request) -> str:
        req.defer().finish("deferred")
        return "returned"

    app.get("/")(handler)
    assert client.get("/").text == "deferred"
    assert client.get("/none").status_code == 404, "the thread has come back from the handler"
    assert "deferred its answer and gave one: return None then" in caplog.text


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("options", [{}, {"blocking": True}])
def test_a_failure_after_defer_is_answered_at_once(
    threads: int, options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app, kept = App(threads), []

    @app.get("/raises", **options)
    def raises(req: Request) -> None:
        kept.append(req.defer())
        raise RuntimeError("after defer")

    @app.get("/returns", **options)
    def returns(req: Request) -> str:
        kept.append(req.defer())
        return "returned"

    @app.get("/refuses", **options)
    def refuses(req: Request) -> None:
        kept.append(req.defer())
        raise HttpError(402, "pay first")

    with app.test_client() as client:
        assert client.get("/raises").status_code == 500
        assert client.get("/returns").status_code == 500
        assert (client.get("/refuses").status_code, client.get("/refuses").text) == (402, "pay first")
    assert "GET /raises: " in caplog.text and "RuntimeError: after defer" in caplog.text
    assert "GET /returns: " in caplog.text and "deferred its answer and gave one" in caplog.text
    assert not any(exchange.alive for exchange in kept)


def test_a_coroutine_that_fails_after_defer_is_answered_at_once(app: App, client: Client) -> None:
    kept = []

    @app.get("/")
    async def raises(req: Request) -> None:
        kept.append(req.defer())
        await asyncio.sleep(0)
        raise RuntimeError("after defer")

    assert client.get("/").status_code == 500


def test_middleware_that_fails_after_defer_is_answered_at_once(app: App, client: Client) -> None:
    kept = []

    @app.use("/")
    def gate(req: Request) -> None:
        kept.append(req.defer())
        raise RuntimeError("after defer")

    assert client.get("/").status_code == 500


def test_a_failure_after_a_deferred_answer_is_logged(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    def handler(req: Request) -> None:
        req.defer().finish("answered")
        raise RuntimeError("after defer")

    assert client.get("/").text == "answered"
    assert client.get("/none").status_code == 404, "the thread has come back from the handler"
    assert "RuntimeError: after defer" in caplog.text


def test_a_kept_request_cannot_be_deferred(app: App, client: Client) -> None:
    kept: list[Any] = []
    app.get("/")(lambda req: kept.append(req))
    client.get("/")
    with pytest.raises(StateError, match="ended when its handler returned"):
        kept[0].defer()


def test_what_is_sent_to_who_left_is_no_news(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()
    connection = desk.ask()
    exchange = desk.take()
    exchange.on_close(gone.set)
    connection.close()
    assert gone.wait(10)
    with exchange:
        exchange.finish("x")
    assert not caplog.records


def test_pipelined_answers_come_in_order(desk: Desk) -> None:
    with desk.ask(GET + GET) as connection:
        desk.take().finish("first")
        desk.take().finish("second")
        answer = b""
        while not answer.endswith(b"second"):
            answer += connection.recv(1000)
    assert answer.index(b"first") < answer.index(b"second")
