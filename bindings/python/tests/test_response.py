"""A response: what each value is sent as, the steps, and what is refused."""

from __future__ import annotations

from collections import OrderedDict
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Callable

import pytest
from conftest import ask

from hasty import App, Client, InvalidError, MutableHeaders, Request, Response

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
OCTETS = "application/octet-stream"

# --- values ---


@pytest.mark.parametrize(
    ("value", "status", "kind", "body"),
    [
        ("héllo", 200, TEXT, "héllo".encode()),
        ("", 200, TEXT, b""),
        ("a\0b", 200, TEXT, b"a\0b"),
        ({"b": 1, "a": [None, True, 1.5, "é"]}, 200, JSON, '{"b":1,"a":[null,true,1.5,"é"]}'.encode()),
        ([1, 2], 200, JSON, b"[1,2]"),
        ({}, 200, JSON, b"{}"),
        (OrderedDict(a=1), 200, JSON, b'{"a":1}'),
        (b"\0\xff\r\n", 200, OCTETS, b"\0\xff\r\n"),
        (bytearray(b"ab"), 200, OCTETS, b"ab"),
        (memoryview(b"abcd")[::2], 200, OCTETS, b"ac"),
        (None, 204, None, b""),
        (("text", 201), 201, TEXT, b"text"),
        (({"a": 1}, 202), 202, JSON, b'{"a":1}'),
        ((None, 404), 404, None, b""),
        (("gone", HTTPStatus.GONE), 410, TEXT, b"gone"),
        (Response.html("<p>"), 200, HTML, b"<p>"),
        (Response.json("a string"), 200, JSON, b'"a string"'),
        (Response.json(None), 200, JSON, b"null"),
        (Response.bytes(b"ab", status=201), 201, OCTETS, b"ab"),
        (Response.text("a", headers={"Content-Type": "text/csv"}), 200, "text/csv", b"a"),
        (Response.status(404), 404, None, b""),
        (Response("text", 418), 418, TEXT, b"text"),
        (Response.send([1]), 200, JSON, b"[1]"),
        (Response.text("<svg/>").type("svg"), 200, "image/svg+xml", b"<svg/>"),
        (Response.type(".csv").text("a"), 200, "text/csv; charset=utf-8", b"a"),
        (Response.type("text/x-own").send("a"), 200, "text/x-own", b"a"),
        (Response.json({}).text("last counts"), 200, TEXT, b"last counts"),
        (Response.json({}).send(None), 200, None, b""),
    ],
)
def test_what_a_value_is_sent_as(
    value: Any, status: int, kind: str | None, body: bytes, app: App, client: Client
) -> None:
    app.get("/")(lambda req: value)
    answer = client.get("/")
    assert (answer.status_code, answer.headers.get("content-type"), answer.body) == (status, kind, body)
    if status != 204:
        assert answer.headers["content-length"] == str(len(body))


def test_a_tuple_carries_headers(app: App, client: Client) -> None:
    app.get("/map")(lambda req: ("made", 201, {"Location": "/7", "X-A": "1"}))
    app.get("/pairs")(lambda req: ("made", 201, [("Link", "</a>"), ("Link", "</b>")]))
    answer = client.get("/map")
    assert (answer.status_code, answer.headers["location"], answer.headers["x-a"]) == (201, "/7", "1")
    assert client.get("/pairs").headers.getall("link") == ["</a>", "</b>"]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 5_000_000])
def test_a_body_leaves_whole(size: int, app: App, client: Client) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    app.get("/")(lambda req: body)
    assert client.get("/").body == body


def test_a_mapping_is_json_as_a_body(app: App, client: Client) -> None:
    app.get("/")(lambda req: MappingProxyType({"a": 1}))
    assert client.get("/").json() == {"a": 1}
    assert Response.json(MappingProxyType({"a": 1})).body == b'{"a":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}, {(1, 2): 3}])
