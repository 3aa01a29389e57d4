"""The access log."""

from __future__ import annotations

import json
import logging
import re
import time

import pytest

from hasty import Access, App, Client, InvalidError


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "hasty.access")
    return caplog


AGENT = {"User-Agent": 'my "agent"', "Referer": "http://example.org/"}


@pytest.mark.parametrize(
    ("style", "pattern"),
    [
        ("common", r'127\.0\.0\.1 - - \[[^]]+\] "GET /a\?b=1 HTTP/1\.1" 201 5'),
        ("combined", r'127\.0\.0\.1 - - \[[^]]+\] "GET /a\?b=1 HTTP/1\.1" 201 5 "http://example\.org/" ".*agent.*"'),
    ],
)
def test_each_request_is_a_line(
    style: str, pattern: str, app: App, client: Client, lines: pytest.LogCaptureFixture
) -> None:
    app.access_log(style)
    app.get("/a")(lambda req: ("hello", 201))
    client.get("/a?b=1", headers=AGENT)
    client.get("/a?b=1", headers=AGENT)
    client.close()
    found = [record for record in lines.records if record.name == "hasty.access"]
    assert len(found) == 2
    for record in found:
        assert record.levelno == logging.INFO
        assert re.fullmatch(pattern, record.getMessage()), record.getMessage()


def test_a_line_may_be_json(app: App, client: Client, lines: pytest.LogCaptureFixture) -> None:
    app.access_log("json", level=logging.DEBUG)
    lines.set_level(logging.DEBUG, "hasty.access")
    client.get("/none" + "x" * 2000, headers=AGENT)
    client.close()
    (record,) = (record for record in lines.records if record.name == "hasty.access")
    line = json.loads(record.getMessage())
    assert record.levelno == logging.DEBUG
    assert line["status"] == 404 and line["method"] == "GET"
    assert AGENT["User-Agent"] in line.values()


def test_the_default_is_combined(app: App, client: Client, lines: pytest.LogCaptureFixture) -> None:
    app.access_log()
    client.get("/", headers=AGENT)
    client.close()
    assert "http://example.org/" in lines.text


def test_a_line_that_nobody_reads_is_not_made(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
) -> None:
    lines.set_level(logging.WARNING, "hasty.access")
    made: list[int] = []
    monkeypatch.setattr("hasty.access._line", lambda *_: made.append(1) or "")
    app.access_log()
    client.get("/")
    client.close()
    assert made == []


def test_a_function_gets_every_record_as_plain_values(app: App, client: Client) -> None:
    records: list[Access] = []
    app.on_access(records.append)
    before = time.time()
    app.post("/users/:id")(lambda req: "four" + req.id[:0])
    client.post("/users/7?a=1", body="12345678", headers={**AGENT, "X-Request-ID": "abc"})
    client.get("/none")
    client.close()
    first, second = records
    assert (first.method, first.target, first.route, first.status) == ("POST", "/users/7?a=1", "/users/:id", 200)
    assert (first.remote_address, first.user_agent, first.referer, first.id) == (
        "127.0.0.1",
        AGENT["User-Agent"],
        AGENT["Referer"],
        "abc",
    )
    assert first.bytes_out == 4 and first.bytes_in > 100
    assert 0 <= first.duration_us < 10_000_000
    assert before - 1 < first.time_us / 1e6 < time.time() + 1
    assert (second.status, second.route, second.user_agent, second.referer) == (404, None, None, None)


def test_lines_and_functions_go_together_and_one_that_fails_harms_no_other(
    app: App, client: Client, lines: pytest.LogCaptureFixture
) -> None:
    records: list[Access] = []

    def broken(record: Access) -> None:
        raise RuntimeError("no room for this record")

    assert app.on_access(broken) is broken
    app.on_access(records.append)
    app.access_log("common")
    assert client.get("/").status_code == 404
    client.close()
    assert len(records) == 1
    assert [record.name for record in lines.records].count("hasty.access") == 1
    assert "RuntimeError: no room for this record" in lines.text


@pytest.mark.parametrize("style", ["", "nginx", "JSON"])
def test_a_format_that_is_none_is_refused(style: str, app: App) -> None:
    with pytest.raises(InvalidError, match="is none of common, combined, json"):
        app.access_log(style)


def test_what_cannot_be_called_is_refused(app: App) -> None:
    with pytest.raises(InvalidError, match="on_access takes a plain function"):
        app.on_access("text")  # type: ignore[arg-type]
