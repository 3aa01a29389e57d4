"""The clients that people use, against a real server: what each of them relies on, in the same words."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _agents import AGENTS, Agent, agent_of

from hasty import App, Event, Exchange, Request, Response, Server

BLOB = hashlib.sha256(b"seed").digest() * (8 << 15)
PROSE = "A line that is said again and again. " * 4000

each_agent = pytest.mark.parametrize("name", list(AGENTS))
# What the clients see is the library's; one Python is enough.
pytestmark = pytest.mark.any_python


class Site:
    """A server with a route for everything that a client may do."""

    def __init__(self, folder: Path) -> None:
        #: Handlers wait for tests, and tests for handlers.
        self.go_on = threading.Event()
        self.arrived: queue.Queue[bytes] = queue.Queue()
        self.left = threading.Event()
        self.kept: list[Exchange] = []
        self.folder = folder
        app = App(max_body_bytes=16 << 20)
        for register in (self.answers, self.bodies, self.waits):
            register(app)
        self.server: Server = app.start()

    def answers(self, app: App) -> None:
        @app.any("/mirror")
        def mirror(req: Request) -> dict[str, Any]:
            fields = {name.lower(): value for name, value in req.headers.items()}
            return {"method": req.method, "query": req.query_string, "fields": fields, "body": req.text}

        app.get("/query")(lambda req: {name: req.query.getall(name) for name in req.query})
        app.get("/path/*rest")(lambda req: Response.text(req.params["rest"]).header("X-Raw", req.raw_path))
        app.any("/status/:code")(lambda req: Response(f"status {req.params['code']}", int(req.params["code"])))
        app.get("/nothing")(lambda req: None)
        app.any("/fail")(lambda req: 1 / 0)  # type: ignore[arg-type,return-value]
        app.any("/jump/:code")(lambda req: Response.redirect("/mirror?jumped=1", status=int(req.params["code"])))
        app.get("/round")(lambda req: Response.redirect("/round"))
        app.get("/cookies")(lambda req: dict(req.cookies))
        app.get("/login")(lambda req: Response.text("in").cookie("user", "Ada").cookie("seat", "3", path="/cookies"))
        app.get("/logout")(lambda req: Response.text("out").delete_cookie("user"))
        app.get("/prose")(lambda req: PROSE)
        app.get("/name")(lambda req: Response.text("x").header("X-Name", "J\u00fcrgen"))

    def bodies(self, app: App) -> None:
        app.post("/digest")(lambda req: hashlib.sha256(req.body).hexdigest())
        app.post("/small", max_body_bytes=10)(lambda req: "small enough")
        app.get("/blob")(lambda req: BLOB)
        app.static("/files", self.folder)

        @app.post("/form")
        def form(req: Request) -> dict[str, Any]:
            files = {field: [file.filename, file.content_type, file.read().hex()] for field, file in req.files.items()}
            return {"fields": dict(req.form), "files": files}

        @app.post("/arrive", body="stream")
        def arrive(req: Request) -> dict[str, int]:
            total = 0
            for piece in req.stream():
                total += len(piece)
                self.arrived.put(piece)
            return {"bytes": total}

    def waits(self, app: App) -> None:
        @app.get("/steps")
        def steps(req: Request) -> Iterator[str]:
            yield "one"
            assert self.go_on.wait(10)
            yield "two"

        @app.get("/events")
        def events(req: Request) -> Iterator[Event]:
            for count in range(3):
                yield Event("tick", data={"count": count}, id=str(count))

        @app.get("/broken")
        def broken(req: Request) -> Iterator[str]:
            yield "one"
            raise RuntimeError("the rest is lost")

        @app.any("/never")
        def never(req: Request) -> None:
            exchange = req.defer()
            exchange.on_close(self.left.set)
            self.kept.append(exchange)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "blob.bin").write_bytes(BLOB)
    # The ETag of a file that has just been changed is weak, and good for no range.
    os.utime(folder / "blob.bin", (1_000_000_000, 1_000_000_000))
    made = Site(folder)
    yield made
    for exchange in made.kept:
        exchange.free()
    made.server.close()


@pytest.fixture
def agent(name: str, site: Site) -> Iterator[Agent]:
    site.go_on.clear()
    site.left.clear()
    with agent_of(name, site.server.url) as made:
        yield made


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The address of every connection that a client of this process opens."""
    opened: list[Any] = []
    connect = socket.socket.connect

    def counted(self: socket.socket, address: Any) -> None:
        opened.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", counted)
    return opened


