"""A request: what it reads as, and its end."""

from __future__ import annotations

import encodings
import json
import threading
from typing import Any, Callable

import pytest
from conftest import ask

from hasty import App, BadRequest, Client, Headers, JsonError, Request, Response, StateError, Values, _ffi


def read(app: App, part: Callable[[Request], Any]) -> list[Any]:
    """Registers a handler on everything that keeps what `part` reads."""
    seen: list[Any] = []

    def keep(req: Request) -> str:
        seen.append(part(req))
        return ""

    app.any("/*")(keep)
    return seen


def raw(app: App, octets: bytes) -> bytes:
    with app.start() as server:
        return ask(server, octets)


# --- the request line ---


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda req: req.method, "PATCH"),
        (lambda req: req.path, "/a b/é/c/d"),
        (lambda req: req.raw_path, "/a%20b/%C3%A9/c%2Fd"),
        (lambda req: req.query_string, "x=1&y=%20"),
        (lambda req: req.target, "/a%20b/%C3%A9/c%2Fd?x=1&y=%20"),
        (lambda req: req.route, "/*"),
        (lambda req: req.minor_version, 1),
        (lambda req: req.params["*"], "a b/é/c/d"),
        (lambda req: repr(req), "<Request PATCH /a%20b/%C3%A9/c%2Fd?x=1&y=%20>"),
    ],
)
def test_the_request_line(part: Callable[[Request], Any], expected: Any, app: App, client: Client) -> None:
    seen = read(app, part)
    client.patch("/a%20b/%C3%A9/c%2Fd?x=1&y=%20")
    assert seen == [expected]


def test_http_1_0_is_told(app: App) -> None:
    seen = read(app, lambda req: req.minor_version)
    raw(app, b"GET / HTTP/1.0\r\n\r\n")
    assert seen == [0]


def test_no_query_is_an_empty_string(app: App, client: Client) -> None:
    seen = read(app, lambda req: req.query_string)
    client.get("/")
    assert seen == [""]


# --- names and values ---


def test_params_are_decoded_once_each(app: App, client: Client) -> None:
    seen = []
    app.get("/users/:id/files/*rest")(lambda req: seen.append(dict(req.params)))
    client.get("/users/a%2Fb/files/c%2520/d")
    assert seen == [{"id": "a/b", "rest": "c%20/d"}]


def test_the_query_gives_first_values_and_all(app: App, client: Client) -> None:
    seen = read(app, lambda req: req.query)
    client.get("/?tag=c&q=fast+http&tag=python&empty=&%C3%A9=%26&flag")
    (query,) = seen
    assert (query["tag"], query["q"], query["empty"], query["é"], query["flag"]) == ("c", "fast http", "", "&", "")
    assert query.getall("tag") == ["c", "python"]
    assert list(query) == ["tag", "q", "empty", "é", "flag"]


def test_absent_is_not_empty(app: App, client: Client) -> None:
    seen = read(app, lambda req: (req.query.get("a"), req.query.get("b"), "b" in req.query, req.query.getall("b")))
    client.get("/?a=")
    assert seen == [("", None, False, [])]


def test_a_name_that_is_not_there_is_a_key_error(app: App, client: Client) -> None:
    def part(req: Request) -> None:
        for values in (req.params, req.query, req.headers, req.cookies, req.form):
            with pytest.raises(KeyError, match="missing"):
                values["missing"]

    read(app, part)
    assert client.get("/").status_code == 200


def test_headers_compare_without_case_and_keep_their_order(app: App) -> None:
    seen = read(app, lambda req: req.headers)
    raw(app, b"GET / HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nx-a: 2\r\nX-b:  3 \r\nX-Empty:\r\nConnection: close\r\n\r\n")
    (headers,) = seen
    assert isinstance(headers, Headers)
    assert (headers["x-b"], headers["X-A"], headers["x-empty"]) == ("1", "2", "")
    assert headers.getall("X-B") == ["1", "3"]
    assert "X-EMPTY" in headers and "X-C" not in headers
    assert [name for name, _ in headers.pairs()] == ["host", "x-b", "x-a", "x-b", "x-empty", "connection"]


def test_header_values_are_utf_8_or_else_latin_1(app: App) -> None:
    seen = read(app, lambda req: (req.headers["x-u"], req.headers["x-l"]))
    raw(app, b"GET / HTTP/1.1\r\nHost: a\r\nX-U: caf\xc3\xa9\r\nX-L: caf\xe9\r\nConnection: close\r\n\r\n")
    assert seen == [("café", "café")]


