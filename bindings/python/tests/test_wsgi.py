"""hasty.wsgi: PEP 3333, one rule after the other, and the standard library's validator around most applications."""

from __future__ import annotations

import gzip
import io
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from urllib.request import urlopen
from wsgiref.util import request_uri
from wsgiref.validate import validator

import pytest
from conftest import ask

import hasty
from hasty import wsgi, wsgi_environ, wsgi_head
from hasty.wsgi_environ import Log

TEXT = [("Content-Type", "text/plain")]
Environ = dict[str, Any]
Serve = Callable[..., hasty.Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves an application, inside the validator unless told otherwise."""
    servers: list[hasty.Server] = []

    def start(application: Any, *, valid: bool = True, **options: Any) -> hasty.Server:
        server = wsgi.as_app(validator(application) if valid else application, **options).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def client_of(server: hasty.Server) -> hasty.Client:
    return hasty.Client("127.0.0.1", server.port)


def answering(body: list[bytes], status: str = "200 OK", headers: list[tuple[str, str]] = TEXT) -> Any:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response(status, list(headers))
        return body

    return application


class Seen:
    """An application that keeps what it is told."""

    def __init__(self) -> None:
        self.environ: Environ = {}
        self.body = b""

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        self.environ = environ
        # The validator insists on a size, as PEP 333 did. Python with -X dev fills as much memory: a GiB takes seconds.
        self.body = environ["wsgi.input"].read(1 << 24)
        start_response("200 OK", list(TEXT))
        return [b"seen"]


def raw(server: hasty.Server, *lines: str, body: bytes = b"") -> bytes:
    """Sends a request as it is, and gives the whole answer."""
    return ask(server, "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)


# --- the environ ---


def test_an_application_is_told_what_pep_3333_says(serve: Serve) -> None:
    seen = Seen()
    server = serve(seen)
    with client_of(server) as client:
        client.post("/a%20b/c?x=1&y=%20", body="hello", headers={"Content-Type": "text/x", "X-Two-Words": "v"})
    environ = seen.environ
    assert type(environ) is dict
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "x=1&y=%20",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "5",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{server.port}",
        "HTTP_X_TWO_WORDS": "v",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": wsgi.FileWrapper,
    }
    assert {key: environ.get(key) for key in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in environ and "HTTP_CONTENT_LENGTH" not in environ
    assert seen.body == b"hello"
    assert request_uri(environ) == f"{server.url}/a%20b/c?x=1&y=%20"


def test_paths_and_values_are_bytes_in_latin_1(serve: Serve) -> None:
    seen = Seen()
    server = serve(seen)
    ask(server, b"GET /caf%C3%A9/%ff?q=%C3%A9 HTTP/1.1\r\nHost: h\r\nX: \xe9\xff\r\nConnection: close\r\n\r\n")
    assert seen.environ["PATH_INFO"].encode("latin-1") == b"/caf\xc3\xa9/\xff"
    assert seen.environ["QUERY_STRING"] == "q=%C3%A9"
    assert seen.environ["HTTP_X"] == "\xe9\xff"


@pytest.mark.parametrize("path", ["/", "//", "//a", "///a//b", "/a/../b", "/a/", "/.", "/-"])
def test_every_path_arrives_as_it_was_asked_for(path: str, serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen), f"GET {path} HTTP/1.1", "Host: h")
    assert seen.environ["PATH_INFO"] == path


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_every_method_arrives(method: str, serve: Serve) -> None:
    seen = Seen()
    answer = raw(serve(seen), f"{method} / HTTP/1.1", "Host: h", "Content-Length: 0")
    assert seen.environ["REQUEST_METHOD"] == method
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_methods_that_nobody_knows_arrive_too(serve: Serve) -> None:
    # The validator warns about them.
    seen = Seen()
    raw(serve(seen, valid=False), "BREW / HTTP/1.1", "Host: h")
    assert seen.environ["REQUEST_METHOD"] == "BREW"


def test_http_1_0_is_told(serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen), "GET / HTTP/1.0")
    assert seen.environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in seen.environ


def test_lines_of_one_name_become_one_value(serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen), "GET / HTTP/1.1", "Host: h", "X-Tag: a", "Cookie: a=1", "x-tag: b", "Cookie: b=2", "X-TAG: c")
    assert seen.environ["HTTP_X_TAG"] == "a, b, c"
    assert seen.environ["HTTP_COOKIE"] == "a=1; b=2"


def test_a_header_cannot_pass_for_another_one(serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen), "GET / HTTP/1.1", "Host: h", "X_User: root", "X-User: ada", "Content_Length: 9", "x_only: 1")
    assert seen.environ["HTTP_X_USER"] == "ada"
    assert not {"HTTP_X_ONLY", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH"} & set(seen.environ)


def test_nobody_sets_the_proxy_of_the_programs_an_application_runs(serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen), "GET / HTTP/1.1", "Host: h", "Proxy: evil.example:80", "PROXY: evil.example:80")
    assert "HTTP_PROXY" not in seen.environ


@pytest.mark.parametrize("body", ["buffer", "stream"])
def test_the_host_of_an_absolute_target_counts(body: str, serve: Serve) -> None:
    seen = Seen()
    raw(serve(seen, body=body), "GET http://asked.example:81/p?q HTTP/1.1", "Host: other.example")
    assert seen.environ["HTTP_HOST"] == "asked.example:81"
    assert (seen.environ["PATH_INFO"], seen.environ["QUERY_STRING"]) == ("/p", "q")


def test_one_environ_knows_nothing_of_another(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        found = [environ.get(key, "") for key in ("left.behind", "SCRIPT_NAME", "HTTP_X", "HTTP_HOST")]
        environ.update({"left.behind": "left", "SCRIPT_NAME": "/x", "HTTP_X": "x", "HTTP_HOST": "x"})
        start_response("200 OK", list(TEXT))
        return ["|".join(found).encode()]

    with client_of(serve(application)) as client:
        # The same head again and again: what was made of it is kept.
        for value in ("1", "1", "1", "1", "2", "1"):
            assert client.get("/", headers={"X": value, "Host": "h"}).text == f"||{value}|h"


def test_the_same_values_under_other_names_are_another_head(serve: Serve) -> None:
    seen = Seen()
    with client_of(serve(seen)) as client:
        for name in ("X-One", "X-One", "X-One", "X-Two", "X-One", "X-Two"):
            client.get("/", headers={name: "same"})
            assert [key for key in seen.environ if key.startswith("HTTP_X")] == [
                f"HTTP_{name.upper().replace('-', '_')}"
            ]


def test_requests_with_the_same_head_have_their_own_rest(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        keys = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "REMOTE_ADDR")
        start_response("200 OK", list(TEXT))
        return [" ".join([environ[key] for key in keys]).encode()]

    server = serve(application, valid=False)
    # One client and then another, and one by itself again and again.
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1", "127.0.0.1", "127.0.0.1"):
        with socket.create_connection(("127.0.0.1", server.port), 10, (address, 0)) as client:
            for line in ("GET /a", "GET /a", "GET /a?x=1", "GET /b", "POST /b", "GET /b", "GET /a"):
                client.sendall(f"{line} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                answer = b""
                while not answer.endswith(address.encode()):
                    answer += client.recv(65536)
                method, _, target = line.partition(" ")
                path, _, query = target.partition("?")
                told = answer.partition(b"\r\n\r\n")[2].decode()
                assert told == f"{method}  {path} {query} HTTP/1.1 {address}"
    assert raw(server, "GET /a HTTP/1.0", "Host: h").endswith(b"GET  /a  HTTP/1.0 127.0.0.1")


def test_requests_alike_have_environs_of_their_own(serve: Serve) -> None:
    seen = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append((environ.pop("PATH_INFO"), environ.pop("QUERY_STRING"), environ.get("mine"), environ))
        environ["mine"] = environ["HTTP_HOST"] = "changed"
        start_response("200 OK", list(TEXT))
        return [b"seen"]

    request = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
    other = b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.0\r\n\r\n"
    answer = ask(serve(application, valid=False), request * 4 + other * 2 + request * 2 + last)
    assert answer.count(b"seen") == 9
    assert [told[:3] for told in seen] == [("/a", "b", None)] * 4 + [("/c", "", None)] * 2 + [("/a", "b", None)] * 2 + [
        ("/", "", None)
    ]
    assert len({id(environ) for *_, environ in seen}) == 9
    assert {environ["SERVER_PROTOCOL"] for *_, environ in seen[:8]} == {"HTTP/1.1"}
    assert seen[8][3]["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_requests_alike_have_bodies_of_their_own(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"<%b %b>" % (environ["CONTENT_LENGTH"].encode(), body)]

    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    sized = [head + b"Content-Length: 1\r\n\r\n" + body for body in (b"a", b"b", b"c", b"d")]
    chunked = [
        head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        for body in (b"e", b"fg", b"hij", b"k")
    ]
    last = head + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    answer = ask(serve(application, valid=False), b"".join([*sized, *chunked, last]))
    bodies = [piece.partition(b">")[0] for piece in answer.split(b"<")[1:]]
    assert bodies == [b"1 a", b"1 b", b"1 c", b"1 d", b"1 e", b"2 fg", b"3 hij", b"1 k", b"0 "]


def test_requests_alike_are_told_from_whom_they_come(serve: Serve) -> None:
    seen = Seen()
    server = serve(seen, valid=False)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.1"]:
        with socket.create_connection(("127.0.0.1", server.port), 10, source_address=(address, 0)) as connection:
            connection.sendall(request)
            while connection.recv(65536):
                pass
        assert seen.environ["REMOTE_ADDR"] == address


@pytest.mark.parametrize("threads", [0, 4])
def test_an_application_is_told_of_threads(threads: int, serve: Serve) -> None:
    seen = Seen()
    with client_of(serve(seen, threads=threads)) as client:
        client.get("/")
    # One thread too is relieved by another, in the middle of an answer.
    assert seen.environ["wsgi.multithread"] is True


def test_the_scheme_is_what_a_proxy_in_front_speaks(serve: Serve) -> None:
    seen = Seen()
    with client_of(serve(seen, url_scheme="https")) as client:
        client.get("/")
    assert seen.environ["wsgi.url_scheme"] == "https"
    assert request_uri(seen.environ).startswith("https://")


# --- wsgi.input ---


@pytest.mark.parametrize("body", ["buffer", "stream"])
class TestInput:
    @pytest.mark.parametrize("read", [lambda f: f.read(100), lambda f: f.read(-1), lambda f: b"".join(f)])
    def test_all_of_it_is_read_and_no_more(self, read: Any, body: str, serve: Serve) -> None:
        def application(environ: Environ, start_response: Any) -> list[bytes]:
            data = read(environ["wsgi.input"])
            start_response("200 OK", list(TEXT))
            return [data, b"|", environ["wsgi.input"].read(5), environ["wsgi.input"].readline()]

        with client_of(serve(application, valid=False, body=body)) as client:
            for text in ("a\nb\n\nlast", "", "nul \0 inside"):
                assert client.post("/", body=text).text == text + "|"

    def test_lines_are_read_as_of_a_file(self, body: str, serve: Serve) -> None:
        def application(environ: Environ, start_response: Any) -> list[bytes]:
            given = environ["wsgi.input"]
            read = [given.readline(), given.readline(2), given.read(1), given.readlines(), given.readline()]
            start_response("200 OK", list(TEXT))
            return [repr(read).encode()]

        with client_of(serve(application, valid=False, body=body)) as client:
            assert client.post("/", body="one\ntwo\nthree\n\nend").text == repr(
                [b"one\n", b"tw", b"o", [b"\n", b"three\n", b"\n", b"end"], b""]
            )

    def test_the_validator_is_content(self, body: str, serve: Serve) -> None:
        def application(environ: Environ, start_response: Any) -> list[bytes]:
            given = environ["wsgi.input"]
            parts = [given.readline(), given.read(3), *given.readlines()]
            start_response("200 OK", list(TEXT))
            return [b"|".join(parts)]

        with client_of(serve(application, body=body)) as client:
            assert client.post("/", body="a\nbcdef\ng").text == "a\n|bcd|ef\n|g"

    def test_a_body_in_chunks_is_read_whole(self, body: str, serve: Serve) -> None:
        seen = Seen()
        server = serve(seen, valid=False, body=body)
        chunks = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
        raw(server, "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", body=chunks)
        assert seen.body == b"abcdefg"
        assert seen.environ["wsgi.input_terminated"] is True
        # Its length is known where it was received whole.
        assert seen.environ.get("CONTENT_LENGTH") == ("7" if body == "buffer" else None)

    def test_a_form_arrives_as_the_bytes_it_was_sent_in(self, body: str, serve: Serve) -> None:
        seen = Seen()
        data = b"x" * 600_000
        with client_of(serve(seen, body=body)) as client:
            client.post("/", files={"file": ("name.bin", data)}, form={"field": "value"})
        assert seen.body.count(b"x") == len(data)
        assert seen.body.startswith(b"--hasty-") and b'name="field"' in seen.body
        assert int(seen.environ["CONTENT_LENGTH"]) == len(seen.body)

    def test_a_body_that_nobody_reads_does_no_harm(self, body: str, serve: Serve) -> None:
        with client_of(serve(answering([b"not read"]), body=body)) as client:
            assert [client.post("/", body=b"x" * 100_000).text for _ in range(3)] == ["not read"] * 3

    def test_a_large_body_arrives_where_it_is_allowed(self, body: str, serve: Serve) -> None:
        def application(environ: Environ, start_response: Any) -> list[bytes]:
            count = sum(len(piece) for piece in iter(lambda: environ["wsgi.input"].read(1 << 20), b""))
            start_response("200 OK", list(TEXT))
            return [str(count).encode()]

        size = 48 << 20
        with client_of(serve(application, body=body, max_body_bytes=size)) as client:
            assert client.post("/", body=bytes(size)).text == str(size)
            assert client.post("/", body=bytes(size + 1)).status_code == 413

    def test_what_is_kept_of_it_is_of_no_use_later(self, body: str, serve: Serve) -> None:
        kept: list[Any] = []

        def application(environ: Environ, start_response: Any) -> list[bytes]:
            kept.append(environ["wsgi.input"])
            start_response("200 OK", list(TEXT))
            return [b""]

        with client_of(serve(application, valid=False, body=body)) as client:
            client.post("/", body="secret of the first")
            client.post("/", body="secret of the second")
        if body == "buffer":
            assert kept[0].read() == b"secret of the first"
        else:
            with pytest.raises(ValueError, match="was answered"):
                kept[0].read()


def test_a_body_is_read_while_it_comes(serve: Serve) -> None:
    first = threading.Event()

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        begin = environ["wsgi.input"].read(5)
        first.set()
        start_response("200 OK", list(TEXT))
        return [begin + b"|" + environ["wsgi.input"].read(100)]

    server = serve(application, body="stream")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst")
        assert first.wait(10), "the application waits for the whole body"
        connection.sendall(b"later")
        assert b"first|later" in connection.makefile("rb").read()


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_the_application(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[BaseException] = []
    over = threading.Event()

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read(100)
        except OSError as error:
            failures.append(error)
            raise
        finally:
            over.set()
        return []

    server = serve(application, body="stream")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst")
    assert over.wait(10)
    server.close()
    assert [type(failure) for failure in failures] == [hasty.ClosedError]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("reads", [True, False])
def test_a_body_that_is_too_long_or_malformed_is_the_clients_fault(
    reads: bool, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(Seen(), body="stream" if reads else "buffer", max_body_bytes=10)
    head = ["POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked"]
    assert raw(server, *head, body=b"5\r\nabcdefgh").startswith(b"HTTP/1.1 400 ")
    assert raw(server, *head, body=b"b\r\n01234567890\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    server.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- wsgi.errors ---


def test_what_is_written_to_the_errors_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        print("printed", 1, file=environ["wsgi.errors"])
        environ["wsgi.errors"].write("a traceback\nof two lines\n")
        environ["wsgi.errors"].writelines(["half a line, ", "the other half\n"])
        environ["wsgi.errors"].write("no end")
        environ["wsgi.errors"].flush()
        environ["wsgi.errors"].flush()
        start_response("200 OK", list(TEXT))
        return [b""]

    with client_of(serve(application)) as client:
        client.get("/")
    logged = [(record.levelname, record.message) for record in caplog.records if record.name == "hasty.wsgi"]
    assert logged == [
        ("ERROR", "printed 1"),
        ("ERROR", "a traceback\nof two lines"),
        ("ERROR", "half a line, the other half"),
        ("ERROR", "no end"),
    ]


def test_only_text_is_written_to_the_errors() -> None:
    with pytest.raises(TypeError, match="takes str, not bytes"):
        Log().write(b"octets")  # type: ignore[arg-type]


# --- the answer ---


def test_a_head_that_comes_again_is_the_one_that_was_given(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        status, _, value = environ["PATH_INFO"][1:].partition("/")
        headers = [("Content-Type", f"text/{value}"), ("X-Value", value)]
        start_response(f"{status} Fine", headers)
        # It is the application's, which may change it once it was told.
        headers.clear()
        return [value.encode()]

    server = serve(application)
    with client_of(server) as client:
        for status, value in [(200, "a"), (200, "b"), (203, "a"), (203, "b")] * 4:
            answer = client.get(f"/{status}/{value}")
            assert (answer.status_code, answer.reason, answer.text) == (status, answer.reason, value)
            assert answer.headers["content-type"].startswith(f"text/{value}")
            assert answer.headers["x-value"] == value


@pytest.mark.parametrize(
    "headers", [[["Content-Type", "text/plain"]], [("Content-Type", ["text/plain"])], (("Content-Type", "text/plain"),)]
)
def test_what_is_no_list_of_tuples_of_text_is_told_each_time(headers: Any, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return [b"text"]

    with wsgi.as_app(application).test_client() as client:
        codes = [client.get("/").status_code for _ in range(3)]
    # PEP 3333 wants tuples; lists of two do no harm.
    assert codes == ([200] * 3 if headers == [["Content-Type", "text/plain"]] else [500] * 3)


def test_a_list_of_headers_that_is_used_again_is_read_again(serve: Serve) -> None:
    headers: list[Any] = [("Content-Type", "text/plain"), ("Content-Length", "1"), ("X-Count", "0")]

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        # Each is the head of several requests, and then it is another.
        headers[2] = ("X-Count", environ["PATH_INFO"].strip("/"))
        start_response("203 Other" if environ["PATH_INFO"] == "/3" else "200 OK", headers)
        return [b"."]

    with client_of(serve(application, valid=False)) as client:
        for count in "1111222233331111212313":
            answer = client.get(f"/{count}")
            assert (answer.status_code, answer.headers["x-count"]) == (203 if count == "3" else 200, count)


def test_heads_that_are_ever_new_are_forgotten(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi_head, "KNOWN", 4)
    numbers = iter(range(1000))

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*TEXT, ("X-Number", str(next(numbers) // 3))])
        return [b"text"]

    with client_of(serve(application)) as client:
        told = [client.get("/").headers["x-number"] for _ in range(60)]
    assert told == [str(number // 3) for number in range(60)]
    assert sum(len(known) for known in wsgi_head.heads.values()) <= 4
    assert len(wsgi_head._seen) <= 4


def test_what_is_long_in_a_head_is_not_kept() -> None:
    def long_head(number: int) -> None:
        kind = f"text/{number:020000}"
        head = wsgi_head.head_of(
            f"200 {kind}", [(f"X-{number:020000}", "a"), ("Content-Type", kind), ("Content-Type", kind[:-1])]
        )
        assert head.code == 200

    for number in range(50):
        long_head(number)
    wsgi_head.head_of("201 Made", [("Content-Type", "text/plain")])
    for known in (wsgi_head._codes, wsgi_head._types, wsgi_head._lengths, wsgi_head._begins):
        assert sum(map(len, known)) < 20000


def test_names_that_are_long_are_not_remembered(serve: Serve) -> None:
    server = serve(answering([b"text"]), valid=False)
    long = ["x" * 300 + str(number) for number in range(20)]
    for _ in range(3):
        assert raw(server, "GET / HTTP/1.1", "Host: h", *(f"{name}: 1" for name in long)).endswith(b"text")
    assert all(len(name) < 300 for name in wsgi_environ._keys)
    assert all(len(names) < 5000 for names in wsgi_environ._plans)


def test_status_and_headers_are_sent_as_they_are_given(serve: Serve) -> None:
    headers = [("Content-Type", "text/x; charset=y"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Caf", "\xe9")]
    server = serve(answering([b"made"], "201 Created", headers), valid=False)
    answer = raw(server, "GET / HTTP/1.1", "Host: h")
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    for line in (b"Content-Type: text/x; charset=y", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"X-Caf: \xe9"):
        assert answer.count(b"\r\n" + line + b"\r\n") == 1, line
    assert answer.endswith(b"\r\n\r\nmade")


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_what_is_all_there_is_sent_with_its_length(kind: Any, serve: Serve) -> None:
    for blocks in ([b"whole"], [b"wh", b"", b"ole"]):

        def application(environ: Environ, start_response: Any, blocks: list[bytes] = blocks) -> Any:
            start_response("200 OK", list(TEXT))
            return kind(blocks)

        with client_of(serve(application, valid=False)) as client:
            answer = client.get("/")
            assert (answer.text, answer.headers["content-length"]) == ("whole", "5")
            assert "transfer-encoding" not in answer.headers


def test_an_object_that_is_iterated_as_a_list_is_all_there(serve: Serve) -> None:
    class Answer:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"like ", b"Django's"])

        def close(self) -> None:
            Answer.closed += 1

    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        return Answer()

    server = serve(application, valid=False)
    with client_of(server) as client:
        assert client.get("/").headers["content-length"] == str(len("like Django's"))
    server.close()
    assert Answer.closed == 1, "behind the answer, before the end"


def test_an_answer_without_a_body_has_none(serve: Serve) -> None:
    with client_of(serve(answering([]))) as client:
        answer = client.get("/")
        assert (answer.body, answer.headers["content-length"]) == (b"", "0")


def test_each_block_is_sent_before_the_next_is_asked_for(serve: Serve) -> None:
    asked = threading.Event()
    received = threading.Event()

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"first"
        asked.set()
        assert received.wait(10), "the first block was held back"
        yield b"second"

    server = serve(application)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        got = b""
        while b"first" not in got:
            got += connection.recv(4096)
        assert asked.wait(10)
        received.set()
        got += connection.makefile("rb").read()
    assert got.endswith(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")


def test_a_block_with_a_known_length_is_not_held_back_either(serve: Serve) -> None:
    received = threading.Event()

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "5")])
        yield b"whole"
        received.wait(10)
        after.append("what comes after the answer")

    after: list[str] = []
    server = serve(application)
    with client_of(server) as client:
        assert client.get("/").text == "whole"
        assert not after
        received.set()
    server.close()
    assert after


def test_an_answer_is_closed_once_it_has_left(serve: Serve) -> None:
    # What an application does then is of no interest to its client.
    received = threading.Event()
    waited: list[bool] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"wh", b"ole"])

        def close(self) -> None:
            waited.append(received.wait(10))

    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        return Answer()

    server = serve(application, valid=False)
    with client_of(server) as client:
        assert client.get("/").text == "whole"
        received.set()
    server.close()
    assert waited == [True]


@pytest.mark.parametrize("kind", [iter, list, tuple])
def test_what_goes_on_behind_its_length_is_told_in_the_log(
    kind: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Content-Length", "5")])
        return kind([b"whole", b"", b" and more"])

    server = serve(application, valid=False)
    with client_of(server) as client:
        assert [client.get("/a b").text for _ in range(2)] == ["whole"] * 2
    server.close()
    assert "GET /a%20b" in caplog.text and "longer than Content-Length" in caplog.text


def test_a_first_block_that_is_no_bytes_is_refused(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        return iter(["text", b"more"])

    with client_of(serve(application, valid=False)) as client:
        assert client.get("/").status_code == 500
    assert "a piece of a WSGI body is bytes" in caplog.text


@pytest.mark.parametrize("headers", [[], [("Content-Length", "5")]])
def test_bytes_in_place_of_a_list_of_them_are_told_of(
    headers: list[tuple[str, str]], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, *headers])
        return b"whole"

    with client_of(serve(application, valid=False)) as client:
        assert client.get("/").status_code == 500
    assert "a piece of a WSGI body is bytes, not int; return [body] in place of body" in caplog.text


def test_a_stream_may_tell_its_length(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "6")])
        yield b"one"
        yield b"two"

    with client_of(serve(application)) as client:
        answer = client.get("/")
        assert (answer.text, answer.headers["content-length"]) == ("onetwo", "6")
        assert "transfer-encoding" not in answer.headers


def test_the_head_waits_for_the_first_block_that_is_not_empty(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("500 Not This", list(TEXT))
        yield b""
        try:
            raise LookupError("another one")
        except LookupError:
            start_response("404 But This", list(TEXT), sys.exc_info())
        yield b"body"

    with client_of(serve(application, valid=False)) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (404, "body")


def test_what_is_written_comes_before_what_is_returned(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", list(TEXT))
        write(b"written, ")
        write(b"")
        write(b"twice, ")
        return [b"re", b"turned"]

    with client_of(serve(application)) as client:
        assert client.get("/").text == "written, twice, returned"


def test_a_written_piece_is_on_its_way_when_write_returns(serve: Serve) -> None:
    received = threading.Event()

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(TEXT))(b"written")
        assert received.wait(10), "what was written was held back"
        return []

    with socket.create_connection(("127.0.0.1", serve(application).port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        got = b""
        while b"written" not in got:
            got += connection.recv(4096)
        received.set()


@pytest.mark.parametrize(
    "blocks", [[b"not for heads"], [b"not ", b"for heads"], iter([b"not for heads"])], ids=["one", "two", "iterator"]
)
def test_head_has_the_length_and_no_body(blocks: Any, serve: Serve) -> None:
    server = serve(answering(blocks), valid=False)
    answer = raw(server, "HEAD / HTTP/1.1", "Host: h")
    assert b"\r\nContent-Length: 13\r\n" in answer and answer.endswith(b"\r\n\r\n")


def test_head_may_tell_the_length_of_what_get_gives(serve: Serve) -> None:
    server = serve(answering([], headers=[*TEXT, ("Content-Length", "13")]))
    answer = raw(server, "HEAD / HTTP/1.1", "Host: h")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 13\r\n" in answer and answer.endswith(b"\r\n\r\n")


def test_head_may_leave_the_length_open(serve: Serve) -> None:
    # As frameworks do that drop the body of a stream; "0" would say that GET has none.
    with client_of(serve(answering([], headers=TEXT), valid=False)) as client:
        head = client.head("/")
        assert (head.status_code, head.body) == (200, b"") and "content-length" not in head.headers
        assert head.headers["content-type"] == "text/plain"
        assert client.get("/").headers["content-length"] == "0"


def test_an_empty_type_is_none(serve: Serve) -> None:
    with client_of(serve(answering([], headers=[("Content-Type", ""), ("X", "")]), valid=False)) as client:
        answer = client.get("/")
        assert "content-type" not in answer.headers and answer.headers["x"] == ""


def test_a_generator_is_closed_when_only_the_head_is_wanted(serve: Serve) -> None:
    closed = threading.Event()

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        try:
            while True:
                yield b"endless"
        finally:
            closed.set()

    raw(serve(application), "HEAD / HTTP/1.1", "Host: h")
    assert closed.wait(10)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_that_have_no_body_have_none(status: str, serve: Serve) -> None:
    with client_of(serve(answering([b"dropped"], status, [("ETag", '"x"')]))) as client:
        answer = client.get("/")
        assert (f"{answer.status_code} {answer.reason}", answer.body) == (status, b"")
        assert answer.headers["etag"] == '"x"' and "content-type" not in answer.headers
        assert client.get("/").body == b""


def test_not_modified_may_repeat_the_length_of_what_is_not_sent(serve: Serve) -> None:
    server = serve(answering([], "304 Not Modified", [("Content-Length", "12")]), valid=False)
    with client_of(server) as client:
        assert (client.get("/").status_code, client.get("/").body) == (304, b"")


def test_the_date_of_an_application_gives_way_to_the_servers(serve: Serve) -> None:
    server = serve(answering([b"x"], headers=[*TEXT, ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")]))
    answer = raw(server, "GET / HTTP/1.1", "Host: h")
    assert answer.count(b"\r\nDate: ") == 1 and b"1970" not in answer


def test_a_client_of_http_1_0_gets_a_stream_up_to_the_connections_end(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"one"
        yield b"two"

    answer = raw(serve(application), "GET / HTTP/1.0")
    assert answer.endswith(b"\r\n\r\nonetwo") and b"chunked" not in answer


# --- close() ---


class Closing:
    """An application whose answer says when it is closed."""

    def __init__(self, blocks: Any) -> None:
        self.blocks = blocks
        self.closed = threading.Event()
        self.times = 0

    def __call__(self, environ: Environ, start_response: Any) -> Closing:
        start_response("200 OK", list(TEXT))
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.blocks() if callable(self.blocks) else self.blocks)

    def close(self) -> None:
        self.times += 1
        self.closed.set()


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def failing() -> Iterator[bytes]:
    yield b"first"
    raise RuntimeError("in the middle")


@pytest.mark.parametrize("blocks", [[b"one"], [b"one", b"two"], [], lambda: (b for b in (b"one", b"two")), failing])
def test_an_answer_is_closed_once(blocks: Any, serve: Serve) -> None:
    application = Closing(blocks)
    server = serve(application, valid=False)
    raw(server, "GET / HTTP/1.1", "Host: h")
    assert application.closed.wait(10)
    server.close()
    assert application.times == 1


def test_an_answer_is_closed_when_its_client_leaves(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    application = Closing(endless)
    server = serve(application, valid=False)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        connection.recv(4096)
    assert application.closed.wait(10)
    server.close()
    assert application.times == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_answer_that_cannot_be_closed_is_logged_and_sent(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class Answer(list):  # type: ignore[type-arg]
        def close(self) -> None:
            raise RuntimeError("cannot be closed")

    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        return Answer([b"sent"])

    server = serve(application, valid=False)
    with client_of(server) as client:
        assert client.get("/").text == "sent"
        assert client.get("/").text == "sent"
    server.close()
    assert "cannot be closed" in caplog.text


# --- answers in pieces, and who serves meanwhile ---


def test_others_are_served_while_an_answer_waits_for_its_next_block(serve: Serve) -> None:
    go_on = threading.Event()

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"begun"
        if environ["PATH_INFO"] == "/waits":
            assert go_on.wait(10), "nobody else was served"
            yield b", gone on"

    server = serve(application)
    waiting = []
    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(b"GET /waits HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096)
        waiting.append(connection)
    with client_of(server) as client:
        assert client.get("/").text == "begun"
    go_on.set()
    for connection in waiting:
        assert b", gone on" in connection.makefile("rb").read()
        connection.close()


def test_an_answer_is_made_on_one_thread(serve: Serve) -> None:
    # Bottle's request is local to its thread, as are Django's connections to a database.
    threads: list[threading.Thread] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(3):
                threads.append(threading.current_thread())
                yield b"x" * 100_000

        def close(self) -> None:
            threads.append(threading.current_thread())

    def application(environ: Environ, start_response: Any) -> Any:
        threads.append(threading.current_thread())
        start_response("200 OK", list(TEXT))
        return Answer()

    server = serve(application, valid=False)
    with client_of(server) as client:
        assert len(client.get("/").body) == 300_000
    server.close()
    assert len(threads) == 5 and len(set(threads)) == 1


def test_answers_that_take_long_leave_no_threads_behind(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        for _ in range(4):
            yield b"slow"
            time.sleep(0.02)

    before = set(threading.enumerate())
    with client_of(serve(application)) as client:
        for _ in range(5):
            assert client.get("/").text == "slow" * 4
        # One that serves, and one that would relieve it again.
        left = [thread.name for thread in set(threading.enumerate()) - before]
    assert sum(name.startswith("hasty-") and name[6:].isdigit() for name in left) <= 2, left


def test_a_slow_client_is_waited_for_and_nobody_waits_with_it(serve: Serve) -> None:
    made: list[int] = []
    size = 64 << 20

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", str(size))])
        if environ["PATH_INFO"] == "/large":
            for number in range(size >> 16):
                made.append(number)
                yield b"x" * 65536

    server = serve(application, valid=False)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        slow.recv(1)
        with client_of(server) as client:
            for _ in range(20):
                assert client.head("/").status_code == 200
        # What the kernel holds for it is a part of that.
        assert len(made) < size >> 17
        rest = sum(len(piece) for piece in iter(lambda: slow.recv(1 << 20), b""))
    assert rest > size and len(made) == size >> 16


def test_requests_of_all_kinds_take_turns() -> None:
    # Those that come while an application is busy behind its answer are taken at once, whoever is to answer them.
    def application(environ: Environ, start_response: Any) -> Any:
        path = environ["PATH_INFO"].encode()
        if path.startswith(b"/fails"):
            raise RuntimeError(path)
        start_response("200 OK", [*TEXT, ("Content-Length", str(len(path)))])
        return {b"l": [path], b"p": (path,), b"g": (block for block in [b"", path])}[path[1:2]]

    logging.getLogger("hasty").setLevel(logging.CRITICAL)
    app = wsgi.as_app(application)
    app.get("/native/:n")(lambda req: req.path)
    app.get("/async/:n")(lambda req, res: res.text(req.path))
    kinds = ["list", "plain", "generator", "native", "async", "fails"]

    def visit(number: int) -> None:
        with client_of(server) as client:
            for turn in range(30):
                path = f"/{kinds[(number + turn) % len(kinds)]}/{number}-{turn}"
                answer = client.get(path)
                seen.append((path, answer.status_code if path.startswith("/fails") else answer.text))

    seen: list[tuple[str, object]] = []
    try:
        with app.start() as server:
            visitors = [threading.Thread(target=visit, args=[number]) for number in range(6)]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join(120)
    finally:
        logging.getLogger("hasty").setLevel(logging.NOTSET)
    assert len(seen) == 6 * 30
    assert [(path, found) for path, found in seen if found != (500 if path.startswith("/fails") else path)] == []


# --- errors ---


def test_an_application_that_fails_is_logged_and_answered_for(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        raise RuntimeError("before anything")

    with client_of(serve(application, valid=False)) as client:
        answer = client.get("/wrong?way")
        assert answer.status_code == 500 and "before anything" not in answer.text
    (record,) = [record for record in caplog.records if record.name == "hasty"]
    assert "GET /wrong?way" in record.message and "application" in record.message
    assert record.exc_info is not None and isinstance(record.exc_info[1], RuntimeError)


def test_an_answer_that_was_only_begun_in_words_becomes_a_500(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Content-Length", "3")])
        raise RuntimeError("before the first block")
        yield b"abc"

    with client_of(serve(application, valid=False)) as client:
        answer = client.get("/")
        assert answer.status_code == 500 and "set-cookie" not in answer.headers
    assert "before the first block" in caplog.text


def test_an_answer_that_breaks_in_the_middle_does_not_look_whole(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"first"
        raise RuntimeError("in the middle")

    server = serve(application)
    answer = raw(server, "GET / HTTP/1.1", "Host: h")
    assert b"5\r\nfirst\r\n" in answer and not answer.endswith(b"0\r\n\r\n")
    server.close()
    assert "in the middle" in caplog.text


@pytest.mark.parametrize(
    "failure", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_nothing_that_an_application_raises_ends_the_server(
    failure: BaseException, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/exit":
            raise failure
        start_response("200 OK", list(TEXT))
        return [b"alive"]

    with client_of(serve(application)) as client:
        assert client.get("/exit").status_code == 500
        assert client.get("/").text == "alive"
    assert type(failure).__name__ in caplog.text


def test_an_error_may_replace_an_answer_that_was_not_begun(serve: Serve) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*TEXT, ("X-First", "1")])
        try:
            raise LookupError
        except LookupError:
            start_response("404 Not Found", list(TEXT), sys.exc_info())
        return [b"nothing"]

    with client_of(serve(application)) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (404, "nothing")
        assert "x-first" not in answer.headers


def test_an_error_comes_back_where_the_answer_was_begun(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    raised: list[BaseException] = []

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"begun"
        try:
            raise LookupError("too late")
        except LookupError:
            try:
                start_response("404 Not Found", list(TEXT), sys.exc_info())
            except LookupError as error:
                raised.append(error)
                raise

    server = serve(application, valid=False)
    answer = raw(server, "GET / HTTP/1.1", "Host: h")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and not answer.endswith(b"0\r\n\r\n")
    server.close()
    assert len(raised) == 1 and "too late" in caplog.text


@pytest.mark.parametrize("headers", [TEXT, [*TEXT, ("Content-Length", "5")]], ids=["open", "with its length"])
def test_what_an_application_keeps_of_a_request_changes_no_later_answer(headers: Any, serve: Serve) -> None:
    kept: list[Any] = []
    refused: list[str] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        for start, write in kept:
            for late in (lambda start=start: start("404 Not Found", list(headers)), lambda write=write: write(b"late")):
                try:
                    late()
                except hasty.StateError as error:
                    refused.append(str(error))
        write = start_response("200 OK", list(headers))
        if environ["PATH_INFO"] == "/keep":
            kept.append((start_response, write))
        return [b"right"]

    with client_of(serve(application, valid=False)) as client:
        for path in ("/", "/keep", "/", "/keep", "/", "/"):
            answer = client.get(path)
            assert (answer.status_code, answer.text) == (200, "right")
    # Two kept functions of one request in two requests, and of two in the last two.
    assert len(refused) == 2 * (1 + 1 + 2 + 2)


def test_what_is_written_behind_the_answer_is_told_and_reaches_nobody(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [*TEXT, ("Content-Length", "5")])
        yield b"right"
        write(b"wrong")

    server = serve(application, valid=False)
    with client_of(server) as client:
        for _ in range(5):
            assert client.get("/").text == "right"
    # All at once, so that the next request is there when the answer has left.
    answers = ask(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 4 + b"GET / HTTP/1.0\r\n\r\n")
    assert answers.count(b"right") == 5 and b"wrong" not in answers
    server.close()
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "write() was called after the end of the response"
    ] * 10


WRONG = {
    "no start_response": (lambda start: [b"x"], "did not call start_response"),
    "twice": (lambda start: (start("200 OK", []), start("200 OK", [])), "was called before"),
    "status without a number": (lambda start: start("OK", []), "'OK' is not a number"),
    "status of bytes": (lambda start: start(b"200 OK", []), "is not str"),
    "a number": (lambda start: start(200, []), "is not str"),
    "an interim status": (lambda start: start("100 Continue", []), "from 200 to 599"),
    "headers of another kind": (lambda start: start("200 OK", {"A": "b"}), "list of tuples, not dict"),
    "no header": (lambda start: start("200 OK", [("A",)]), "not enough values"),
    "a number as value": (lambda start: start("200 OK", [("Content-Length", 5)]), "value 5 of header"),
    "bytes as name": (lambda start: start("200 OK", [(b"A", "b")]), "name b'A' is not str"),
    "a colon in a name": (lambda start: start("200 OK", [("A: b\r\nC", "d")]), "is not a token"),
    "a line break": (lambda start: start("200 OK", [("A", "b\r\nSet-Cookie: c=d")]), "contains a line break"),
    "a line feed": (lambda start: start("200 OK", [("A", "b\nSet-Cookie: c=d")]), "contains a line break"),
    "NUL": (lambda start: start("200 OK", [("A", "b\0c")]), "or NUL"),
    "a control": (lambda start: (start("200 OK", [("A", "b\x01c")]), [b""])[1], "control characters"),
    "beyond latin-1": (lambda start: start("200 OK", [("A", "\u20ac")]), "latin-1"),
    "a length in words": (lambda start: start("200 OK", [("Content-Length", "five")]), "is not a number of bytes"),
    "hop by hop": (lambda start: start("200 OK", [("Connection", "close")]), "concerns the connection"),
    "hop by hop, too": (lambda start: start("200 OK", [("transfer-encoding", "chunked")]), "concerns the connection"),
    "text": (lambda start: (start("200 OK", []), ["text"])[1], "is bytes, not str"),
    "text, later": (lambda start: (start("200 OK", []), iter(lambda: "text", ""))[1], "is bytes, not str"),
    "None in a stream": (lambda start: (start("200 OK", []), (block for block in [None, b"x"]))[1], "not NoneType"),
    "an empty text in a stream": (lambda start: (start("200 OK", []), (block for block in ["", b"x"]))[1], "not str"),
    "a str for a list": (lambda start: (start("200 OK", []), "text")[1], "is bytes, not str"),
    "nothing": (lambda start: start("200 OK", []) and None, "not iterable"),
    "shorter": (lambda start: (start("200 OK", [("Content-Length", "9")]), [b"short"])[1], "Content-Length"),
    "longer": (lambda start: (start("200 OK", [("Content-Length", "1")]), [b"long"])[1], "Content-Length"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_mistakes_of_an_application_are_told_in_the_log(
    wrong: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    answers, message = WRONG[wrong]

    def application(environ: Environ, start_response: Any) -> Any:
        return answers(start_response)  # type: ignore[no-untyped-call]

    answer = raw(serve(application, valid=False), "GET / HTTP/1.1", "Host: h")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in answer
    assert message in caplog.text


@pytest.mark.parametrize("blocks", [[b"abc", b"de"], [b"abcd", b"efgh"]], ids=["fewer", "more"])
def test_a_stream_of_another_length_than_it_tells_is_cut(
    blocks: list[bytes], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "6")])
        yield from blocks

    server = serve(application, valid=False)
    answer = ask(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) <= 6
    server.close()
    assert "Content-Length" in caplog.text


# --- files ---


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(256)) * 1024)
    return path


def sending(make: Callable[[], Any], status: str = "200 OK", headers: Any = TEXT, block: int = 8192) -> Any:
    def application(environ: Environ, start_response: Any) -> Any:
        start_response(status, list(headers))
        return environ["wsgi.file_wrapper"](make(), block)

    return application


def test_a_file_is_sent_by_the_library(file: Path, serve: Serve) -> None:
    opened: list[Any] = []

    def open_it() -> Any:
        opened.append(open(file, "rb"))
        return opened[-1]

    server = serve(sending(open_it), valid=False)
    with client_of(server) as client:
        answer = client.get("/")
        assert answer.body == file.read_bytes()
        assert answer.headers["content-type"] == "text/plain" and answer.headers["content-length"] == str(256 * 1024)
        # The library's: it has looked at the file, so it knows ranges and conditions.
        assert answer.headers["accept-ranges"] == "bytes"
        part = client.get("/", headers={"Range": "bytes=256-258"})
        assert (part.status_code, part.body) == (206, b"\x00\x01\x02")
        assert client.get("/", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        assert client.head("/").headers["content-length"] == str(256 * 1024)
    server.close()
    assert len(opened) == 4 and all(found.closed for found in opened)


def test_the_tag_of_an_application_counts(file: Path, serve: Serve) -> None:
    server = serve(sending(lambda: open(file, "rb"), headers=[*TEXT, ("ETag", '"own"')]), valid=False)
    with client_of(server) as client:
        assert client.get("/").headers["etag"] == '"own"'
        assert client.get("/", headers={"If-None-Match": '"own"'}).status_code == 304


@pytest.mark.parametrize(
    "make",
    [
        lambda path: open(path, "rb"),
        lambda path: open(path, "rb", buffering=0),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(path.read_bytes()))),
    ],
    ids=["file", "unbuffered", "memory", "gzip"],
)
@pytest.mark.parametrize("start", [0, 1000])
def test_every_kind_of_file_is_sent_from_where_it_stands(make: Any, start: int, file: Path, serve: Serve) -> None:
    def made() -> Any:
        found = make(file)
        found.seek(start)
        return found

    with client_of(serve(sending(made), valid=False)) as client:
        assert client.get("/").body == file.read_bytes()[start:]


def test_a_compressed_file_on_the_disk_is_sent_as_what_it_reads(tmp_path: Path, serve: Serve) -> None:
    # It has a descriptor, too: that of what is compressed.
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"plain text"))
    with client_of(serve(sending(lambda: gzip.open(path)), valid=False)) as client:
        assert client.get("/").body == b"plain text"


def test_a_temporary_file_is_sent_though_it_has_no_name(serve: Serve) -> None:
    def made(kind: Any) -> Any:
        found = kind()
        found.write(b"temporary")
        found.seek(0)
        return found

    for kind in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile):
        with client_of(serve(sending(lambda kind=kind: made(kind)), valid=False)) as client:
            answer = client.get("/")
            assert (answer.body, answer.headers.get("accept-ranges")) == (b"temporary", "bytes")


def test_a_file_of_a_known_length_may_be_refused(file: Path, serve: Serve) -> None:
    # Django's FileResponse always sets the length.
    server = serve(sending(lambda: open(file, "rb"), headers=[*TEXT, ("Content-Length", "262144")]), valid=False)
    with client_of(server) as client:
        for field, status in [
            ({"Range": "bytes=0-1"}, 206),
            ({"Range": "bytes=262144-"}, 416),
            ({"If-Match": '"other"'}, 412),
            ({"If-None-Match": "*"}, 304),
        ]:
            assert client.get("/", headers=field).status_code == status, field


def test_a_part_of_a_file_is_what_its_length_says(file: Path, serve: Serve) -> None:
    headers = [*TEXT, ("Content-Length", "100"), ("Content-Range", "bytes 0-99/262144")]
    server = serve(sending(lambda: open(file, "rb"), "206 Partial Content", headers), valid=False)
    with client_of(server) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.body) == (206, file.read_bytes()[:100])


def test_a_file_may_be_the_page_of_an_error(file: Path, serve: Serve) -> None:
    with client_of(serve(sending(lambda: open(file, "rb"), "404 Not Found"), valid=False)) as client:
        answer = client.get("/", headers={"Range": "bytes=0-1"})
        assert (answer.status_code, answer.body) == (404, file.read_bytes())


def test_a_pipe_is_sent_as_it_comes(serve: Serve) -> None:
    def made() -> Any:
        read, write = os.pipe()
        os.write(write, b"through a pipe")
        os.close(write)
        return open(read, "rb")

    with client_of(serve(sending(made), valid=False)) as client:
        assert client.get("/").body == b"through a pipe"


def test_a_wrapper_is_an_iterator_of_blocks() -> None:
    wrapper = wsgi.FileWrapper(io.BytesIO(b"abcde"), 2)
    assert list(wrapper) == [b"ab", b"cd", b"e"]
    wrapper.close()
    assert not hasattr(wsgi.FileWrapper(iter([])), "close")


def test_the_validator_is_content_with_a_wrapper(file: Path, serve: Serve) -> None:
    with client_of(serve(sending(lambda: open(file, "rb")))) as client:
        assert client.get("/").body == file.read_bytes()


# --- apps ---


def test_an_application_below_a_prefix_is_told_where_it_is() -> None:
    app = hasty.App()
    app.get("/")(lambda req: "hasty")
    app.get("/old/new")(lambda req: "hasty, too")
    seen = Seen()
    wsgi.mount(app, "/old/caf\u00e9/", validator(seen))
    with app.test_client() as client:
        assert client.get("/").text == "hasty"
        assert client.get("/old/new").text == "hasty, too"
        for path, info in (("", ""), ("/", "/"), ("/a/b", "/a/b"), ("//a", "//a")):
            assert client.get("/old/caf%C3%A9" + path).text == "seen"
            assert (seen.environ["SCRIPT_NAME"], seen.environ["PATH_INFO"]) == ("/old/caf\xc3\xa9", info)
        assert client.get("/old/caf%C3%A9s").status_code == 404
        assert client.get("/old/other").status_code == 404


def test_what_is_registered_on_the_app_comes_first(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("body {}")
    app = wsgi.as_app(validator(answering([b"application"])))
    app.get("/health")(lambda req: "ok")
    app.static("/assets", tmp_path)
    app.after(lambda req, res: res.header("X-After", "1") and None)
    with app.test_client() as client:
        assert client.get("/health").text == "ok"
        assert client.get("/assets/style.css").text == "body {}"
        answer = client.get("/else")
        assert (answer.text, answer.headers["x-after"]) == ("application", "1")


@pytest.mark.parametrize("with_middleware", [False, True])
def test_a_form_of_any_length_reaches_the_application_as_it_was_sent(with_middleware: bool) -> None:
    app = hasty.App(spool_bytes=1000)
    if with_middleware:
        app.use(lambda req: None)
    wsgi.mount(app, "/", validator(seen := Seen()))
    with app.test_client() as client:
        assert client.post("/", files={"file": ("name", b"x" * 500_000)}).text == "seen"
    assert b"x" * 500_000 in seen.body and seen.environ["CONTENT_LENGTH"] == str(len(seen.body))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_application_behind_middleware_reads_its_body(method: str, chunked: bool) -> None:
    app = hasty.App()
    app.use(lambda req: None)
    wsgi.mount(app, "/", validator(seen := Seen()))
    framing, body = ("Transfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n") if chunked else ("Content-Length: 2", b"ab")
    with app.start() as server:
        assert b"seen" in raw(server, f"{method} / HTTP/1.1", "Host: a", framing, body=body)
    assert (seen.body, seen.environ["CONTENT_LENGTH"]) == (b"ab", "2")


@pytest.mark.parametrize("wrong", [None, "module:app", 5])
def test_what_cannot_be_called_is_no_application(wrong: Any) -> None:
    with pytest.raises(hasty.InvalidError, match="must be callable with"):
        wsgi.as_app(wrong)


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class Asgi:
    """As FastAPI's are."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize("wrong", [asgi, Asgi()])
def test_an_application_of_asgi_is_told_where_to_go(wrong: Any) -> None:
    for make in (lambda: wsgi.as_app(wrong), lambda: wsgi.mount(hasty.App(), "/new", wrong)):
        with pytest.raises(hasty.InvalidError, match=r"is async, like an ASGI application: use hasty\.asgi"):
            make()


@pytest.mark.parametrize("prefix", ["/", "/old"])
def test_one_that_holds_up_the_others_is_named_once_with_what_helps(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    def shop(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        until = time.monotonic() + 20
        time.sleep(0.3)
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
        start_response("200 OK", [])
        return [b"slept"]

    app = hasty.App()
    wsgi.mount(app, prefix, shop)
    with app.test_client() as client:
        for path in ("", "/a", "//b"):
            assert client.get(prefix.rstrip("/") + (path or "/")).text == "slept"
    (said,) = [record.getMessage() for record in caplog.records]
    at = "" if prefix == "/" else f" at {prefix}"
    assert f"shop, a WSGI application{at}, held the loop for over 100 ms" in said
    assert said.endswith("threads=16, of as_app(), serve() or App(), runs so many of its requests at once")


@pytest.mark.parametrize("prefix", ["", "old", "/:name", "/a/*", "/%41"])
def test_a_prefix_is_a_plain_path(prefix: str) -> None:
    with pytest.raises(hasty.InvalidError, match="without parameters"):
        wsgi.mount(hasty.App(), prefix, Seen())


def test_options_are_those_of_an_app() -> None:
    app = wsgi.as_app(Seen(), max_headers=7, server_header="")
    assert app.option("max_headers") == "7"
    with pytest.raises(hasty.NotFoundError):
        wsgi.as_app(Seen(), no_such_option=1)


def test_threads_call_an_application_side_by_side(serve: Serve) -> None:
    together = threading.Barrier(4)

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        together.wait(10)
        start_response("200 OK", list(TEXT))
        return [b"together"]

    server = serve(application, threads=4)
    answers: list[str] = []

    def visit() -> None:
        with client_of(server) as client:
            answers.append(client.get("/").text)

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(120)
    assert answers == ["together"] * 4


PROGRAM = """
import sys
import time
import hasty.wsgi

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return endless() if environ["PATH_INFO"] == "/endless" else [b"served"]

def endless():
    while True:
        yield b"tick"
        time.sleep(0.01)

hasty.wsgi.serve(application, port=0, **eval(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_end_does_not_wait_for_answers_without_end(number: int, workers: int, program: Any) -> None:
    process = program(PROGRAM, f"{{'workers': {workers}}}")
    port = int(process.stdout.readline().rsplit(":", 1)[1].strip("/\n"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(4096)
        process.send_signal(number)
        _, errors = process.communicate(timeout=25)
    assert (process.returncode, errors) == (0, "")


def test_serve_prints_its_url_and_ends_with_ctrl_c(program: Any) -> None:
    process = program(PROGRAM, "{'threads': 2, 'max_body_bytes': 5}")
    url = process.stdout.readline().strip()
    with urlopen(url, timeout=10) as answer:
        assert answer.read() == b"served"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=25)
    assert (process.returncode, errors) == (0, "")
