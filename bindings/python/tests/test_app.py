"""An app: options, routes, threads, beginning and end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import datetime
import decimal
import errno
import functools
import gc
import gzip
import io
import logging
import os
import re
import socket
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import GET, ask

import hasty
import hasty.asgi
import hasty.wsgi
from hasty import App, Client, Event, HttpError, InvalidError, NotFoundError, Request, Response, StateError
from hasty.taker import Once

# --- routes and their handlers ---


def test_a_handler_returns_its_answer(app: App, client: Client) -> None:
    @app.get("/hello/:name")
    def hello(req: Request) -> str:
        return f"Hello, {req.params['name']}!"

    answer = client.get("/hello/Ada")
    assert (answer.status_code, answer.text) == (200, "Hello, Ada!")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_handler_fills_its_answer_in(app: App, client: Client) -> None:
    @app.get("/users/:id")
    def user(req: Request, res: Response) -> None:
        res.status(201).header("X-Kind", "user").json({"userId": req.params["id"]})

    answer = client.get("/users/7")
    assert (answer.status_code, answer.text) == (201, '{"userId":"7"}')
    assert answer.headers["x-kind"] == "user"


def test_a_handler_that_does_nothing_with_res_sends_an_empty_200(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: None)
    answer = client.get("/")
    assert (answer.status_code, answer.body, answer.headers["content-length"]) == (200, b"", "0")


def test_res_may_be_returned_so_that_a_lambda_will_do(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: res.status(202).text("soon"))
    assert (client.get("/").status_code, client.get("/").text) == (202, "soon")


def test_a_handler_with_res_may_return_another_response(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: Response.text("other"))
    assert client.get("/").text == "other"


def test_a_decorator_gives_the_function_back(app: App) -> None:
    def hello(req: Request) -> str:
        return "hello"

    assert app.get("/")(hello) is hello


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_each_method_has_a_decorator(method: str, app: App, client: Client) -> None:
    getattr(app, method)("/here")(lambda req: req.method)
    assert client.request(method.upper(), "/here").text == method.upper()
    assert client.request("BREW", "/here").status_code == 405


def test_any_takes_every_method_without_a_handler_of_its_own(app: App, client: Client) -> None:
    app.any("/here")(lambda req: f"any {req.method}")
    app.post("/here")(lambda req: "post")
    assert [client.request(method, "/here").text for method in ("GET", "POST", "BREW")] == [
        "any GET",
        "post",
        "any BREW",
    ]


def test_head_is_answered_from_get(app: App, client: Client) -> None:
    app.get("/")(lambda req: "twelve bytes")
    answer = client.head("/")
    assert (answer.status_code, answer.body, answer.headers["content-length"]) == (200, b"", "12")


def test_what_is_not_there_is_404_and_another_method_405(app: App, client: Client) -> None:
    app.get("/here")(lambda req: "")
    assert client.get("/there").status_code == 404
    answer = client.post("/here")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_each_route_runs_its_own_handler(app: App, client: Client) -> None:
    for number in range(50):
        app.get(f"/{number}")(lambda req, number=number: str(number))
    assert [client.get(f"/{number}").text for number in range(50)] == [str(number) for number in range(50)]


def test_a_conflict_names_both_patterns(app: App, client: Client) -> None:
    app.get("/users/:id")(lambda req: "first")
    with pytest.raises(ValueError, match=r"(?s)/users/:name.*/users/:id|/users/:id.*/users/:name"):
        app.get("/users/:name")(lambda req: "second")
    # What was refused left nothing behind: the numbers of later routes are right.
    app.get("/after")(lambda req: "after")
    assert (client.get("/users/7").text, client.get("/after").text) == ("first", "after")


@pytest.mark.parametrize(("method", "pattern"), [("GET", "/a/:"), ("GET", "/a/*/b"), ("G T", "/a"), ("", "/a")])
def test_a_malformed_route_is_refused(method: str, pattern: str, app: App) -> None:
    with pytest.raises(InvalidError):
        app.route(method, pattern)(lambda req: "")


def test_a_nul_in_a_pattern_is_refused_not_cut(app: App) -> None:
    with pytest.raises(InvalidError, match="NUL"):
        app.get("/a\0b")(lambda req: "")


@pytest.mark.parametrize("arguments", [("/path", "GET"), ("/path", "/other")])
def test_route_says_that_the_method_comes_first(arguments: tuple[str, str], app: App) -> None:
    with pytest.raises(InvalidError, match=r'route\("GET", "/path"\)'):
        app.route(*arguments)


def test_a_pattern_begins_with_a_slash(app: App) -> None:
    with pytest.raises(InvalidError, match=r"pattern 'a' must begin with a slash: write '/a'"):
        app.get("a")


@pytest.mark.parametrize(
    ("pattern", "segment", "instead"),
    [
        ("/u/<id>", "<id>", ":id"),
        ("/u/{id}/b", "{id}", ":id"),
        ("/u/<int:id>", "<int:id>", ":id"),
        ("/f/<path:rest>", "<path:rest>", "*rest"),
        ("/f/{rest:path}", "{rest:path}", "*rest"),
        ("/u/{id:int}", "{id:int}", ":id"),
    ],
)
def test_names_of_other_frameworks_are_refused(pattern: str, segment: str, instead: str, app: App) -> None:
    words = f"pattern {pattern!r}: a name is written {instead!r} here, not {segment!r}"
    with pytest.raises(InvalidError, match=re.escape(words)):
        app.get(pattern)


def test_braces_are_literals_where_they_are_encoded(app: App, client: Client) -> None:
    app.get("/%7Bid%7D")(lambda req: "braces")
    app.get("/a%7Bb%7D")(lambda req: "inside")
    with pytest.raises(InvalidError, match="a parameter is written :name"):
        app.get("/c{d}")(lambda req: "")
    assert (client.get("/%7bid%7d").text, client.get("/a%7bb%7d").text) == ("braces", "inside")


@pytest.mark.parametrize("method", ["get", "Post", "head"])
def test_methods_are_in_capitals(method: str, app: App) -> None:
    with pytest.raises(InvalidError, match=f"method '{method}': methods are written in capitals: '{method.upper()}'"):
        app.route(method, "/")


def test_a_method_of_ones_own_may_be_in_any_case(app: App, client: Client) -> None:
    app.route("purge", "/")(lambda req: req.method)
    assert client.request("purge", "/").text == "purge"


def one_param(id: str) -> str:
    return id


def both_params(name: str, id: str) -> None: ...


def second_param(req: Request, id: str) -> None: ...


@pytest.mark.parametrize(
    ("handler", "name"), [(one_param, "id"), (both_params, "name"), (second_param, "id"), (lambda id: "", "id")]
)
def test_a_handler_that_wants_a_param_is_told_where_it_is(handler: Any, name: str, app: App) -> None:
    with pytest.raises(InvalidError, match=rf"takes '{name}'.*is given the request: .*req\.params\['{name}'\]"):
        app.get("/:name/:id")(handler)


def test_what_a_handler_keeps_in_a_default_may_be_called_as_it_likes(app: App, client: Client) -> None:
    app.get("/:id")(lambda req, id=7: f"{req.params['id']} {id}")
    assert client.get("/a").text == "a 7"


def test_a_route_is_a_decorator_with_a_path(app: App) -> None:
    def handler(req: Request) -> str:
        return "hello"

    anything: Any = app
    for register in (app.get, app.post, app.put, app.patch, app.delete, app.options, app.any):
        made: Any = register
        with pytest.raises(TypeError, match=r"a route decorator needs a path, as in @app\.get\(\"/path\"\)"):
            made(handler)
        with pytest.raises(TypeError, match=r"takes no handler: write app\.get\(\"/path\"\)\(handler\)"):
            made("/x", handler)
    with pytest.raises(TypeError, match="takes no handler"):
        anything.route("GET", "/x", handler)
    with pytest.raises(TypeError, match="a route decorator needs a path"):
        anything.route("GET", handler)


def test_a_request_names_itself_where_it_has_no_such_attribute(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: req.args)
    app.get("/:id")(lambda req: req.state)
    for path, name in (("/", "args"), ("/a", "state")):
        assert client.get(path).status_code == 500
        assert f"'Request' object has no attribute '{name}'" in caplog.text


def test_a_route_after_start_is_refused(app: App) -> None:
    with (
        app.start(),
        pytest.raises(StateError, match=r"GET /late .*register everything before listen\(\) or start\(\)"),
    ):
        app.get("/late")(lambda req: "")


def test_a_route_has_a_limit_of_its_own(app: App, client: Client) -> None:
    app.post("/small", max_body_bytes=4)(lambda req: req.body)
    app.post("/large")(lambda req: req.body)
    assert client.post("/small", body="four").status_code == 200
    assert client.post("/small", body="fives").status_code == 413
    assert client.post("/large", body="fives").status_code == 200


def test_an_option_that_no_route_has_is_refused_by_name(app: App) -> None:
    with pytest.raises(NotFoundError, match="max_heeders"):
        app.get("/", max_heeders=1)(lambda req: "")  # type: ignore[call-arg]


@pytest.mark.parametrize("options", [{"body": "later"}, {"exchange_timeout_ms": -1}, {"max_body_bytes": "many"}])
def test_a_wrong_value_of_a_routes_option_is_refused(options: dict[str, Any], app: App) -> None:
    with pytest.raises(InvalidError, match=next(iter(options))):
        app.post("/", **options)(lambda req: "")


@pytest.mark.parametrize("options", [{"exchange_timeout_ms": "abc"}, {"max_body_bytes": 10, "body": "later"}])
def test_a_route_whose_options_are_refused_is_not_there(options: dict[str, Any], app: App, client: Client) -> None:
    with pytest.raises(InvalidError):

        @app.get("/a", **options)
        async def refused(req: Request) -> str:
            return "refused"

    assert repr(app) == "<App with 0 routes>"
    app.get("/b")(lambda req: "beside it")
    assert (client.get("/a").status_code, client.get("/b").text) == (404, "beside it")


def test_a_route_may_be_registered_once_its_options_are_right(app: App, client: Client) -> None:
    with pytest.raises(NotFoundError):
        app.post("/a", max_bdy_bytes=10)(lambda req: "wrong")  # type: ignore[call-arg]
    app.post("/a", max_body_bytes=10)(lambda req: "right")
    assert client.post("/a").text == "right" and client.post("/a", body="more than ten").status_code == 413


# --- what a handler may look like ---


class Callable1:
    def __call__(self, req: Request) -> str:
        return "an object"

    def method(self, req: Request) -> str:
        return "a method"

    @staticmethod
    def static(req: Request, res: Response) -> None:
        res.text("a static method")


def with_default(req: Request, greeting: str = "hello") -> str:
    return greeting


def with_rest(*args: Any) -> str:
    return str(len(args))


def with_keywords(req: Request, *, greeting: str = "hello", **more: Any) -> str:
    return greeting


def with_prefix(prefix: str, req: Request) -> str:
    return prefix


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (lambda req: "a lambda", "a lambda"),
        (Callable1(), "an object"),
        (Callable1().method, "a method"),
        (Callable1.static, "a static method"),
        (with_default, "hello"),
        (with_rest, "1"),
        (with_keywords, "hello"),
        (functools.partial(with_prefix, "partial"), "partial"),
    ],
)
def test_whatever_takes_a_request_is_a_handler(handler: Any, text: str, app: App, client: Client) -> None:
    app.get("/")(handler)
    assert client.get("/").text == text


def takes_nothing() -> str:
    return ""


def takes_three(req: Request, res: Response, more: int) -> None: ...


def takes_keyword(req: Request, *, needed: int) -> str:
    return ""


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (takes_nothing, "takes_nothing takes 0 arguments: `def takes_nothing(req)` returns the answer, "),
        (takes_three, "takes_three takes 3 arguments.*`def takes_three(req, res)` fills it in"),
        (takes_keyword, "takes_keyword needs the keyword argument 'needed'"),
        (lambda: "", "takes 0 arguments: `def h.req.` returns"),
        ("hello", "a handler is a function, not 'hello'"),
        (None, "a handler is a function, not None"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_at_registration(handler: Any, words: str, app: App) -> None:
    pattern = words.replace("(req)", r"\(req\)").replace("(req, res)", r"\(req, res\)")
    with pytest.raises(ValueError, match=pattern):
        app.get("/")(handler)


# --- options ---


def test_options_go_by_name(client: Client) -> None:
    app = App(max_body_bytes=1 << 20, max_headers=50, idle_timeout_ms=0, server_header="mine", backlog=16)
    names = ("max_body_bytes", "max_headers", "idle_timeout_ms", "server_header", "backlog")
    assert [app.option(name) for name in names] == ["1048576", "50", "0", "mine", "16"]


@pytest.mark.parametrize(
    "name",
    [
        "max_body_bytes",
        "max_connections",
        "max_connections_per_ip",
        "max_header_bytes",
        "max_headers",
        "max_target_bytes",
        "header_timeout_ms",
        "body_timeout_ms",
        "idle_timeout_ms",
        "write_timeout_ms",
        "exchange_timeout_ms",
        "max_requests_per_connection",
        "spool_bytes",
        "max_parts",
        "stream_buffer_bytes",
    ],
)
def test_every_option_of_the_struct_has_a_parameter(name: str) -> None:
    assert App(**{name: 1234}).option(name) == "1234"  # type: ignore[arg-type]


def test_an_option_takes_effect() -> None:
    app = App(max_body_bytes=3, server_header="mine")
    app.post("/")(lambda req: "")
    with app.test_client() as client:
        assert client.post("/", body="123").headers["server"] == "mine"
        assert client.post("/", body="1234").status_code == 413


def test_switches_and_paths_are_options_too(tmp_path: Path) -> None:
    app = App(compress=False, spool_directory=tmp_path)
    assert (app.option("compress"), app.option("spool_directory")) == ("0", str(tmp_path))
    assert App().option("compress") == "1"


def test_answers_are_compressed_unless_that_is_turned_off() -> None:
    sizes = []
    for compress in (True, False):
        app = App(compress=compress)
        app.get("/")(lambda req: "a" * 10_000)
        app.get("/stream")(lambda req: ("a" * 1000 for _ in range(10)))
        with app.test_client() as client:
            answers = [client.get(path, headers={"Accept-Encoding": "gzip"}) for path in ("/", "/stream")]
        for answer in answers:
            plain = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body
            assert plain == b"a" * 10_000
            sizes.append(len(answer.body))
    assert max(sizes[:2]) < 1000 and sizes[2:] == [10_000, 10_000]


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(NotFoundError, match="max_heeders"):
        App(max_heeders=1)


@pytest.mark.parametrize("options", [{"max_headers": -1}, {"max_headers": "many"}, {"server_header": "a\r\nb"}])
def test_a_wrong_value_is_refused_with_its_option(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        App(**options)


@pytest.mark.parametrize("threads", [-1, "2", 1.5])
def test_threads_is_a_number_from_0(threads: Any) -> None:
    with pytest.raises(InvalidError, match="threads"):
        App(threads=threads)


def test_the_library_gets_no_threads_of_its_own() -> None:
    app = App(threads=4)
    assert (app.option("threads"), app.option("io_threads")) == ("4", "0")
    app = App(io_threads=2)
    assert (app.option("threads"), app.option("io_threads")) == ("0", "2")


# --- threads ---


def test_handlers_run_on_threads_that_python_knows(app: App, client: Client) -> None:
    threads = []
    app.get("/")(lambda req: threads.append(threading.current_thread()))
    for _ in range(3):
        assert client.get("/").status_code == 204
    assert {thread.name for thread in threads} == {"hasty-1"}
    assert not any(isinstance(thread, threading._DummyThread) for thread in threads)


def test_as_many_handlers_run_at_a_time_as_there_are_threads() -> None:
    app = App(threads=3)
    together = threading.Barrier(3)

    @app.get("/")
    def meet(req: Request) -> str:
        together.wait(10)
        return threading.current_thread().name

    names = []
    with app.start() as server:

        def go() -> None:
            names.append(Client(server.host, server.port).get("/").text)

        clients = [threading.Thread(target=go) for _ in range(3)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert sorted(names) == ["hasty-1", "hasty-2", "hasty-3"]


def test_two_apps_run_side_by_side() -> None:
    first, second = App(), App()
    first.get("/")(lambda req: "first")
    second.get("/")(lambda req: "second")
    with first.test_client() as one, second.test_client() as two:
        assert (one.get("/").text, two.get("/").text, one.get("/").text) == ("first", "second", "first")


def test_one_app_may_ask_another_inside_a_handler() -> None:
    inner, outer = App(), App()
    inner.get("/")(lambda req: "inner")
    with inner.test_client() as inside:
        outer.get("/")(lambda req: f"outer of {inside.get('/').text}")
        with outer.test_client() as client:
            assert client.get("/").text == "outer of inner"


def test_every_mapping_is_json(app: App, client: Client) -> None:
    app.get("/query")(lambda req: req.query)
    app.get("/inside")(lambda req: {"query": req.query, "headers": [req.params]})
    app.get("/step")(lambda req: Response.json(req.query))
    assert client.get("/query?a=1&b=%C3%A9").json() == client.get("/step?a=1&b=%C3%A9").json() == {"a": "1", "b": "é"}
    assert client.get("/inside?a=1").json() == {"query": {"a": "1"}, "headers": [{}]}


# --- failures ---


def test_an_exception_is_logged_with_its_traceback_and_answers_500(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/fail")
    def fail(req: Request) -> str:
        raise RuntimeError("the cupboard is bare")

    app.get("/fine")(lambda req: "works")
    answer = client.get("/fail?a=1")
    assert answer.status_code == 500
    assert "cupboard" not in answer.text, "what went wrong is for the log, not for strangers"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("hasty", "ERROR")
    assert record.getMessage() == f"GET /fail?a=1: {fail.__qualname__} failed"
    assert record.exc_info is not None and str(record.exc_info[1]) == "the cupboard is bare"
    assert "in fail\n" in caplog.text, "the traceback"
    assert client.get("/fine").text == "works", "the worker is healthy"


@pytest.mark.parametrize("prefix", ["", "/asgi", "/wsgi"])
def test_a_target_cannot_make_lines_of_the_log_or_command_a_terminal(
    prefix: str, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("mine")

    async def fail_later(scope: Any, receive: Any, send: Any) -> None:
        fail()

    app.get("/*")(lambda req: fail())
    hasty.asgi.mount(app, "/asgi", fail_later, lifespan="off")
    hasty.wsgi.mount(app, "/wsgi", lambda environ, start_response: fail())
    with app.start() as server:
        line = f"GET {prefix}/a%0AERROR%1B?\x9b2J HTTP/1.1"
        ask(server, f"{line}\r\nHost: a\r\nConnection: close\r\n\r\n".encode("latin-1"))
    (record,) = caplog.records
    assert record.getMessage().startswith(f"GET {prefix}/a%0AERROR%1B")
    assert record.getMessage().isprintable()


def test_the_connection_is_healthy_after_a_failure(app: App) -> None:
    app.get("/fail")(lambda req: 1 / 0)
    app.get("/fine")(lambda req: "works")
    with app.start() as server:
        answers = ask(
            server,
            b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\nGET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
    assert answers.count(b"HTTP/1.1 500 ") == 1
    assert answers.endswith(b"\r\n\r\nworks")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError(), RecursionError()]
)
def test_no_exception_ends_a_worker(error: BaseException, app: App, client: Client) -> None:
    @app.get("/fail")
    def fail(req: Request) -> str:
        raise error

    app.get("/fine")(lambda req: "works")
    assert (client.get("/fail").status_code, client.get("/fine").text) == (500, "works")


def test_what_was_filled_in_before_a_failure_is_not_sent(app: App, client: Client) -> None:
    @app.get("/")
    def fail(req: Request, res: Response) -> None:
        res.status(201).header("X-Half", "1").cookie("half", "1").text("half")
        raise RuntimeError

    answer = client.get("/")
    assert answer.status_code == 500
    assert "x-half" not in answer.headers and "set-cookie" not in answer.headers and "half" not in answer.text


@pytest.mark.parametrize("value", [7, 1.5, True, object(), {1, 2}, ("text",), ("a", 200, {}, 4), (Response(), 200)])
def test_a_value_that_is_no_answer_is_500_and_explained(
    value: Any, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: value)
    assert client.get("/").status_code == 500
    assert any(f"TypeError: {words}" in caplog.text for words in ("a body is str", "a tuple is", "a Response carries"))


class Person(NamedTuple):
    name: str
    age: int


def wraps(function: Any) -> Any:
    return lambda req: function(req)


async def later(req: Request) -> str:
    return "later"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Event("a", data=1), "an Event is a piece of a stream: `yield Event(...)` instead of `return Event(...)`"),
        (Event("a", data={"b": 1}), "an Event is a piece of a stream"),
        (Person("Ada", 200), "only a plain tuple can be (body, status) or (body, status, headers), not a Person"),
        (("text", "201"), "a tuple is (body, status) or (body, status, headers), not (str, str)"),
        ((Response.json(1), 201), "a Response carries its own status, as in Response.json(value, status=201)"),
    ],
)
def test_tuples_that_are_no_answer_are_told_from_those_that_are(
    value: Any, words: str, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.error(404)(lambda error: value)
    app.get("/")(lambda req: value)
    assert client.get("/").status_code == 500
    assert words in caplog.text
    caplog.clear()
    assert client.get("/nowhere").status_code == 404
    assert words in caplog.text


@dataclasses.dataclass
class Point:
    x: int


class Later:
    def __await__(self) -> Any: ...


class Model:
    def model_dump(self, mode: str) -> Any: ...


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HttpError(404), "not HttpError; raise it"),
        (concurrent.futures.Future, "not Future; Response.json() takes any JSON value"),
        (Later, "not Later; await it, in an `async def`"),
        (lambda: Point(1), "not Point; dataclasses.asdict() makes a dict of it"),
        (lambda: Point, "not type; Response.json() takes any JSON value"),
        (Model, 'not Model; its model_dump(mode="json") is a dict'),
        (lambda: {1, 2}, "not set; list() makes a list of it"),
        (lambda: range(2), "not range; list() makes a list of it"),
        (lambda: Path("report.pdf"), "not PosixPath; Response.file() sends the file"),
        (lambda: 42, "not int; Response.json() takes any JSON value"),
    ],
)
def test_what_is_often_returned_and_is_no_body_is_explained(
    make: Any, words: str, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: make())
    assert client.get("/").status_code == 500
    assert words in caplog.text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: datetime.date(2024, 2, 29), "Object of type date is not JSON serializable; its isoformat() is text"),
        (lambda: Point(1), "Object of type Point is not JSON serializable; dataclasses.asdict() makes a dict of it"),
        (Model, 'Object of type Model is not JSON serializable; its model_dump(mode="json") is a dict'),
        (lambda: {1, 2}, "Object of type set is not JSON serializable; list() makes a list of it"),
        (Later, "Object of type Later is not JSON serializable; await it, in an `async def`"),
        (lambda: b"", "Object of type bytes is not JSON serializable; make text, a number, a list or a dict of it"),
        (
            lambda: decimal.Decimal("0.5"),
            "Object of type Decimal is not JSON serializable; make text, a number, a list or a dict of it",
        ),
    ],
)
def test_what_is_often_inside_json_and_is_none_is_explained(
    make: Any, words: str, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: {"value": make()})
    assert client.get("/").status_code == 500
    assert words in caplog.text


def test_reading_where_the_body_is_there_is_explained(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.post("/")(lambda req: req.read())
    assert client.post("/", body="all").status_code == 500
    assert 'are for routes with body="stream"' in caplog.text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda app: app.run(8080), "host 8080 is not str"),
        (lambda app: app.run(8080, workers=2), "host 8080 is not str"),
        (lambda app: app.start("127.0.0.1", 0), "host 0 is not str"),
        (lambda app: app.listen(8080, lambda: print("listening")), "listen() takes no callback"),
        (lambda app: asyncio.run(app.serve(0, 5)), "host 5 is not str"),
        (lambda app: hasty.asgi.serve(later, 8000, lifespan="off"), "host 8000 is not str"),
        (lambda app: app.get(None), "pattern None is not str"),
    ],
)
def test_arguments_in_the_wrong_places_are_told_of(wrong: Any, words: str, app: App) -> None:
    with pytest.raises(InvalidError, match=re.escape(words)):
        wrong(app)


def test_a_list_of_methods_is_told_of(app: App) -> None:
    with pytest.raises(TypeError, match=re.escape("a route has one method: use @app.get, @app.post")):
        app.get("/", methods=["GET"])  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "register", [lambda app: app.route("/users"), lambda app: app.route("/users", methods=["GET", "POST"])]
)
def test_a_route_as_in_flask_is_told_of(register: Any, app: App) -> None:
    with pytest.raises(InvalidError, match=re.escape("route('/users'): write @app.get('/users'), or the method")):
        register(app)


def test_a_route_without_parentheses_is_told_of(app: App) -> None:
    with pytest.raises(TypeError, match="a route decorator needs a path"):
        app.route(lambda req: "here")  # type: ignore[arg-type]


def test_a_decorator_that_is_not_async_is_told_of(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(wraps(later))
    assert client.get("/").status_code == 500
    assert "a decorator around an async handler must be async as well" in caplog.text


def test_a_coroutine_that_an_async_handler_did_not_await_is_told_of(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def forgets(req: Request) -> Any:
        return later(req)

    assert client.get("/").status_code == 500
    assert "a coroutine was returned: use `return await ...` in an `async def`" in caplog.text


def test_a_value_beside_res_is_500_and_explained(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/")(lambda req, res: "lost")
    assert client.get("/").status_code == 500
    assert "takes (req, res) and returned str: set the answer on res" in caplog.text


def test_what_the_library_refuses_at_the_end_is_500_and_logged(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/")(lambda req: ("five!", 200, {"Content-Length": "4", "X-Half": "1"}))
    app.get("/date")(lambda req: ("", 200, {"Date": "today"}))
    answer = client.get("/")
    assert answer.status_code == 500 and "x-half" not in answer.headers
    assert client.get("/date").status_code == 500
    assert any("Date" in record.getMessage() + str(record.exc_info) for record in caplog.records)


def test_a_broken_log_handler_costs_nobody_the_answer(app: App, client: Client) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk full")

    broken = Broken()
    logging.getLogger("hasty").addHandler(broken)
    try:
        app.get("/")(lambda req: 1 / 0)
        assert client.get("/").status_code == 500
    finally:
        logging.getLogger("hasty").removeHandler(broken)


# --- beginning and end ---


def test_start_takes_a_free_port_and_tells_it(app: App) -> None:
    app.get("/")(lambda req: "hello")
    with app.start(port=0) as server:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert Client("127.0.0.1", server.port).get("/").text == "hello"


def test_after_the_with_block_nobody_listens(app: App) -> None:
    with app.start() as server:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    app = App(threads=4)
    app.get("/")(lambda req: "")
    with app.test_client() as client:
        client.get("/")
        assert len(set(threading.enumerate()) - before) == 4
    assert set(threading.enumerate()) == before


def test_start_works_off_the_main_thread() -> None:
    texts = []

    def elsewhere() -> None:
        app = App()
        app.get("/")(lambda req: "hello")
        with app.start() as server:
            texts.append(Client(server.host, server.port).get("/").text)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(20)
    assert texts == ["hello"]


def test_listen_prints_its_url_and_returns_after_stop(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = threading.Event()

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            written = super().write(text)
            if "\n" in text:
                printed.set()
            return written

    output = Output()
    monkeypatch.setattr("sys.stdout", output)

    def stop(req: Request) -> str:
        app.stop()
        return "stopping"

    app.get("/stop")(stop)
    thread = threading.Thread(target=app.listen, args=(0,))
    thread.start()
    assert printed.wait(10)
    url = output.getvalue()
    host, port = url.strip().rstrip("/").rsplit("/", 1)[1].split(":")
    assert url == f"http://127.0.0.1:{port}/\n"
    assert Client(host, int(port)).get("/stop").text == "stopping", "the handler that stops is still answered"
    thread.join(10)
    assert not thread.is_alive()


def listening(app: App, host: str) -> None:
    app.listen(host=host)


def in_a_loop(app: App, host: str) -> None:
    asyncio.run(app.serve(host=host))


@pytest.mark.parametrize("run", [listening, in_a_loop])
@pytest.mark.parametrize("kind", ["blocking", "async", "deferred"])
def test_stop_lets_handlers_finish_where_a_signal_would(run: Any, kind: str, app: App) -> None:
    asked, stopped = threading.Event(), threading.Event()

    def finish() -> str:
        asked.set()
        assert stopped.wait(10)
        return "finished"

    async def wait(req: Request) -> str:
        return await asyncio.to_thread(finish)

    def defer(req: Request) -> None:
        exchange = req.defer()
        threading.Thread(target=lambda: exchange.finish(finish())).start()

    if kind == "blocking":
        app.get("/", blocking=True)(lambda req: finish())
    else:
        app.get("/")(wait if kind == "async" else defer)
    answers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client("127.0.0.1", listener.getsockname()[1])
        serving = threading.Thread(target=run, args=[app, f"fd:{os.dup(listener.fileno())}"])
        asking = threading.Thread(target=lambda: answers.append(client.get("/").text))
        for thread in (serving, asking):
            thread.start()
        assert asked.wait(10)
        app.stop()
        stopped.set()
        for thread in (serving, asking):
            thread.join(10)
    assert (answers, serving.is_alive()) == (["finished"], False)


def test_a_stream_without_an_end_does_not_hold_stop(app: App) -> None:
    @app.get("/")
    async def endless(req: Request) -> AsyncIterator[str]:
        while True:
            yield "piece"
            await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=in_a_loop, args=[app, f"fd:{os.dup(listener.fileno())}"])
        serving.start()
        with socket.create_connection(listener.getsockname()) as connection:
            connection.sendall(GET)
            assert connection.recv(65536)
            app.stop()
            serving.join(10)
    assert not serving.is_alive()


def test_run_takes_host_and_port(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.stop()  # sticks, so that run() returns at once
    app.run(host="127.0.0.1", port=0)
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_stop_before_start_sticks(app: App) -> None:
    app.stop()
    server = app.start()
    assert server.wait(10)
    server.close()


def test_wait_says_whether_the_server_has_stopped(app: App) -> None:
    with app.start() as server:
        assert server.wait(0) is False
        server.stop()
        assert server.wait(10) is True


def test_stop_and_close_may_be_repeated(app: App) -> None:
    server = app.start()
    for _ in range(3):
        server.stop()
        server.close()
        app.stop()


def test_an_app_has_clients_until_it_ends(app: App) -> None:
    app.get("/")(lambda req: "hello")
    with app.test_client() as first, app.test_client() as second:
        assert first.get("/").text == second.get("/").text == "hello"
    with pytest.raises(StateError, match="an app runs only once, so make a new App"):
        app.test_client()


def test_an_app_runs_once(app: App) -> None:
    with app.start():
        with pytest.raises(StateError, match="make a new App"):
            app.start()
    with pytest.raises(StateError, match="make a new App"):
        app.start()
    with pytest.raises(StateError, match="make a new App"):
        app.get("/")(lambda req: "")


def test_a_port_in_use_is_an_os_error_with_its_number(app: App) -> None:
    with app.start() as server:
        other = App()
        with pytest.raises(OSError, match=str(server.port)) as caught:
            other.start(port=server.port)
        assert caught.value.errno == errno.EADDRINUSE
        # What failed may be tried again.
        with other.start(port=0):
            pass


@pytest.mark.parametrize("port", [-1, 65536, 1 << 32, "80"])
def test_a_port_out_of_range_is_refused(port: Any, app: App) -> None:
    with pytest.raises(InvalidError, match="port"):
        app.start(port=port)


@pytest.mark.parametrize(
    "host", ["not an address", "fd:x", "fd:²", "fd:4294967296", pytest.param("fd:" + "9" * 5000, id="long")]
)
def test_a_host_that_is_none_is_refused(host: str, app: App) -> None:
    with pytest.raises(hasty.HastyError):
        app.start(host=host)


def test_every_address_has_a_url_that_works() -> None:
    app = App()
    app.get("/")(lambda req: "hello")
    with app.start(host="0.0.0.0") as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert Client(server.host, server.port).get("/").text == "hello"


@pytest.mark.parametrize("call", ["close", "wait"])
def test_waiting_for_the_end_inside_a_handler_is_refused(call: str, app: App, caplog: pytest.LogCaptureFixture) -> None:
    def inside(req: Request) -> None:
        getattr(server, call)()

    app.get("/")(inside)
    with app.start() as server:
        assert Client(server.host, server.port).get("/").status_code == 500
    assert f"StateError: {call}() inside a handler, or on the loop of serve(), would wait for itself" in caplog.text


def test_close_waits_for_a_handler_that_runs(app: App) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @app.get("/")
    def slow(req: Request) -> str:
        inside.set()
        go_on.wait(10)
        return "finished"

    texts = []
    server = app.start()
    asking = threading.Thread(target=lambda: texts.append(Client(server.host, server.port).get("/").text))
    asking.start()
    assert inside.wait(10)
    closing = threading.Thread(target=server.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    go_on.set()
    closing.join(10)
    asking.join(10)
    assert texts == ["finished"]


def test_close_gives_handlers_the_time_that_the_app_grants() -> None:
    app = App(drain_timeout_ms=20_000)
    inside, go_on = threading.Event(), threading.Event()

    @app.get("/", blocking=True)
    def slow(req: Request) -> str:
        inside.set()
        go_on.wait(20)
        return "finished"

    texts = []
    server = app.start()
    asking = threading.Thread(target=lambda: texts.append(Client(server.host, server.port).get("/").text))
    asking.start()
    assert inside.wait(10)
    closing = threading.Thread(target=server.close)
    closing.start()
    # Longer than half a second, the default.
    closing.join(1)
    go_on.set()
    closing.join(10)
    asking.join(10)
    assert texts == ["finished"]


@pytest.mark.parametrize("wrong", [-1, 0.5, "500", 1 << 31])
def test_the_time_for_a_shutdown_is_a_number(wrong: Any) -> None:
    with pytest.raises(InvalidError, match="drain_timeout_ms .* is not a number of milliseconds from 0"):
        App(drain_timeout_ms=wrong)
    assert App().option("drain_timeout_ms") == "500"
    assert App(drain_timeout_ms=0).option("drain_timeout_ms") == "0"


def test_a_handler_that_never_ends_does_not_hold_close_for_ever(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hasty.server.GRACE_S", 0.1)
    inside, go_on = threading.Event(), threading.Event()

    @app.get("/")
    def stuck(req: Request) -> str:
        inside.set()
        go_on.wait(30)
        return ""

    server = app.start()
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert inside.wait(10)
    server.close()
    assert "handlers still run 0.1 s after the server was stopped" in caplog.text
    go_on.set()
    connection.close()
    assert server.wait(10)
    server.close()


def test_a_worker_that_ends_early_ends_the_server_and_is_heard(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = type("Broken", (Once,), {"status": hasty.PanicError.status})
    monkeypatch.setattr("hasty.slot.taker_of", lambda slot: broken())
    with pytest.raises(hasty.PanicError):
        app.listen(0)
    assert "a worker ended early" in caplog.text


def test_the_librarys_log_reaches_pythons(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    from hasty._ffi import LOG_WARN, hasty_log_fn, hasty_str
    from hasty.app import _pass_on

    message = hasty_str(b"something\0odd", 13)
    hasty_log_fn(_pass_on)(LOG_WARN, message, None)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("hasty", "WARNING", "something\0odd")


# --- nothing leaks ---


def test_handlers_go_with_their_server() -> None:
    class Handler:
        def __call__(self, req: Request) -> str:
            return "hello"

    handler = Handler()
    gone = weakref.ref(handler)
    app = App()
    app.get("/")(handler)
    del handler
    with app.test_client() as client:
        client.get("/")
    del app, client
    gc.collect()
    assert gone() is None


def test_an_app_that_never_ran_is_collected_even_in_a_cycle() -> None:
    def make() -> weakref.ref[App]:
        app = App()

        @app.get("/")
        def hello(req: Request) -> str:
            return repr(app)

        return weakref.ref(app)

    gone = make()
    gc.collect()
    assert gone() is None


def test_a_server_that_nobody_holds_stops() -> None:
    def make() -> int:
        app = App()
        app.get("/")(lambda req: "hello")
        return app.start().port

    before = set(threading.enumerate())
    port = make()
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_requests_and_responses_go_with_their_handler(app: App, client: Client) -> None:
    seen: list[weakref.ref[Any]] = []

    @app.get("/")
    def hello(req: Request, res: Response) -> None:
        seen.extend([weakref.ref(req), weakref.ref(res)])

    client.get("/")
    client.get("/")
    assert [ref() for ref in seen[:2]] == [None, None]


def test_a_failing_handler_leaves_no_cycle_that_keeps_its_locals(app: App, client: Client) -> None:
    class Large:
        pass

    seen: list[weakref.ref[Any]] = []

    @app.get("/")
    def fail(req: Request) -> str:
        large = Large()
        seen.append(weakref.ref(large))
        raise RuntimeError

    logging.getLogger("hasty").disabled = True  # pytest keeps the records, and they keep the traceback
    try:
        client.get("/")
        client.get("/")
    finally:
        logging.getLogger("hasty").disabled = False
    gc.collect()
    assert seen[0]() is None


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_apps_come_and_go_without_leaving_descriptors_or_objects() -> None:
    def once() -> None:
        app = App(threads=2)
        app.get("/:name")(lambda req: req.params["name"])
        with app.test_client() as client:
            assert client.get("/a").text == "a"

    for _ in range(3):
        once()
    gc.collect()
    files, objects = descriptors(), len(gc.get_objects())
    for _ in range(50):
        once()
    gc.collect()
    assert descriptors() == files
    assert len(gc.get_objects()) - objects < 50, "less than one for each app"


def resident() -> int:
    """The process's memory in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def test_ten_thousand_more_requests_need_no_more_memory(app: App) -> None:
    @app.post("/echo/:name")
    def echo(req: Request, res: Response) -> None:
        res.header("X-Name", req.params["name"]).cookie("seen", "1")
        res.json({"query": dict(req.query), "body": req.json(), "agent": req.headers.get("user-agent")})

    app.get("/fail")(lambda req: 1 / 0)
    body = b'{"a":[1,2,3]}'
    request = b"POST /echo/Ada?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    fail = b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n"
    batch = request * 49 + fail
    logging.getLogger("hasty").disabled = True
    try:
        with app.start() as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:

            def thousand() -> None:
                for _ in range(20):
                    connection.sendall(batch)
                    answers = b""
                    while answers.count(b"HTTP/1.1 ") < 50 or not answers.count(b'"agent":null}') == 49:
                        part = connection.recv(65536)
                        assert part
                        answers += part

            thousand()
            grown = []
            for _ in range(3):
                gc.collect()
                before, objects = resident(), len(gc.get_objects())
                for _ in range(10):
                    thousand()
                gc.collect()
                grown.append((resident() - before, len(gc.get_objects()) - objects))
            # What leaks does so each time; other tests of this process may still have left something to one of them.
            assert min(kib for kib, _ in grown) < 512, grown
            assert min(objects for _, objects in grown) < 100, grown
    finally:
        logging.getLogger("hasty").disabled = False