# --- requests and answers ---


@each_agent
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_each_method_arrives_with_its_body(method: str, agent: Agent) -> None:
    data = None if method == "GET" else b"some words"
    got = agent.ask(method, "/mirror", data=data)
    assert (got.status, got.json()["method"], got.json()["body"]) == (200, method, "" if data is None else "some words")


@each_agent
def test_head_tells_the_length_and_leaves_the_connection_usable(agent: Agent, connects: list[Any]) -> None:
    for _ in range(3):
        got = agent.ask("HEAD", "/blob")
        assert (got.status, got.field("content-length"), got.body) == (200, str(len(BLOB)), b"")
        assert agent.ask("GET", "/status/200").text == "status 200"
    assert len(connects) == 1


@each_agent
def test_header_fields_go_both_ways(agent: Agent) -> None:
    sent = {"X-Long": "v" * 4000, "X-Empty": "", "Accept": "text/plain;q=0.5", "x-lower": "a, b"}
    fields = agent.ask("GET", "/mirror", headers=sent).json()["fields"]
    assert {name: fields[name.lower()] for name in sent} == sent
    name = agent.ask("GET", "/name").field("x-name")
    assert name is not None
    # Clients read fields as ISO-8859-1 or as UTF-8: the bytes are the same.
    assert "J\u00fcrgen" in (name, name.encode("latin-1").decode(errors="replace"))


@each_agent
@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("a/b", "a/b"),
        ("a%20b", "a b"),
        ("caf%C3%A9", "caf\u00e9"),
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("a+b", "a+b"),
    ],
)
def test_paths_are_decoded_once(path: str, rest: str, agent: Agent) -> None:
    assert agent.ask("GET", f"/path/{path}").text == rest


@each_agent
def test_queries_keep_their_repeats(agent: Agent) -> None:
    query = agent.ask("GET", "/query?b=2&a=1&b=3&empty=&plus=a+b&code=%26%3D").json()
    assert query == {"b": ["2", "3"], "a": ["1"], "empty": [""], "plus": ["a b"], "code": ["&="]}


# --- bodies ---


@each_agent
def test_a_form_arrives(agent: Agent) -> None:
    got = agent.ask("POST", "/form", form={"name": "Ada & Bob", "city": "K\u00f6ln"})
    assert got.json() == {"fields": {"name": "Ada & Bob", "city": "K\u00f6ln"}, "files": {}}


@each_agent
def test_files_arrive_beside_fields(agent: Agent) -> None:
    octets = bytes(range(256)) * 2000
    files = {"photo": ("cat photo.png", octets, "image/png"), "note": ("note.txt", b"", "text/plain")}
    got = agent.ask("POST", "/form", form={"title": "a cat"}, files=files).json()
    assert got["fields"] == {"title": "a cat"}
    assert got["files"] == {
        "photo": ["cat photo.png", "image/png", octets.hex()],
        "note": ["note.txt", "text/plain", ""],
    }


@each_agent
def test_a_large_body_arrives_whole(agent: Agent) -> None:
    assert agent.ask("POST", "/digest", data=BLOB).text == hashlib.sha256(BLOB).hexdigest()


@each_agent
def test_a_large_answer_arrives_whole(agent: Agent, connects: list[Any]) -> None:
    for path in ("/blob", "/files/blob.bin"):
        assert hashlib.sha256(agent.ask("GET", path).body).digest() == hashlib.sha256(BLOB).digest()
    assert len(connects) == 1


@each_agent
def test_an_upload_of_unknown_length_arrives_as_it_is_made(agent: Agent, site: Site) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        # Only a server that has read the first piece lets the second one be made.
        assert site.arrived.get(timeout=10) == b"first"
        yield b"second"

    assert agent.send("/arrive", pieces()).json() == {"bytes": 11}
    assert site.arrived.get(timeout=10) == b"second"


@each_agent
def test_an_answer_arrives_as_it_is_made(agent: Agent, site: Site, connects: list[Any]) -> None:
    pieces = agent.pieces("/steps")
    assert next(pieces) == b"one"
    site.go_on.set()
    assert b"".join(pieces) == b"two"
    assert agent.ask("GET", "/status/200").text == "status 200"
    assert len(connects) == 1, "the end of a stream leaves the connection usable"


