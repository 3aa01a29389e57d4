"""Django on hasty, asked by requests."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hasty
from hasty import wsgi

django = pytest.importorskip("django")
requests = pytest.importorskip("requests")


def views(folder: Path) -> Any:
    from django import http
    from django.urls import path, reverse
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import condition

    def hello(request: Any) -> Any:
        return http.HttpResponse("Hello, World!")

    def where(request: Any) -> Any:
        told = {"url": request.build_absolute_uri(), "path": request.path, "query": request.GET.dict()}
        return http.JsonResponse({**told, "address": request.META["REMOTE_ADDR"], "secure": request.is_secure()})

    def go(request: Any) -> Any:
        return http.HttpResponseRedirect(reverse("gone", args=["caf\u00e9"]))

    def gone(request: Any, name: str) -> Any:
        return http.HttpResponse(f"gone to {name}")

    def count(request: Any) -> Any:
        request.session["count"] = request.session.get("count", 0) + 1
        return http.HttpResponse(str(request.session["count"]))

    @csrf_exempt
    def upload(request: Any) -> Any:
        files = [(f.name, f.content_type, len(f.read())) for name in request.FILES for f in request.FILES.getlist(name)]
        return http.JsonResponse({"files": files, "form": request.POST.dict()})

    @csrf_exempt
    def echo(request: Any) -> Any:
        return http.HttpResponse(request.body, content_type="application/octet-stream")

    def protected(request: Any) -> Any:
        return http.HttpResponse("never")

    def stream(request: Any) -> Any:
        rows = (f"{number} of {request.GET['rows']}\n" for number in range(int(request.GET["rows"])))
        return http.StreamingHttpResponse(rows, content_type="text/csv")

    def file(request: Any) -> Any:
        return http.FileResponse(open(folder / "page.html", "rb"), as_attachment=True, filename="caf\u00e9.html")

    @condition(etag_func=lambda request: '"fixed"')
    def tagged(request: Any) -> Any:
        return http.HttpResponse("tagged")

    def cookies(request: Any) -> Any:
        answer = http.JsonResponse(request.COOKIES)
        answer.set_cookie("one", "1")
        answer.set_cookie("two", "2", max_age=60)
        return answer

    def fails(request: Any) -> Any:
        raise LookupError("deep inside")

    return [
        path("", hello),
        path("where", where),
        path("go", go),
        path("gone/<name>", gone, name="gone"),
        path("count", count),
        path("upload", upload),
        path("echo", echo),
        path("protected", protected),
        path("stream", stream),
        path("file", file),
        path("tagged", tagged),
        path("cookies", cookies),
        path("fails", fails),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("django")
    (found / "page.html").write_text("<p>" + "page " * 20_000)
    return found


@pytest.fixture(scope="module")
def application(folder: Path) -> Any:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["127.0.0.1", "example.org"],
        ROOT_URLCONF="urls_of_the_test",
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        INSTALLED_APPS=["django.contrib.sessions"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        FILE_UPLOAD_MAX_MEMORY_SIZE=100_000,
        DATA_UPLOAD_MAX_MEMORY_SIZE=40 << 20,
    )
    made = get_wsgi_application()
    module: Any = types.ModuleType("urls_of_the_test")
    module.urlpatterns = views(folder)
    sys.modules["urls_of_the_test"] = module
    return made


@pytest.fixture(params=[0, 4], ids=["one thread", "four threads"])
def server(application: Any, request: Any) -> Iterator[hasty.Server]:
    with wsgi.as_app(application, threads=request.param, max_body_bytes=64 << 20).start() as started:
        yield started


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as made:
        yield made


def test_a_page_is_sent_with_its_length(server: hasty.Server, session: Any) -> None:
    answer = session.get(server.url)
    assert (answer.status_code, answer.text) == (200, "Hello, World!")
    assert answer.headers["content-length"] == "13"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_url_is_the_one_that_was_asked_for(server: hasty.Server, session: Any) -> None:
    assert session.get(f"{server.url}/where?a=caf%C3%A9").json() == {
        "url": f"{server.url}/where?a=caf%C3%A9",
        "path": "/where",
        "query": {"a": "caf\u00e9"},
        "address": "127.0.0.1",
        "secure": False,
    }
    told = session.get(f"{server.url}/where", headers={"Host": "example.org"}).json()
    assert told["url"] == "http://example.org/where"
    assert session.get(f"{server.url}/where", headers={"Host": "evil.example"}).status_code == 400


def test_redirects_are_followed(server: hasty.Server, session: Any) -> None:
    answer = session.get(f"{server.url}/go")
    assert (answer.text, answer.url) == ("gone to caf\u00e9", f"{server.url}/gone/caf%C3%A9")


def test_sessions_and_cookies_last(server: hasty.Server, session: Any) -> None:
    assert [session.get(f"{server.url}/count").text for _ in range(3)] == ["1", "2", "3"]
    assert "one" not in session.get(f"{server.url}/cookies").json()
    told = session.get(f"{server.url}/cookies").json()
    assert (told["one"], told["two"]) == ("1", "2")


def test_several_files_are_uploaded(server: hasty.Server, session: Any) -> None:
    files = [
        ("photo", ("a.png", b"\x89PNG" * 100, "image/png")),
        ("photo", ("b.bin", bytes(1 << 20), "application/octet-stream")),
    ]
    assert session.post(f"{server.url}/upload", files=files, data={"title": "Caf\u00e9"}).json() == {
        "files": [["a.png", "image/png", 400], ["b.bin", "application/octet-stream", 1 << 20]],
        "form": {"title": "Caf\u00e9"},
    }


def test_bodies_are_received(server: hasty.Server, session: Any) -> None:
    for data in (b"", bytes(range(256)) * 1000, bytes(32 << 20)):
        assert session.post(f"{server.url}/echo", data=data).content == data
    assert session.post(f"{server.url}/echo", data=(bytes(1000) for _ in range(100))).content == bytes(100_000)


def test_what_needs_a_token_is_refused_without(server: hasty.Server, session: Any) -> None:
    assert session.post(f"{server.url}/protected", data={"a": "1"}).status_code == 403


def test_streams_arrive(server: hasty.Server, session: Any) -> None:
    answer = session.get(f"{server.url}/stream?rows=1000", stream=True)
    assert answer.headers["transfer-encoding"] == "chunked"
    lines = list(answer.iter_lines(decode_unicode=True))
    assert len(lines) == 1000 and lines[-1] == "999 of 1000"


def test_files_are_sent_by_the_library(server: hasty.Server, session: Any, folder: Path) -> None:
    answer = session.get(f"{server.url}/file")
    assert answer.content == (folder / "page.html").read_bytes()
    assert answer.headers["content-type"] == "text/html"
    assert "filename*=utf-8''caf%C3%A9.html" in answer.headers["content-disposition"]
    assert answer.headers["accept-ranges"] == "bytes"


def test_conditions_are_looked_after(server: hasty.Server, session: Any) -> None:
    assert session.get(f"{server.url}/tagged").headers["etag"] == '"fixed"'
    answer = session.get(f"{server.url}/tagged", headers={"If-None-Match": '"fixed"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_head_has_no_body(server: hasty.Server, session: Any) -> None:
    for path in ("/", "/file", "/stream?rows=3"):
        answer = session.head(server.url + path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_errors_have_their_status(server: hasty.Server, session: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert session.get(f"{server.url}/none").status_code == 404
    assert session.get(f"{server.url}/fails").status_code == 500
    assert "LookupError: deep inside" in caplog.text