def test_what_json_cannot_say_is_an_error_where_it_is_said(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Response.json(value)


def test_a_circular_value_is_an_error_not_a_crash() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises((ValueError, RecursionError)):
        Response.json(circle)


def test_a_kept_response_may_be_returned_again(app: App, client: Client) -> None:
    kept = Response.json({"a": 1}, status=201, headers={"X-A": "1"}).cookie("c", "1")
    app.get("/")(lambda req: kept)
    answers = [client.get("/") for _ in range(3)]
    assert {(a.status_code, a.text, a.headers["x-a"], a.headers["set-cookie"]) for a in answers} == {
        (201, '{"a":1}', "1", "c=1; Path=/; SameSite=Lax; HttpOnly")
    }


# --- steps ---


def test_steps_chain_on_an_instance_and_begin_on_the_class() -> None:
    filled = Response()
    assert filled.status(201) is filled
    assert filled.type("json").header("X-A", "1").text("{}") is filled
    made = Response.status(201)
    assert isinstance(made, Response) and made is not Response.status(201)
    assert (made.status_code, made.body) == (201, b"")


def test_a_step_has_the_documentation_of_its_function() -> None:
    assert "UTF-8" in (Response.__dict__["html"].__doc__ or "")


def test_what_was_set_can_be_read() -> None:
    answer = Response.json({"a": 1}, status=201).header("X-A", "1")
    assert (answer.status_code, answer.content_type, answer.body) == (201, JSON, b'{"a":1}')
    assert dict(answer.headers) == {"X-A": "1"}
    assert repr(answer) == "<Response 201 application/json, 7 bytes>"
    assert answer.header("content-type", "text/csv").content_type == "text/csv"
    assert answer.type("html").content_type == "html", "the last of type() and header() counts"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect(status: int, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.redirect("/a b?c=é", status=status))
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (status, "/a%20b?c=%C3%A9")
    assert answer.text.startswith(str(status))


def test_a_redirect_may_carry_more(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: res.cookie("a", "1").redirect("/b").html("<p>over there").header("X-A", "1"))
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"], answer.text) == (302, "/b", "<p>over there")
    assert answer.headers["content-type"] == HTML and answer.headers["x-a"] == "1"
    assert answer.headers["set-cookie"].startswith("a=1")


def test_headers_are_set_added_and_removed(app: App, client: Client) -> None:
    def handler(req: Request, res: Response) -> None:
        res.header("X-A", "1").header("x-a", "2").add_header("Link", "</a>").add_header("Link", "</b>")
        res.headers["X-Gone"] = "1"
        del res.headers["x-gone"]
        res.text("text", headers={"X-B": "café"})

    app.get("/")(handler)
    headers = client.get("/").headers
    assert headers.getall("x-a") == ["2"]
    assert headers.getall("link") == ["</a>", "</b>"]
    assert "x-gone" not in headers
    assert headers["x-b"].encode("latin-1") == "café".encode()


def test_the_server_field_can_be_replaced(app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.text("").header("Server", "mine"))
    assert client.get("/").headers.getall("server") == ["mine"]


def test_connection_close_is_honoured(app: App) -> None:
    app.get("/")(lambda req: Response.text("bye").header("Connection", "close"))
    with app.start() as server:
        answer = ask(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in answer and answer.endswith(b"bye")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "c=v; Path=/; SameSite=Lax; HttpOnly"),
        (
            {
                "max_age": 60,
                "path": "/a",
                "domain": "example.org",
                "secure": True,
                "http_only": False,
                "same_site": "None",
            },
            "c=v; Path=/a; Domain=example.org; Max-Age=60; SameSite=None; Secure",
        ),
        ({"same_site": "strict"}, "c=v; Path=/; SameSite=Strict; HttpOnly"),
    ],
)
def test_a_cookie(options: dict[str, Any], line: str, app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.text("").cookie("c", "v", **options))
    sent = client.get("/").headers["set-cookie"]
    assert sorted(sent.split("; ")) == sorted(line.split("; "))


def test_cookies_add_up_and_can_be_deleted(app: App, client: Client) -> None:
    app.get("/")(lambda req, res: res.cookie("a", "1").cookie("b", "2").delete_cookie("c", path="/p").text(""))
    first, second, third = client.get("/").headers.getall("set-cookie")
    assert first.startswith("a=1;") and second.startswith("b=2;")
    assert third.startswith("c=;") and "Max-Age=0" in third and "Path=/p" in third


@pytest.mark.parametrize(
    ("name", "options", "is_secure"),
    [
        ("a", {}, False),
        ("a", {"secure": True}, True),
        ("a", {"same_site": "none"}, True),
        ("__Host-a", {}, True),
        ("__secure-a", {}, True),
    ],
)
def test_a_cookie_is_deleted_as_browsers_accept_it(
    name: str, options: dict[str, Any], is_secure: bool, app: App, client: Client
) -> None:
    app.get("/")(lambda req: Response.text("").delete_cookie(name, **options))
    parts = client.get("/").headers["set-cookie"].split("; ")
    assert parts[0] == f"{name}=" and "Max-Age=0" in parts
    assert ("Secure" in parts) == is_secure
    assert f"SameSite={options.get('same_site', 'lax').title()}" in parts


@pytest.mark.parametrize("code", [204, 304])
def test_204_and_304_have_no_body(code: int, app: App) -> None:
    app.get("/")(lambda req: ("lost", code))
    with app.start() as server:
        answer = ask(server, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % code) and answer.endswith(b"\r\n\r\n")


