"""Multipart forms and their files, and bodies that are read as they arrive."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import ask

from hasty import (
    App,
    BadRequest,
    Client,
    ClosedError,
    InvalidError,
    IoError,
    Request,
    Response,
    StateError,
    TimedOutError,
    Upload,
    _ffi,
)

PNG = b"\x89PNG\r\n\x1a\n\0\0binary\0--hasty"


# --- files ---


def test_a_form_has_fields_and_files(app: App, client: Client) -> None:
    @app.post("/")
    def form(req: Request) -> list[Any]:
        file = req.files["photo"]
        return [req.form["title"], file.name, file.filename, file.content_type, file.size, file.read().hex()]

    answer = client.post("/", form={"title": "naïve"}, files={"photo": ("cät.png", PNG, "image/png")})
    assert answer.json() == ["naïve", "photo", "cät.png", "image/png", len(PNG), PNG.hex()]


def test_a_field_may_have_several_files(app: App, client: Client) -> None:
    @app.post("/")
    def form(req: Request) -> list[Any]:
        return [
            [file.filename for file in req.files.getall("docs")],
            list(req.files),
            [name for name, _ in req.files.pairs()],
            "none" in req.files,
        ]

    answer = client.post("/", files={"docs": [("a", b"1"), ("b", b"2")], "other": ("c", b"")})
    assert answer.json() == [["a", "b"], ["docs", "other"], ["docs", "docs", "other"], False]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/x-www-form-urlencoded", "a=1"), ("application/json", "{}"), ("text/plain", ""), (None, "x")],
)
def test_other_bodies_have_no_files(kind: str | None, body: str, app: App, client: Client) -> None:
    app.post("/")(lambda req: str(len(req.files)))
    assert client.post("/", body=body, headers={"Content-Type": kind} if kind else {}).text == "0"


def test_a_small_form_is_a_body_too(app: App, client: Client) -> None:
    app.post("/")(lambda req: req.body + req.files["f"].read())
    assert client.post("/", files={"f": ("a", b"bytes")}).body.endswith(b"--\r\nbytes")


def test_a_large_file_lies_on_the_disk_while_its_request_lives(tmp_path: Path) -> None:
    app = App(spool_bytes=1000, spool_directory=tmp_path)
    data = os.urandom(50_000)
    paths: list[str | None] = []

    @app.post("/")
    def form(req: Request) -> list[Any]:
        large, small = req.files["large"], req.files["small"]
        paths.append(large.path)
        assert large.path is not None and Path(large.path).read_bytes() == data
        with large.open() as file:
            piece = file.read(10)
        return [large.size, large.read() == data, piece == data[:10], small.read().decode(), req.form["title"]]

    with app.test_client() as client:
        answer = client.post("/", form={"title": "t"}, files={"large": ("l", data), "small": ("s", b"small")})
        assert answer.json() == [50_000, True, True, "small", "t"]
        assert paths[0] is not None and not Path(paths[0]).exists(), "it goes with its request"


def test_a_large_form_is_no_body() -> None:
    app = App(spool_bytes=1000)

    @app.post("/")
    def form(req: Request) -> str:
        with pytest.raises(StateError, match="large forms use form and files"):
            _ = req.body
        return str(req.files["f"].size)

    with app.test_client() as client:
        assert client.post("/", files={"f": ("a", b"x" * 2000)}).text == "2000"


def test_a_body_that_streams_is_read_with_read_alone(app: App, client: Client) -> None:
    @app.post("/", body="stream")
    def read(req: Request) -> bytes:
        with pytest.raises(StateError, match=r'routes with body="stream" use read\(\) and stream\(\)'):
            _ = req.body
        return req.read()

    assert client.post("/", body=b"abc").body == b"abc"


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_file_is_saved_where_it_stays(size: int, tmp_path: Path, app: App, client: Client) -> None:
    data = os.urandom(size)

    @app.post("/")
    def save(req: Request) -> str:
        req.files["f"].save(tmp_path / "kept.bin")
        req.files["f"].save(str(tmp_path / "again.bin"))
        return ""

    assert client.post("/", files={"f": ("a", data)}).status_code == 200
    assert (tmp_path / "kept.bin").read_bytes() == (tmp_path / "again.bin").read_bytes() == data


def test_a_file_that_cannot_be_saved_is_an_os_error(tmp_path: Path, app: App, client: Client) -> None:
    @app.post("/")
    def save(req: Request) -> str:
        try:
            req.files["f"].save(tmp_path / "none" / "file")
        except OSError as error:
            assert isinstance(error, IoError)
            return f"{error.errno}"
        return "saved"

    assert client.post("/", files={"f": ("a", b"1")}).text == "2"


def test_a_file_in_memory_opens_like_any_other(app: App, client: Client) -> None:
    @app.post("/")
    def form(req: Request) -> bytes:
        file = req.files["f"]
        assert file.path is None
        with file.open() as opened:
            opened.seek(2)
            return opened.read()

    assert client.post("/", files={"f": ("a", b"bytes")}).body == b"tes"


@pytest.mark.parametrize(
    "body", [b"no boundary at all", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nunended']
)
@pytest.mark.parametrize("part", ["files", "form"])
def test_a_malformed_form_is_400_and_explained(body: bytes, part: str, app: App, client: Client) -> None:
    app.post("/")(lambda req: str(len(getattr(req, part))))
    answer = client.post("/", body=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 400 and answer.text


def test_a_handler_may_answer_a_malformed_form_itself(app: App, client: Client) -> None:
    @app.post("/")
    def form(req: Request) -> str:
        try:
            return str(len(req.form))
        except BadRequest as error:
            return f"caught {type(error).__name__}"

    answer = client.post("/", body=b"nothing", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status_code, answer.text) == (200, "caught BadRequest")


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("use", [lambda f: f.read(), lambda f: f.open(), lambda f: f.path, lambda f: f.save("/tmp/x")])
def test_a_file_ends_with_its_request(use: Any, read_before: bool, app: App, client: Client) -> None:
    kept: list[Upload] = []

    @app.post("/")
    def keep(req: Request) -> None:
        kept.append(req.files["f"])
        if read_before:
            kept[0].read()

    client.post("/", files={"f": ("a", b"1")})
    assert (kept[0].filename, kept[0].size) == ("a", 1), "what was read stays"
    with pytest.raises(StateError, match="ended when its handler returned"):
        use(kept[0])


def test_a_limit_of_parts_is_413() -> None:
    app = App(max_parts=2)
    app.post("/")(lambda req: str(len(req.form)))
    with app.test_client() as client:
        assert client.post("/", form={"a": 1}, files={"f": ("a", b"")}).status_code == 200
        assert client.post("/", form={"a": 1, "b": 2}, files={"f": ("a", b"")}).status_code in (400, 413)


# --- bodies as they arrive ---


def test_a_body_is_read_piece_by_piece(app: App, client: Client) -> None:
    @app.post("/", body="stream")
    def count(req: Request) -> list[int]:
        first = req.read(10)
        sizes = [len(piece) for piece in req.stream(1000)]
        return [len(first), sum(sizes), max(sizes), len(req.read())]

    assert client.post("/", body=b"x" * 100_000).json() == [10, 99_990, 1000, 0]


def test_a_handler_runs_before_the_body_is_there(app: App) -> None:
    app.post("/", body="stream")(lambda req: Response.bytes(b"<" + req.read(3) + b">", headers={"Connection": "close"}))
    with app.start() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
        answer = b""
        while not answer.endswith(b"<abc>"):
            part = connection.recv(1000)
            assert part, answer
            answer += part


def test_asking_for_more_than_there_can_be_takes_no_room_for_it(app: App, client: Client) -> None:
    app.post("/count", body="stream")(lambda req: str(len(req.read(1 << 46))))
    assert client.post("/count", body=b"abc").text == "3"


def test_a_chunked_body_is_read_too(app: App) -> None:
    app.post("/", body="stream")(lambda req: b"".join(req.stream()))
    with app.start() as server:
        answer = ask(
            server,
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
        )
    assert answer.endswith(b"\r\n\r\none two")


def test_a_body_may_exceed_what_is_buffered(app: App) -> None:
    app = App(max_body_bytes=10)
    app.post("/large", body="stream", max_body_bytes=1 << 30)(lambda req: str(sum(map(len, req.stream()))))
    app.post("/small", body="stream")(lambda req: str(sum(map(len, req.stream()))))
    with app.test_client() as client:
        assert client.post("/large", body=b"x" * 3_000_000).text == "3000000"
        assert client.post("/small", body=b"x" * 11).status_code == 413


def test_a_client_that_leaves_in_the_middle_is_a_closed_error(app: App) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    @app.post("/", body="stream")
    def read(req: Request) -> None:
        try:
            for _ in req.stream():
                pass
        except ClosedError as error:
            errors.append(error)
        finally:
            done.set()

    with app.start() as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        assert done.wait(10)
    assert len(errors) == 1


def test_a_client_that_stops_sending_is_a_timeout() -> None:
    app = App(body_timeout_ms=100)
    errors: list[BaseException] = []

    @app.post("/", body="stream")
    def read(req: Request) -> str:
        try:
            list(req.stream())
        except TimeoutError as error:
            errors.append(error)
        return "late"

    with app.start() as server:
        ask(server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    assert len(errors) == 1 and isinstance(errors[0], TimedOutError)


def test_a_stream_may_be_answered_by_a_stream(app: App, client: Client) -> None:
    @app.post("/", body="stream")
    def upper(req: Request) -> Any:
        for piece in req.stream(1000):
            yield piece.upper()

    assert client.post("/", body=b"abc" * 50_000).body == b"ABC" * 50_000


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"Content-Length: 100\r\n\r\nabc", 408),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + b"x" * 64 + b"\r\n", 413),
    ],
)
@pytest.mark.parametrize("caught", [False, True])
def test_what_is_wrong_with_a_body_is_answered_and_no_news(
    octets: bytes, status: int, caught: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(body_timeout_ms=700)
    if caught:
        app.error(Exception)(lambda error: (f"caught a {type(error).__name__}", 418))

    @app.post("/", body="stream", max_body_bytes=50 if status == 413 else 1000)
    def read(req: Request) -> str:
        return str(sum(map(len, req.stream())))

    with app.start() as server:
        answer = ask(server, b"POST / HTTP/1.1\r\nHost: a\r\n" + octets)
    assert answer.startswith(b"HTTP/1.1 %d " % (418 if caught else status)), answer
    assert not caplog.records


@pytest.mark.parametrize("call", ["read", "stream"])
def test_a_body_ends_with_its_request(call: str, app: App, client: Client) -> None:
    kept: list[Request] = []
    app.post("/", body="stream")(lambda req: kept.append(req))
    client.post("/", body=b"abc")
    with pytest.raises(StateError, match="ended when its handler returned"):
        list(getattr(kept[0], call)())


@pytest.mark.parametrize("size", [0, -1, "10", 1.5])
def test_a_size_of_nothing_is_refused(size: Any, app: App, client: Client) -> None:
    @app.post("/", body="stream")
    def read(req: Request) -> str:
        with pytest.raises((InvalidError, TypeError)):
            req.read(size)
        return "refused"

    assert client.post("/", body=b"abc").text == "refused"


# --- files in other threads ---


@pytest.mark.parametrize("spool_bytes", [10, 1 << 20])
def test_a_file_is_saved_whole_while_its_request_ends(
    spool_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(spool_bytes=spool_bytes)
    data = os.urandom(300_000)
    answered = threading.Event()
    saving: list[asyncio.Future[None]] = []

    @app.post("/")
    async def save(req: Request) -> str:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        copy = shutil.copyfileobj

        def late(*arguments: Any) -> None:
            loop.call_soon_threadsafe(begun.set)
            assert answered.wait(20)
            copy(*arguments)

        monkeypatch.setattr(shutil, "copyfileobj", late)
        file = req.files["f"]
        saving.append(asyncio.ensure_future(asyncio.to_thread(file.save, tmp_path / "kept.bin")))
        await begun.wait()
        return "answered"

    @app.get("/saved")
    async def saved(req: Request) -> str:
        answered.set()
        await saving[0]
        return "saved"

    with app.test_client() as client:
        assert client.post("/", files={"f": ("a", data)}).text == "answered"
        assert client.get("/saved").text == "saved"
    assert (tmp_path / "kept.bin").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["kept.bin"]


def test_a_file_whose_request_has_just_ended_is_a_state_error(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(spool_bytes=10)
    kept: list[Upload] = []
    app.post("/")(lambda req: kept.append(req.files["f"]))
    with app.test_client() as client:
        client.post("/", files={"f": ("a", b"x" * 100)})
    live, asked = kept[0]._request._live, []

    def once_more(request: Request) -> Any:
        """It lived when it was looked at, and no more when its file was opened."""
        asked.append(request)
        return live() if len(asked) > 1 else None

    monkeypatch.setattr(type(kept[0]._request), "_live", once_more)
    with pytest.raises(StateError, match="ended when its handler returned"):
        kept[0].open()


@pytest.mark.parametrize("path", ["", ".", "folder", "folder/", "pipe"])
def test_a_file_is_saved_as_a_file(path: str, tmp_path: Path, app: App, client: Client) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    errors: list[Exception] = []

    @app.post("/")
    def save(req: Request) -> str:
        try:
            req.files["f"].save(f"{tmp_path}/{path}")
        except InvalidError as error:
            errors.append(error)
        return ""

    client.post("/", files={"f": ("a", b"1")})
    assert len(errors) == 1 and "file" in str(errors[0])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_saved_file_replaces_a_link_and_has_the_permissions_of_a_new_one(
    tmp_path: Path, app: App, client: Client
) -> None:
    (tmp_path / "target").write_bytes(b"as it was")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "usual").touch()
    app.post("/")(lambda req: req.files["f"].save(tmp_path / "link"))
    client.post("/", files={"f": ("a", b"new")})
    link = tmp_path / "link"
    assert (link.is_symlink(), link.read_bytes(), (tmp_path / "target").read_bytes()) == (False, b"new", b"as it was")
    assert link.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    (tmp_path / "kept").write_bytes(b"old")
    errors: list[IoError] = []

    @app.post("/")
    def save(req: Request) -> None:
        try:
            req.files["f"].save(tmp_path / "kept")
        except IoError as error:
            errors.append(error)

    client.post("/", files={"f": ("a", b"new")})
    assert [error.errno for error in errors] == [errno.ENOSPC]
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("kept", b"old")]


def test_a_request_does_not_end_while_a_thread_reads_its_body(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answered, was_answered = threading.Event(), threading.Event(), list[bool]()
    read = _ffi.hasty_request_read

    def slow(*arguments: Any) -> Any:
        begun.set()
        # Only where the request has ended does this not take its time.
        was_answered.append(answered.wait(0.5))
        return _ffi.ERR_CLOSED if was_answered[0] else read(*arguments)

    monkeypatch.setattr(_ffi, "hasty_request_read", slow)
    pieces: list[bytes] = []

    @app.post("/", body="stream")
    def leave(req: Request) -> str:
        threads.append(threading.Thread(target=lambda: pieces.append(req.read())))
        threads[0].start()
        assert begun.wait(20)
        return "left"

    threads: list[threading.Thread] = []
    assert client.post("/", body=b"abc").text == "left"
    answered.set()
    threads[0].join(20)
    assert (was_answered, pieces) == ([False], [b"abc"])
