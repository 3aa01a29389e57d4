"""What runs around the handlers: use, after, state, headers for every answer, and limits of rate."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import runpy
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ask

from hasty import App, BadRequest, Client, InvalidError, Request, Response, Server, StateError, UnsupportedError, _kept

# --- use ---


def test_middleware_goes_on_with_none(app: App, client: Client) -> None:
    seen: list[str] = []
    app.use("/")(lambda req: seen.append(req.path))
    app.get("/a")(lambda req: "answer")
    assert client.get("/a").text == "answer"
    assert seen == ["/a"]


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [("no", 200, "no"), (("no", 403), 403, "no"), ({"a": 1}, 200, '{"a":1}'), (Response.status(401), 401, "")],
)
def test_middleware_may_answer_in_the_place_of_the_handler(
    answer: Any, status: int, text: str, app: App, client: Client
) -> None:
    ran: list[int] = []
    app.use("/")(lambda req: answer)
    app.get("/")(lambda req: ran.append(1))
    got = client.get("/")
    assert (got.status_code, got.text, ran) == (status, text, [])


def test_use_without_a_prefix_is_for_everything(app: App, client: Client) -> None:
    @app.use
    def stamp(req: Request, res: Response) -> None:
        res.header("X-Stamp", "1")

    app.get("/a/b")(lambda req: "")
    assert stamp.__name__ == "stamp", "the decorator gives the function back"
    assert client.get("/a/b").headers["x-stamp"] == "1"
    assert client.get("/nowhere").headers["x-stamp"] == "1"


def test_a_form_that_is_not_received_has_no_fields(app: App, client: Client) -> None:
    seen: list[tuple[str, int]] = []

    @app.use
    def look(req: Request) -> None:
        seen.append((req.path, len(req.form)))

    app.post("/here")(lambda req: req.form["a"])
    assert client.post("/here", form={"a": "1"}).text == "1"
    assert client.post("/nowhere", form={"a": "1"}).status_code == 404
    assert seen == [("/here", 0), ("/nowhere", 0)]


def test_middleware_runs_below_its_prefix_in_order_of_registration(app: App, client: Client) -> None:
    order: list[str] = []
    app.use("/a")(lambda req: order.append("first"))
    app.use("/")(lambda req: order.append("second"))
    app.use("/a/b")(lambda req: order.append("third"))
    app.any("/*")(lambda req: order.append("handler"))
    for path, names in {
        "/a/b": ["first", "second", "third", "handler"],
        "/a": ["first", "second", "handler"],
        "/ab": ["second", "handler"],
    }.items():
        order.clear()
        client.get(path)
        assert order == names, path


def test_middleware_runs_before_404_and_405_and_files(tmp_path: Path, app: App, client: Client) -> None:
    (tmp_path / "file.txt").write_text("file")
    app.use("/")(lambda req: ("stopped", 418) if "stop" in req.query else None)
    app.static("/files", tmp_path)
    app.get("/here")(lambda req: "")
    for method, path, status in (("GET", "/none", 404), ("POST", "/here", 405), ("GET", "/files/file.txt", 200)):
        assert client.request(method, path).status_code == status
        assert client.request(method, f"{path}?stop").status_code == 418


def test_fields_that_middleware_sets_stay_whoever_answers(app: App, client: Client) -> None:
    @app.use("/")
    def set_fields(req: Request, res: Response) -> None:
        res.header("X-One", "1").cookie("seen", "yes").header("X-Two", "of the middleware")

    app.get("/")(lambda req: Response.text("", headers={"X-Two": "of the handler"}))
    answer = client.get("/")
    assert answer.headers.getall("x-one") == ["1"]
    assert answer.headers.getall("x-two") == ["of the handler"]
    assert answer.headers["set-cookie"].startswith("seen=yes")
    assert client.get("/none").headers["x-one"] == "1"


def test_middleware_with_res_ends_the_way_by_answering(app: App, client: Client) -> None:
    @app.use("/text")
    def text(req: Request, res: Response) -> None:
        res.text("middleware")

    app.use("/status")(lambda req, res: res.status(403) and None)
    app.use("/returned")(lambda req, res: res)
    app.use("/other")(lambda req, res: Response.text("other"))
    app.get("/*")(lambda req: "handler")
    assert client.get("/text").text == "middleware"
    assert client.get("/status").status_code == 403
    assert (client.get("/returned").status_code, client.get("/returned").text) == (200, "")
    assert client.get("/other").text == "other"
    assert client.get("/else").text == "handler"


def test_middleware_may_refuse_an_upload_before_it_is_sent(app: App) -> None:
    app.use("/")(lambda req: ("not you", 403))
    app.post("/")(lambda req: "never")
    with app.start() as server:
        # No body follows: were it waited for, nothing would come back.
        answer = ask(server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ") and b"100 Continue" not in answer


@pytest.mark.parametrize("part", ["body", "text", "json"])
def test_there_is_no_body_in_middleware(part: str, app: App, client: Client) -> None:
    @app.use("/")
    def read(req: Request) -> None:
        with pytest.raises(StateError, match="the body is not available: middleware runs before it is read"):
            value = getattr(req, part)
            value()

    app.post("/")(lambda req: req.body)
    assert client.post("/", body=b"abc").body == b"abc"


def test_an_exception_in_middleware_is_500_and_logged(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.use("/")
    def broken(req: Request) -> None:
        if "bad" in req.query:
            raise BadRequest("a bad one")
        if "fail" in req.query:
            raise RuntimeError("a broken one")

    app.get("/")(lambda req: "fine")
    assert (client.get("/?bad").status_code, client.get("/?bad").text) == (400, "a bad one")
    assert not caplog.records
    assert client.get("/?fail").status_code == 500
    assert "broken failed" in caplog.text and "RuntimeError: a broken one" in caplog.text
    assert client.get("/").text == "fine"


def test_middleware_may_stream_its_answer(app: App, client: Client) -> None:
    app.use("/")(lambda req: iter(["piece ", "by ", "piece"]))
    assert client.get("/").text == "piece by piece"


def test_a_request_of_middleware_ends_with_it(app: App, client: Client) -> None:
    kept: list[Request] = []
    app.use("/")(lambda req: kept.append(req))
    app.get("/")(lambda req: "")
    client.get("/")
    with pytest.raises(StateError, match="ended when its handler returned"):
        _ = kept[0].path


def yields(req: Request) -> Any:
    yield ""


async def asynchronous(req: Request) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: None, "takes 0 arguments"),
        (yields, "yields yields, and middleware returns"),
        (asynchronous, "asynchronous is async"),
        (7, "middleware is a function, not 7"),
    ],
)
def test_what_is_no_middleware_is_refused(function: Any, words: str, app: App) -> None:
    with pytest.raises(InvalidError, match=words):
        app.use("/")(function)


@pytest.mark.parametrize("prefix", ["", "api", "/a\0b"])
def test_a_prefix_that_is_none_is_refused(prefix: str, app: App) -> None:
    with pytest.raises(InvalidError):
        app.use(prefix)(lambda req: None)
    with pytest.raises(InvalidError):
        app.after(prefix)(lambda req, res: None)


# --- locals ---


def test_locals_go_from_middleware_to_handler_to_after(app: App, client: Client) -> None:
    heard: list[tuple[str, str]] = []

    @app.use("/")
    def who(req: Request) -> None:
        req.locals["user"] = req.query["user"]

    @app.get("/")
    def handler(req: Request) -> str:
        req.locals["greeting"] = f"Hello, {req.locals['user']}!"
        return str(req.locals["greeting"])

    @app.after
    def hear(req: Request, res: Response) -> None:
        heard.append((req.locals["user"], req.locals["greeting"]))

    assert client.get("/?user=Ada").text == "Hello, Ada!"
    assert client.get("/?user=Ben").text == "Hello, Ben!"
    assert heard == [("Ada", "Hello, Ada!"), ("Ben", "Hello, Ben!")]


def test_each_request_has_locals_of_its_own_and_leaves_none_behind(app: App, client: Client) -> None:
    before = len(_kept._objects)

    @app.get("/")
    def count(req: Request) -> str:
        assert req.locals is req.locals
        req.locals["count"] = req.locals.get("count", 0) + 1
        return str(req.locals["count"])

    assert [client.get("/").text for _ in range(3)] == ["1", "1", "1"]
    client.close()
    assert len(_kept._objects) == before


# --- context variables ---

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def know(req: Request) -> None:
    if "x-user" in req.headers:
        user.set(req.headers["x-user"])


def register_users(app: App) -> None:
    """Routes of all kinds that tell who asks."""

    def fills(req: Request, res: Response) -> None:
        res.text(user.get())

    def writes(req: Request, res: Response) -> None:
        res.write(user.get())

    def yields(req: Request) -> Iterator[str]:
        yield user.get()
        yield user.get()

    def fails(req: Request) -> None:
        raise KeyError

    async def waits(req: Request) -> str:
        await asyncio.sleep(0)
        return user.get()

    async def at_once(req: Request) -> str:
        return user.get()

    async def yields_later(req: Request) -> AsyncIterator[str]:
        yield user.get()
        await asyncio.sleep(0)
        yield user.get()

    app.use("/")(know)
    app.after(lambda req, res: res.header("X-After", user.get()))
    app.error(KeyError)(lambda error: user.get())
    app.error(404)(lambda error: user.get())
    app.get("/plain")(lambda req: user.get())
    app.get("/plain/:name")(lambda req: user.get())
    app.get("/fills")(fills)
    app.get("/writes")(writes)
    app.get("/fails")(fails)
    app.get("/yields")(yields)
    app.get("/iterator")(lambda req: Response.stream(user.get() for _ in range(2)))
    app.get("/blocking", blocking=True)(lambda req: user.get())
    app.get("/blocking/yields", blocking=True)(yields)
    app.get("/waits")(waits)
    app.get("/at-once")(at_once)
    app.get("/yields-later")(yields_later)
    app.post("/reads", body="stream")(lambda req: user.get())
    app.post("/reads/yields", body="stream")(yields)
    app.post("/body")(lambda req: user.get())


_GETS = (
    "plain plain/1 fills writes fails yields iterator blocking blocking/yields waits at-once yields-later none".split()
)


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize(
    "target", [*(f"GET /{path}" for path in _GETS), "POST /reads", "POST /reads/yields", "POST /body"]
)
def test_what_middleware_sets_in_context_variables_is_for_that_request(target: str, threads: int) -> None:
    app = App(threads=threads)
    register_users(app)
    method, path = target.split()
    with app.test_client() as client:
        for name in ("Ada", "Bob", "nobody", "nobody", "Eve", "nobody"):
            answer = client.request(method, path, headers={"X-User": name} if name != "nobody" else {})
            assert answer.text in (name, name * 2)
            assert answer.headers["x-after"] == name


def test_what_a_handler_sets_in_a_context_variable_is_for_that_request(app: App, client: Client) -> None:
    def told(req: Request) -> str:
        before = user.get()
        user.set("somebody")
        return before

    app.use("/elsewhere")(know)
    app.get("/")(told)
    app.get("/blocking", blocking=True)(told)
    for _ in range(3):
        assert client.get("/").text == client.get("/blocking").text == "nobody"


def test_on_the_programs_own_loop_context_variables_begin_as_the_program_has_them() -> None:
    app = App()
    register_users(app)

    def look(server: Server) -> None:
        with Client(server.host, server.port) as client:
            told.extend(client.get(f"/{path}").text for path in ("plain", "fills", "at-once"))
            told.append(client.get("/plain", headers={"X-User": "Ada"}).text)
        app.stop()

    async def main() -> None:
        user.set("the program")
        await app.serve(0, started=lambda server: threading.Thread(target=look, args=[server]).start())

    told: list[str] = []
    asyncio.run(main())
    assert told == ["the program"] * 3 + ["Ada"]


# --- after ---


def test_after_sees_the_answer_and_changes_it(app: App, client: Client) -> None:
    seen: list[Any] = []

    @app.after("/")
    def change(req: Request, res: Response) -> None:
        seen.append(
            (req.path, res.status_code, res.body, res.content_type, res.headers.get("x-kind"), "x" in res.headers)
        )
        res.status(202).header("X-Kind", "changed").add_header("X-More", "1").cookie("after", "1")
        del res.headers["X-Gone"]
        res.text(res.body.decode().upper())

    app.get("/")(lambda req: Response.text("hello", headers={"X-Kind": "first", "X-Gone": "1"}))
    answer = client.get("/")
    assert seen == [("/", 200, b"hello", "text/plain; charset=utf-8", "first", False)]
    assert (answer.status_code, answer.text) == (202, "HELLO")
    assert answer.headers.getall("x-kind") == ["changed"] and answer.headers["x-more"] == "1"
    assert "x-gone" not in answer.headers and answer.headers["set-cookie"].startswith("after=1")


def test_after_that_changes_nothing_leaves_everything(app: App, client: Client) -> None:
    app.after(lambda req, res: None)
    app.after(lambda req, res: res)
    app.get("/")(lambda req: (b"octets", 201, {"X-A": "1"}))
    answer = client.get("/")
    assert (answer.status_code, answer.body, answer.headers["x-a"]) == (201, b"octets", "1")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_after_runs_in_reverse_order_for_every_answer(tmp_path: Path, app: App, client: Client) -> None:
    (tmp_path / "file.txt").write_text("file")
    order: list[str] = []
    app.after(lambda req, res: order.append("first"))
    app.after("/")(lambda req, res: order.append("second"))
    app.static("/files", tmp_path)
    app.get("/")(lambda req: 1 / 0)
    for path in ("/files/file.txt", "/none", "/"):
        order.clear()
        client.get(path)
        assert order == ["second", "first"], path


def test_after_keeps_to_its_prefix(app: App, client: Client) -> None:
    app.after("/api")(lambda req, res: res.header("X-Api", "1"))
    app.get("/*")(lambda req: "")
    assert "x-api" in client.get("/api/a").headers
    assert "x-api" not in client.get("/apis").headers


def test_after_may_change_the_head_of_a_stream(app: App, client: Client) -> None:
    bodies: list[bytes] = []

    @app.after
    def stamp(req: Request, res: Response) -> None:
        bodies.append(res.body)
        res.header("X-Stamp", "1")

    app.get("/")(lambda req: iter(["a", "b"]))
    answer = client.get("/")
    assert (answer.text, answer.headers["x-stamp"], bodies) == ("ab", "1", [b""])


def test_a_failing_after_is_500_and_logged(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.after
    def broken(req: Request, res: Response) -> None:
        if "fail" in req.query:
            raise RuntimeError("after all")

    app.get("/")(lambda req: "fine")
    assert client.get("/?fail").status_code == 500
    assert "broken failed" in caplog.text and "RuntimeError: after all" in caplog.text
    assert client.get("/").text == "fine"


def test_an_after_that_returns_an_answer_is_told(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.after(lambda req, res: Response.text("another"))
    app.get("/")(lambda req: "fine")
    assert client.get("/").status_code == 500
    assert "it must change res and return None" in caplog.text


def test_an_answer_that_is_kept_beyond_after_tells_nothing_and_takes_nothing(app: App, client: Client) -> None:
    kept: list[Response] = []
    fields: list[Any] = []

    @app.after
    def keep(req: Request, res: Response) -> None:
        kept.append(res)
        fields.append(res.headers)
        with pytest.raises(UnsupportedError):
            copy.copy(res.headers)

    app.get("/:name")(lambda req: Response.text(req.params["name"], headers={"X-Name": req.params["name"]}))
    for name in ("Ada", "Bob", "Eve"):
        assert client.get(f"/{name}").status_code == 200
    headers = fields[0]
    assert kept[0].headers is headers
    for use in (
        lambda: headers["x-name"],
        lambda: headers.get("x-name"),
        lambda: "x-name" in headers,
        lambda: headers.__setitem__("X-Name", "Mallory"),
        lambda: headers.__delitem__("X-Name"),
        lambda: headers.add("X-Name", "Mallory"),
        lambda: headers.getall("X-Name"),
        headers.pairs,
        lambda: list(headers),
        lambda: len(headers),
    ):
        with pytest.raises(StateError, match="was sent when the function"):
            use()
    with pytest.raises(StateError):
        _ = kept[0].body
    assert repr(kept[0]) == "<Response 200, sent>"


def test_fields_of_an_answer_are_found_by_name_only(app: App, client: Client) -> None:
    raised: list[BaseException] = []

    @app.after
    def look(req: Request, res: Response) -> None:
        for wrong in (lambda: list(res.headers), lambda: len(res.headers), res.headers.pairs):
            try:
                wrong()
            except UnsupportedError as error:
                raised.append(error)
        assert repr(res.headers)

    app.get("/")(lambda req: "")
    assert client.get("/").status_code == 200
    assert len(raised) == 3 and "look them up by name" in str(raised[0])


@pytest.mark.parametrize("function", [lambda req: None, lambda: None, yields, asynchronous, "text"])
def test_what_is_no_after_is_refused(function: Any, app: App) -> None:
    with pytest.raises(InvalidError, match=r"takes 1 argument|takes 0 arguments|yields|async|after function is a"):
        app.after("/")(function)


def test_what_comes_after_start_is_refused(app: App) -> None:
    with app.start():
        for late in (
            lambda: app.use("/")(lambda req: None),
            lambda: app.after(lambda req, res: None),
            lambda: app.add_header("X", "1"),
            lambda: app.secure_headers(),
            lambda: app.rate_limit("/", 1),
            lambda: app.cors("/"),
            lambda: app.error(KeyError)(lambda error: ""),
            lambda: app.error(404)(lambda error: ""),
            lambda: app.on_error(lambda req, res: None),
            lambda: app.on_access(print),
            lambda: app.access_log(),
        ):
            with pytest.raises(StateError, match="comes after the app has started"):
                late()


# --- headers for every answer ---


def test_a_default_header_is_on_every_answer_without_it(app: App, client: Client) -> None:
    app.add_header("X-Frame-Options", "DENY")
    app.get("/own")(lambda req: Response.text("", headers={"X-Frame-Options": "SAMEORIGIN"}))
    assert client.get("/none").headers.getall("x-frame-options") == ["DENY"]
    assert client.get("/own").headers.getall("x-frame-options") == ["SAMEORIGIN"]


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "c"), ("", "c"), ("X", "a\r\nb"), ("X", "\udc80"), ("Date", "today")]
)
def test_a_default_header_that_is_none_is_refused(name: str, value: str, app: App) -> None:
    with pytest.raises(InvalidError):
        app.add_header(name, value)


def test_secure_headers_tell_browsers_to_be_careful(app: App, client: Client) -> None:
    app.secure_headers()
    headers = client.get("/none").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-frame-options" in headers and "referrer-policy" in headers


# --- limits of rate ---


def test_who_asks_too_often_is_told_when_to_come_back(app: App, client: Client) -> None:
    app.rate_limit("/login", per_minute=1, burst=2)
    app.get("/*")(lambda req: "in")
    answers = [client.get("/login") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert answers[0].headers["ratelimit-remaining"] == "1" and "ratelimit-limit" in answers[2].headers
    assert client.get("/else").status_code == 200


def test_a_store_of_ones_own_may_decide(app: App, client: Client) -> None:
    asked: list[str] = []
    answers = [True, False, 1, None]

    def allow(key: str) -> object:
        asked.append(key)
        return answers[len(asked) - 1]

    app.rate_limit("/", per_minute=60, allow=allow)
    app.get("/")(lambda req: "in")
    assert [client.get("/").status_code for _ in answers] == [200, 429, 200, 429]
    assert asked == ["127.0.0.1"] * 4


def test_a_store_that_fails_is_logged_and_keeps_nobody_out(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def allow(key: str) -> bool:
        raise ConnectionError("the store is down")

    app.rate_limit("/", per_minute=60, allow=allow)
    app.get("/")(lambda req: "in")
    assert client.get("/").status_code == 200
    assert "ConnectionError: the store is down" in caplog.text


@pytest.mark.parametrize(("per_minute", "burst"), [(-1, 0), (1 << 32, 0), ("60", 0), (60, -1), (60, 1.5), (0, 0)])
def test_a_rate_that_is_none_is_refused(per_minute: Any, burst: Any, app: App) -> None:
    with pytest.raises(InvalidError):
        app.rate_limit("/", per_minute, burst)


# --- nothing leaks ---


def test_steps_go_with_their_server() -> None:
    import weakref

    class Step:
        def __call__(self, req: Request) -> None: ...

        def after(self, req: Request, res: Response) -> None: ...

        def error(self, error: BaseException) -> None: ...

        def record(self, record: Any) -> None: ...

        def allow(self, key: str) -> bool:
            return True

    step = Step()
    gone = weakref.ref(step)
    app = App()
    app.use("/")(step)
    app.after("/")(step.after)
    app.error(404)(step.error)
    app.error(KeyError)(step.error)
    app.on_access(step.record)
    app.rate_limit("/", 100, allow=step.allow)
    del step
    with app.test_client() as client:
        client.get("/")
    del app, client
    gc.collect()
    assert gone() is None


def test_the_example_answers_paths_that_no_middleware_has_seen() -> None:
    example = Path(__file__).parents[3] / "examples-python" / "middleware.py"
    with runpy.run_path(str(example))["app"].test_client() as client:
        answer = client.get("/%zz")
    assert (answer.status_code, answer.json()) == (400, {"error": 400})
    assert "x-request-id" in answer.headers
