"""Files as answers: Response.file, res.send_file, Response.download."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import ask

from hasty import App, Client, InvalidError, NotFoundError, Request, Response


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.csv"
    file.write_text("a,b\n1,2\n")
    return file


def test_a_file_is_a_value(report: Path, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.file(report))
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, "a,b\n1,2\n")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["etag"] and answer.headers["last-modified"]


@pytest.mark.parametrize("kind", [str, Path, os.fspath])
def test_a_path_may_be_of_any_kind(kind: Any, report: Path, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.file(kind(report)))
    assert client.get("/").text == "a,b\n1,2\n"


def test_a_file_is_a_step(report: Path, app: App, client: Client) -> None:
    app.get("/send")(lambda req, res: res.header("X-Kind", "report").send_file(report))
    app.get("/type")(lambda req, res: res.type("txt").file(report))
    assert client.get("/send").headers["x-kind"] == "report"
    assert client.get("/type").headers["content-type"] == "text/plain; charset=utf-8"


def test_status_and_headers_go_with_a_file(report: Path, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.file(report, status=404, headers={"X-Why": "gone"}))
    answer = client.get("/")
    assert (answer.status_code, answer.headers["x-why"], answer.text) == (404, "gone", "a,b\n1,2\n")


def test_ranges_and_conditions_are_honoured(report: Path, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.file(report))
    part = client.get("/", headers={"Range": "bytes=4-"})
    assert (part.status_code, part.text) == (206, "1,2\n")
    assert client.get("/", headers={"If-None-Match": part.headers["etag"]}).status_code == 304
    assert client.get("/", headers={"Range": "bytes=100-"}).status_code == 416


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        (None, 'attachment; filename="report.csv"'),
        ("totals.csv", 'attachment; filename="totals.csv"'),
        ("naïve.csv", "attachment; filename=\"na_ve.csv\"; filename*=UTF-8''na%C3%AFve.csv"),
    ],
)
def test_a_download_has_a_name(filename: str | None, disposition: str, report: Path, app: App, client: Client) -> None:
    app.get("/value")(lambda req: Response.download(report, filename))
    app.get("/step")(lambda req, res: res.download(report, filename))
    for path in ("/value", "/step"):
        answer = client.get(path)
        assert (answer.headers["content-disposition"], answer.text) == (disposition, "a,b\n1,2\n")


def test_the_last_body_counts(report: Path, app: App, client: Client) -> None:
    app.get("/file")(lambda req: Response.text("text").file(report))
    app.get("/text")(lambda req: Response.file(report).text("text"))
    app.get("/none")(lambda req: Response.file(report).send(None))
    assert client.get("/file").text == "a,b\n1,2\n"
    assert client.get("/file").headers["content-type"].startswith("text/csv")
    assert client.get("/text").text == "text"
    assert client.get("/none").body == b""


def test_a_response_with_a_file_may_be_sent_again_and_again(report: Path, app: App, client: Client) -> None:
    kept = Response.file(report)
    app.get("/")(lambda req: kept)
    assert client.get("/").text == client.get("/").text == "a,b\n1,2\n"


def test_a_file_that_is_not_there_is_an_error_where_the_handler_stands(
    tmp_path: Path, app: App, client: Client
) -> None:
    @app.get("/")
    def find(req: Request) -> Response:
        try:
            return Response.file(tmp_path / "nothing")
        except NotFoundError as error:
            return Response.text(error.message, status=404)

    answer = client.get("/")
    assert answer.status_code == 404 and "nothing" in answer.text


@pytest.mark.parametrize("wrong", [Response.file, Response.download])
def test_what_is_no_file_is_refused_by_name(wrong: Any, tmp_path: Path, report: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidError, match="is not a regular file"):
        wrong(tmp_path)
    with pytest.raises(InvalidError, match="pipe' is not a regular file"):
        wrong(tmp_path / "pipe")
    with pytest.raises(LookupError, match="there is no file"):
        wrong(report / "below")
    with pytest.raises(InvalidError, match="NUL"):
        wrong(f"{report}\0")
    with pytest.raises(OSError, match="File name too long") as caught:
        wrong("x" * 5000)
    assert caught.value.errno == 36


def test_a_file_that_vanishes_before_it_is_sent_is_500(
    report: Path, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    def vanish(req: Request) -> Response:
        answer = Response.file(report, headers={"X-Half": "1"})
        report.unlink()
        return answer

    answer = client.get("/")
    assert answer.status_code == 500 and "x-half" not in answer.headers
    assert "NotFoundError" in caplog.text and "report.csv" in caplog.text


def test_a_large_file_arrives_whole(tmp_path: Path, app: App, client: Client) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 8192)
    app.get("/")(lambda req: Response.file(large))
    assert client.get("/").body == large.read_bytes()
    assert client.head("/").headers["content-length"] == str(256 * 8192)


@pytest.mark.parametrize("field", ["Range: bytes=0-3", "If-None-Match: *", "X-A: b"])
def test_after_that_gives_another_body_leaves_nothing_of_a_file(field: str, app: App) -> None:
    app.get("/")(lambda req: Response.file(__file__))
    app.after(lambda req, res: res.header("X-Seen", "1").text("in place of the file"))
    with app.start() as server:
        answer = ask(server, f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nin place of the file")
    assert not any(name in answer for name in (b"Range", b"ETag", b"Last-Modified"))
