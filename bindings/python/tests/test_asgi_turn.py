"""ASGI requests that are answered one after the other: each finds what it would find alone."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest

import hasty
from hasty import cycle
from hasty.asgi import Application, as_app, mount
from hasty.turn import TURN

Scope = dict[str, Any]


@contextmanager
def served(application: Application) -> Iterator[hasty.Server]:
    with as_app(application, lifespan="off").start() as server:
        yield server


def request(target: str, method: str = "GET", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + body


def answers(server: hasty.Server, *requests: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """The answers to requests that come together, in one piece."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"".join(requests))
        stream = connection.makefile("rb")
        return [answer(stream, asked.startswith(b"HEAD")) for asked in requests]


def answer(stream: Any, is_head: bool) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    fields: dict[str, str] = {}
    for line in iter(stream.readline, b"\r\n"):
        name, _, value = line.decode().partition(": ")
        name = name.lower()
        fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    size = 0 if is_head or status == 304 else int(fields["content-length"])
    return status, fields, stream.read(size)


def bodies(server: hasty.Server, *targets: str) -> list[bytes]:
    return [body for _, _, body in answers(server, *map(request, targets))]


async def give(send: Any, text: object = "", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """The answer of an application, as most of them give it."""
    octets = str(text).encode()
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(octets)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": octets})


# --- one after the other ---


def test_each_has_its_own_request_and_answer() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        message = await receive()
        await give(send, [scope["method"], scope["path"], scope["query_string"], message["body"]])

    with served(application) as server:
        asked = [request("/a"), request("/b?c", "POST", b"d"), request("/a"), request("/e", "PUT", b"f" * 5000)]
        assert [body for _, _, body in answers(server, *asked)] == [
            b"['GET', '/a', b'', b'']",
            b"['POST', '/b', b'c', b'd']",
            b"['GET', '/a', b'', b'']",
            b"['PUT', '/e', b'', b'" + b"f" * 5000 + b"']",
        ]


def test_fields_that_differ_in_their_values_alone_are_told_apart() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        await give(send, scope["headers"])

    with served(application) as server:
        asked = [request("/").replace(b"Host: a", b"Host: " + host) for host in (b"a", b"b", b"a", b"longer", b"b")]
        expected = [f"[(b'host', b'{host}')]".encode() for host in ("a", "b", "a", "longer", "b")]
        assert [body for _, _, body in answers(server, *asked)] == expected


def test_what_one_sets_in_its_context_no_other_finds() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        found = name.get()
        if scope["path"] != "/look":
            name.set(scope["path"])
        await give(send, found)

    with served(application) as server:
        assert bodies(server, "/a", "/look", "/b", "/c", "/look", "/look") == [b"nobody"] * 6


def test_values_of_a_context_need_not_be_comparable() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("no")

        __hash__ = None  # type: ignore[assignment]

    first = Odd()
    odd: contextvars.ContextVar[Odd] = contextvars.ContextVar("odd")

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        found = odd.get()
        odd.set(Odd())
        await give(send, found is first)

    async def main() -> list[bytes]:
        odd.set(first)
        loop = asyncio.get_running_loop()
        started: asyncio.Future[hasty.Server] = loop.create_future()
        serving = loop.create_task(as_app(application, lifespan="off").serve(port=0, started=started.set_result))
        try:
            return await asyncio.to_thread(bodies, await started, "/", "/", "/")
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    assert asyncio.run(main()) == [b"True"] * 3


def test_values_of_a_context_that_are_equal_are_not_the_same() -> None:
    words: contextvars.ContextVar[list[str]] = contextvars.ContextVar("words")

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/set":
            own: list[str] = []
            words.set(own)
            asyncio.get_running_loop().call_soon(own.append, "a word of the first")
        else:
            await asyncio.sleep(0)
        await give(send, words.get())

    async def main() -> list[bytes]:
        words.set([])
        loop = asyncio.get_running_loop()
        started: asyncio.Future[hasty.Server] = loop.create_future()
        serving = loop.create_task(as_app(application, lifespan="off").serve(port=0, started=started.set_result))
        try:
            return await loop.run_in_executor(None, bodies, await started, "/set", "/look")
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    assert asyncio.run(main()) == [b"[]", b"[]"]


def test_one_that_waits_goes_on_while_others_are_answered() -> None:
    others: list[str] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        if scope["path"] == "/wait":
            while len(others) < 3:
                await asyncio.sleep(0.001)
            assert asyncio.current_task() is task
            await give(send, others)
        else:
            others.append(scope["path"])
            await give(send, scope["path"])

    with served(application) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as patient:
            patient.sendall(request("/wait"))
            assert bodies(server, "/1", "/2", "/3") == [b"/1", b"/2", b"/3"]
            assert answer(patient.makefile("rb"), False)[2] == b"['/1', '/2', '/3']"


def test_one_that_waits_after_its_answer_has_nothing_of_the_next() -> None:
    seen: list[Any] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        path = scope["path"]
        await give(send, path)
        if path == "/first":
            await asyncio.sleep(0)
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])
            with pytest.raises(hasty.StateError, match="after the end"):
                await give(send, "again")

    with served(application) as server:
        assert bodies(server, "/first", "/second", "/third") == [b"/first", b"/second", b"/third"]
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("kept", ["send", "receive"])
def test_who_keeps_what_was_given_for_one_request_has_nothing_of_the_next(kept: str) -> None:
    first: list[Callable[..., Any]] = []
    outcome: list[Any] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/first":
            first.append(send if kept == "send" else receive)
        elif kept == "send":
            try:
                await give(first[0], "not this")
            except hasty.StateError as error:
                outcome.append(str(error))
        else:
            outcome.append(await first[0]())
            outcome.append(await first[0]())
        await give(send, scope["path"])

    with served(application) as server:
        asked = [request("/first", "POST", b"one"), request("/second", "POST", b"two")]
        assert [body for _, _, body in answers(server, *asked)] == [b"/first", b"/second"]
    if kept == "send":
        assert outcome == ["send('http.response.start') comes after the end of the answer"]
    else:
        assert outcome == [{"type": "http.request", "body": b"one", "more_body": False}, {"type": "http.disconnect"}]


