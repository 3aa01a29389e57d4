"""Handlers that are coroutines: on the app's own loop, and inside one that runs already."""

from __future__ import annotations

import asyncio
import contextvars
import http.client
import logging
import random
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Callable
from urllib.request import urlopen

import pytest
from conftest import connect, read_until

from hasty import App, Client, Event, HttpError, InvalidError, Request, Response, Server, StateError
from hasty.asgi import mount


def at_once(tasks: list[Callable[[], Any]]) -> list[Any]:
    """Runs them on threads of their own, and gives what they give, in order."""
    results: list[Any] = [None] * len(tasks)

    def run(number: int) -> None:
        results[number] = tasks[number]()

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def ask(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


# --- answers ---


def test_a_coroutine_answers_like_any_handler(app: App, client: Client) -> None:
    @app.get("/text/:name")
    async def text(req: Request) -> str:
        await asyncio.sleep(0)
        return f"Hello, {req.params['name']}!"

    @app.get("/filled")
    async def filled(req: Request, res: Response) -> None:
        await asyncio.sleep(0)
        res.status(201).header("X-A", "b").json({"a": 1})

    @app.get("/parts")
    async def parts(req: Request) -> tuple[dict[str, int], int, dict[str, str]]:
        return {"a": 1}, 202, {"X-C": "d"}

    @app.get("/nothing")
    async def nothing(req: Request) -> None:
        await asyncio.sleep(0)

    @app.get("/response")
    async def response(req: Request) -> Response:
        await asyncio.sleep(0)
        return Response.html("<p>").cookie("a", "b")

    assert client.get("/text/Ada").text == "Hello, Ada!"
    answer = client.get("/filled")
    assert (answer.status_code, answer.headers["x-a"], answer.json()) == (201, "b", {"a": 1})
    answer = client.get("/parts")
    assert (answer.status_code, answer.headers["x-c"], answer.json()) == (202, "d", {"a": 1})
    assert (client.get("/nothing").status_code, client.get("/nothing").body) == (204, b"")
    assert client.get("/response").headers["content-type"] == "text/html; charset=utf-8"
    assert client.cookies == {"a": "b"}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_coroutine_that_writes_is_told_to_yield(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    app = App(threads)

    @app.get("/")
    async def write(req: Request, res: Response) -> None:
        res.write("piece")

    with app.test_client() as client:
        assert client.get("/").status_code == 500
    assert "yield the pieces instead" in caplog.text


def test_a_coroutine_that_never_waits_answers_too(app: App, client: Client) -> None:
    @app.get("/")
    async def at_once(req: Request) -> str:
        return "at once"

    assert [client.get("/").text for _ in range(5)] == ["at once"] * 5


@pytest.mark.parametrize("threads", [0, 3])
def test_everything_of_the_request_is_there_after_waiting(threads: int) -> None:
    app = App(threads=threads)

    @app.post("/mirror/:name")
    async def mirror(req: Request) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {
            "path": [req.method, req.path, req.raw_path, req.target, req.route, req.params["name"]],
            "query": req.query.getall("q"),
            "header": req.headers["x-a"],
            "cookie": req.cookies["c"],
            "body": req.json(),
            "who": [req.remote_address, req.id],
        }

    with app.test_client() as client:
        seen = client.post(
            "/mirror/A%20b?q=1&q=2",
            headers={"X-A": "b", "Cookie": "c=d", "X-Request-ID": "seven"},
            json=[1, {"a": None}],
        ).json()
    assert seen == {
        "path": ["POST", "/mirror/A b", "/mirror/A%20b", "/mirror/A%20b?q=1&q=2", "/mirror/:name", "A b"],
        "query": ["1", "2"],
        "header": "b",
        "cookie": "d",
        "body": [1, {"a": None}],
        "who": ["127.0.0.1", "seven"],
    }


def test_requests_that_wait_do_not_see_one_another(app: App) -> None:
    @app.post("/:number")
    async def echo(req: Request) -> dict[str, Any]:
        number = int(req.params["number"])
        await asyncio.sleep(0.002 * (number % 7))
        return {"number": req.params["number"], "body": req.text, "header": req.headers["x-number"]}

    requests = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nX-Number: %d\r\nContent-Length: 4\r\n\r\n%04d" % (number, number, number)
        for number in range(200)
    )
    with app.start() as server:

        def session() -> bytes:
            with connect(server, requests) as connection:
                return read_until(connection, b'{"number":"199","body":"0199","header":"199"}')

        for answers in at_once([session] * 4):
            bodies = [part.split(b"\r\n\r\n")[1] for part in answers.split(b"HTTP/1.1 200 OK")[1:]]
            assert bodies == [b'{"number":"%d","body":"%04d","header":"%d"}' % (n, n, n) for n in range(200)]


def test_uploads_reach_a_coroutine(app: App, client: Client) -> None:
    @app.post("/")
    async def upload(req: Request) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"form": dict(req.form), "sizes": [file.size for file in req.files.values()]}

    answer = client.post("/", form={"a": "b"}, files={"f": ("f.bin", b"x" * 600_000)})
    assert answer.json() == {"form": {"a": "b"}, "sizes": [600_000]}


