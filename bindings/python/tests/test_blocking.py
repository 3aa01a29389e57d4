"""Handlers that wait: on threads of their own with blocking=True, and named in the log where they hold up others."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from hasty import App, BadRequest, Client, InvalidError, Request, Response, StateError


def ask(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


class Room:
    """Handlers that wait for a test."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.open = threading.Event()

    def wait(self, req: Request) -> str:
        self.inside.release()
        assert self.open.wait(20)
        return f"waited {req.params.get('number', '')}"

    def await_guests(self, count: int) -> None:
        for _ in range(count):
            assert self.inside.acquire(timeout=20), "fewer came than were asked in"


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    yield made
    made.open.set()


@pytest.mark.parametrize("threads", [0, 2])
def test_inline_routes_answer_while_many_blocking_handlers_wait(threads: int, room: Room) -> None:
    app = App(threads=threads)
    app.get("/wait/:number", blocking=True)(room.wait)
    app.get("/quick")(lambda req: "quick")
    texts: list[str] = []
    with app.start() as server:
        guests = [
            threading.Thread(target=lambda number=number: texts.append(ask(f"{server.url}/wait/{number}")))
            for number in range(32)
        ]
        for guest in guests:
            guest.start()
        room.await_guests(32)
        assert [ask(f"{server.url}/quick") for _ in range(50)] == ["quick"] * 50
        assert texts == []
        room.open.set()
        for guest in guests:
            guest.join(20)
    assert sorted(texts) == sorted(f"waited {number}" for number in range(32))


def test_a_blocking_handler_is_a_handler_like_any(app: App, client: Client) -> None:
    @app.post("/users/:name", blocking=True, max_body_bytes=100)
    def create(req: Request) -> Response:
        return Response.json(
            {
                "name": req.params["name"],
                "query": req.query["q"],
                "body": req.json(),
                "agent": req.headers["user-agent"],
                "line": [req.method, req.path, req.target, req.route],
            },
            status=201,
            headers={"Location": "/users/7"},
        ).cookie("seen", "1")

    @app.get("/filled", blocking=True)
    def filled(req: Request, res: Response) -> None:
        res.status(202).text("filled")

    @app.get("/stream", blocking=True)
    def stream(req: Request) -> Iterator[str]:
        yield "a"
        yield "b"

    app.get("/none", blocking=True)(lambda req: None)
    answer = client.post("/users/Ada?q=1", json={"a": 1}, headers={"User-Agent": "test"})
    assert answer.json() == {
        "name": "Ada",
        "query": "1",
        "body": {"a": 1},
        "agent": "test",
        "line": ["POST", "/users/Ada", "/users/Ada?q=1", "/users/:name"],
    }
    assert (answer.status_code, answer.headers["location"], client.cookies) == (201, "/users/7", {"seen": "1"})
    assert client.post("/users/Ada?q=1", body=b"x" * 101).status_code == 413
    answer = client.get("/filled")
    assert (answer.status_code, answer.text) == (202, "filled")
    assert (client.get("/stream").text, client.get("/none").status_code) == ("ab", 204)
    assert (client.head("/filled").status_code, client.head("/filled").headers["content-length"]) == (202, "6")


def test_a_blocking_handler_fails_like_any(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/fail", blocking=True)
    def fail(req: Request) -> str:
        raise RuntimeError("the cupboard is bare")

    @app.get("/exit", blocking=True)
    def leave(req: Request) -> str:
        raise SystemExit(3)

    @app.get("/bad", blocking=True)
    def bad(req: Request) -> str:
        raise BadRequest("not so")

    app.get("/wrong", blocking=True)(lambda req: 7)  # type: ignore[arg-type,return-value]
    app.get("/key", blocking=True)(lambda req: {}["it"])
    app.error(KeyError)(lambda error: (f"no {error.args[0]}", 404))
    assert [client.get(path).status_code for path in ("/fail", "/exit", "/bad", "/wrong", "/key")] == [
        500,
        500,
        400,
        500,
        404,
    ]
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds == [RuntimeError, SystemExit, TypeError]
    assert client.get("/bad").text == "not so"


def test_a_blocking_handler_runs_on_a_thread_that_python_knows(app: App, client: Client) -> None:
    names: list[str] = []
    app.get("/blocking", blocking=True)(lambda req: names.append(threading.current_thread().name))  # type: ignore[func-returns-value]
    app.get("/inline")(lambda req: names.append(threading.current_thread().name))  # type: ignore[func-returns-value]
    client.get("/blocking")
    client.get("/inline")
    assert names[0] != names[1] and all(name.startswith("hasty-") for name in names)
    assert threading.main_thread().name not in names


def test_threads_for_blocking_handlers_are_used_again(app: App, client: Client) -> None:
    names: set[str] = set()

    @app.get("/", blocking=True)
    def note(req: Request) -> str:
        names.add(threading.current_thread().name)
        return "noted"

    for _ in range(100):
        assert client.get("/").text == "noted"
    assert len(names) <= 3, "one after another they need no more"


def test_middleware_and_after_run_around_blocking_handlers(app: App, client: Client) -> None:
    @app.use
    def before(req: Request) -> None:
        req.locals["who"] = "Ada"

    @app.after
    def later(req: Request, res: Response) -> None:
        res.header("X-After", req.locals["who"])

    @app.get("/", blocking=True)
    def handler(req: Request) -> str:
        return f"Hello, {req.locals['who']}!"

    answer = client.get("/")
    assert (answer.text, answer.headers["x-after"]) == ("Hello, Ada!", "Ada")


def test_a_blocking_handler_may_defer(app: App, client: Client) -> None:
    @app.get("/", blocking=True)
    def handler(req: Request) -> None:
        threading.Timer(0.01, req.defer().finish, ["later"]).start()

    assert client.get("/").text == "later"


def test_an_upload_is_read_by_a_blocking_handler(app: App, client: Client) -> None:
    @app.post("/", blocking=True)
    def handler(req: Request) -> dict[str, Any]:
        return {"fields": dict(req.form), "sizes": [file.size for file in req.files.values()]}

    answer = client.post("/", form={"a": "b"}, files={"f": ("f", b"x" * 700_000)})
    assert answer.json() == {"fields": {"a": "b"}, "sizes": [700_000]}


def test_pipelined_answers_come_in_order(app: App, room: Room) -> None:
    app.get("/wait", blocking=True)(room.wait)
    app.get("/quick")(lambda req: "quick")
    with app.start() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"wait", b"quick") * 3))
        room.await_guests(1)
        room.open.set()
        answer = b""
        while answer.count(b"quick") < 3:
            answer += connection.recv(65536)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"waited ", b"quick"] * 3