def test_a_coroutine_that_begins_late_has_nothing_of_the_next_request() -> None:
    late: dict[str, asyncio.Task[Any]] = {}

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/first":
            await receive()
            late["receive"] = asyncio.create_task(receive())
            await give(send, "first")
        elif scope["path"] == "/second":
            await give(send, "second")
            late["send"] = asyncio.create_task(send({"type": "http.response.body", "body": b"no body of the third"}))
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await asyncio.wait(list(late.values()), timeout=20)
            message = await receive()
            await send({"type": "http.response.body", "body": message["body"]})

    with served(application) as server:
        asked = [request("/first", "POST", b"one"), request("/second"), request("/third", "POST", b"three")]
        assert [body for _, _, body in answers(server, *asked)] == [b"first", b"second", b"three"]
    assert late["receive"].result() == {"type": "http.disconnect"}
    assert "after the end of the answer" in str(late["send"].exception())


def test_what_one_keeps_for_its_task_no_other_finds() -> None:
    kept: dict[Any, str] = {}
    weakly: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
    ended: list[str] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        path = scope["path"]
        task = asyncio.current_task()
        assert task is not None
        found = kept.get(task), weakly.get(task), task.get_name().startswith("/")
        if path == "/keep":
            kept[task] = path
        elif path == "/weakly":
            weakly[task] = path
        elif path == "/name":
            task.set_name(path)
        elif path == "/callback":
            task.add_done_callback(lambda task: ended.append(f"{task.cancelled()}, {task.exception()}"))
        elif path == "/wait":
            while not ended:
                await asyncio.sleep(0.001)
        await give(send, found)

    with served(application) as server:
        targets = ["/keep", "/weakly", "/name", "/callback", "/wait"]
        assert bodies(server, *targets) == [b"(None, None, False)"] * 5
        for target in targets:
            assert bodies(server, target) == [b"(None, None, False)"]
    assert ended == ["False, None"] * 2


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="asyncio.timeout is of Python 3.11")
def test_a_timeout_that_one_leaves_open_is_not_the_next_ones() -> None:
    ended = asyncio.Event()
    open_ones: list[Any] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/open":
            open_ones.append(asyncio.timeout(0.01))
            await open_ones[0].__aenter__()
            asyncio.get_running_loop().call_later(0.02, ended.set)
        else:
            await ended.wait()
        await give(send, scope["path"])

    with served(application) as server:
        assert bodies(server, "/open", "/wait") == [b"/open", b"/wait"]


def test_one_that_cancels_its_task_cancels_no_other() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            await asyncio.sleep(0.001)
        await give(send, scope["path"])
        if scope["path"] == "/cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with served(application) as server:
        targets = ["/a", "/cancel", "/b", "/cancel", "/wait", "/c"]
        assert bodies(server, *targets) == [target.encode() for target in targets]


