"""Answers that are made while they are sent: handlers that yield, events, and res.write()."""

from __future__ import annotations

import gc
import pickle
import socket
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from conftest import GET, ask, connect, read_until

from hasty import App, Client, ClosedError, Event, InvalidError, Request, Response, StateError
from hasty.threads import Threads


def rest_of(connection: socket.socket) -> bytes:
    """What still comes before the connection ends, in whatever way."""
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


# --- handlers that yield ---


@pytest.mark.parametrize(
    ("pieces", "kind", "body"),
    [
        (["a", "é"], "text/plain; charset=utf-8", "aé".encode()),
        ([b"a", b"\0"], "application/octet-stream", b"a\0"),
        ([bytearray(b"a"), memoryview(b"bc")], "application/octet-stream", b"abc"),
        (["a", b"b"], "text/plain; charset=utf-8", b"ab"),
        ([Event(data="a")], "text/event-stream", b"data: a\n\n"),
        (["", "a", "", "b", ""], "text/plain; charset=utf-8", b"ab"),
    ],
)
def test_the_first_piece_tells_the_type(pieces: list[Any], kind: str, body: bytes, app: App, client: Client) -> None:
    @app.get("/")
    def stream(req: Request) -> Iterator[Any]:
        yield from pieces

    answer = client.get("/")
    assert (answer.status_code, answer.body) == (200, body)
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["transfer-encoding"] == "chunked"


def test_status_and_headers_come_with_the_generator(app: App, client: Client) -> None:
    def rows() -> Iterator[str]:
        yield "a,b\n"

    app.get("/value")(lambda req: Response.stream(rows(), status=201, headers={"Content-Type": "text/csv"}))
    app.get("/tuple")(lambda req: (rows(), 202, {"X-Rows": "1"}))
    app.get("/steps")(lambda req, res: res.status(203).type("csv").cookie("a", "b").stream(["c\n", "d\n"]))

    @app.get("/filled")
    def filled(req: Request, res: Response) -> Iterator[str]:
        res.status(206).type("csv")
        yield from rows()

    answer = client.get("/value")
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (201, "text/csv", "a,b\n")
    assert (client.get("/tuple").status_code, client.get("/tuple").headers["x-rows"]) == (202, "1")
    steps = client.get("/steps")
    assert (steps.status_code, steps.text) == (203, "c\nd\n")
    assert steps.headers["content-type"].startswith("text/csv") and steps.headers["set-cookie"].startswith("a=b")
    filled_in = client.get("/filled")
    assert (filled_in.status_code, filled_in.text) == (206, "a,b\n")
    assert filled_in.headers["content-type"].startswith("text/csv")


def test_a_length_that_was_set_is_told(app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.stream(["ab", "cd"], headers={"Content-Length": "4"}))
    answer = client.get("/")
    assert (answer.text, answer.headers["content-length"]) == ("abcd", "4")
    assert "transfer-encoding" not in answer.headers


def test_nothing_is_an_empty_answer(app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.stream([], status=202))
    answer = client.get("/")
    assert (answer.status_code, answer.body, answer.headers["content-length"]) == (202, b"", "0")