def test_cookies_of_all_fields_are_read(app: App) -> None:
    seen = read(app, lambda req: req.cookies.pairs())
    raw(app, b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\nCookie: a=3\r\nConnection: close\r\n\r\n")
    assert seen == [[("a", "1"), ("b", "2"), ("a", "3")]]


def test_a_form_is_decoded(app: App, client: Client) -> None:
    seen = read(app, lambda req: req.form)
    client.post("/", form={"name": "Ada Lovelace", "tag": ["a&b", "é"]})
    (form,) = seen
    assert form.pairs() == [("name", "Ada Lovelace"), ("tag", "a&b"), ("tag", "é")]


def test_a_body_of_another_type_is_no_form(app: App, client: Client) -> None:
    seen = read(app, lambda req: dict(req.form))
    client.post("/", body="a=1", headers={"Content-Type": "text/plain"})
    assert seen == [{}]


@pytest.mark.parametrize("part", [lambda req: req.query["x"], lambda req: req.params["*"], lambda req: req.path[1:]])
def test_what_is_not_utf_8_becomes_replacement_characters(part: Any, app: App, client: Client) -> None:
    seen = read(app, part)
    client.get("/%FFa?x=%FFa")
    assert seen == ["\ufffda"]


def test_a_value_may_hold_nul(app: App, client: Client) -> None:
    seen = read(app, lambda req: (req.query["x"], req.body))
    client.post("/?x=a%00b", body=b"\0a\0b\0")
    assert seen == [("a\0b", b"\0a\0b\0")]


def test_mappings_outlive_their_request(app: App, client: Client) -> None:
    seen = read(app, lambda req: (req.params, req.query, req.headers, req.cookies, req.form))
    client.cookies["c"] = "3"
    client.post("/p?q=1", form={"f": "2"}, headers={"X-H": "4"})
    client.post("/other?q=other", form={"f": "other"}, headers={"X-H": "other"})
    params, query, headers, cookies, form = seen[0]
    assert (params["*"], query["q"], form["f"], cookies["c"], headers["x-h"]) == ("p", "1", "2", "3", "4")


def test_mappings_are_read_only(app: App, client: Client) -> None:
    def part(req: Request) -> None:
        with pytest.raises(TypeError):
            req.query["a"] = "2"  # type: ignore[index]

    read(app, part)
    assert client.get("/?a=1").status_code == 200


def test_values_behave_as_a_mapping() -> None:
    values = Values([("a", "1"), ("b", "2"), ("a", "3")])
    assert dict(values) == {"a": "1", "b": "2"}
    assert (len(values), "a" in values, "A" in values, values == {"a": "1", "b": "2"}) == (2, True, False, True)
    assert repr(values) == "Values([('a', '1'), ('b', '2'), ('a', '3')])"
    headers = Headers([("A", "1"), ("a", "2")])
    assert (len(headers), list(headers), headers.getall("A")) == (1, ["A"], ["1", "2"])


# --- the body ---


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 3_000_000])
def test_a_body_arrives_whole(size: int, app: App, client: Client) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    app.post("/")(lambda req: req.body)
    assert client.post("/", body=body).body == body


def test_a_chunked_body_is_put_together(app: App) -> None:
    seen = read(app, lambda req: req.body)
    raw(
        app,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    assert seen == [b"abcde"]


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ('text/plain; format=flowed; Charset="UTF-16LE"', "é".encode("utf-16le"), "é"),
        ("", b"plain", "plain"),
    ],
)
def test_text_is_in_the_charset_of_its_type(kind: str, body: bytes, text: str, app: App, client: Client) -> None:
    seen = read(app, lambda req: req.text)
    client.post("/", body=body, headers={"Content-Type": kind} if kind else {})
    assert seen == [text]


