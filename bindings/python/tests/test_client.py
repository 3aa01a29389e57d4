"""The test client."""

from __future__ import annotations

import gc
import http.client
import io
import re
import socket
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from hasty import App, Client, Request, Response


@pytest.fixture
def mirror(app: App) -> App:
    """Answers with what it was asked."""

    @app.any("/*")
    def show(req: Request) -> dict[str, Any]:
        return {
            "method": req.method,
            "target": req.target,
            "headers": {name.lower(): value for name, value in req.headers.pairs()},
            "body": req.body.decode("latin-1"),
        }

    return app


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_each_method_has_its_name(method: str, mirror: App, client: Client) -> None:
    assert getattr(client, method)("/a").json()["method"] == method.upper()


def test_head_has_no_body(mirror: App, client: Client) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.body) == (200, b"")


def test_request_takes_any_method(mirror: App, client: Client) -> None:
    assert client.request("BREW", "/").json()["method"] == "BREW"


@pytest.mark.parametrize(
    ("parts", "body", "kind"),
    [
        ({"body": "é"}, "é".encode().decode("latin-1"), None),
        ({"body": b"\0\xff"}, "\0\xff", None),
        ({"json": {"a": [1, "é"]}}, '{"a":[1,"é"]}'.encode().decode("latin-1"), "application/json"),
        ({"json": []}, "[]", "application/json"),
        ({"form": {"a": "b c", "d": ["1", "&"]}}, "a=b+c&d=1&d=%26", "application/x-www-form-urlencoded"),
        ({"form": [("a", "1"), ("a", "2")]}, "a=1&a=2", "application/x-www-form-urlencoded"),
        ({"json": 1, "headers": {"content-type": "application/x-own"}}, "1", "application/x-own"),
        ({}, "", None),
    ],
)
def test_a_body_goes_out_with_its_type_and_length(
    parts: dict[str, Any], body: str, kind: str | None, mirror: App, client: Client
) -> None:
    seen = client.post("/", **parts).json()
    assert seen["body"] == body
    assert seen["headers"].get("content-type") == kind
    assert seen["headers"]["content-length"] == str(len(body))


def test_two_bodies_are_refused(mirror: App, client: Client) -> None:
    with pytest.raises(TypeError, match="one of body, json and form"):
        client.post("/", body="a", json={})


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/", {"q": "a b", "tag": ["c", "é"]}, "/?q=a+b&tag=c&tag=%C3%A9"),
        ("/?x=1", {"y": 2}, "/?x=1&y=2"),
        ("/a b/é", None, "/a%20b/%C3%A9"),
        ("/a%20b%2F", None, "/a%20b%2F"),
        ("/a;b=1,2/(c)'!*$&+@:", None, "/a;b=1,2/(c)'!*$&+@:"),
    ],
)
def test_paths_and_queries(path: str, query: Any, target: str, mirror: App, client: Client) -> None:
    assert client.get(path, query=query).json()["target"] == target


def test_headers_go_out(mirror: App, client: Client) -> None:
    seen = client.get("/", headers=[("X-A", "1"), ("Host", "example.org")]).json()["headers"]
    assert (seen["x-a"], seen["host"]) == ("1", "example.org")


def test_an_answer_reads_as_text_json_and_bytes(app: App, client: Client) -> None:
    app.get("/")(lambda req: {"é": 1})
    answer = client.get("/")
    assert answer.json() == {"é": 1}
    assert answer.text == '{"é":1}'
    assert answer.body == '{"é":1}'.encode()
    assert (answer.status_code, answer.reason) == (200, "OK")
    assert answer.headers["CONTENT-TYPE"] == "application/json"
    assert repr(answer) == "<Answer 200 OK, 8 bytes>"


def test_one_connection_serves_many_requests(app: App, client: Client) -> None:
    ports = set()

    @app.get("/")
    def hello(req: Request) -> None:
        ports.add(client._connection.sock.getsockname()[1])

    for _ in range(5):
        client.get("/")
    assert len(ports) == 1