# --- at the same time ---


@pytest.mark.parametrize("threads", [0, 2])
def test_many_coroutines_wait_at_once(threads: int) -> None:
    app = App(threads=threads)
    arrived = 0
    everybody: asyncio.Event | None = None

    @app.get("/")
    async def meet(req: Request) -> str:
        nonlocal arrived, everybody
        # Nobody else runs between these lines: they are on one loop.
        everybody = everybody or asyncio.Event()
        arrived += 1
        if arrived == 200:
            everybody.set()
        await everybody.wait()
        return threading.current_thread().name

    with app.start() as server:
        connections = [connect(server) for _ in range(200)]
        answers = list[str]()
        for connection in connections:
            with connection:
                answers.append(connection.recv(65536).decode())
    assert len(answers) == 200 and all(answer.startswith("HTTP/1.1 200 ") for answer in answers)
    assert len({answer.rpartition("\n")[2] for answer in answers}) == 1, "one loop, one thread"


def test_plain_handlers_answer_while_coroutines_wait(app: App, client: Client) -> None:
    go_on = threading.Event()

    @app.get("/wait")
    async def wait(req: Request) -> str:
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        return "waited"

    app.get("/plain")(lambda req: "plain")
    client.get("/plain")
    server = app.server
    assert server is not None
    with connect(server, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n") as waiting:
        assert [client.get("/plain").text for _ in range(20)] == ["plain"] * 20
        go_on.set()
        assert read_until(waiting, b"waited").startswith(b"HTTP/1.1 200 ")


def test_blocking_handlers_leave_the_loop_free(app: App) -> None:
    together = threading.Barrier(2)

    @app.get("/blocking", blocking=True)
    def blocking(req: Request) -> str:
        together.wait(10)
        return "blocking"

    @app.get("/async")
    async def coroutine(req: Request) -> str:
        await asyncio.get_running_loop().run_in_executor(None, together.wait, 10)
        return "async"

    with app.start() as server:
        assert at_once([lambda: ask(f"{server.url}/blocking"), lambda: ask(f"{server.url}/async")]) == [
            "blocking",
            "async",
        ]


def kinds_of(app: App) -> list[str]:
    """Registers a handler of each kind below a path of its own; all echo what follows it."""

    @app.get("/deferred/:word")
    def deferred(req: Request) -> None:
        exchange = req.defer()
        threading.Timer(0.002, exchange.finish, [exchange.request.params["word"]]).start()

    @app.get("/generator/:word")
    def generator(req: Request) -> Iterator[str]:
        yield from req.params["word"]

    @app.get("/async-generator/:word")
    async def async_generator(req: Request) -> AsyncIterator[str]:
        for letter in req.params["word"]:
            yield letter
            await asyncio.sleep(0)

    @app.get("/async/:word")
    async def at_once(req: Request) -> str:
        return req.params["word"]

    @app.get("/waits/:word")
    async def waits(req: Request) -> str:
        await asyncio.sleep(0.002)
        return req.params["word"]

    @app.get("/refuses/:word")
    async def refuses(req: Request) -> str:
        await asyncio.sleep(0)
        raise HttpError(410, req.params["word"])

    app.get("/inline/:word")(lambda req: req.params["word"])
    app.get("/blocking/:word", blocking=True)(lambda req: req.params["word"])
    return ["deferred", "generator", "async-generator", "async", "waits", "refuses", "inline", "blocking"]


def bodies_of(connection: socket.socket, count: int) -> list[str]:
    """The bodies of so many answers, chunked or not."""
    found = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            fields = {}
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.partition(b": ")
                fields[name.lower()] = value
            body = b""
            if b"content-length" in fields:
                body = stream.read(int(fields[b"content-length"]))
            else:
                while (size := int(stream.readline(), 16)) != 0:
                    body += stream.read(size + 2)[:-2]
                stream.readline()
            found.append(body.decode())
    return found


@pytest.mark.parametrize("around", [False, True], ids=["alone", "around"])
@pytest.mark.parametrize("threads", [0, 3])
def test_handlers_of_every_kind_answer_in_order(threads: int, around: bool) -> None:
    app = App(threads=threads)
    kinds = kinds_of(app)
    if around:
        app.use(lambda req: req.locals.update(a=1))
        app.after(lambda req, res: res.header("X-A", "b"))  # type: ignore[arg-type,return-value]
    chance = random.Random(7)
    order = [chance.choice(kinds) for _ in range(300)]

    def session(number: int) -> list[str]:
        asked = b"".join(
            f"GET /{kind}/{number}-{place} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for place, kind in enumerate(order)
        )
        with connect(server, asked) as connection:
            return bodies_of(connection, len(order))

    with app.start() as server:
        for number, bodies in enumerate(at_once([lambda number=number: session(number) for number in range(4)])):
            assert bodies == [f"{number}-{place}" for place in range(len(order))]


def test_tasks_and_locks_are_shared_by_handlers(app: App) -> None:
    queue: asyncio.Queue[str] | None = None
    background: list[asyncio.Task[None]] = []

    @app.get("/take")
    async def take(req: Request) -> str:
        nonlocal queue
        queue = queue or asyncio.Queue()
        return await queue.get()

    @app.get("/give/:word")
    async def give(req: Request) -> str:
        nonlocal queue
        queue = queue or asyncio.Queue()
        word = req.params["word"]

        async def later() -> None:
            await asyncio.sleep(0.01)
            assert queue is not None
            await queue.put(word)

        background.append(asyncio.get_running_loop().create_task(later()))
        return "soon"

    with app.start() as server:
        assert at_once([lambda: ask(f"{server.url}/take"), lambda: ask(f"{server.url}/give/bread")]) == [
            "bread",
            "soon",
        ]


def test_each_request_has_context_variables_of_its_own(app: App) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    async def deep() -> str:
        await asyncio.sleep(0.005)
        return user.get()

    @app.get("/:name")
    async def name(req: Request) -> str:
        before = user.get()
        user.set(req.params["name"])
        await asyncio.sleep(0.005)
        inner = await asyncio.get_running_loop().create_task(deep())
        return f"{before} {inner}"

    with app.start() as server:
        asked = [lambda number=number: ask(f"{server.url}/{number}") for number in range(20)]
        assert at_once(asked) == [f"nobody {number}" for number in range(20)]


def test_time_limits_work_inside(app: App, client: Client) -> None:
    @app.get("/wait-for")
    async def wait_for(req: Request) -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        except asyncio.TimeoutError:
            return "timed out"
        return "slept"

    @app.get("/timeout")
    async def timeout(req: Request) -> str:
        try:
            async with asyncio.timeout(0.01):  # type: ignore[attr-defined,unused-ignore]
                await asyncio.sleep(60)
        except TimeoutError:
            return "timed out"
        return "slept"

    assert client.get("/wait-for").text == "timed out"
    if sys.version_info >= (3, 11):
        assert client.get("/timeout").text == "timed out"


def test_gather_and_to_thread_work_inside(app: App, client: Client) -> None:
    @app.get("/")
    async def both(req: Request) -> list[Any]:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(asyncio.sleep(0.01, "a"), loop.run_in_executor(None, lambda: "b")))

    assert client.get("/").json() == ["a", "b"]


