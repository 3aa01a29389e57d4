"""FastAPI and Starlette, asked by the clients that people use with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hasty.asgi import LifespanError, as_app

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

from fastapi import BackgroundTasks, Depends, FastAPI, Form, Header, HTTPException, Request, UploadFile  # noqa: E402
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, StreamingResponse  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.middleware.cors import CORSMiddleware  # noqa: E402
from starlette.middleware.gzip import GZipMiddleware  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Mount, Route  # noqa: E402
from starlette.staticfiles import StaticFiles  # noqa: E402


@contextlib.contextmanager
def client_of(application: Any, **options: Any) -> Iterator[Any]:
    """An httpx client of an application."""
    with as_app(application, **options).start() as server:
        with httpx.Client(base_url=server.url, timeout=25) as client:
            yield client


class Item(BaseModel):
    name: str
    price: float


class Shop:
    """A FastAPI application that uses what there is."""

    def __init__(self, folder: Path) -> None:
        self.done = threading.Event()
        self.go = threading.Event()
        self.left = threading.Event()
        (folder / "report.txt").write_text("0123456789" * 10_000)

        @contextlib.asynccontextmanager
        async def life(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
            yield {"database": "there"}

        app = self.app = FastAPI(lifespan=life)
        app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_methods=["*"])

        @app.middleware("http")
        async def stamp(request: Request, call_next: Any) -> Any:
            answer = await call_next(request)
            answer.headers["x-stamp"] = request.url.path
            return answer

        async def user(x_user: str = Header()) -> AsyncIterator[str]:
            yield x_user.upper()

        @app.get("/items/{number}")
        async def item(number: int, q: str = "") -> dict[str, Any]:
            return {"number": number, "q": q}

        @app.post("/items", status_code=201)
        async def create(item: Item) -> Item:
            return item

        @app.get("/sync")
        def sync() -> str:
            return threading.current_thread().name

        @app.get("/me")
        async def me(name: str = Depends(user)) -> str:
            return name

        @app.get("/state")
        async def state(request: Request) -> str:
            return str(request.state.database)

        @app.get("/teapot")
        async def teapot() -> None:
            raise HTTPException(418, "short and stout", headers={"X-Pot": "tea"})

        @app.get("/fail")
        async def fail() -> None:
            raise LookupError("mine")

        @app.exception_handler(KeyError)
        async def missing(request: Request, error: KeyError) -> Any:
            return JSONResponse({"missing": error.args[0]}, 404)

        @app.get("/missing")
        async def lacks() -> None:
            raise KeyError("it")

        @app.post("/upload")
        async def upload(photo: UploadFile, title: str = Form()) -> dict[str, Any]:
            return {"title": title, "name": photo.filename, "size": len(await photo.read())}

        @app.get("/rows")
        async def rows() -> StreamingResponse:
            async def made() -> AsyncIterator[str]:
                for number in range(1000):
                    yield f"{number}\n"
                    await asyncio.sleep(0)

            return StreamingResponse(made(), media_type="text/csv")

        @app.get("/plain-rows")
        def plain_rows() -> StreamingResponse:
            return StreamingResponse((f"{number}\n" for number in range(100)), media_type="text/csv")

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def made() -> AsyncIterator[str]:
                try:
                    while True:
                        yield "data: tick\n\n"
                        await asyncio.sleep(0.001)
                finally:
                    self.left.set()

            return StreamingResponse(made(), media_type="text/event-stream")

        @app.get("/background")
        async def background(tasks: BackgroundTasks) -> str:
            def work() -> None:
                self.go.wait(10)
                self.done.set()

            tasks.add_task(work)
            return "accepted"

        @app.get("/report")
        async def report() -> FileResponse:
            return FileResponse(folder / "report.txt", filename="r.txt")

        @app.get("/login")
        async def login() -> PlainTextResponse:
            answer = PlainTextResponse("welcome")
            answer.set_cookie("session", "abc", httponly=True)
            answer.set_cookie("theme", "dark")
            return answer

        @app.get("/who")
        async def who(request: Request) -> dict[str, str]:
            return dict(request.cookies)

        @app.get("/old")
        async def old() -> RedirectResponse:
            return RedirectResponse("/state")

        @app.get("/urls")
        async def urls(request: Request) -> list[str]:
            return [str(request.url), str(request.url_for("item", number="7"))]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def client(shop: Shop) -> Iterator[Any]:
    with client_of(shop.app) as client:
        yield client


# --- FastAPI ---


def test_paths_and_queries_are_read(client: Any) -> None:
    assert client.get("/items/7", params={"q": "ä b"}).json() == {"number": 7, "q": "ä b"}


def test_a_wrong_value_is_answered_with_422(client: Any) -> None:
    answer = client.get("/items/seven")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "number"]


def test_json_bodies_are_read_and_checked(client: Any) -> None:
    good = client.post("/items", json={"name": "a", "price": 1.5})
    bad = client.post("/items", json={"name": "a"})
    broken = client.post("/items", content=b"{", headers={"Content-Type": "application/json"})
    assert (good.status_code, good.json()) == (201, {"name": "a", "price": 1.5})
    assert (bad.status_code, broken.status_code) == (422, 422)


def test_plain_functions_run_on_a_thread(client: Any) -> None:
    assert "AnyIO" in client.get("/sync").json()


def test_dependencies_are_met(client: Any) -> None:
    assert client.get("/me", headers={"X-User": "ada"}).json() == "ADA"
    assert client.get("/me").status_code == 422


def test_the_state_of_the_lifespan_is_there(client: Any) -> None:
    assert client.get("/state").json() == "there"


def test_exceptions_are_answered_as_the_framework_does(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    teapot, failed, missing, nowhere = (client.get(path) for path in ("/teapot", "/fail", "/missing", "/nowhere"))
    assert (teapot.status_code, teapot.json(), teapot.headers["x-pot"]) == (418, {"detail": "short and stout"}, "tea")
    assert (failed.status_code, failed.text) == (500, "Internal Server Error")
    assert (missing.status_code, missing.json()) == (404, {"missing": "it"})
    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})
    assert client.post("/state").status_code == 405
    assert [record.getMessage() for record in caplog.records if record.name == "hasty"] == [
        "GET /fail: the application failed"
    ]


def test_uploads_arrive_whole(client: Any) -> None:
    answer = client.post("/upload", data={"title": "cat"}, files={"photo": ("cat.png", b"x" * 3_000_000)})
    assert answer.json() == {"title": "cat", "name": "cat.png", "size": 3_000_000}


def test_uploads_that_are_streamed_by_the_client_arrive_whole(client: Any) -> None:
    pieces = (b'{"name": "a", ', b'"price": 2}')
    answer = client.post("/items", content=iter(pieces), headers={"Content-Type": "application/json"})
    assert answer.json() == {"name": "a", "price": 2}


def test_streams_arrive_whole(client: Any) -> None:
    assert client.get("/rows").text == "".join(f"{number}\n" for number in range(1000))
    assert client.get("/plain-rows").text == "".join(f"{number}\n" for number in range(100))


def test_a_stream_ends_when_its_client_leaves(client: Any, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert next(answer.iter_text()).startswith("data: tick\n\n")
    assert shop.left.wait(10)
    # In its debug mode asyncio warns of every step that has taken long, as they do on a loaded machine.
    records = [record for record in caplog.records if not record.getMessage().startswith("Executing ")]
    assert [record for record in records if record.levelno >= logging.WARNING] == []


def test_background_tasks_run_after_the_answer(client: Any, shop: Shop) -> None:
    assert client.get("/background").json() == "accepted"
    assert not shop.done.is_set()
    shop.go.set()
    assert shop.done.wait(10)


def test_middleware_changes_answers(client: Any) -> None:
    assert client.get("/state").headers["x-stamp"] == "/state"
    assert client.get("/report").headers["x-stamp"] == "/report"


def test_cors_is_answered(client: Any) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    preflight = client.options("/items/7", headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert client.options("/items/7", headers={**asks, "Origin": "https://b.example"}).status_code == 400


def test_files_are_sent_with_ranges_and_conditions(client: Any) -> None:
    whole = client.get("/report")
    part = client.get("/report", headers={"Range": "bytes=5-9"})
    beyond = client.get("/report", headers={"Range": "bytes=200000-"})
    head = client.head("/report")
    assert whole.text == "0123456789" * 10_000
    assert whole.headers["content-disposition"] == 'attachment; filename="r.txt"'
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "56789", "bytes 5-9/100000")
    assert beyond.status_code == 416
    assert head.status_code == 405


def test_cookies_go_both_ways(client: Any) -> None:
    answer = client.get("/login")
    assert answer.headers.get_list("set-cookie") == [
        "session=abc; HttpOnly; Path=/; SameSite=lax",
        "theme=dark; Path=/; SameSite=lax",
    ]
    assert client.get("/who").json() == {"session": "abc", "theme": "dark"}


def test_redirects_are_followed(client: Any) -> None:
    answer = client.get("/old")
    assert (answer.status_code, answer.content, "content-type" in answer.headers) == (307, b"", False)
    assert client.get("/old", follow_redirects=True).json() == "there"


def test_urls_are_made_for_the_host_that_was_asked(client: Any) -> None:
    base = str(client.base_url).rstrip("/")
    assert client.get("/urls?a=1").json() == [f"{base}/urls?a=1", f"{base}/items/7"]


def test_openapi_and_its_pages_are_served(client: Any) -> None:
    assert "/items/{number}" in client.get("/openapi.json").json()["paths"]
    assert client.get("/docs").headers["content-type"] == "text/html; charset=utf-8"


def test_many_requests_on_one_connection_and_on_many(shop: Shop) -> None:
    async def ask(url: str) -> list[int]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            answers = await asyncio.gather(*(client.get(f"/items/{number}") for number in range(200)))
            return [answer.json()["number"] for answer in answers]

    with as_app(shop.app).start() as server:
        assert asyncio.run(ask(server.url)) == list(range(200))
        with requests.Session() as session:
            answers = [session.get(f"{server.url}/items/{number}", timeout=60).json() for number in range(20)]
    assert [answer["number"] for answer in answers] == list(range(20))


def test_a_lifespan_that_fails_is_told() -> None:
    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(LifespanError, match="no database") as raised:
        as_app(FastAPI(lifespan=life)).start()
    assert isinstance(raised.value.__cause__, OSError)


# --- Starlette ---


async def hello(request: Any) -> Any:
    return PlainTextResponse(f"hello {request.path_params.get('name', 'you')}")


async def body(request: Any) -> Any:
    return PlainTextResponse(str(sum([len(piece) async for piece in request.stream()])))


class Stamp(BaseHTTPMiddleware):  # type: ignore[misc]
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.headers["x-stamp"] = "yes"
        return answer


def test_starlette_answers_below_mounts_and_middleware(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    app = Starlette(
        routes=[
            Route("/hello/{name}", hello),
            Route("/body", body, methods=["POST"]),
            Mount("/inner", routes=[Route("/hello", hello, name="hello")], name="inner"),
            Mount("/static", StaticFiles(directory=tmp_path)),
        ]
    )
    app.add_middleware(Stamp)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    with client_of(app) as client:
        answers = [client.get(path) for path in ("/hello/Ada", "/inner/hello", "/static/a.css")]
        tag = answers[2].headers["etag"]
        unchanged = client.get("/static/a.css", headers={"If-None-Match": tag})
        counted = client.post("/body", content=b"x" * 100_000)
    assert [answer.text for answer in answers] == ["hello Ada", "hello you", "a{}"]
    assert {answer.headers["x-stamp"] for answer in answers} == {"yes"}
    assert answers[0].headers["content-encoding"] == "gzip"
    assert unchanged.status_code == 304
    assert counted.text == "100000"


def test_a_mounted_application_below_a_root_path_makes_its_urls() -> None:
    app = FastAPI()

    @app.get("/where")
    async def where(request: Request) -> str:
        return str(request.url_for("where"))

    with client_of(app, root_path="/api") as client:
        base = str(client.base_url).rstrip("/")
        assert client.get("/where").json() == f"{base}/api/where"