def test_one_that_fails_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/early":
            raise RuntimeError("early")
        if path == "/none":
            return
        if path == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            raise SystemExit("half")
        if path == "/cancelled":
            await give(send, path)
            raise asyncio.CancelledError
        await give(send, path)
        if path == "/late":
            raise RuntimeError("late")

    with served(application) as server:
        targets = ["/a", "/early", "/none", "/half", "/late", "/cancelled", "/b"]
        got = answers(server, *map(request, targets))
    assert [status for status, _, _ in got] == [200, 500, 500, 500, 200, 200, 200]
    assert [body for status, _, body in got if status == 200] == [b"/a", b"/late", b"/cancelled", b"/b"]
    assert caplog.text.count("the application failed") == 3
    assert caplog.text.count("did not answer") == 1


def test_other_tasks_have_their_turn_between_many_requests() -> None:
    answered: list[int] = []
    before: list[int] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if not answered:
            asyncio.get_running_loop().call_soon(lambda: before.append(len(answered)))
        answered.append(1)
        await give(send, scope["path"])

    with served(application) as server:
        targets = [f"/{number}" for number in range(5 * TURN)]
        assert bodies(server, *targets) == [target.encode() for target in targets]
    assert before[0] <= TURN


def test_applications_and_other_routes_take_turns() -> None:
    app = hasty.App()

    @app.get("/plain")
    def plain(req: hasty.Request) -> str:
        return "plain"

    @app.get("/async")
    async def later(req: hasty.Request) -> str:
        return "async"

    async def one(scope: Scope, receive: Any, send: Any) -> None:
        await give(send, "one " + scope["path"])

    async def two(scope: Scope, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await give(send, "two " + scope["path"])

    mount(app, "/one", one, lifespan="off")
    mount(app, "/two", two, lifespan="off")
    with app.start() as server:
        targets = ["/plain", "/one/a", "/one", "/two/b", "/async", "/one/c", "/plain", "/two", "/async"] * TURN
        expected = {"/plain": b"plain", "/async": b"async"}
        expected.update({target: f"{target[1:4]} {target}".encode() for target in targets if target[2] not in "ls"})
        assert bodies(server, *targets) == [expected[target] for target in targets]


def test_what_belongs_to_a_request_ends_with_it() -> None:
    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        thing = scope["state"]["thing"] = Thing()
        things.append(weakref.ref(thing))
        await give(send, "x")

    gc.disable()
    try:
        with served(application) as server:
            bodies(server, "/", "/", "/")
            # The answers were sent after that.
            assert [reference() for reference in things] == [None] * 3
    finally:
        gc.enable()


def test_what_one_changes_in_its_scope_no_other_finds() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        found = "changed" in str(scope)
        for name in ("asgi", "state", "extensions"):
            scope[name]["changed"] = {}
        for extension in scope["extensions"].values():
            extension["changed"] = True
        scope["headers"].append((b"changed", b""))
        scope["changed"] = True
        await give(send, found)

    with served(application) as server:
        assert bodies(server, "/", "/", "/other") == [b"False"] * 3


# --- heads ---


def test_heads_that_differ_are_told_apart() -> None:
    heads: list[tuple[int, Any, bytes]] = [
        (200, [(b"content-type", b"text/plain"), (b"content-length", b"1")], b"a"),
        (200, [(b"content-type", b"text/html"), (b"content-length", b"1")], b"b"),
        (201, [(b"content-type", b"text/html"), (b"content-length", b"1")], b"c"),
        (201, [(b"content-type", b"text/html")], b"long"),
        (201, [(b"content-type", b"text/html"), (b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")], b"d"),
        (200, [(b"x-a", b"1")], b""),
        (200, [(b"content-type", b"odd")], b"odd"),
        (200, [[b"content-type", bytearray(b" a/b ")]], b"e"),
        (200, ((b"content-type", b"a/c"),), b"f"),
        (404, [(b"content-type", b"text/plain"), (b"content-length", b"1")], b"g"),
        (200, [(b"content-type", b"text/plain"), (b"content-length", b"1")], b"h"),
    ]

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        status, headers, body = heads[int(scope["path"][1:])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def expected(status: int, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        fields: dict[str, str] = {"content-length": str(len(body))}
        for name, value in headers:
            name, value = name.decode(), bytes(value).decode().strip()
            fields[name] = f"{fields[name]}, {value}" if name == "x-a" and name in fields else value
        return status, fields, body

    with served(application) as server:
        order = [number for number in range(len(heads)) for _ in range(2)] + list(range(len(heads)))
        got = answers(server, *(request(f"/{number}") for number in order))
    for fields in (fields for _, fields, _ in got):
        del fields["date"], fields["server"]
    assert got == [expected(*heads[number]) for number in order]


def test_headers_that_are_none_are_not_those_of_another_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        headers = ((b"content-type", b"text/plain"), (b"x-secret", b"1")) if scope["path"] == "/tuple" else None
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x"})

    with served(application) as server:
        got = answers(server, *map(request, ("/tuple", "/none", "/tuple", "/none")))
    assert [status for status, _, _ in got] == [200, 500] * 2
    assert caplog.text.count("the application failed") == 2


def test_heads_that_are_ever_new_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "_heads", {})
    monkeypatch.setattr(cycle, "_MOST", 4)

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", scope["raw_path"])]})
        await send({"type": "http.response.body", "body": b""})

    with served(application) as server:
        targets = [f"/{number}" for number in range(30)] + [f"/{number}" + "x" * 2000 for number in range(30)]
        got = answers(server, *map(request, targets))
        assert [fields["location"] for _, fields, _ in got] == targets
    assert 0 < len(cycle._heads) <= 4
    assert all(len(head.fields) < 2000 for head in cycle._heads.values())


def test_a_list_of_headers_may_be_changed_and_sent_again() -> None:
    headers = [(b"content-type", b"text/plain"), (b"x-number", b"0")]
    pair = [b"x-number", b"0"]

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/outer":
            headers[1] = (b"x-number", b"%d" % (int(headers[1][1]) + 1))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        else:
            pair[1] = b"%d" % (int(pair[1]) + 1)
            await send({"type": "http.response.start", "status": 200, "headers": [headers[0], pair]})
        await send({"type": "http.response.body", "body": b"x"})

    with served(application) as server:
        for target in ("/outer", "/inner"):
            got = answers(server, *[request(target)] * 3)
            assert [fields["x-number"] for _, fields, _ in got] == ["1", "2", "3"]


def test_a_length_may_be_that_of_a_body_which_is_not_sent() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        status = int(scope["path"][1:])
        if status == 201 or (scope["method"] == "GET" and status == 200):
            await give(send, "abc", status)
        else:
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"1000000")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    with served(application) as server:
        got = answers(server, *[request("/200", "HEAD"), request("/200"), request("/304"), request("/204", "HEAD")] * 2)
        got += answers(server, request("/201", "HEAD"), request("/201"))
    assert [(status, body) for status, _, body in got[:8]] == [(200, b""), (200, b"abc"), (304, b""), (204, b"")] * 2
    assert [(status, body) for status, _, body in got[8:]] == [(201, b""), (201, b"abc")]
    assert [fields.get("content-length") for _, fields, _ in got[:2] + got[8:]] == ["1000000", "3", "3", "3"]


# --- what send() gives ---


def test_what_send_gives_is_waited_for_in_every_way() -> None:
    async def application(scope: Scope, receive: Any, send: Any) -> None:
        path = scope["path"]
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(path))]
        first = send({"type": "http.response.start", "status": 200, "headers": headers})
        body = {"type": "http.response.body", "body": path.encode()}
        if path == "/tasks":
            await asyncio.create_task(first)
            await asyncio.create_task(send(body))
        elif path == "/gather":
            await asyncio.gather(first, send(body))
        elif path == "/timeout":
            await asyncio.wait_for(first, 10)
            await asyncio.wait_for(send(body), 10)
        elif path == "/ensure":
            await asyncio.ensure_future(first)
            await asyncio.shield(asyncio.ensure_future(send(body)))
        else:
            assert await first is None
            assert await send(body) is None

    with served(application) as server:
        targets = ["/plain", "/tasks", "/gather", "/timeout", "/ensure", "/plain"]
        assert bodies(server, *targets) == [target.encode() for target in targets]


def test_receive_and_send_pass_for_coroutine_functions() -> None:
    found: list[bool] = []

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        found.extend([is_async(receive), is_async(send)])
        await give(send)

    is_async = getattr(asyncio, "iscoroutinefunction", None) or __import__("inspect").iscoroutinefunction
    with served(application) as server:
        bodies(server, "/")
    assert found == [True, True]
