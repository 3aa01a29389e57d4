"""Every example in the documentation runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

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


def test_the_program_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).resolve().parents[1] / "README.md"
    (program,) = (block for block in re.findall(r"```python\n(.*?)```", readme.read_text(), re.S) if "App()" in block)
    apps = []
    monkeypatch.setattr(hasty.App, "listen", lambda self, port: apps.append((self, port)))
    exec(program, {})
    ((app, port),) = apps
    assert port == 8080
    with app.test_client() as client:
        assert client.get("/hello/Ada").text == "Hello, Ada!"
        assert client.get("/users/7").json() == {"userId": "7"}
