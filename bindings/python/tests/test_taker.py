"""What gives answers and takes requests: the library's own type of object, and what stands in for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import ask

import hasty
from hasty import App, Request, Response, _ffi, taker, wsgi
from hasty.slot import Slot

ERR_NULL = 1

KINDS = ["the library's", "by way of ctypes"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tests run with both kinds."""
    if request.param == KINDS[1]:
        monkeypatch.setattr(taker, "Native", None)
    return str(request.param)


def answers(server: hasty.Server, *paths: str) -> list[bytes]:
    """Asks for all of them on one connection, and gives the bodies."""
    last = len(paths) - 1
    asked = "".join(
        f"GET {path} HTTP/1.1\r\nHost: a\r\n{'Connection: close' if number == last else 'X: y'}\r\n\r\n"
        for number, path in enumerate(paths)
    )
    found = []
    rest = ask(server, asked.encode())
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
        length = int({name.lower(): value for name, _, value in lines}.get(b"content-length", b"0"))
        found.append(rest[:length])
        rest = rest[length:]
    return found


def test_objects_of_this_python_begin_as_the_library_expects() -> None:
    usual = not sys.flags.debug and getattr(sys, "_is_gil_enabled", lambda: True)()
    assert (taker.Native is not None) == (usual and object.__basicsize__ == 16)


@pytest.mark.skipif(taker.Native is None, reason="objects of this Python begin otherwise")
def test_one_without_a_slot_says_so() -> None:
    lost = taker.Native()
    assert bool(lost) and lost.status == ERR_NULL
    assert not hasattr(lost, "reply")
    with pytest.raises(AttributeError):
        lost.status = 0


def test_it_tells_why_there_is_no_request(kind: str, app: App) -> None:
    with app.start() as server:
        native: Any = server._native
        slot = Slot(native)
        assert (type(slot.taker) is taker.Called) == (kind == KINDS[1])
        assert slot.taker and slot.taker.status == _ffi.ERR_TIMEOUT
        native.stop()
        assert server.wait(10)
        assert slot.taker and slot.taker.status == _ffi.ERR_CLOSED
        slot.end()


@pytest.fixture
def served(kind: str, app: App) -> Iterator[hasty.Server]:
    """Answers that are given in every way that a slot knows."""
    app.get("/text")(lambda req: "text")
    app.get("/bytes")(lambda req: b"\0bytes")
    app.get("/json")(lambda req: ["json"])
    app.get("/empty")(lambda req: "")
    app.get("/none")(lambda req: None)
    app.get("/made")(lambda req: Response("made", 201))
    app.get("/made/empty")(lambda req: Response("", 201))
    app.get("/fields")(lambda req: Response(b"fields", headers={"X-A": "b"}))
    app.get("/filled")(lambda req, res: res.text("filled"))
    app.get("/refused")(_refuse)

    def gives(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["PATH_INFO"].encode()
        kinds = [("Content-Type", "text/plain")] if "typed" in environ["PATH_INFO"] else []
        start_response("200 OK", kinds)
        return [] if body == b"/nothing" else [body]

    wsgi.mount(app, "/wsgi", gives)
    with app.start() as server:
        yield server


def _refuse(req: Request) -> str:
    raise hasty.HttpError(409, "refused")


def test_each_answer_is_its_own_whatever_came_before(served: hasty.Server) -> None:
    bodies = {
        "/text": b"text",
        "/bytes": b"\0bytes",
        "/json": b'["json"]',
        "/empty": b"",
        "/none": b"",
        "/made": b"made",
        "/made/empty": b"",
        "/fields": b"fields",
        "/filled": b"filled",
        "/refused": b"refused",
        "/wsgi/typed": b"/typed",
        "/wsgi/without": b"/without",
        "/wsgi/nothing": b"",
    }
    # Each behind each.
    paths = [path for first in bodies for second in bodies for path in (first, second)]
    for start in range(0, len(paths), 26):
        asked = paths[start : start + 26]
        assert answers(served, *asked) == [bodies[path] for path in asked]


def test_a_reply_is_kept_until_the_next_and_no_longer(kind: str, app: App) -> None:
    replies = [bytes([octet]) * 1000 for octet in b"ab"]
    app.get("/a")(lambda req: replies[0])
    app.get("/b")(lambda req: replies[1])
    before = [sys.getrefcount(reply) for reply in replies]
    with app.start() as server:
        assert answers(server, *["/a"] * 50, "/b") == [replies[0]] * 50 + [replies[1]]
        assert sys.getrefcount(replies[0]) == before[0]
    assert [sys.getrefcount(reply) for reply in replies] == before


def test_a_worker_whose_requests_cannot_be_answered_goes_on(
    kind: str, app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.get("/good")(lambda req: "good")

    @app.get("/bad")
    def bad(req: Request) -> Response:
        return Response("bad", headers={"X-A": "b"})

    def fail(route: object, request: object, slot: Slot, answer: object) -> None:
        slot.give(b"half of an answer")
        raise RuntimeError("broken")

    monkeypatch.setattr("hasty.handler.Route._answer_with", fail)
    monkeypatch.setattr("hasty.handler.Route._answer_failure", fail)
    with app.start() as server:
        assert answers(server, "/good", "/bad", "/good") == [b"good", b"500 Internal Server Error\n", b"good"]
    assert "a request could not be answered" in caplog.text
