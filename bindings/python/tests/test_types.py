"""The package is typed, strictly, and its users' programs can be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import IMPORT_PATH, PACKAGE

pytest.importorskip("mypy")

GOOD = """
from __future__ import annotations
from collections.abc import Generator, Iterator
from typing import Any, Optional
from hasty import Access, App, BadRequest, Cors, Event, Exchange, HttpError, Request, Response, Result

app = App(threads=2, max_body_bytes=1)

@app.get("/a")
def text(req: Request) -> str:
    return req.params["a"] + req.query.get("b", "") + req.headers["c"] + req.text

@app.post("/b", max_body_bytes=4)
def chained(req: Request, res: Response) -> None:
    res.status(200).type("json").header("a", "b").json({"a": req.json()})

@app.get("/c")
def value(req: Request) -> Response:
    return Response.json([1], status=201, headers={"Location": "/"}).cookie("a", "b", max_age=3)

@app.get("/d")
def pair(req: Request) -> tuple[dict[str, int], int]:
    return {"a": 1}, 201

@app.get("/several")
def several(req: Request) -> Result:
    return [1] if "a" in req.query else ({"a": 1}, 201)

@app.get("/e")
def nothing(req: Request) -> None:
    raise BadRequest("no")

@app.get("/stream")
def stream(req: Request) -> Iterator[str]:
    yield "piece"

@app.get("/events", exchange_timeout_ms=1000)
def events(req: Request, res: Response) -> Generator[Event, None, None]:
    yield Event("tick", data={"a": 1})

@app.post("/up", body="stream", max_body_bytes=1 << 30)
def up(req: Request) -> dict[str, int]:
    return {"bytes": sum(len(piece) for piece in req.stream()) + len(req.read(10))}

@app.post("/files")
def files(req: Request) -> Response:
    req.files["a"].save("a")
    req.locals["anything"] = req.files["a"].filename.upper()
    return Response.download("a", status=201).cookie("a", "b")

@app.get("/later")
def later(req: Request) -> None:
    exchange: Exchange = req.defer()
    exchange.on_close(lambda: print(exchange.alive))
    sent: bool = exchange.finish({"a": 1})

@app.use
def everywhere(req: Request) -> None: ...

@app.use("/a")
def guard(req: Request) -> Optional[Response]:
    return Response.status(401)

@app.after
def stamp(req: Request, res: Response) -> None:
    res.headers["X-A"] = str(len(res.body))

@app.after("/a")
def other(req: Request, res: Response) -> None: ...

@app.error(KeyError)
def missing(req: Request, error: KeyError) -> tuple[str, int]:
    return str(error.args[0]), 404

@app.error(404)
def nowhere(error: HttpError) -> str:
    return error.message

@app.on_access
def note(record: Access) -> None:
    print(record.status + record.duration_us)

app.static("/", ".", list=True, cache_control="no-cache")
app.cors("/", Cors(origins=["https://example.org"], max_age=3))
app.rate_limit("/", 60, allow=lambda key: key != "")
app.access_log("json")
everywhere(Request.__new__(Request))
app.get("/f")(lambda req: b"octets")
app.get("/g")(lambda req, res: res.redirect("/a", status=303))
name: str = text(Request.__new__(Request))
with app.start() as server:
    url: str = server.url
"""

WRONG = """
from __future__ import annotations
from collections.abc import Iterator
from hasty import App, Cors, Request, Response

app = App(threads="2")

@app.get("/a")
def number(req: Request) -> int:
    return 7

@app.get("/b")
def three(req: Request, res: Response, more: int) -> None: ...

Response.json([1], stauts=201)
Response.text(7)
app.get(7)

@app.get("/c", body="later")
def later(req: Request) -> None: ...

@app.after
def alone(res: Response) -> None: ...

@app.get("/d")
def numbers(req: Request) -> Iterator[int]:
    yield 7

app.cors("/", Cors(max_age="1"))

@app.get("/e")
def lost(req: Request, res: Response) -> str:
    return ""

app.get("/f", number)
"""


def check(source: str, place: Path, *arguments: str) -> tuple[int, str]:
    program = place / "program.py"
    program.write_text(source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(place),
            *arguments,
            str(program),
        ],
        capture_output=True,
        text=True,
        cwd=place,
        env={"MYPYPATH": str(IMPORT_PATH), "PATH": ""},
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_package_is_strictly_typed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(PACKAGE)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_a_program_in_every_style_passes(tmp_path: Path) -> None:
    assert check(GOOD, tmp_path) == (0, "")


def test_the_examples_are_strictly_typed(tmp_path: Path) -> None:
    folder = Path(__file__).parents[3] / "examples-python"
    # In their folder mypy would take json.py for Python's own.
    examples = [shutil.copy(path, tmp_path) for path in sorted(folder.glob("*.py")) if path.name != "json.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", ".cache", *examples],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(IMPORT_PATH), "PATH": ""},
        timeout=300,
    )
    assert examples and done.stdout == ""


def test_mistakes_are_found_line_by_line(tmp_path: Path) -> None:
    code, words = check(WRONG, tmp_path)
    assert code == 1
    found = {int(line.split(":")[1]) for line in words.splitlines() if ": error:" in line}
    assert found >= {6, 8, 12, 15, 16, 17, 19, 22, 25, 29, 31, 35}, words


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
