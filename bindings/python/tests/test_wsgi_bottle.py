"""Bottle on hasty, asked by urllib3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hasty
from hasty import wsgi

bottle = pytest.importorskip("bottle")
urllib3 = pytest.importorskip("urllib3")


def make(folder: Path) -> Any:
    app = bottle.Bottle()
    request, response = bottle.request, bottle.response

    @app.get("/")  # type: ignore[misc]
    def hello() -> str:
        return "Hello, World!"

    @app.get("/url")  # type: ignore[misc]
    def url() -> Any:
        return {"url": request.url, "path": request.path, "query": dict(request.query), "address": request.remote_addr}

    @app.get("/go")  # type: ignore[misc]
    def go() -> None:
        bottle.redirect("/gone/there")

    @app.get("/gone/<name>")  # type: ignore[misc]
    def gone(name: str) -> str:
        return f"gone to {name}"

    @app.get("/count")  # type: ignore[misc]
    def count() -> str:
        visits = int(request.get_cookie("visits", secret="for tests") or 0) + 1
        response.set_cookie("visits", str(visits), secret="for tests")
        return str(visits)

    @app.post("/upload")  # type: ignore[misc]
    def upload() -> Any:
        files = [[file.name, file.raw_filename, len(file.file.read())] for file in request.files.getall("file")]
        return {"files": files, "title": request.forms.getunicode("title")}

    @app.post("/echo")  # type: ignore[misc]
    def echo() -> bytes:
        data: bytes = request.body.read()
        return data

    @app.get("/stream")  # type: ignore[misc]
    def stream() -> Iterator[str]:
        # The request is local to its thread.
        for number in range(1000):
            yield f"{number} for {request.query.name}\n"

    @app.get("/files/<name>")  # type: ignore[misc]
    def files(name: str) -> Any:
        return bottle.static_file(name, root=str(folder))

    @app.get("/fails")  # type: ignore[misc]
    def fails() -> None:
        raise LookupError("deep inside")

    return app


@pytest.fixture(params=[0, 4], ids=["one thread", "four threads"])
def server(tmp_path: Path, request: Any) -> Iterator[hasty.Server]:
    (tmp_path / "page.html").write_text("<p>" + "page " * 20_000)
    with wsgi.as_app(make(tmp_path), threads=request.param).start() as started:
        yield started


@pytest.fixture
def pool() -> Iterator[Any]:
    with urllib3.PoolManager(retries=False) as made:
        yield made


def test_a_page(server: hasty.Server, pool: Any) -> None:
    answer = pool.request("GET", server.url)
    assert (answer.status, answer.data, answer.headers["content-length"]) == (200, b"Hello, World!", "13")


def test_the_url_is_the_one_that_was_asked_for(server: hasty.Server, pool: Any) -> None:
    assert json.loads(pool.request("GET", f"{server.url}/url?a=b").data) == {
        "url": f"{server.url}/url?a=b",
        "path": "/url",
        "query": {"a": "b"},
        "address": "127.0.0.1",
    }


def test_redirects_are_followed(server: hasty.Server, pool: Any) -> None:
    assert pool.request("GET", f"{server.url}/go").headers["location"] == f"{server.url}/gone/there"
    assert pool.request("GET", f"{server.url}/go", retries=3).data == b"gone to there"


def test_cookies_last(server: hasty.Server, pool: Any) -> None:
    first = pool.request("GET", f"{server.url}/count")
    cookie = first.headers["set-cookie"].split(";")[0]
    assert pool.request("GET", f"{server.url}/count", headers={"Cookie": cookie}).data == b"2"


def test_several_files_are_uploaded(server: hasty.Server, pool: Any) -> None:
    fields = [("file", ("a.bin", bytes(1000))), ("file", ("b.bin", bytes(1 << 20))), ("title", "Caf\u00e9")]
    told = json.loads(pool.request("POST", f"{server.url}/upload", fields=fields).data)
    assert told == {"files": [["file", "a.bin", 1000], ["file", "b.bin", 1 << 20]], "title": "Caf\u00e9"}


def test_bodies_are_received(server: hasty.Server, pool: Any) -> None:
    for data in (b"x", bytes(range(256)) * 100):
        assert pool.request("POST", f"{server.url}/echo", body=data).data == data
    pieces = (bytes(100) for _ in range(10))
    assert pool.request("POST", f"{server.url}/echo", body=pieces, chunked=True).data == bytes(1000)


def test_a_stream_has_its_request_to_the_end(server: hasty.Server, pool: Any) -> None:
    lines = pool.request("GET", f"{server.url}/stream?name=Ada").data.decode().splitlines()
    assert len(lines) == 1000 and lines[-1] == "999 for Ada"


def test_files_are_sent_by_the_library(server: hasty.Server, pool: Any) -> None:
    url = f"{server.url}/files/page.html"
    answer = pool.request("GET", url)
    assert len(answer.data) == 100_003 and answer.headers["accept-ranges"] == "bytes"
    date = answer.headers["last-modified"]
    assert pool.request("GET", url, headers={"If-Modified-Since": date}).status == 304
    part = pool.request("GET", url, headers={"Range": "bytes=3-7"})
    assert (part.status, part.data) == (206, b"page ")
    assert pool.request("HEAD", url).headers["content-length"] == "100003"


def test_errors_have_their_status(server: hasty.Server, pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert pool.request("GET", f"{server.url}/none").status == 404
    assert pool.request("POST", server.url).status == 405
    assert pool.request("GET", f"{server.url}/fails").status == 500
    # It writes its tracebacks to wsgi.errors.
    assert "LookupError: deep inside" in caplog.text