def test_an_app_may_ask_itself(app: App, client: Client) -> None:
    app.get("/inner")(lambda req: "inner")

    @app.get("/outer")
    async def outer(req: Request) -> str:
        server = app.server
        assert server is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /inner HTTP/1.0\r\nHost: a\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return f"outer of {answer.decode().rpartition(chr(10))[2]}"

    assert client.get("/outer").text == "outer of inner"


# --- mistakes ---


def test_exceptions_are_answered_and_logged(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/fail/:when")
    async def fail(req: Request) -> str:
        if req.params["when"] == "later":
            await asyncio.sleep(0.001)
        raise RuntimeError("the cupboard is bare")

    @app.get("/gone")
    async def gone(req: Request) -> str:
        await asyncio.sleep(0)
        raise HttpError(410, "long gone")

    @app.get("/key")
    async def key(req: Request) -> str:
        await asyncio.sleep(0)
        return {}["it"]  # type: ignore[no-any-return]

    app.error(KeyError)(lambda error: (f"no {error.args[0]}", 404))
    for when in ("now", "later"):
        caplog.clear()
        assert client.get(f"/fail/{when}").status_code == 500
        records = [record for record in caplog.records if record.exc_info]
        assert len(records) == 1 and records[0].name == "hasty"
        assert f"GET /fail/{when}" in records[0].getMessage() and "fail" in records[0].getMessage()
    answer = client.get("/gone")
    assert (answer.status_code, answer.text) == (410, "long gone")
    answer = client.get("/key")
    assert (answer.status_code, answer.text) == (404, "no it")


@pytest.mark.parametrize("value", [7, object(), ("text",)])
def test_what_is_no_answer_is_500_and_explained(
    value: Any, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def wrong(req: Request) -> Any:
        await asyncio.sleep(0)
        return value

    assert client.get("/").status_code == 500
    assert "TypeError" in caplog.text and ("wrong" in caplog.text or type(value).__name__ in caplog.text)


def test_a_coroutine_that_is_returned_unawaited_is_explained(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def inner() -> str:
        return "inner"

    app.get("/")(lambda req: inner())  # type: ignore[arg-type,return-value]
    assert client.get("/").status_code == 500
    assert "coroutine" in caplog.text and "async def" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_no_exception_ends_the_loop(
    error: BaseException, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/fail")
    async def fail(req: Request) -> str:
        await asyncio.sleep(0)
        raise error

    @app.get("/")
    async def hello(req: Request) -> str:
        await asyncio.sleep(0)
        return "hello"

    assert client.get("/fail").status_code == 500
    assert client.get("/").text == "hello"


def test_a_used_up_request_is_refused(app: App, client: Client) -> None:
    kept: list[Request] = []

    @app.get("/")
    async def keep(req: Request) -> str:
        await asyncio.sleep(0)
        kept.append(req)
        return "kept"

    client.get("/")
    with pytest.raises(StateError, match="handler"):
        kept[0].path  # noqa: B018
    assert "answered" in repr(kept[0])


@pytest.mark.parametrize("place", ["use", "after", "error", "on_error", "on_access"])
def test_async_functions_around_handlers_are_refused_at_registration(place: str, app: App) -> None:
    async def around(*arguments: Any) -> None: ...

    register: Callable[[Any], Any] = app.error(KeyError) if place == "error" else getattr(app, place)
    with pytest.raises(InvalidError, match="async"):
        register(around)


@pytest.mark.parametrize(("arguments", "words"), [("", "takes 0 arguments"), ("a, b, c", "takes 3 arguments")])
def test_a_coroutine_of_another_arity_is_refused(arguments: str, words: str, app: App) -> None:
    scope: dict[str, Any] = {}
    exec(f"async def wrong({arguments}): pass", scope)
    with pytest.raises(InvalidError, match=words):
        app.get("/")(scope["wrong"])


def test_a_coroutine_cannot_be_blocking(app: App) -> None:
    async def handler(req: Request) -> str:
        return ""

    with pytest.raises(InvalidError, match=r"async|blocking"):
        app.get("/", blocking=True)(handler)


# --- clients that leave ---


def test_a_coroutine_whose_client_left_goes_on_and_its_answer_is_dropped(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """What it does (an order, say) is done to the end; nobody is told anything."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    @app.get("/order")
    async def order(req: Request) -> str:
        began.set()
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        ended.set()
        return "ordered"

    app.get("/")(lambda req: "hello")
    assert client.get("/").text == "hello"
    server = app.server
    assert server is not None
    connect(server, b"GET /order HTTP/1.1\r\nHost: a\r\n\r\n").close()
    assert began.wait(10)
    assert client.get("/").text == "hello"
    go_on.set()
    assert ended.wait(10)
    assert client.get("/").text == "hello"
    assert [r.getMessage() for r in caplog.records if r.name == "hasty" and r.levelno >= logging.WARNING] == []


# --- streams ---


def test_an_async_generator_streams(app: App) -> None:
    go_on: list[asyncio.Event] = []
    made = threading.Event()

    @app.get("/")
    async def steps(req: Request) -> AsyncIterator[str]:
        go_on.append(asyncio.Event())
        yield f"one of {req.path} "
        made.set()
        await go_on[0].wait()
        yield "two"

    @app.get("/go-on")
    async def release(req: Request) -> None:
        go_on[0].set()

    with app.start() as server, connect(server) as connection:
        assert b"one of / " in read_until(connection, b"one of / \r\n")
        assert made.wait(10)
        assert urlopen(f"{server.url}/go-on", timeout=10).status == 204
        assert read_until(connection, b"0\r\n\r\n").endswith(b"two\r\n0\r\n\r\n")


def test_events_of_an_async_generator(app: App, client: Client) -> None:
    @app.get("/")
    async def ticks(req: Request, res: Response) -> AsyncIterator[Event]:
        res.status(201).header("X-A", "b")
        for count in range(3):
            yield Event("tick", data={"count": count})
            await asyncio.sleep(0.001)

    answer = client.get("/")
    assert (answer.status_code, answer.headers["x-a"]) == (201, "b")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == "".join(f'event: tick\ndata: {{"count":{count}}}\n\n' for count in range(3))


def test_a_coroutine_may_return_an_async_generator(app: App, client: Client) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0)
        yield "b"

    @app.get("/")
    async def answer(req: Request) -> Response:
        await asyncio.sleep(0)
        return Response.stream(pieces(), headers={"X-A": "b"})  # type: ignore[arg-type]

    got = client.get("/")
    assert (got.text, got.headers["x-a"]) == ("ab", "b")


def test_an_async_generator_is_closed_when_its_client_leaves(app: App, client: Client) -> None:
    closed = threading.Event()

    @app.get("/")
    async def forever(req: Request) -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0.002)
        finally:
            await asyncio.sleep(0)
            closed.set()

    app.get("/hello")(lambda req: "hello")
    client.get("/hello")
    server = app.server
    assert server is not None
    with connect(server) as connection:
        assert connection.recv(65536)
    assert closed.wait(10)


def test_an_async_generator_that_waits_for_nothing_is_closed_when_its_client_leaves(app: App, client: Client) -> None:
    closed = threading.Event()

    @app.get("/")
    async def silent(req: Request) -> AsyncIterator[str]:
        try:
            yield "tick"
            await asyncio.Event().wait()
        finally:
            closed.set()

    app.get("/hello")(lambda req: "hello")
    client.get("/hello")
    server = app.server
    assert server is not None
    with connect(server) as connection:
        assert b"tick" in read_until(connection, b"tick\r\n")
    assert closed.wait(10)


@pytest.mark.parametrize("begins", [False, True])
def test_an_async_generator_that_awaits_a_cancelled_task_has_failed(
    begins: bool, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def stream(req: Request) -> AsyncIterator[str]:
        if begins:
            yield "begun"
        work = asyncio.ensure_future(asyncio.sleep(60))
        work.cancel()
        await work
        yield "never"

    if begins:
        with pytest.raises(http.client.IncompleteRead):
            client.get("/")
    else:
        assert client.get("/").status_code == 500
    assert "stream failed" in caplog.text and "CancelledError" in caplog.text


def test_many_async_generators_go_on_at_once_on_one_thread(app: App) -> None:
    names: set[str] = set()
    streams = 0
    everybody: asyncio.Event | None = None

    @app.get("/")
    async def stream(req: Request) -> AsyncIterator[str]:
        nonlocal streams, everybody
        everybody = everybody or asyncio.Event()
        names.add(threading.current_thread().name)
        yield "begun"
        streams += 1
        if streams == 100:
            everybody.set()
        await everybody.wait()
        yield "ended"

    with app.start() as server:
        connections = [connect(server) for _ in range(100)]
        before = threading.active_count()
        for connection in connections:
            with connection:
                assert read_until(connection, b"0\r\n\r\n").endswith(b"ended\r\n0\r\n\r\n")
        assert threading.active_count() <= before
    assert len(names) == 1


def test_an_async_generator_goes_no_faster_than_its_client(app: App) -> None:
    piece = "x" * 65536
    made = 0
    held = threading.Event()

    @app.get("/")
    async def fast(req: Request) -> AsyncIterator[str]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield piece

    @app.get("/made")
    async def count(req: Request) -> str:
        return str(made)

    with app.start() as server, connect(server) as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200 ")
        before, now = -1, 0
        while now != before:
            # It stands still once buffers are full.
            before = now
            held.wait(0.3)
            now = int(ask(f"{server.url}/made"))
        assert 0 < now < 500, "a few MiB at most wait for a slow client"
        received = 0
        while part := connection.recv(1 << 20):
            received += len(part)
            if part.endswith(b"0\r\n\r\n"):
                break
    assert made == 1000 and received > 65536 * 1000


def test_a_failing_async_generator_is_500_or_cut_off(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/before")
    async def before(req: Request) -> AsyncIterator[str]:
        raise RuntimeError("before")
        yield ""

    @app.get("/after")
    async def after(req: Request) -> AsyncIterator[str]:
        yield "some"
        await asyncio.sleep(0.001)
        raise RuntimeError("after")

    assert client.get("/before").status_code == 500
    server = app.server
    assert server is not None
    with connect(server, b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    assert b"some" in answer and not answer.endswith(b"0\r\n\r\n")
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [RuntimeError, RuntimeError]


# --- in a loop that runs already ---


def inside(app: App, task: Callable[[Server], Awaitable[Any]], runner: Callable[[Any], Any] = asyncio.run) -> Any:
    """Serves in a loop beside `task`, which gets the server; ends with stop()."""

    async def main() -> Any:
        started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        serving = asyncio.get_running_loop().create_task(app.serve(port=0, started=started.set_result))
        try:
            return await asyncio.wait_for(task(await started), 20)
        finally:
            app.stop()
            await asyncio.wait_for(serving, 10)

    return runner(main())


async def fetch(server: Server, path: str = "/") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode().partition("\r\n\r\n")[2]


def test_serve_runs_beside_other_tasks() -> None:
    app = App()
    beats: list[int] = []

    @app.get("/")
    async def hello(req: Request) -> str:
        await asyncio.sleep(0)
        return f"{threading.current_thread().name} {len(beats) >= 0}"

    app.get("/plain")(lambda req: threading.current_thread().name)

    async def task(server: Server) -> list[str]:
        async def beat() -> None:
            for number in range(10):
                beats.append(number)
                await asyncio.sleep(0)

        texts = await asyncio.gather(fetch(server), fetch(server, "/plain"), beat())
        return [text for text in texts if text is not None]

    here = threading.current_thread().name
    assert inside(app, task) == [f"{here} True", here], "all on the loop's own thread"
    assert len(beats) == 10


def test_serve_shares_the_loops_objects() -> None:
    app = App()

    async def task(server: Server) -> list[str]:
        answers: asyncio.Queue[str] = asyncio.Queue()
        app_side.append(answers)
        asking = asyncio.ensure_future(fetch(server))
        await answers.put("from the program")
        return [await asking]

    app_side: list[asyncio.Queue[str]] = []

    @app.get("/")
    async def take(req: Request) -> str:
        return await app_side[0].get()

    assert inside(app, task) == ["from the program"]


def test_serve_ends_when_it_is_cancelled() -> None:
    app = App()
    ended: list[str] = []

    async def main() -> tuple[int, str]:
        began = asyncio.Event()

        @app.get("/")
        async def wait(req: Request) -> str:
            began.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("handler")
            return "waited"

        started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(app.serve(port=0, started=started.set_result))
        server = await started
        asking = asyncio.ensure_future(fetch(server))
        await began.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return server.port, await asyncio.wait_for(asking, 10)

    port, text = asyncio.run(main())
    assert ended == ["handler"], "its coroutines are cancelled with it"
    assert text.startswith("503 "), "who waits for one is told"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("is_mounted", [False, True])
def test_a_cancelled_serve_waits_for_no_handler(is_mounted: bool) -> None:
    """The program's loop would stand still meanwhile."""
    app = App()
    inside, goes_on, went_on = threading.Event(), threading.Event(), list[bool]()
    threads: list[threading.Thread] = []

    @app.get("/", blocking=True)
    def waits(req: Request) -> None:
        threads.append(threading.current_thread())
        inside.set()
        went_on.append(goes_on.wait(6))

    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    if is_mounted:
        mount(app, "/api", application)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        started: asyncio.Future[Server] = loop.create_future()
        serving = asyncio.ensure_future(app.serve(port=0, started=started.set_result))
        asking = asyncio.ensure_future(fetch(await started))
        await asyncio.to_thread(inside.wait, 20)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        goes_on.set()
        await asking

    asyncio.run(main())
    threads[0].join(20)
    assert went_on == [True]


@pytest.mark.parametrize("call", ["wait", "close"])
@pytest.mark.parametrize("is_async", [False, True])
def test_waiting_for_the_end_on_the_loop_that_serves_is_refused(is_async: bool, call: str) -> None:
    app = App()

    def end(req: Request | None) -> str:
        assert app.server is not None
        try:
            app.server.wait(1) if call == "wait" else app.server.close()
        except StateError as error:
            return str(error)
        return "it held up the loop"

    async def end_later(req: Request) -> str:
        return end(req)

    async def both(server: Server) -> list[str]:
        return [await fetch(server), end(None)]

    app.get("/")(end_later if is_async else end)
    words = inside(app, both)
    assert all("use stop(), which returns at once" in each for each in words), words
    assert app.server is not None and app.server.wait(0), "once it has ended nobody waits"
    app.server.close()


def test_stop_ends_serve_from_a_handler_and_from_a_thread() -> None:
    for ender in ("handler", "thread"):
        app = App()

        @app.get("/")
        async def stop(req: Request, app: App = app) -> str:
            app.stop()
            return "stopping"

        async def main(app: App = app, ender: str = ender) -> None:
            started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
            serving = asyncio.ensure_future(app.serve(port=0, started=started.set_result))
            server = await started
            if ender == "handler":
                await fetch(server)
            else:
                await asyncio.get_running_loop().run_in_executor(None, app.stop)
            await asyncio.wait_for(serving, 10)

        asyncio.run(main())


def test_two_apps_serve_in_one_loop() -> None:
    apps = [App(), App()]
    for number, each in enumerate(apps):

        @each.get("/")
        async def which(req: Request, number: int = number) -> str:
            await asyncio.sleep(0)
            return str(number)

    async def main() -> list[str]:
        started = [asyncio.get_running_loop().create_future() for _ in apps]
        serving = [
            asyncio.ensure_future(app.serve(port=0, started=future.set_result)) for app, future in zip(apps, started)
        ]
        servers = [await future for future in started]
        texts = list(await asyncio.gather(*(fetch(server) for server in servers * 5)))
        for app in apps:
            app.stop()
        await asyncio.wait_for(asyncio.gather(*serving), 10)
        return texts

    assert asyncio.run(main()) == ["0", "1"] * 5


def test_serve_works_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    app = App()

    @app.get("/")
    async def which(req: Request) -> str:
        await asyncio.sleep(0.001)
        return type(asyncio.get_running_loop()).__module__

    @app.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        for number in range(3):
            yield str(number)
            await asyncio.sleep(0.001)

    async def task(server: Server) -> list[str]:
        texts = await asyncio.gather(*(fetch(server) for _ in range(20)))
        return [*set(texts), (await fetch(server, "/stream")).replace("\r\n", "")]

    loop = uvloop.new_event_loop()
    try:
        assert inside(app, task, loop.run_until_complete) == ["uvloop", "1011120"]
    finally:
        loop.close()


def test_serve_is_refused_twice_and_after_start() -> None:
    app = App()
    app.get("/")(lambda req: "hello")

    async def task(server: Server) -> str:
        with pytest.raises(StateError, match="started"):
            await app.serve(port=0)
        with pytest.raises(StateError, match="started"):
            app.start()
        return await fetch(server)

    assert inside(app, task) == "hello"
    with pytest.raises(StateError):
        asyncio.run(app.serve(port=0))


def test_a_port_in_use_is_told_by_serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        app = App()
        with pytest.raises(OSError, match="in use"):
            asyncio.run(app.serve(port=taken.getsockname()[1]))


def test_serve_leaves_the_loop_as_it_was() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            app = App()
            app.get("/")(lambda req: "hello")
            started: asyncio.Future[Server] = loop.create_future()
            serving = asyncio.ensure_future(app.serve(port=0, started=started.set_result))
            assert await fetch(await started) == "hello"
            app.stop()
            await asyncio.wait_for(serving, 10)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_handler_that_holds_the_loop_is_named_once(
    app: App, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may hold the loop for a tenth of a second, too.
    monkeypatch.setattr("hasty.watch._LOOKS", 20)

    @app.get("/hold")
    async def holds(req: Request) -> str:
        until = time.monotonic() + 20
        while not warned() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(1.5)
        return "held"

    @app.get("/wait")
    async def waits(req: Request) -> str:
        await asyncio.sleep(1.5)
        return "waited"

    def warned() -> list[str]:
        # In its debug mode asyncio has a word to say, too.
        return [r.getMessage() for r in caplog.records if r.name == "hasty" and r.levelno == logging.WARNING]

    assert (client.get("/wait").text, warned()) == ("waited", [])
    assert (client.get("/hold").text, client.get("/hold").text) == ("held", "held")
    assert len(warned()) == 1 and "holds" in warned()[0] and "/hold" in warned()[0]


def test_several_tasks_wait_for_room_and_all_of_them_are_called(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hasty.loop._LOOK_AGAIN_S", 3600.0)

    @app.get("/")
    async def answer(req: Request) -> None:
        exchange = req.defer()

        async def write() -> None:
            for _ in range(100):
                await exchange.awrite(b"x" * 65536)

        await asyncio.gather(*[write() for _ in range(4)])
        exchange.finish()

    with app.start() as server, connect(server) as connection:
        octets = read_until(connection, b"\r\n0\r\n\r\n")
    assert octets.count(b"x") == 400 << 16


class Pieces:
    """An async iterator that is no generator."""

    def __init__(self) -> None:
        self._left = ["a", "b"]

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


def test_any_async_iterator_streams(app: App, client: Client) -> None:
    async def returned(req: Request) -> Any:
        return Pieces()

    async def given(req: Request) -> Response:
        return Response.stream(Pieces())

    app.get("/returned")(returned)
    app.get("/given")(given)
    app.get("/plain")(lambda req: Response.stream(Pieces()))
    assert [client.get(path).text for path in ("/returned", "/given", "/plain")] == ["ab"] * 3