@pytest.mark.parametrize("place", ["handler", "middleware"])
def test_a_response_streams_once(place: str, app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    kept = Response.stream(["a", "b"])
    if place == "handler":
        app.get("/")(lambda req: kept)
    else:
        app.use("/")(lambda req: kept)
    assert client.get("/").text == "ab"
    assert client.get("/").status_code == 500
    assert "StateError: this Response was streamed already" in caplog.text


def test_pieces_leave_as_they_are_made(app: App) -> None:
    go_on = threading.Event()

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        yield "first"
        assert go_on.wait(10)
        yield "second"

    with app.start() as server, connect(server) as connection:
        read_until(connection, b"\r\nfirst\r\n")
        go_on.set()
        read_until(connection, b"6\r\nsecond\r\n0\r\n\r\n")


def test_a_generator_that_waits_keeps_nobody_waiting(app: App, client: Client) -> None:
    go_on = threading.Event()
    names: list[str] = []

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        names.append(threading.current_thread().name)
        yield "first"
        go_on.wait(10)

    app.get("/quick")(lambda req: "quick")
    with app.start() as server:
        connections = [connect(server) for _ in range(20)]
        for connection in connections:
            read_until(connection, b"\r\nfirst\r\n")
        assert Client(server.host, server.port).get("/quick").text == "quick", "with 20 streams on one thread"
        go_on.set()
        for connection in connections:
            read_until(connection, b"0\r\n\r\n")
            connection.close()
    assert len(set(names)) == 20 and all(name.startswith("hasty-stream-") for name in names)


def test_threads_of_streams_are_used_again_and_end_with_the_server(app: App, client: Client) -> None:
    before = set(threading.enumerate())
    names: list[str] = []

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        names.append(threading.current_thread().name)
        yield "piece"

    for _ in range(5):
        assert client.get("/").text == "piece"
    client.close()
    assert len(set(names)) <= 2, names
    assert set(threading.enumerate()) == before


def test_a_generator_reads_its_request(app: App, client: Client) -> None:
    @app.post("/:name")
    def stream(req: Request) -> Iterator[str]:
        yield req.params["name"]
        yield req.query["q"]
        yield req.text
        yield str(req.json())
        req.locals["seen"] = 1

    assert client.post("/Ada?q=w", body="[1]").text == "Adaw[1][1]"


def test_a_request_ends_with_its_generator(app: App, client: Client) -> None:
    kept: list[Request] = []

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        kept.append(req)
        yield ""

    client.get("/")
    client.close()
    with pytest.raises(StateError, match="ended when its handler returned"):
        _ = kept[0].path


def test_head_is_answered_without_a_body_and_the_generator_is_closed(app: App) -> None:
    closed = threading.Event()

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        try:
            while True:
                yield "piece"
        finally:
            closed.set()

    with app.start() as server:
        answer = ask(server, b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert closed.wait(10)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n")


def test_a_client_of_http_1_0_gets_no_chunks(app: App) -> None:
    app.get("/")(lambda req: iter(["one ", "two"]))
    with app.start() as server:
        answer = ask(server, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\none two") and b"chunked" not in answer


def test_the_connection_goes_on_after_a_stream(app: App) -> None:
    app.get("/")(lambda req: iter(["streamed"]))
    with app.start() as server:
        answer = ask(server, GET * 3 + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.count(b"8\r\nstreamed\r\n0\r\n\r\n") == 4


# --- clients that leave, and those that are slow ---


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("last", ["c", 7])
def test_an_iterator_is_closed_once(method: str, last: Any, app: App) -> None:
    closed = []

    class Rows:
        """As a cursor that goes back to its pool, which it must not do twice."""

        def __init__(self) -> None:
            self._left = iter(["a", "b", last])

        def __iter__(self) -> Rows:
            return self

        def __next__(self) -> str:
            return next(self._left)

        def close(self) -> None:
            closed.append(method)

    app.get("/")(lambda req: Rows())
    with app.start(port=0) as server, connect(server, f"{method} / HTTP/1.0\r\nHost: a\r\n\r\n".encode()) as connection:
        assert rest_of(connection).startswith(b"HTTP/1.1 200 OK")
    assert closed == [method]


def test_a_generator_is_closed_when_its_client_leaves(app: App) -> None:
    closed = threading.Event()
    caught: list[BaseException] = []

    @app.get("/")
    def endless(req: Request) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        except BaseException as error:
            caught.append(error)
            raise
        finally:
            closed.set()

    with app.start() as server:
        with connect(server) as connection:
            connection.recv(1000)
        assert closed.wait(10)
    assert isinstance(caught[0], GeneratorExit)


def test_a_generator_goes_no_faster_than_its_client(app: App) -> None:
    made: list[int] = []
    closed = threading.Event()

    @app.get("/")
    def endless(req: Request) -> Iterator[bytes]:
        try:
            while True:
                made.append(65536)
                yield b"x" * 65536
        finally:
            closed.set()

    app.get("/quick")(lambda req: "quick")
    with app.start() as server:
        with connect(server) as connection:
            connection.recv(1000)
            before = -1
            with Client(server.host, server.port) as other:
                # Until nothing more is made between two answers to somebody else: buffers are full then.
                still = 0
                while still < 50:
                    assert other.get("/quick").text == "quick"
                    still = still + 1 if len(made) == before else 0
                    before = len(made)
            assert sum(made) < 64 << 20, "what waits for a client who reads nothing is bounded"
            taken = 0
            while taken < sum(made[:before]) + (1 << 20):
                taken += len(connection.recv(1 << 20))
            assert len(made) > before, "and more is made as soon as the client reads"
        assert closed.wait(10)


def test_a_large_piece_reaches_a_slow_client_whole() -> None:
    app = App(stream_buffer_bytes=10_000)
    data = bytes(range(256)) * 20_000
    app.get("/")(lambda req: iter([data[:1000], data[1000:]]))
    with app.test_client() as client:
        assert client.get("/").body == data


def test_streams_end_with_the_server(app: App) -> None:
    closed = threading.Event()

    @app.get("/")
    def endless(req: Request) -> Iterator[str]:
        try:
            while True:
                yield "x" * 1000
        finally:
            closed.set()

    with app.start() as server, connect(server) as connection:
        connection.recv(100)
        server.close()
        assert closed.is_set(), "close() waits for them"


def test_a_generator_that_never_ends_does_not_hold_close_for_ever(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hasty.server.GRACE_S", 0.1)
    go_on = threading.Event()

    @app.get("/")
    def stuck(req: Request) -> Iterator[str]:
        yield "first"
        go_on.wait(30)

    with app.start() as server, connect(server) as connection:
        read_until(connection, b"\r\nfirst\r\n")
        server.close()
        assert "handlers still run 0.1 s after the server was stopped" in caplog.text
        assert "hasty-stream-1" in caplog.text
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "hasty-stream-1")
        go_on.set()
        thread.join(10)
        assert not thread.is_alive()


def test_closing_the_server_inside_a_generator_is_refused(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        server.close()
        yield ""

    with app.start() as server:
        assert Client(server.host, server.port).get("/").status_code == 500
    assert "StateError: close() inside a handler" in caplog.text


# --- failures ---


def test_an_exception_before_the_first_piece_is_500(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        raise RuntimeError("no first piece")
        yield ""

    app.get("/fine")(lambda req: "works")
    answer = client.get("/")
    assert answer.status_code == 500 and "no first piece" not in answer.text
    assert "GET /: test_an_exception" in caplog.text and "RuntimeError: no first piece" in caplog.text
    assert client.get("/fine").text == "works"


def test_an_answer_beside_pieces_is_refused(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    def both(req: Request) -> Generator[str, None, Any]:
        if "missing" in req.query:
            return "there is no such thing", 404
        yield "piece"

    assert client.get("/?missing").status_code == 500
    assert "both yields, but also returned tuple" in caplog.text
    assert client.get("/").text == "piece"


def test_what_a_function_apart_from_the_handler_returns_harms_no_stream(app: App, client: Client) -> None:
    def counted() -> Generator[str, None, int]:
        yield "piece"
        return 1

    app.get("/")(lambda req: counted())
    assert client.get("/").text == "piece"


def test_an_exception_after_the_first_piece_cuts_the_answer_off(app: App, caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        yield "first"
        assert go_on.wait(10)
        raise RuntimeError("no second piece")

    with app.start() as server, connect(server) as connection:
        read_until(connection, b"\r\nfirst\r\n")
        go_on.set()
        assert rest_of(connection) == b"", "no last chunk, so that the client can tell"
    assert "RuntimeError: no second piece" in caplog.text


@pytest.mark.parametrize("piece", [7, None, ["a"], {"a": 1}])
def test_what_is_no_piece_is_explained(piece: Any, app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(lambda req: iter([piece]))
    assert client.get("/").status_code == 500
    assert "TypeError: a piece of a stream is str, bytes or hasty.Event, not " in caplog.text


def test_a_refused_head_is_500(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(lambda req: Response.stream(["a"], headers={"Transfer-Encoding": "chunked"}))
    assert client.get("/").status_code == 500
    assert "Transfer-Encoding" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_no_exception_ends_a_thread_of_streams(
    error: BaseException, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        raise error
        yield ""

    assert client.get("/").status_code == 500
    assert client.get("/").status_code == 500


# --- events ---


def test_events_have_a_name_data_and_an_id(app: App, client: Client) -> None:
    @app.get("/")
    def events(req: Request) -> Generator[Event, None, None]:
        yield Event("tick", "1", "7")
        yield Event(data="two\nlines")
        yield Event("json", {"a": [1, "é"]})
        yield Event()
        yield Event("", "", "")
        yield Event("unseen", id="8")
        yield Event(data=7)

    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.split("\n\n")
    assert sorted(blocks[0].splitlines()) == ["data: 1", "event: tick", "id: 7"]
    assert blocks[1] == "data: two\ndata: lines"
    assert blocks[2] == 'event: json\ndata: {"a":[1,"é"]}'
    assert blocks[3] == ":"
    assert sorted(blocks[5].splitlines()) == ["event: unseen", "id: 8"]
    assert blocks[6] == "data: 7"


@pytest.mark.parametrize("is_async", [False, True])
def test_an_event_tells_when_to_reconnect(is_async: bool, app: App, client: Client) -> None:
    def events(req: Request) -> Generator[Event, None, None]:
        yield Event(retry=0)
        yield Event("tick", 1, "7", retry=5000)

    async def later(req: Request) -> AsyncIterator[Event]:
        for event in events(req):
            yield event

    app.get("/")(later if is_async else events)
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/event-stream"
    blocks = [sorted(block.splitlines()) for block in answer.text.split("\n\n") if block != ":"]
    assert blocks == [["retry: 0"], ["retry: 5000"], ["data: 1", "event: tick", "id: 7"], []]


@pytest.mark.parametrize("event", [Event("a\nb"), Event(id="a\rb"), Event("a\0b"), Event(data="a\0b")])
def test_an_event_that_would_break_the_stream_is_refused(
    event: Event, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: iter([event]))
    assert client.get("/").status_code == 500
    assert "InvalidError: " in caplog.text


# --- res.write() ---


def test_a_handler_writes_piece_by_piece(app: App, client: Client) -> None:
    @app.get("/")
    def write(req: Request, res: Response) -> None:
        res.status(201).type("csv").header("X-A", "1")
        assert res.write("a,").write(b"b\n").write(bytearray(b"c")) is res

    answer = client.get("/")
    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (201, "a,b\nc", "1")
    assert answer.headers["content-type"].startswith("text/csv")


def test_events_are_written_too(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: res.write(Event("tick", "1")))
    assert client.get("/").text == "event: tick\ndata: 1\n\n"


@pytest.mark.parametrize(
    "late",
    [
        lambda res: res.status(404),
        lambda res: res.type("csv"),
        lambda res: res.header("X-Late", "1"),
        lambda res: res.headers.add("X-Late", "1"),
        lambda res: res.headers.pop("X-A"),
        lambda res: res.cookie("late", "1"),
        lambda res: res.text("late"),
        lambda res: res.send(None),
        lambda res: res.redirect("/"),
        lambda res: res.file(__file__),
        lambda res: res.stream([]),
    ],
)
def test_what_comes_after_the_head_is_refused(late: Any, app: App, client: Client) -> None:
    @app.get("/")
    def write(req: Request, res: Response) -> None:
        res.header("X-A", "1").write("first")
        with pytest.raises(StateError, match="the head was sent with the first write"):
            late(res)

    assert client.get("/").text == "first"


def test_writing_after_a_body_was_given_is_refused(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(lambda req, res: res.text("body").write("piece"))
    assert client.get("/").status_code == 500
    assert "StateError: write() comes too late" in caplog.text


def test_a_failure_after_the_head_cuts_the_answer_off(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/fail")
    def fail(req: Request, res: Response) -> None:
        res.write("first")
        raise RuntimeError("no more")

    @app.get("/other")
    def other(req: Request, res: Response) -> Response:
        res.write("first")
        return Response.text("other")

    with app.start() as server:
        for path in (b"/fail", b"/other"):
            answer = ask(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.endswith(b"\r\nfirst\r\n"), answer
    assert "RuntimeError: no more" in caplog.text
    assert "wrote an answer with res.write() and returned another one" in caplog.text


def test_writing_for_a_client_who_left_is_a_closed_error(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caught = threading.Event()

    @app.get("/")
    def write(req: Request, res: Response) -> None:
        try:
            while True:
                res.write("x" * 100_000)
        except ClosedError:
            caught.set()
            raise

    with app.start() as server:
        with connect(server) as connection:
            connection.recv(1000)
        assert caught.wait(10)
    assert not caplog.records, "clients leave: no news"


def test_a_head_only_is_asked_for(app: App) -> None:
    app.get("/")(lambda req, res: res.header("X-A", "1").write("body"))
    with app.start() as server:
        answer = ask(
            server,
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
    assert answer.count(b"HTTP/1.1 200 ") == 2 and b"body" not in answer


def test_res_can_be_written_by_its_handler_only(app: App, client: Client) -> None:
    kept: list[Response] = []
    app.get("/")(lambda req, res: kept.append(res))
    client.get("/")
    for response in (kept[0], Response()):
        with pytest.raises(StateError, match=r"write\(\) needs the res of a running handler"):
            response.write("late")


# --- the threads ---


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hasty.threads.IDLE_S", 0.01)
    streams = Threads("hasty-stream")
    ran = threading.Event()
    streams.start(ran.set, ran.clear)
    assert ran.wait(10)
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("hasty-stream")]:
        thread.join(10)
        assert not thread.is_alive()
    assert streams.end(0) == []


def test_nothing_of_a_stream_is_left_behind(app: App, client: Client) -> None:
    import weakref

    class Kept:
        pass

    gone: list[weakref.ref[Kept]] = []

    @app.get("/")
    def stream(req: Request) -> Iterator[str]:
        kept = Kept()
        gone.append(weakref.ref(kept))
        yield "piece"
        del kept

    client.get("/")
    client.get("/")
    gc.collect()
    client.close()
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_an_event_is_a_value() -> None:
    assert Event("a") == ("a", None, None, None)
    assert Event(data="x").data == "x"
    assert repr(Event("a", [1])) == "Event(event='a', data=[1], id=None, retry=None)"
    assert pickle.loads(pickle.dumps(Event("a", [1]))) == Event("a", [1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Event("a", data=1, id=7), r"id 7 of an Event is not str: convert it with str\(\.\.\.\)"),
        (lambda: Event({"a": 1}), "the name comes first"),
        (lambda: Event(b"a"), "b'a' is not str"),
    ],
)
def test_an_event_of_other_types_is_refused_where_it_is_made(wrong: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        wrong()


@pytest.mark.parametrize("retry", [-1, 1.5, "5000"])
def test_a_time_to_reconnect_is_a_number(retry: Any) -> None:
    with pytest.raises(InvalidError, match="is not a number of milliseconds from 0"):
        Event(retry=retry)


def test_a_status_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidError):
        Response.stream([]).status(99)


@pytest.mark.parametrize("body", ["buffer", "stream"])
@pytest.mark.parametrize("pieces", [[], ["a"]])
def test_a_kept_answer_streams_once(pieces: list[str], body: Any, app: App, client: Client) -> None:
    kept = Response.stream(iter(pieces))
    app.post("/", body=body)(lambda req: kept)
    first, second = client.post("/"), client.post("/")
    assert (first.status_code, first.text) == (200, "".join(pieces))
    assert second.status_code == 500


def test_beyond_a_bound_a_generator_is_answered_503_and_closed(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hasty.handler.STREAMS", 2)
    go_on = threading.Event()
    closed: list[str] = []

    class Pieces:
        def __iter__(self) -> Pieces:
            return self

        def __next__(self) -> str:
            raise AssertionError("it does not run")

        def close(self) -> None:
            closed.append("closed")

    @app.get("/waits")
    def waits(req: Request) -> Any:
        yield "a"
        go_on.wait(10)

    app.get("/more")(lambda req: Response.stream(Pieces()))
    with app.start() as server:
        waiting = [connect(server, b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2)]
        for connection in waiting:
            read_until(connection, b"a\r\n")
        assert client.get("/more").status_code == 503 and closed == ["closed"]
        go_on.set()
        for connection in waiting:
            read_until(connection, b"0\r\n\r\n")
            connection.close()