def test_charsets_that_clients_make_up_cost_no_memory(app: App, client: Client) -> None:
    app.post("/")(lambda req: req.text)

    def ask(charset: str) -> int:
        return client.post("/", body=b"a", headers={"Content-Type": f"text/plain; charset={charset}"}).status_code

    assert ask("latin-1") == ask("cp437") == 200
    before = len(encodings._cache)  # type: ignore[attr-defined]
    assert [ask(f"cp{number}") for number in range(90000, 90100)] == [400] * 100
    assert [ask(f"latin{'-' * count}1") for count in range(1, 100)] == [200] * 99
    assert len(encodings._cache) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("text/plain", b"ab\xff", "the body is not utf-8: byte 2 of 3"),
        ("text/plain; charset=nonsense", b"a", "charset 'nonsense' is not supported"),
        # Codecs that Python knows and strangers may not choose.
        ("text/plain; charset=unicode_escape", b"\\x41", "charset 'unicode_escape' is not supported"),
        ("text/plain; charset=idna", b"a" * 9000, "charset 'idna' is not supported"),
        ("text/plain; charset=zip", b"a", "charset 'zip' is not supported"),
    ],
)
def test_text_that_is_none_is_the_clients_mistake(
    kind: str, body: bytes, words: str, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.post("/")(lambda req: req.text)
    answer = client.post("/", body=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.text) == (400, words)
    assert not caplog.records, "a client's mistake is no error of the program"


# --- json ---


@pytest.mark.parametrize("value", [None, True, 0, -1.5, 10**30, "é\u2028\0", [], [1, [2]], {"b": 1, "a": {"c": None}}])
def test_json_is_read(value: Any, app: App, client: Client) -> None:
    seen = read(app, lambda req: req.json())
    client.post("/", body=json.dumps(value))
    assert seen == [value]


def test_json_is_parsed_once(app: App, client: Client) -> None:
    seen = read(app, lambda req: req.json() is req.json())
    client.post("/", body="[1]")
    assert seen == [True]


MALFORMED = [
    ('{"numbers": [1, 2,\n  oops]}', 2, 3),
    ("", 1, 0),
    ("{", 1, 1),
    ("[1,]", 1, 4),
    ("nul", 1, 3),
    ('{"a" 1}', 1, 6),
    ("[1] [2]", 1, 5),
    ("NaN", 1, 1),
    ("[Infinity]", 1, 2),
    ('"\x01"', 1, 2),
]


@pytest.mark.parametrize(("text", "line", "column"), MALFORMED)
def test_malformed_json_is_400_with_line_and_column(
    text: str, line: int, column: int, app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    app.post("/")(lambda req: {"got": req.json()})
    answer = client.post("/", body=text)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert f"line {line}" in answer.text and "column " in answer.text
    assert not caplog.records


@pytest.mark.parametrize(("text", "line", "column"), MALFORMED)
def test_malformed_json_can_be_caught(text: str, line: int, column: int, app: App, client: Client) -> None:
    @app.post("/")
    def careful(req: Request) -> Any:
        try:
            return {"got": req.json()}
        except JsonError as error:
            assert isinstance(error, ValueError) and isinstance(error, BadRequest)
            return {"line": error.line, "column": error.column}, 422

    answer = client.post("/", body=text)
    assert answer.status_code == 422
    found = answer.json()
    assert found["line"] == line
    # Parsers differ by one or two in where they stop.
    assert abs(found["column"] - column) <= 2


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"\xef\xbb\xbf[", b"[" * 100_000, b'{"a":' * 50_000])
def test_no_body_however_strange_is_more_than_a_400(body: bytes, app: App, client: Client) -> None:
    app.post("/")(lambda req: {"got": req.json()})
    answer = client.post("/", body=body)
    assert answer.status_code == 400
    assert "line 1" in answer.text


def test_a_lone_surrogate_comes_back_as_it_came(app: App, client: Client) -> None:
    app.post("/")(lambda req: {"got": req.json()})
    assert client.post("/", body=r'"\ud800é"').body == rb'{"got":"\ud800\u00e9"}'


# --- who asks ---


def test_the_remote_address_is_the_clients(app: App, client: Client) -> None:
    seen = read(app, lambda req: req.remote_address)
    client.get("/")
    assert seen == ["127.0.0.1"]


def test_the_id_is_the_clients_where_it_is_sane_else_made(app: App, client: Client) -> None:
    seen = read(app, lambda req: (req.id, req.id))
    client.get("/", headers={"X-Request-ID": "abc-123"})
    client.get("/", headers={"X-Request-ID": "a b"})
    client.get("/")
    (first, same), (made, same_made), (other, _) = seen
    assert (first, same) == ("abc-123", "abc-123")
    assert made == same_made and len(made) == 32 and made != other


# --- the end ---


PARTS = [name for name in dir(Request) if not name.startswith("_")]


def test_the_parts_of_a_request_are_known() -> None:
    assert PARTS == [
        "body",
        "cookies",
        "defer",
        "files",
        "form",
        "headers",
        "id",
        "json",
        "locals",
        "method",
        "minor_version",
        "params",
        "path",
        "query",
        "query_string",
        "raw_path",
        "read",
        "remote_address",
        "route",
        "stream",
        "target",
        "text",
    ]


def read_part(req: Request, name: str) -> Any:
    value = getattr(req, name)
    if name == "stream":
        return list(value())
    return value() if callable(value) else value


