"""Flask on hasty, asked by requests and urllib3."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hasty
from hasty import wsgi

flask = pytest.importorskip("flask")
requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")


def make(folder: Path) -> Any:
    app = flask.Flask("tested", static_folder=str(folder), static_url_path="/static")
    app.secret_key = "for tests"
    request = flask.request

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    @app.get("/url")
    def url() -> Any:
        return flask.jsonify(
            url=request.url, base=request.base_url, root=request.url_root, path=request.path, host=request.host,
            args=request.args.to_dict(flat=False), address=request.remote_addr,
        )  # fmt: skip

    @app.get("/go")
    def go() -> Any:
        return flask.redirect(flask.url_for("gone", name="caf\u00e9"))

    @app.get("/gone/<name>")
    def gone(name: str) -> str:
        return f"gone to {name}"

    @app.get("/count")
    def count() -> str:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return str(flask.session["count"])

    @app.get("/cookies")
    def cookies() -> Any:
        answer = flask.jsonify(dict(request.cookies))
        answer.set_cookie("one", "1")
        answer.set_cookie("two", "zw\u00f6lf")
        return answer

    @app.post("/upload")
    def upload() -> Any:
        files = [
            (name, file.filename, file.content_type, len(file.read()))
            for name in sorted(request.files)
            for file in request.files.getlist(name)
        ]
        return flask.jsonify(files=files, form=request.form.to_dict())

    @app.post("/echo")
    def echo() -> Any:
        return flask.Response(request.get_data(), mimetype=request.mimetype)

    @app.post("/length")
    def length() -> str:
        return str(sum(len(piece) for piece in iter(lambda: request.stream.read(1 << 20), b"")))

    @app.post("/json")
    def json() -> Any:
        return {"got": request.get_json()}

    @app.get("/stream")
    def stream() -> Any:
        @flask.stream_with_context
        def rows() -> Iterator[str]:
            for number in range(int(request.args["rows"])):
                yield f"{number} of {request.args['rows']}\n"

        return flask.Response(rows(), mimetype="text/csv")

    @app.get("/clock")
    def clock() -> Any:
        def ticks() -> Iterator[str]:
            try:
                while True:
                    yield "data: tick\n\n"
            finally:
                app.config["LEFT"].set()

        return flask.Response(ticks(), mimetype="text/event-stream")

    @app.get("/download")
    def download() -> Any:
        return flask.send_file(folder / "page.html", as_attachment=True, download_name="caf\u00e9.html")

    @app.get("/made")
    def made() -> Any:
        return flask.send_file(io.BytesIO(b"made in memory"), mimetype="text/plain")

    @app.get("/fails")
    def fails() -> str:
        raise LookupError("deep inside")

    @app.get("/refuses")
    def refuses() -> str:
        flask.abort(418, "a teapot")

    @app.get("/logs")
    def logs() -> str:
        app.logger.error("said by the application")
        return ""

    app.config["LEFT"] = threading.Event()
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text("<p>" + "page " * 20_000)
    (tmp_path / "small.txt").write_text("small")
    return tmp_path


@pytest.fixture(params=[0, 4], ids=["one thread", "four threads"])
def server(folder: Path, request: Any) -> Iterator[hasty.Server]:
    app = make(folder)
    with wsgi.as_app(app, threads=request.param, max_body_bytes=64 << 20).start() as started:
        started.flask = app  # type: ignore[attr-defined]
        yield started


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as made:
        yield made


def test_a_page(server: hasty.Server, session: Any) -> None:
    answer = session.get(server.url)
    assert (answer.status_code, answer.text) == (200, "Hello, World!")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == "13"


def test_the_url_is_the_one_that_was_asked_for(server: hasty.Server, session: Any) -> None:
    told = session.get(f"{server.url}/url?a=1&a=2&b=caf%C3%A9").json()
    assert told == {
        "url": f"{server.url}/url?a=1&a=2&b=caf\u00e9",
        "base": f"{server.url}/url",
        "root": f"{server.url}/",
        "path": "/url",
        "host": server.url[len("http://") :],
        "args": {"a": ["1", "2"], "b": ["caf\u00e9"]},
        "address": "127.0.0.1",
    }
    told = session.get(f"{server.url}/url", headers={"Host": "example.org"}).json()
    assert told["url"] == "http://example.org/url"


def test_redirects_are_followed(server: hasty.Server, session: Any) -> None:
    answer = session.get(f"{server.url}/go")
    assert (answer.text, answer.url) == ("gone to caf\u00e9", f"{server.url}/gone/caf%C3%A9")
    assert [before.status_code for before in answer.history] == [302]


def test_sessions_last(server: hasty.Server, session: Any) -> None:
    assert [session.get(f"{server.url}/count").text for _ in range(3)] == ["1", "2", "3"]
    assert requests.get(f"{server.url}/count").text == "1"


def test_cookies_go_both_ways(server: hasty.Server, session: Any) -> None:
    assert session.get(f"{server.url}/cookies").json() == {}
    assert session.get(f"{server.url}/cookies").json() == {"one": "1", "two": "zw\u00f6lf"}


def test_several_files_are_uploaded(server: hasty.Server, session: Any) -> None:
    files = [
        ("photo", ("a.png", b"\x89PNG" * 100, "image/png")),
        ("photo", ("b.bin", bytes(1 << 20), "application/octet-stream")),
        ("text", ("\u00e9.txt", b"", "text/plain")),
    ]
    told = session.post(f"{server.url}/upload", files=files, data={"title": "Caf\u00e9"}).json()
    assert told["files"] == [
        ["photo", "a.png", "image/png", 400],
        ["photo", "b.bin", "application/octet-stream", 1 << 20],
        ["text", "\u00e9.txt", "text/plain", 0],
    ]
    assert told["form"] == {"title": "Caf\u00e9"}


def test_bodies_are_received(server: hasty.Server, session: Any) -> None:
    for data in (b"", b"x", bytes(range(256)) * 1000):
        assert session.post(f"{server.url}/echo", data=data).content == data
    size = 32 << 20
    assert session.post(f"{server.url}/length", data=bytes(size)).text == str(size)
    chunked = (bytes(1000) for _ in range(100))
    assert session.post(f"{server.url}/length", data=chunked).text == "100000"
    assert session.post(f"{server.url}/length", data=bytes((64 << 20) + 1)).status_code == 413


def test_json_goes_both_ways(server: hasty.Server, session: Any) -> None:
    value = {"text": "caf\u00e9", "list": [1, None, True]}
    assert session.post(f"{server.url}/json", json=value).json() == {"got": value}
    assert session.post(f"{server.url}/json", data="{", headers={"Content-Type": "application/json"}).status_code == 400


def test_a_stream_has_its_request_to_the_end(server: hasty.Server, session: Any) -> None:
    answer = session.get(f"{server.url}/stream?rows=1000", stream=True)
    assert answer.headers["transfer-encoding"] == "chunked"
    lines = list(answer.iter_lines(decode_unicode=True))
    assert len(lines) == 1000 and lines[-1] == "999 of 1000"


def test_a_stream_ends_with_its_client(server: hasty.Server) -> None:
    pool = urllib3.PoolManager()
    with pool.request("GET", f"{server.url}/clock", preload_content=False) as answer:
        assert answer.read(11) == b"data: tick\n"
        answer.close()
    assert server.flask.config["LEFT"].wait(10)  # type: ignore[attr-defined]
    pool.clear()


def test_head_has_no_body(server: hasty.Server, session: Any) -> None:
    for path in ("/", "/static/page.html", "/stream?rows=5"):
        head, get = session.head(server.url + path), session.get(server.url + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers.get("content-length") == (get.headers.get("content-length"))
        assert head.headers["content-type"] == get.headers["content-type"]


def test_static_files_are_sent_once(server: hasty.Server, session: Any, folder: Path) -> None:
    url = f"{server.url}/static/page.html"
    answer = session.get(url)
    assert answer.text == (folder / "page.html").read_text()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    tag, date = answer.headers["etag"], answer.headers["last-modified"]
    assert session.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert session.get(url, headers={"If-Modified-Since": date}).status_code == 304
    assert session.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    part = session.get(url, headers={"Range": "bytes=3-7"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"page ", "bytes 3-7/100003")
    assert session.get(url, headers={"Range": "bytes=200000-"}).status_code == 416
    assert session.get(f"{server.url}/static/none").status_code == 404
    assert session.get(f"{server.url}/static/../test.py").status_code == 404


def test_downloads_have_names(server: hasty.Server, session: Any, folder: Path) -> None:
    answer = session.get(f"{server.url}/download")
    assert answer.content == (folder / "page.html").read_bytes()
    assert "filename*=UTF-8''caf%C3%A9.html" in answer.headers["content-disposition"]
    assert session.get(f"{server.url}/made").content == b"made in memory"


def test_errors_have_their_status(server: hasty.Server, session: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert session.get(f"{server.url}/none").status_code == 404
    assert session.post(server.url).status_code == 405
    answer = session.get(f"{server.url}/refuses")
    assert answer.status_code == 418 and "a teapot" in answer.text
    assert session.options(server.url).headers["allow"].count("GET") == 1
    with caplog.at_level(logging.ERROR):
        assert session.get(f"{server.url}/fails").status_code == 500
    assert "deep inside" in caplog.text


def test_errors_that_flask_passes_on_are_answered_for(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = make(folder)
    app.testing = True
    with wsgi.as_app(app).start() as server:
        assert requests.get(f"{server.url}/fails").status_code == 500
        assert requests.get(server.url).text == "Hello, World!"
    assert "LookupError: deep inside" in caplog.text


def test_flask_finds_where_to_log(folder: Path) -> None:
    # By itself it writes to wsgi.errors of the request.
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    app, ear = make(folder), Ear()
    logger = logging.getLogger("hasty.wsgi")
    logger.addHandler(ear)
    app.logger.propagate = False
    app.logger.addHandler(flask.logging.default_handler)
    try:
        with wsgi.as_app(app).start() as server:
            assert requests.get(f"{server.url}/logs").status_code == 200
    finally:
        logger.removeHandler(ear)
        app.logger.removeHandler(flask.logging.default_handler)
    assert len(heard) == 1 and "said by the application" in heard[0]


def test_many_clients_at_once(server: hasty.Server) -> None:
    seen: list[str] = []

    def visit(number: int) -> None:
        with requests.Session() as session:
            for _ in range(10):
                seen.append(session.get(f"{server.url}/gone/{number}").text)

    visitors = [threading.Thread(target=visit, args=[number]) for number in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(120)
    assert sorted(seen) == sorted(f"gone to {number}" for number in range(8) for _ in range(10))


def test_flask_below_a_prefix_knows_its_urls(folder: Path) -> None:
    app = hasty.App()
    app.get("/")(lambda req: "hasty")
    wsgi.mount(app, "/flask", make(folder))
    with app.start() as server:
        assert requests.get(server.url).text == "hasty"
        assert requests.get(f"{server.url}/flask/go").url == f"{server.url}/flask/gone/caf%C3%A9"
        assert requests.get(f"{server.url}/flask/url").json()["root"] == f"{server.url}/flask/"
