"""What `pip` makes of the package: one wheel for every Python 3 of a platform, with the library inside."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import PACKAGE

from hasty import _ffi

SOURCES = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout as far as the build looks at it."""
    root = tmp_path / "checkout"
    (root / "src" / "ffi").mkdir(parents=True)
    (root / "Cargo.toml").write_text("[package]\n")
    python = root / "bindings" / "python"
    shutil.copytree(PACKAGE, python / "src" / "hasty", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(SOURCES / name, python / name)
    return root


def build(root: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Makes a wheel, as `pip install` does first; with the setuptools that is here where it is new enough."""
    clean = {name: value for name, value in os.environ.items() if name not in ("HASTY_LIBRARY", "CARGO_TARGET_DIR")}
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check"]
    isolation = [] if setuptools_version() < 77 else ["--no-build-isolation"]
    done = subprocess.run(
        [*pip, *isolation, "--wheel-dir", str(root / "dist"), str(root / "bindings" / "python")],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("setuptools 77 or newer is not to be had")
    return done


def setuptools_version() -> int:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


def wheel(root: Path) -> Path:
    (made,) = (root / "dist").iterdir()
    return made


def fake_cargo(place: Path, body: str) -> str:
    """A PATH on which `cargo` is a script."""
    place.mkdir()
    script = place / "cargo"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def test_the_wheel_is_for_every_python_3_of_one_platform_and_carries_the_library(
    checkout: Path, tmp_path: Path
) -> None:
    done = build(checkout, HASTY_LIBRARY=str(_ffi.PATH))
    assert done.returncode == 0, done.stdout + done.stderr
    name = wheel(checkout).name
    assert name.startswith("hasty-0.1.0-py3-none-linux_")
    with zipfile.ZipFile(wheel(checkout)) as archive:
        inside = set(archive.namelist())
        library = archive.read("hasty/libhasty.so")
    modules = {f"hasty/{path.name}" for path in PACKAGE.glob("*.py")} | {"hasty/py.typed", "hasty/libhasty.so"}
    assert {name for name in inside if name.startswith("hasty/")} == modules
    assert library == _ffi.PATH.read_bytes()
    assert any(name.endswith("LICENSE-MIT") for name in inside)


def test_what_was_installed_works_away_from_the_checkout(checkout: Path, tmp_path: Path) -> None:
    assert build(checkout, HASTY_LIBRARY=str(_ffi.PATH)).returncode == 0
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel(checkout)) as archive:
        archive.extractall(place)
    shutil.rmtree(checkout)
    program = (
        "import hasty; app = hasty.App(); app.get('/')(lambda req: 'hello')\n"
        "with app.test_client() as client: print(client.get('/').text, hasty._ffi.PATH)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "HASTY_LIBRARY"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (f"hello {place}/hasty/libhasty.so\n", "")


def test_cargo_builds_the_library_in_the_checkout(checkout: Path, tmp_path: Path) -> None:
    path = fake_cargo(
        tmp_path / "bin",
        'echo "$PWD: $*" > cargo-ran; mkdir -p target/release; printf built > target/release/libhasty.so',
    )
    done = build(checkout, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / "cargo-ran").read_text() == f"{checkout}: build --release --lib --features brotli\n"
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == b"built"


def test_a_build_that_fails_makes_no_wheel(checkout: Path, tmp_path: Path) -> None:
    done = build(checkout, PATH=fake_cargo(tmp_path / "bin", "exit 1"))
    assert done.returncode != 0
    assert not list(checkout.rglob("*.whl"))


def without_cargo() -> str:
    return ":".join(folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "cargo").exists())


def test_without_cargo_a_library_that_was_built_is_taken(checkout: Path) -> None:
    built = checkout / "target" / "release" / "libhasty.so"
    built.parent.mkdir(parents=True)
    built.write_bytes(b"built before")
    done = build(checkout, PATH=without_cargo())
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == b"built before"


def test_without_cargo_and_library_the_build_says_what_is_needed(checkout: Path) -> None:
    done = build(checkout, PATH=without_cargo())
    assert done.returncode != 0
    words = " ".join((done.stdout + done.stderr).split())
    assert "cargo is not on PATH" in words and "install Rust 1.85 or newer" in words
