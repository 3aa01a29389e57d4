"""Exceptions and the library's own errors, shaped by App.error()."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from conftest import ask

from hasty import App, BadRequest, Client, Event, HttpError, InvalidError, JsonError, Request, Response


def test_an_exception_class_has_a_function_that_answers(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.error(KeyError)
    def missing(req: Request, error: KeyError) -> tuple[dict[str, str], int]:
        return {"missing": error.args[0], "path": req.path}, 404

    app.get("/a")(lambda req: {}["name"])
    answer = client.get("/a")
    assert (answer.status_code, answer.json()) == (404, {"missing": "name", "path": "/a"})
    assert not caplog.records, "an exception that was answered is no news"


def test_a_function_may_take_the_error_alone(app: App, client: Client) -> None:
    app.error(KeyError)(lambda error: (f"no {error.args[0]}", 404))
    app.get("/")(lambda req: {}["name"])
    assert client.get("/").text == "no name"


def test_a_plain_answer_has_the_status_of_the_error(app: App, client: Client) -> None:
    app.error(KeyError)(lambda error: "no such key")
    app.error(404)(lambda error: "nowhere")
    app.error(JsonError)(lambda error: {"line": error.line})
    app.get("/key")(lambda req: {}["name"])
    app.post("/json")(lambda req: req.json())
    assert (client.get("/key").status_code, client.get("/key").text) == (500, "no such key")
    assert (client.get("/none").status_code, client.get("/none").text) == (404, "nowhere")
    answer = client.post("/json", body="{\n,")
    assert (answer.status_code, answer.json()) == (400, {"line": 2})


@pytest.mark.parametrize("threads", [0, 2])
def test_a_response_has_the_status_of_the_error_unless_one_was_given(threads: int) -> None:
    app = App(threads=threads)
    page = Response.html("<h1>Sorry</h1>")
    app.error(404)(lambda error: page)
    app.error(500)(lambda error: page)
    app.error(KeyError)(lambda error: Response.json({"missing": error.args[0]}))
    app.error(405)(lambda error: Response.text("teapot", status=418))
    app.error(409)(lambda error: Response.text("fine", status=200))
    app.error(410)(lambda error: Response.redirect("/"))
    app.get("/key")(lambda req: {}["name"])
    app.get("/zero")(lambda req: 1 / 0)
    app.get("/file")(lambda req: Response.file("no-such-file"))
    app.get("/page")(lambda req: page)

    @app.get("/raise/:code")
    def fail(req: Request) -> None:
        raise HttpError(int(req.params["code"]))

    with app.test_client() as client:
        for path, status in [
            ("/nowhere", 404),
            ("/raise/404", 404),
            ("/raise/500", 500),
            ("/zero", 500),
            ("/file", 500),
            ("/key", 500),
            ("/raise/405", 418),
            ("/raise/409", 200),
            ("/raise/410", 302),
        ]:
            assert (path, client.get(path).status_code) == (path, status)
        assert client.post("/key").status_code == 418
        # What two of them share is as it was.
        assert (client.get("/page").status_code, page.status_code) == (200, 200)


@pytest.mark.parametrize("answer", [Response.text("fine", status=200), Response("fine", 200), ("fine", 200)])
def test_who_asks_for_200_gets_it_from_whatever_source_the_error_came(answer: Any, app: App, client: Client) -> None:
    app.error(404)(lambda error: answer)

    @app.get("/raise")
    def fail(req: Request) -> None:
        raise HttpError(404)

    assert [client.get(path).status_code for path in ("/raise", "/nowhere")] == [200, 200]


def test_a_page_that_is_a_file_keeps_the_status(app: App, client: Client, tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("<h1>Nothing here</h1>")
    app.error(404)(lambda error: Response.file(tmp_path / "404.html"))

    @app.get("/raise")
    def fail(req: Request) -> None:
        raise HttpError(404)

    for path in ("/raise", "/nowhere"):
        for fields in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
            answer = client.get(path, headers=fields)
            assert (path, fields, answer.status_code, answer.text) == (path, fields, 404, "<h1>Nothing here</h1>")


def test_the_nearest_class_wins(app: App, client: Client) -> None:
    app.error(LookupError)(lambda error: ("lookup", 400))
    app.error(KeyError)(lambda error: ("key", 400))
    app.error(Exception)(lambda error: ("any", 400))
    app.get("/key")(lambda req: {}["name"])
    app.get("/index")(lambda req: [][0])
    app.get("/zero")(lambda req: 1 / 0)
    assert [client.get(path).text for path in ("/key", "/index", "/zero")] == ["key", "lookup", "any"]


def test_a_status_has_a_function_that_shapes_it_whoever_made_it(app: App, client: Client) -> None:
    @app.error(404)
    def not_found(req: Request, error: HttpError) -> Response:
        return Response.json({"code": error.code, "why": error.message, "path": req.path}, status=404)

    @app.get("/users/:id")
    def user(req: Request) -> str:
        raise HttpError(404, f"no user {req.params['id']}")

    library, own = client.get("/none"), client.get("/users/7")
    assert library.status_code == own.status_code == 404
    assert own.json() == {"code": 404, "why": "no user 7", "path": "/users/7"}
    assert library.json()["path"] == "/none" and library.json()["why"]


@pytest.mark.parametrize(
    ("status", "octets"),
    [
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (405, b"DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"),
        (414, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17000 + b"\r\n\r\n"),
    ],
)
def test_the_librarys_errors_are_shaped_too(status: int, octets: bytes, app: App) -> None:
    heard: list[tuple[int, str]] = []

    @app.error(status)
    def shape(req: Request, error: HttpError) -> tuple[str, int, dict[str, str]]:
        heard.append((error.code, error.message))
        return f"shaped {error.code}", error.code, {"X-Shaped": "1"}

    app.any("/only")(lambda req: "")
    app.post("/")(lambda req: "")
    app.get("/")(lambda req: "")
    with app.start() as server:
        answer = ask(server, octets)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and answer.endswith(b"shaped %d" % status), answer
    assert b"\r\nX-Shaped: 1\r\n" in answer
    assert heard and heard[0][0] == status and heard[0][1]


def test_500_is_shaped_and_still_logged(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    causes: list[BaseException | None] = []

    @app.error(500)
    def sorry(error: HttpError) -> str:
        causes.append(error.__cause__)
        return "sorry"

    app.get("/")(lambda req: 1 / 0)
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (500, "sorry")
    assert isinstance(causes[0], ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text


def test_none_leaves_the_answer_as_it_is(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    plain = App()
    with plain.test_client() as other:
        usual = other.get("/none")
    app.error(404)(lambda error: None)
    app.error(KeyError)(lambda error: None)
    app.get("/")(lambda req: {}["name"])
    answer = client.get("/none")
    assert (answer.status_code, answer.body) == (404, usual.body)
    assert client.get("/").status_code == 500
    assert "KeyError: 'name'" in caplog.text, "what nobody answered is news"


def test_a_function_that_fails_is_logged_and_the_library_answers(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.error(404)(lambda error: 1 / 0)
    app.error(KeyError)(lambda error: [][1])
    app.get("/")(lambda req: {}["name"])
    assert client.get("/none").status_code == 404
    assert "ZeroDivisionError" in caplog.text
    assert client.get("/").status_code == 500
    assert "IndexError" in caplog.text and "KeyError: 'name'" in caplog.text


def test_a_function_that_returns_no_answer_is_named(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.error(KeyError)
    def counts(error: KeyError) -> Any:
        return 42

    app.get("/")(lambda req: {}["name"])
    assert client.get("/").status_code == 500
    assert "counts returned is not a valid answer: a body is str" in caplog.text


BAD_ANSWERS: list[Any] = [
    ("x", 200, {"X-Bad": "a\nb"}),
    {"x": float("nan")},
    {"x": object()},
    "\ud800",
    ("x", 99),
    object(),
    Response.text("x").type("a\x01b"),
]


@pytest.mark.parametrize("kind", ["plain", "blocking", "async", "waiting", "middleware", "threads"])
@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_an_answer_that_cannot_be_sent_is_the_servers_own_mistake(
    answer: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(threads=2 if kind == "threads" else 0)
    app.error(Exception)(lambda error: ("the client's", 422))
    app.error(500)(lambda error: "sorry")

    async def at_once(req: Request) -> Any:
        return answer

    async def waiting(req: Request) -> Any:
        await asyncio.sleep(0.001)
        return answer

    handlers: dict[str, Any] = {"async": at_once, "waiting": waiting}
    if kind == "middleware":
        app.use("/")(lambda req: answer)
    else:
        app.get("/", blocking=kind == "blocking")(handlers.get(kind, lambda req: answer))
    with app.test_client() as client:
        for _ in range(2):
            caplog.clear()
            got = client.get("/")
            assert (got.status_code, got.text) == (500, "sorry")
            assert "failed" in caplog.text


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("piece", [7, Event("a\nb")])
def test_a_first_piece_that_cannot_be_sent_is_the_servers_own_mistake(
    piece: Any, waits: bool, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.error(Exception)(lambda error: ("the client's", 422))

    def plain(req: Request) -> Any:
        yield piece

    async def later(req: Request) -> Any:
        yield piece

    app.get("/")(later if waits else plain)
    assert client.get("/").status_code == 500
    assert "failed" in caplog.text


def test_what_a_handler_raises_is_still_answered_after_a_bad_answer(app: App, client: Client) -> None:
    app.error(ValueError)(lambda error: ("the client's", 422))
    app.get("/bad")(lambda req: {"x": float("nan")})
    app.get("/raise")(lambda req: int("x"))
    assert [client.get(path).status_code for path in ("/raise", "/bad", "/raise")] == [422, 500, 422]


def test_an_http_error_is_an_answer(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/:code")
    def fail(req: Request) -> None:
        raise HttpError(int(req.params["code"]))

    assert (client.get("/404").status_code, client.get("/404").text) == (404, "Not Found")
    assert client.get("/503").status_code == 503
    answer = client.get("/409", headers={"Accept": "application/json"})
    assert answer.json() == {"error": {"status": 409, "reason": "Conflict", "message": "Conflict"}}
    assert not caplog.records
    assert client.get("/200").status_code == 500


@pytest.mark.parametrize("code", [200, 399, 600, "404", None])
def test_an_http_error_is_from_400_to_599(code: Any) -> None:
    with pytest.raises(InvalidError, match=r"is not in 400 to 599"):
        HttpError(code)


@pytest.mark.parametrize("message", [{"field": "x"}, 7, b"no"])
def test_the_words_of_an_http_error_are_text(message: Any) -> None:
    for make in (lambda: HttpError(422, message), lambda: BadRequest(message)):
        with pytest.raises(TypeError, match=r"is not str.*return .*, 4\d\d"):
            make()


def test_a_bad_request_is_an_http_error_and_a_value_error() -> None:
    error = BadRequest("no")
    assert (error.code, error.message, str(error), error.status) == (400, "no", "no", 2)
    assert isinstance(error, HttpError) and isinstance(error, ValueError)


@pytest.mark.parametrize("kind", [200, 399, 600, "404", None, int, object()])
def test_what_is_neither_exception_nor_status_is_refused(kind: Any, app: App) -> None:
    with pytest.raises(InvalidError, match="expected an exception class or a status"):
        app.error(kind)


@pytest.mark.parametrize("function", [lambda: "", lambda a, b, c: "", "text"])
def test_what_is_no_error_handler_is_refused(function: Any, app: App) -> None:
    with pytest.raises(InvalidError, match=r"def h\(req, error\)|an error handler is a function"):
        app.error(404)(function)


def test_an_error_before_the_first_piece_of_a_stream_is_answered(app: App, client: Client) -> None:
    app.error(KeyError)(lambda error: ("missing", 404))

    @app.get("/")
    def stream(req: Request) -> Any:
        yield {}["name"]

    assert (client.get("/").status_code, client.get("/").text) == (404, "missing")


# --- on_error ---


def test_every_error_that_no_handler_made_is_shaped(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.on_error
    def shape(req: Request, res: Response) -> None:
        kept = res.headers.get("allow")
        res.header("X-Shaped", "1").json({"status": res.status_code, "why": res.reason, "allow": kept})

    @app.get("/bad")
    def bad(req: Request) -> None:
        raise BadRequest("a bad one")

    app.get("/own")(lambda req: ("my own", 404))
    app.get("/fail")(lambda req: 1 / 0)
    none, method, fails = client.get("/none"), client.post("/bad"), client.get("/fail")
    assert (none.status_code, none.json()["status"], none.headers["x-shaped"]) == (404, 404, "1")
    assert none.json()["why"] and none.headers["content-type"] == "application/json"
    assert method.headers["allow"] == method.json()["allow"] == "GET, HEAD, OPTIONS", "fields stay"
    assert (client.get("/bad").status_code, client.get("/bad").json()["why"]) == (400, "a bad one")
    assert (fails.status_code, fails.json()["status"]) == (500, 500) and "ZeroDivisionError" in caplog.text
    assert client.get("/own").text == "my own"


def test_a_request_that_could_not_be_parsed_is_shaped_too(app: App) -> None:
    seen: list[str] = []

    @app.on_error
    def shape(req: Request, res: Response) -> None:
        seen.append(req.method)
        res.text(f"shaped: {res.body.decode()[:3]}")

    with app.start() as server:
        assert ask(server, b"nonsense\r\n\r\n").endswith(b"shaped: 400")
    assert seen == [""]


def test_a_function_for_a_status_comes_before_on_error(app: App, client: Client) -> None:
    app.on_error(lambda req, res: res.text("any"))
    app.error(404)(lambda error: "missing")
    app.error(405)(lambda error: None)
    app.post("/here")(lambda req: "")
    assert (client.get("/none").text, client.get("/here").text) == ("missing", "any")


def test_the_last_on_error_counts(app: App, client: Client) -> None:
    app.on_error(lambda req, res: res.text("first"))
    app.on_error(lambda req, res: res.text("second"))
    assert client.get("/none").text == "second"


def test_an_on_error_that_fails_leaves_the_answer(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.on_error
    def broken(req: Request, res: Response) -> None:
        res.text("half")
        raise RuntimeError("while shaping")

    @app.get("/no")
    def refuse(req: Request) -> None:
        raise HttpError(403, "keep out")

    app.get("/fails")(lambda req: 1 / 0)
    answers = [client.get(path) for path in ("/none", "/no", "/fails")]
    assert [answer.status_code for answer in answers] == [404, 403, 500]
    assert answers[1].text == "keep out" and not any("half" in answer.text for answer in answers)
    failed = [record for record in caplog.records if "while shaping" in (record.exc_text or "")]
    assert len(failed) == 3 and len(caplog.records) == 4, "and what failed itself"


@pytest.mark.parametrize("function", [lambda req: None, lambda: None, "text"])
def test_what_is_no_on_error_is_refused(function: Any, app: App) -> None:
    with pytest.raises(InvalidError):
        app.on_error(function)


def test_only_errors_have_a_reason() -> None:
    assert Response.text("a").reason == ""