def test_a_client_that_leaves_a_blocking_handler_harms_nobody(
    app: App, client: Client, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/wait", blocking=True)(room.wait)
    app.get("/quick")(lambda req: "quick")
    assert client.get("/quick").text == "quick"
    server = app.server
    assert server is not None
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            room.await_guests(1)
    room.open.set()
    assert client.get("/wait").text == "waited "
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_request_of_a_blocking_handler_ends_with_it(app: App, client: Client) -> None:
    kept: list[Request] = []
    app.get("/", blocking=True)(lambda req: kept.append(req))  # type: ignore[func-returns-value]
    client.get("/")
    with pytest.raises(StateError, match="handler"):
        kept[0].path  # noqa: B018


def test_close_waits_for_blocking_handlers(app: App, room: Room) -> None:
    texts: list[str] = []
    app.get("/wait", blocking=True)(room.wait)
    server = app.start()
    guest = threading.Thread(target=lambda: texts.append(ask(f"{server.url}/wait")))
    guest.start()
    room.await_guests(1)
    threading.Timer(0.1, room.open.set).start()
    server.close()
    guest.join(20)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("hasty-")] == []
    assert texts == ["waited "], "as an inline handler's answer is"


@pytest.mark.parametrize("value", ["often", 7, None, []])
def test_another_value_of_blocking_is_refused(value: Any, app: App) -> None:
    with pytest.raises(InvalidError, match="blocking"):
        app.get("/", blocking=value)(lambda req: "hello")


# --- handlers that hold the loop ---


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "hasty" and r.levelno == logging.WARNING]


def hold_until_named(caplog: pytest.LogCaptureFixture, count: int = 1) -> None:
    """Holds its thread for long, and until as many are named."""
    time.sleep(0.2)
    until = time.monotonic() + 20
    while len(warnings_of(caplog)) < count and time.monotonic() < until:
        time.sleep(0.01)


@pytest.fixture
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on which a quick handler may have to wait for a processor: only what takes a second is too long."""
    monkeypatch.setattr("hasty.watch._LOOKS", 20)


def test_a_handler_that_holds_the_loop_is_named_once(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/sleepy/:name")
    def sleepy(req: Request) -> str:
        hold_until_named(caplog)
        time.sleep(0.2)
        return "slept"

    app.get("/quick")(lambda req: "quick")
    for _ in range(3):
        assert (client.get("/sleepy/a").text, client.get("/quick").text) == ("slept", "quick")
    assert len(warnings_of(caplog)) == 1
    said = warnings_of(caplog)[0]
    assert "sleepy" in said and "/sleepy/:name" in said, "the function and its route"
    assert "100 ms" in said and "blocking=True" in said, "what is wrong, and what to do"


def test_each_handler_that_holds_the_loop_is_named(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/a")(lambda req: hold_until_named(caplog, 1))  # type: ignore[func-returns-value]
    app.get("/b")(lambda req: hold_until_named(caplog, 2))  # type: ignore[func-returns-value]
    for path in ("/a", "/b", "/a", "/b"):
        client.get(path)
    assert ["/a" in said or "/b" in said for said in warnings_of(caplog)] == [True, True]


@pytest.mark.usefixtures("busy_machine")
def test_quick_blocking_and_threaded_handlers_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.get("/blocking", blocking=True)(lambda req: time.sleep(1.5))  # type: ignore[func-returns-value]
    app.get("/quick")(lambda req: "quick")
    with app.test_client() as client:
        assert client.get("/blocking").status_code == 204
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert client.get("/quick").text == "quick"
    threaded = App(threads=2)
    threaded.get("/")(lambda req: time.sleep(1.5))  # type: ignore[func-returns-value]
    with threaded.test_client() as client:
        assert client.get("/").status_code == 204
    assert warnings_of(caplog) == []


@pytest.mark.usefixtures("busy_machine")
def test_an_idle_server_is_not_named(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What the last request has left behind is no work."""
    app.get("/")(lambda req: "hello")
    assert client.get("/").text == "hello"
    threading.Event().wait(1.5)
    assert client.get("/").text == "hello"
    assert warnings_of(caplog) == []


def test_the_first_route_is_watched_too(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.get("/first")(lambda req: hold_until_named(caplog))  # type: ignore[func-returns-value]
    with app.test_client() as client:
        client.get("/first")
    assert len(warnings_of(caplog)) == 1 and "/first" in warnings_of(caplog)[0]
