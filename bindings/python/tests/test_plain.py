"""Handlers that take a request and return the answer: one after the other, each by its own route."""

from __future__ import annotations

import json
import threading
import weakref
from typing import Any

import pytest
from conftest import ask, connect, read_until

from hasty import App, Request, Server, StateError, _json


@pytest.fixture(params=["a thread takes them", "an asyncio loop takes them"])
def mixed(request: pytest.FixtureRequest, app: App) -> App:
    """An app for routes that are plain; on a loop it serves them too."""
    if "loop" in request.param:

        @app.get("/an/async/one")
        async def never(req: Request) -> str:
            return ""

    return app


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def ask_at_once(server: Server, begin: threading.Event, paths: list[str]) -> list[bytes]:
    """Asks for all of them while a handler runs, so that they wait to be taken; that is for the route `/begin`."""
    with connect(server, get("/begin")) as first:
        connections = [connect(server, get(path)) for path in paths]
        begin.set()
        assert read_until(first, b"begun")
    answers = []
    for connection in connections:
        with connection:
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            answers.append(body(answer))
    return answers


@pytest.fixture
def begin(app: App) -> threading.Event:
    event = threading.Event()
    app.get("/begin")(lambda req: "begun" if event.wait(10) else "not begun")
    return event


def test_requests_that_wait_together_are_answered_each_by_its_own_route(mixed: App, begin: threading.Event) -> None:
    mixed.get("/")(lambda req: "root")
    mixed.get("/octets")(lambda req: b"\0\1")
    mixed.get("/users/:id")(lambda req: req.params["id"])
    mixed.get("/files/:folder/*rest")(lambda req: dict(req.params))
    mixed.get("/header")(lambda req: [req.headers["HOST"], req.params])
    expected = [
        *[("/", b"root"), ("/", b"root"), ("/users/1", b"1"), ("/users/2", b"2"), ("/octets", b"\0\1")],
        *[("/files/a/b/c", b'{"folder":"a","rest":"b/c"}'), ("/files/d/e", b'{"folder":"d","rest":"e"}')],
        *[("/users/3", b"3"), ("/", b"root"), ("/header", b'["a",{}]'), ("/users/4", b"4"), ("/octets", b"\0\1")],
    ]
    with mixed.start() as server:
        assert ask_at_once(server, begin, [path for path, _ in expected]) == [answer for _, answer in expected]


def test_a_request_and_its_answer_are_gone_when_the_next_is_served(app: App, begin: threading.Event) -> None:
    class Name(str):
        pass

    seen: list[weakref.ref[Any]] = []
    left: list[int] = []

    @app.get("/users/:id")
    def user(req: Request) -> dict[str, str]:
        left.append(sum(ref() is not None for ref in seen))
        name = Name("Ada")
        seen.extend([weakref.ref(req), weakref.ref(name)])
        return {"name": name}

    with app.start() as server:
        assert ask_at_once(server, begin, [f"/users/{number}" for number in range(5)]) == [b'{"name":"Ada"}'] * 5
    assert left == [0] * 5


def test_what_one_request_did_does_not_change_the_next(mixed: App) -> None:
    @mixed.get("/:what")
    def answer(req: Request) -> Any:
        what = req.params.pop("what")
        req.params["more"] = "of it"
        if what == "fail":
            raise KeyError(what)
        return {"json": {"what": what}, "octets": b"\0", "none": None, "status": ("created", 201), "text": "text"}[what]

    with mixed.test_client() as client:
        whats = ["json", "fail", "text", "none", "octets", "status", "text", "fail", "json"]
        answers = [client.get(f"/{what}") for what in whats]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 204, 200, 201, 200, 500, 200]
    kinds = [answer.headers.get("content-type", "").partition(";")[0] for answer in answers]
    text, json_, octets = "text/plain", "application/json", "application/octet-stream"
    assert kinds == [json_, text, text, "", octets, text, text, text, json_]


def test_the_params_of_a_kept_request_end_with_it_and_kept_params_do_not(mixed: App) -> None:
    requests: list[Request] = []
    params: list[Any] = []

    @mixed.get("/users/:id")
    def user(req: Request) -> str:
        requests.append(req)
        params.append(req.params)
        return req.params["id"]

    with mixed.test_client() as client:
        assert [client.get(f"/users/{number}").text for number in range(3)] == ["0", "1", "2"]
    assert params == [{"id": "0"}, {"id": "1"}, {"id": "2"}]
    for request in requests:
        assert isinstance(request, Request)
        for part in ("params", "path", "headers"):
            with pytest.raises(StateError, match="this request ended when its handler returned"):
                getattr(request, part)


def test_the_params_of_a_handler_that_yields_last_as_long_as_it_does(mixed: App) -> None:
    @mixed.get("/count/:word/:times")
    def count(req: Request) -> Any:
        for _ in range(int(req.params["times"])):
            yield req.params["word"]

    with mixed.test_client() as client:
        assert client.get("/count/ab%20/3").text == "ab ab ab "


@pytest.mark.parametrize(
    "sent, seen",
    [
        *[(b"%ff%41", "\ufffdA"), (b"%C3%A9", "é"), (b"%25", "%"), (b"a%0Ab", "a\nb"), (b"a+b", "a+b")],
        *[(b"\xff", "\ufffd"), (b"a\xc3\xa9", "aé"), (b"\xff%41", "\ufffdA")],
    ],
)
def test_a_param_is_decoded_once_whatever_it_holds(app: App, sent: bytes, seen: str) -> None:
    app.get("/:name")(lambda req: ascii(req.params["name"]))
    with app.start() as server:
        answer = ask(server, get("/:").replace(b":", sent, 1))
    assert body(answer).decode() == ascii(seen)


@pytest.mark.parametrize("given", ["given", "", b"", {}])
def test_an_answer_that_was_deferred_and_given_is_an_error(
    given: Any, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/:how")
    def both(req: Request) -> Any:
        req.defer().finish("deferred")
        return given

    with app.test_client() as client:
        assert client.get("/a").text == "deferred"
    assert "both deferred its answer and gave one" in caplog.text


@pytest.mark.parametrize("value", [{"a": [1, "é", None]}, [], {}, [{"b": 0.5}]])
def test_json_is_the_same_without_the_encoder_in_c(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = "".join(_json.chunks(value, 0))
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert "".join(_json._chunks()(value, 0)) == quick == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