@each_agent
def test_events_arrive(agent: Agent) -> None:
    events = b"".join(agent.pieces("/events")).decode().split("\n\n")
    assert events[:3] == [f'event: tick\nid: {count}\ndata: {{"count":{count}}}' for count in range(3)]


@each_agent
def test_an_answer_that_breaks_off_is_no_whole_one(agent: Agent) -> None:
    pieces = agent.pieces("/broken")
    assert next(pieces) == b"one"
    # Each client has its own error for it; none may take it for the end.
    with pytest.raises(Exception):  # noqa: B017
        list(pieces)


@each_agent
def test_an_answer_is_compressed_and_decoded(agent: Agent) -> None:
    got = agent.ask("GET", "/prose", headers={"Accept-Encoding": "gzip, deflate"})
    assert (got.field("content-encoding"), got.text) == ("gzip", PROSE)
    plain = agent.ask("GET", "/prose", headers={"Accept-Encoding": "identity"})
    assert (plain.field("content-encoding"), plain.text) == (None, PROSE)


@each_agent
def test_a_download_is_resumed(agent: Agent) -> None:
    whole = agent.ask("HEAD", "/files/blob.bin")
    tag = whole.field("etag")
    assert tag is not None and whole.field("accept-ranges") == "bytes"
    rest = agent.ask("GET", "/files/blob.bin", headers={"Range": "bytes=1000000-", "If-Range": tag})
    assert (rest.status, rest.field("content-range")) == (206, f"bytes 1000000-{len(BLOB) - 1}/{len(BLOB)}")
    assert rest.body == BLOB[1000000:]
    fresh = agent.ask("GET", "/files/blob.bin", headers={"If-None-Match": tag})
    assert (fresh.status, fresh.body) == (304, b"")


# --- statuses and sessions ---


@each_agent
def test_every_kind_of_answer_leaves_the_connection_usable(agent: Agent, connects: list[Any]) -> None:
    asked = [("GET", "/nothing"), ("GET", "/nowhere"), ("POST", "/prose"), ("GET", "/fail"), ("GET", "/status/418")]
    assert [agent.ask(method, path).status for method, path in asked * 2] == [204, 404, 405, 500, 418] * 2
    assert agent.ask("GET", "/status/503").text == "status 503"
    assert len(connects) == 1


@each_agent
def test_a_body_that_is_too_large_is_413(agent: Agent) -> None:
    assert agent.ask("POST", "/small", data=b"x" * 10).text == "small enough"
    assert agent.ask("POST", "/small", data=b"x" * 11).status == 413
    assert agent.ask("POST", "/small", data=b"y").text == "small enough"


@each_agent
def test_one_connection_serves_a_session(agent: Agent, connects: list[Any]) -> None:
    for count in range(50):
        assert agent.ask("POST", "/mirror", data=str(count).encode()).json()["body"] == str(count)
    assert len(connects) == 1