# --- what is refused, at the line that says it ---


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Response.status(99), "status 99 is not in 200 to 599"),
        (lambda: Response.status(600), "status 600"),
        (lambda: Response.status("200"), "status '200'"),
        (lambda: Response("text", 100), "status 100"),
        (lambda: Response.text("", status=1000), "status 1000"),
        (lambda: Response.redirect("/", status=200), "redirect 200 is not 301"),
        (lambda: Response.redirect("/a\r\nX: y"), "line break"),
        (lambda: Response.type("text/html\r\nX: y"), "line break"),
        (lambda: Response().header("X", "a\r\nY: b"), r"value of header X: 'a\\r\\nY: b' contains a control character"),
        (lambda: Response().header("X", "a\0b"), "control character"),
        (lambda: Response().header("X", "a\x7fb"), "control character"),
        (lambda: Response().header("X", "a\udc80"), "contains a surrogate"),
        (lambda: Response.redirect("/\udc80"), "contains a surrogate"),
        (lambda: Response.type("text/\ud800"), "contains a surrogate"),
        (lambda: Response().header("X\r\n", "a"), "not a token"),
        (lambda: Response().header("X Y", "a"), "not a token"),
        (lambda: Response().header("X:", "a"), "not a token"),
        (lambda: Response().header("", "a"), "not a token"),
        (lambda: Response().header("Ü", "a"), "not a token"),
        (lambda: Response("", 200, {"X": "a\nb"}), "control character"),
        (lambda: Response().cookie("a b", "1"), "cookie name 'a b' is not a token"),
        (lambda: Response().cookie("a", "b; Secure"), "must not contain spaces"),
        (lambda: Response().cookie("a", "é"), "must not contain spaces"),
        (lambda: Response().cookie("a", "b", path="/; Domain=x"), "semicolon"),
        (lambda: Response().cookie("a", "b", domain="x\r\n"), "control"),
        (lambda: Response().cookie("a", "b", same_site="Loose"), "same_site 'Loose' is not Lax, Strict or None"),
        (lambda: Response().cookie("a", "b", max_age=0), "delete_cookie"),
        (lambda: Response().cookie("a", "b", path="p"), "path 'p' does not begin with '/'"),
        (lambda: Response().cookie("a", "b", domain="http://x"), "domain 'http://x' is not a host name"),
        (lambda: Response().cookie("a", "b", same_site="none"), "same_site='None' without secure=True"),
        (lambda: Response().cookie("__Secure-a", "b"), "__Secure- without secure=True"),
        (lambda: Response().cookie("__Host-a", "b"), "__Host- without secure=True"),
        (lambda: Response().cookie("__Host-a", "b", secure=True, path="/p"), "a path other than '/'"),
        (lambda: Response().delete_cookie("a", path="p"), "path 'p' does not begin with '/'"),
        (lambda: Response().cookie("a", "b", max_age=(1 << 64) + 5), "max_age 18446744073709551621 .* is above"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(wrong: Callable[[], Response], words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        wrong()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Response().header("X", 7),  # type: ignore[arg-type]
        lambda: Response().header(b"X", "a"),  # type: ignore[arg-type]
        lambda: Response(7),  # type: ignore[arg-type]
        lambda: Response.send(object()),  # type: ignore[arg-type]
        lambda: Response.redirect(7),  # type: ignore[arg-type]
        lambda: Response().cookie("n", 5),  # type: ignore[arg-type]
        lambda: Response().cookie("n", None),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_are_type_errors(wrong: Callable[[], Response]) -> None:
    with pytest.raises(TypeError):
        wrong()


def test_a_tab_and_characters_beyond_ascii_are_no_control_characters() -> None:
    headers = MutableHeaders({"X": "a\tb café \u2028"})
    assert headers["x"] == "a\tb café \u2028"


@pytest.mark.parametrize("value", [5, None, b"5"])
def test_the_value_of_a_cookie_is_text(value: Any) -> None:
    with pytest.raises(TypeError, match=rf"value {value!r} of cookie n is not str"):
        Response().cookie("n", value)


def test_a_refused_header_leaves_the_others_alone() -> None:
    headers = MutableHeaders({"X": "1"})
    with pytest.raises(InvalidError):
        headers["X"] = "a\nb"
    assert headers.pairs() == [("X", "1")]


def test_every_header_that_is_allowed_here_is_allowed_by_the_library(app: App, client: Client) -> None:
    value = "".join(chr(c) for c in [9, *range(0x20, 0x7F), 0xA0, 0xE9])
    app.get("/")(lambda req: Response.text("").header("!#$%&'*+-.^_`|~09azAZ", f"x{value}x"))
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["!#$%&'*+-.^_`|~09azAZ"].encode("latin-1") == f"x{value}x".encode()


def test_every_cookie_that_is_allowed_here_is_allowed_by_the_library(app: App, client: Client) -> None:
    value = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",;\\')
    app.get("/")(lambda req: Response.text("").cookie("c", value))
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith(f"c={value};")