# What can be read only once, or elsewhere, has tests of its own.
@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("defer", "read", "stream")])
@pytest.mark.parametrize("read_before", [False, True])
def test_a_request_that_was_answered_says_so(name: str, read_before: bool, app: App, client: Client) -> None:
    kept: list[Request] = []

    @app.post("/*")
    def keep(req: Request) -> str:
        if read_before:
            read_part(req, name)
        kept.append(req)
        return ""

    assert client.post("/a?b=1", body="[1]").status_code == 200
    with pytest.raises(StateError, match="this request ended when its handler returned"):
        read_part(kept[0], name)
    assert repr(kept[0]) == "<Request, answered>"


def test_a_request_that_failed_has_ended_too(app: App, client: Client) -> None:
    kept: list[Request] = []

    @app.get("/")
    def fail(req: Request) -> str:
        kept.append(req)
        raise RuntimeError

    client.get("/")
    with pytest.raises(StateError):
        _ = kept[0].path


def test_a_thread_that_kept_a_request_is_told_not_killed(app: App, client: Client) -> None:
    answered, told = threading.Event(), []

    def later(req: Request) -> None:
        answered.wait(10)
        try:
            told.append(req.body)
        except StateError as error:
            told.append(error)

    threads = []

    @app.post("/")
    def keep(req: Request) -> str:
        threads.append(threading.Thread(target=later, args=(req,)))
        threads[0].start()
        return ""

    client.post("/", body="secret of the first")
    answered.set()
    threads[0].join(10)
    assert isinstance(told[0], StateError)


def test_a_bad_request_of_ones_own_is_a_400(app: App, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    def picky(req: Request, res: Response) -> None:
        res.status(201).header("X-Half", "1")
        raise BadRequest("name and city, please")

    answer = client.get("/")
    assert (answer.status_code, answer.text) == (400, "name and city, please")
    assert "x-half" not in answer.headers
    assert not caplog.records


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html, application/json", "a/b+json;q=0.5"])
def test_a_400_of_a_handler_is_of_the_same_type_as_one_of_the_library(
    accept: str | None, app: App, client: Client
) -> None:
    def picky(req: Request) -> str:
        raise BadRequest('the "name" is missing')

    app.get("/a")(picky)
    headers = {"Accept": accept} if accept else {}
    mine, librarys = client.get("/a", headers=headers), client.get("/a%zz", headers=headers)
    assert (mine.status_code, librarys.status_code) == (400, 400)
    assert mine.headers["content-type"] == librarys.headers["content-type"]
    if "json" in mine.headers["content-type"]:
        assert mine.json()["error"].pop("message") == 'the "name" is missing'
        mine_rest, librarys_rest = mine.json()["error"], librarys.json()["error"]
        assert mine_rest.pop("message") != librarys_rest.pop("message")
        assert mine_rest == librarys_rest
    else:
        assert mine.text == 'the "name" is missing'


READERS = {
    "query": ("hasty_request_query_at", lambda req: req.query),
    "cookies": ("hasty_request_cookie_at", lambda req: req.cookies),
    "query_string": ("hasty_request_query_string", lambda req: req.query_string),
    "id": ("hasty_request_id", lambda req: req.id),
    "files": ("hasty_request_file_at", lambda req: req.files),
}


@pytest.mark.parametrize("name", READERS)
def test_a_thread_that_reads_a_request_while_it_ends_is_told(
    name: str, app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has read by then is the next request's, perhaps; and nothing more is asked for."""
    function, part = READERS[name]
    begun, answered, told = threading.Event(), threading.Event(), list[BaseException]()
    look, looks = getattr(_ffi, function), []

    def slow(*arguments: Any) -> Any:
        looks.append(function)
        found = look(*arguments)
        begun.set()
        answered.wait(20)
        return found

    def read() -> None:
        try:
            part(threads[0][1])
        except BaseException as error:
            told.append(error)

    threads: list[tuple[threading.Thread, Request]] = []

    @app.post("/")
    def leave(req: Request) -> str:
        threads.append((threading.Thread(target=read), req))
        threads[0][0].start()
        begun.wait(20)
        return "left"

    monkeypatch.setattr(_ffi, function, slow)
    files = {"f": ("a", b"1"), "g": ("b", b"2")}
    assert client.post("/?a=1&b=2&c=3", files=files, headers={"Cookie": "a=1; b=2; c=3"}).text == "left"
    answered.set()
    threads[0][0].join(20)
    assert [type(error) for error in told] == [StateError] and looks == [function]