def test_a_connection_that_the_server_closed_is_opened_again(app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.text("bye").header("Connection", "close"))
    assert [client.get("/").text for _ in range(3)] == ["bye"] * 3


def test_a_connection_that_idled_away_is_opened_again() -> None:
    app = App(idle_timeout_ms=50)
    app.get("/")(lambda req: "hello")
    with app.test_client() as client:
        assert client.get("/").text == "hello"
        # The server's FIN is there when the socket reads as empty.
        client._connection.sock.settimeout(10)
        assert client._connection.sock.recv(1, socket.MSG_PEEK) == b""
        assert client.get("/").text == "hello"


def test_cookies_are_kept_replaced_and_forgotten(app: App, client: Client) -> None:
    app.get("/set")(lambda req, res: res.cookie("a", "1").cookie("b", "2").text(""))
    app.get("/change")(lambda req, res: res.cookie("a", "3").delete_cookie("b").text(""))
    app.get("/show")(lambda req: dict(req.cookies))
    client.get("/set")
    assert client.get("/show").json() == {"a": "1", "b": "2"}
    client.get("/change")
    assert client.get("/show").json() == {"a": "3"}
    client.cookies["mine"] = "4"
    assert client.get("/show").json() == {"a": "3", "mine": "4"}


def test_a_cookie_goes_where_its_path_says(app: App, client: Client) -> None:
    app.get("/set")(lambda req, res: res.cookie("a", "1", path="/admin").cookie("s", "2", secure=True).text(""))
    app.get("/*")(lambda req: sorted(req.cookies))
    client.get("/set")
    assert client.get("/").json() == ["s"]
    assert client.get("/admin").json() == client.get("/admin/x?y=/").json() == ["a", "s"]
    assert client.get("/admins").json() == ["s"]
    # What a test sets itself has no path.
    client.cookies["a"] = "mine"
    assert client.get("/").json() == ["a", "s"]


def test_a_cookie_without_a_path_belongs_to_the_folder_that_set_it(app: App, client: Client) -> None:
    app.get("/area/login")(lambda req: ("", 200, {"Set-Cookie": "a=1"}))
    app.get("/*")(lambda req: list(req.cookies))
    client.get("/area/login?next=/x/y")
    assert client.get("/area/page").json() == ["a"]
    assert client.get("/page").json() == []


def test_a_cookie_of_another_path_is_not_deleted(app: App, client: Client) -> None:
    app.get("/set")(lambda req, res: res.cookie("a", "1", path="/admin").text(""))
    app.get("/wrong")(lambda req, res: res.delete_cookie("a").text(""))
    app.get("/right")(lambda req, res: res.delete_cookie("a", path="/admin").text(""))
    client.get("/set")
    client.get("/wrong")
    assert client.cookies == {"a": "1"}
    client.get("/right")
    assert client.cookies == {}


@pytest.mark.parametrize(
    ("attributes", "is_kept"),
    [
        ("Max-Age=-1", False),
        ("Expires=Thu, 02 Jan 2020 03:04:05 GMT", False),
        ("Max-Age=60; Expires=Thu, 02 Jan 2020 03:04:05 GMT", True),
        ("Expires=Thu, 31 Dec 2099 19:00:00 GMT", True),
        ("Expires=soon", True),
        ("", True),
    ],
)
def test_a_cookie_ends_when_its_time_is_over(attributes: str, is_kept: bool, app: App, client: Client) -> None:
    app.get("/")(lambda req: ("", 200, {"Set-Cookie": f"a=1; {attributes}"}))
    client.get("/")
    assert ("a" in client.cookies) == is_kept


def test_redirects_are_not_followed(app: App, client: Client) -> None:
    app.get("/")(lambda req: Response.redirect("/there"))
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/there")


def test_the_client_that_started_the_app_ends_it_and_others_do_not(app: App) -> None:
    app.get("/")(lambda req: "hello")
    with app.test_client() as first:
        with app.test_client() as second:
            assert second.get("/").text == "hello"
        assert first.get("/").text == "hello"
    with pytest.raises(ConnectionRefusedError):
        first.get("/")


