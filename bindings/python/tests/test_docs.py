"""Every example in the documentation runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE

import hasty

MODULES = ["hasty", *sorted(f"hasty.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]))]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), report=True)
    assert failed == 0


def test_steps_of_a_response_have_examples_that_doctest_finds() -> None:
    # They are no plain functions, so doctest does not look inside by itself.
    finder, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    found = 0
    for name, step in vars(hasty.Response).items():
        text = getattr(step, "__doc__", None)
        if not name.startswith("_") and text and ">>>" in text:
            found += 1
            runner.run(finder.get_doctest(text, {"Response": hasty.Response}, name, None, None))
    assert found >= 5 and runner.failures == 0


def test_everything_public_is_documented() -> None:
    for name in hasty.__all__:
        if name.startswith("_"):
            continue
        kind = getattr(hasty, name)
        if not isinstance(kind, type):
            continue  # a type alias has no place for words
        assert kind.__doc__, name
        for part, value in vars(kind).items():
            if not part.startswith("_") and (callable(value) or isinstance(value, property)):
                assert getattr(value, "__doc__", None), f"{name}.{part}"


def programs_of_the_readme() -> list[str]:
    readme = Path(__file__).resolve().parents[1] / "README.md"
    return [block for block in re.findall(r"```python\n(.*?)```", readme.read_text(), re.S) if "App(" in block]


def test_the_program_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    program = programs_of_the_readme()[0]
    apps = []
    monkeypatch.setattr(hasty.App, "listen", lambda self, port: apps.append((self, port)))
    exec(program, {})
    ((app, port),) = apps
    assert port == 8080
    with app.test_client() as client:
        assert client.get("/hello/Ada").text == "Hello, Ada!"
        assert client.get("/users/7").json() == {"userId": "7"}


def test_what_the_readme_puts_around_handlers_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("a file")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(programs_of_the_readme()[1], names)
    app = names["app"]
    app.get("/api/me")(lambda req: {}[req.locals["user"]])
    app.get("/login")(lambda req: "in")
    with app.test_client() as client:
        asset = client.get("/assets/a.txt")
        assert (asset.text, asset.headers["cache-control"]) == ("a file", "max-age=3600")
        assert asset.headers["x-request-id"] and asset.headers["x-content-type-options"] == "nosniff"
        assert client.get("/api/me").status_code == 401
        answer = client.get("/api/me", headers={"X-User": "Ada", "Origin": "https://example.org"})
        assert (answer.status_code, answer.json()) == (404, {"missing": "'Ada'"})
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert [client.get("/login").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_what_the_readme_says_of_files_uploads_and_streams_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(programs_of_the_readme()[2], names)
    with names["app"].test_client() as client:
        report = client.get("/report")
        assert report.body == b"%PDF" and "Report of the year.pdf" in report.headers["content-disposition"]
        answer = client.post("/photos", form={"title": "cat"}, files={"photo": ("../../cat.png", b"12345")})
        assert answer.json() == {"title": "cat", "bytes": 5}
        assert (tmp_path / "photo.bin").read_bytes() == b"12345"
        assert client.post("/import", body=b"x" * 1000).json() == {"bytes": 1000}
        assert client.get("/ticks").text.count("event: tick\n") == 3
        assert client.get("/later").text == "there it is"