@each_agent
@pytest.mark.parametrize(
    ("code", "method", "seen"),
    [(301, "GET", "GET"), (302, "GET", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT")],
)
def test_redirects_are_followed(code: int, method: str, seen: str, name: str, agent: Agent) -> None:
    data = None if method == "GET" else b"body"
    got = agent.ask(method, f"/jump/{code}", data=data, follow=True)
    assert (got.status, got.json()["method"], got.json()["query"]) == (200, seen, "jumped=1")
    assert got.json()["body"] == ("" if seen == "GET" else "body")
    stopped = agent.ask(method, f"/jump/{code}", data=data)
    assert (stopped.status, stopped.field("location")) == (code, "/mirror?jumped=1")


@each_agent
def test_cookies_are_kept_and_forgotten(agent: Agent) -> None:
    assert agent.ask("GET", "/cookies").json() == {}
    assert agent.ask("GET", "/login").text == "in"
    assert agent.ask("GET", "/cookies").json() == {"user": "Ada", "seat": "3"}
    agent.ask("GET", "/logout")
    assert "user" not in agent.ask("GET", "/cookies").json()


@each_agent
def test_a_client_that_waits_no_longer_is_noticed(agent: Agent, site: Site) -> None:
    with pytest.raises(agent.late):
        agent.ask("GET", "/never", timeout=1)  # enough to be heard at all
    assert site.left.wait(10), "the exchange is told that its client has left"
    assert agent.ask("GET", "/status/200").text == "status 200"


@each_agent
def test_many_requests_of_one_session_at_once(agent: Agent) -> None:
    paths = [f"/path/{number}" for number in range(100)]
    assert [got.text for got in agent.ask_all(paths)] == [str(number) for number in range(100)]


def test_many_sessions_of_every_client_at_once(site: Site) -> None:
    wrong: list[Any] = []

    def session(name: str, number: int) -> None:
        try:
            with agent_of(name, site.server.url) as agent:
                for count in range(20):
                    text = agent.ask("GET", f"/path/{name}/{number}/{count}").text
                    if text != f"{name}/{number}/{count}":
                        wrong.append(text)
        except pytest.skip.Exception:
            pass
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=session, args=(name, number)) for name in AGENTS for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@each_agent
def test_a_server_that_limits_requests_for_each_connection_fails_nobody(name: str, connects: list[Any]) -> None:
    app = App(max_requests_per_connection=2)
    app.any("/")(lambda req: req.text or "hello")
    with app.start() as server, agent_of(name, server.url) as agent:
        texts = [agent.ask("POST", "/", data=str(count).encode()).text for count in range(6)]
    assert texts == [str(count) for count in range(6)]
    assert len(connects) == 3


# --- what is peculiar to one ---


def test_requests_reads_lines_of_a_stream(site: Site) -> None:
    requests = pytest.importorskip("requests")
    with requests.get(f"{site.server.url}/events", stream=True, timeout=10) as answer:
        lines = [line for line in answer.iter_lines(decode_unicode=True) if line.startswith("data: ")]
    assert [json.loads(line[6:]) for line in lines] == [{"count": count} for count in range(3)]
    assert answer.headers["content-type"] == "text/event-stream"


def test_requests_gives_up_on_a_redirect_to_itself(site: Site) -> None:
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        with pytest.raises(requests.TooManyRedirects):
            session.get(f"{site.server.url}/round", timeout=10)
        assert session.get(f"{site.server.url}/status/200", timeout=10).ok


def test_requests_sends_credentials_and_json(site: Site) -> None:
    requests = pytest.importorskip("requests")
    answer = requests.post(f"{site.server.url}/mirror", json={"a": [1, None]}, auth=("Ada", "pass:word"), timeout=10)
    seen = answer.json()
    assert json.loads(seen["body"]) == {"a": [1, None]}
    assert seen["fields"]["authorization"] == "Basic QWRhOnBhc3M6d29yZA=="
    assert answer.encoding == "utf-8" or answer.headers["content-type"] == "application/json"


def test_aiohttp_waits_for_100_continue(site: Site) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def go() -> tuple[str, int]:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{site.server.url}/digest", data=io.BytesIO(BLOB), expect100=True) as accepted:
                digest = await accepted.text()
            async with session.post(f"{site.server.url}/small", data=io.BytesIO(BLOB), expect100=True) as refused:
                return digest, refused.status

    assert asyncio.run(go()) == (hashlib.sha256(BLOB).hexdigest(), 413)


def test_urllib3_finds_out_that_a_connection_idled_away(connects: list[Any]) -> None:
    urllib3 = pytest.importorskip("urllib3")
    app = App(idle_timeout_ms=100)
    app.get("/")(lambda req: "hello")
    with app.start() as server, urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, retries=False) as pool:
        assert pool.request("GET", "/").data == b"hello"
        kept = pool.pool.queue[-1]
        assert urllib3.util.wait_for_read(kept.sock, 10), "the server closes it"
        assert pool.request("GET", "/").data == b"hello"
    assert len(connects) == 2


def test_httpx_runs_one_app_after_another_on_asyncio() -> None:
    httpx = pytest.importorskip("httpx")

    async def ask(url: str) -> list[str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{url}/{number}") for number in range(20)))
            return [answer.text for answer in answers]

    for _ in range(3):
        app = App()
        app.get("/:number")(lambda req: req.params["number"])
        with app.start() as server:
            assert asyncio.run(ask(server.url)) == [str(number) for number in range(20)]