def test_a_client_joins_a_server_that_runs(app: App) -> None:
    app.get("/")(lambda req: "hello")
    with app.start() as server:
        with app.test_client() as client:
            assert client.get("/").text == "hello"
        assert server.wait(0) is False


def test_a_client_that_is_dropped_leaves_no_warning_and_no_server(app: App) -> None:
    app = App()
    app.get("/")(lambda req: "hello")
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert app.test_client().get("/").text == "hello"
        gc.collect()
        del app
        gc.collect()
    assert not caught
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_other_clients_understand_the_server_too(app: App) -> None:
    app.post("/")(lambda req: req.body[::-1])
    with app.start() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", "/", body=b"abc")
        assert connection.getresponse().read() == b"cba"
        connection.close()


def test_files_make_a_multipart_form(app: App, client: Client) -> None:
    @app.post("/")
    def form(req: Request) -> list[Any]:
        return [req.headers["content-type"].split(";")[0], req.form["a"], req.form.getall("b"), len(req.files)]

    answer = client.post(
        "/",
        form={"a": "1", "b": ["2", 3]},
        files=[("one", ('na"me\r\n', b"\r\n--hasty")), ("two", ("b", b"", "text/plain"))],
    )
    assert answer.json() == ["multipart/form-data", "1", ["2", "3"], 2]


@pytest.mark.parametrize("beside", [{"body": b"x"}, {"json": {}}])
def test_files_do_not_go_with_another_body(beside: dict[str, Any], client: Client) -> None:
    with pytest.raises(TypeError, match="give one of body, json and form"):
        client.post("/", files={"f": ("a", b"")}, **beside)


def test_a_client_asks_a_host_in_brackets(app: App) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    app.get("/")(lambda req: req.remote_address)
    with app.start(host="[::1]"), app.test_client() as client:
        assert client.get("/").text == "::1"


@pytest.mark.parametrize(
    ("given", "name", "content"),
    [
        (b"bytes", "file", b"bytes"),
        ("text é", "file", "text é".encode()),
        (io.BytesIO(b"open"), "file", b"open"),
        (("a.txt", "text"), "a.txt", b"text"),
        (("a.txt", io.BytesIO(b"open")), "a.txt", b"open"),
        (("a.txt", io.StringIO("text"), "text/csv"), "a.txt", b"text"),
    ],
)
def test_a_file_is_given_in_any_usual_way(given: Any, name: str, content: bytes, app: App, client: Client) -> None:
    found: list[Any] = []
    app.post("/")(lambda req: found.extend((req.files["file"].filename, req.files["file"].read())))
    assert client.post("/", files={"file": given}).status_code == 204
    assert found == [name, content]


def test_an_open_file_has_the_name_that_it_has_on_the_disk(app: App, client: Client, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    app.post("/")(lambda req: req.files["photo"].filename)
    with open(tmp_path / "cat.png", "rb") as file:
        assert client.post("/", files={"photo": file}).text == "cat.png"


@pytest.mark.parametrize("given", [5, None, ("a.txt",), ("a.txt", 5), (b"a.txt", b"")])
def test_what_is_no_file_is_refused_in_words_that_help(given: Any, client: Client) -> None:
    with pytest.raises(TypeError, match="files: 'file' is bytes, str or an open file, or"):
        client.post("/", files={"file": given})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("params", "query="),
        ("query_string", "query="),
        ("data", "form= for fields, body= for text and bytes"),
        ("content", "body="),
        ("timeout", "query=, headers=, body=, json=, form= and files="),
    ],
)
def test_words_of_other_clients_are_told_of(theirs: str, ours: str, client: Client) -> None:
    with pytest.raises(TypeError, match=re.escape(f"{theirs}= is not an argument of the test client: write {ours}")):
        client.post("/", **{theirs: {}})  # type: ignore[arg-type]
