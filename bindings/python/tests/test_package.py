"""What `pip` makes of the package: one wheel for every Python 3 of a platform, with the library inside."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import PACKAGE

import hasty
from hasty import _ffi

pytestmark = pytest.mark.long

SOURCES = Path(__file__).resolve().parents[1]
#: Some of what the library is built from: files of every folder.
CRATE = ("Cargo.toml", "Cargo.lock", "build.rs", "src/lib.rs", "src/ffi/mod.rs", "bindings/c/lib.rs", "NOTICES.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout as far as the build looks at it."""
    root = tmp_path / "checkout"
    (root / "src" / "ffi").mkdir(parents=True)
    (root / "bindings" / "c").mkdir(parents=True)
    for name in CRATE:
        (root / name).write_text(f"this is {name}\n")
    python = root / "bindings" / "python"
    shutil.copytree(PACKAGE, python / "src" / "hasty", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(SOURCES / name, python / name)
    (python / "tests").mkdir()
    (python / "tests" / "test_nothing.py").write_text("")
    return root


def build(root: Path, source: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Makes a wheel, as `pip install` does first."""
    pip = ["-m", "pip", "wheel", "--no-deps", *isolation(), "--wheel-dir", str(root / "dist")]
    done = python(*pip, source or root / "bindings" / "python", **environ)
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("setuptools 77 or newer is not to be had")
    return done


def python(*arguments: str | Path, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("HASTY_LIBRARY", "CARGO_TARGET_DIR")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**clean, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )


def isolation() -> list[str]:
    """The setuptools that is here is used where it is new enough: pip need not fetch one."""
    return [] if setuptools_version() < 77 else ["--no-build-isolation"]


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
    place.mkdir(exist_ok=True)
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
    modules = {f"hasty/{path.name}" for path in PACKAGE.glob("*.py")}
    others = {"hasty/py.typed", "hasty/libhasty.so", "hasty/NOTICES.txt"}
    assert {name for name in inside if name.startswith("hasty/")} == modules | others
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
    done = python("-c", program, cwd=tmp_path, PYTHONPATH=str(place))
    assert (done.stdout, done.stderr) == (f"hello {place}/hasty/libhasty.so\n", "")


#: What cargo says, and what it has made by then; `made` is the folder that it was told to build in, by whatever.
BUILDS = """
echo "$PWD: $*" >> "$PWD/cargo-ran"
mkdir -p "$made" && printf built > "$made/libhasty.so"
echo '{"reason":"compiler-artifact","filenames":["/elsewhere/libmemchr.rlib"]}'
echo "{\\"reason\\":\\"compiler-artifact\\",\\"filenames\\":[\\"$made/libhasty.a\\",\\"$made/libhasty.so\\"]}"
echo '{"reason":"build-finished","success":true}'
"""


def test_cargo_builds_the_library_in_the_checkout(checkout: Path, tmp_path: Path) -> None:
    done = build(checkout, PATH=fake_cargo(tmp_path / "bin", BUILDS), made=str(tmp_path / "wherever"))
    assert done.returncode == 0, done.stdout + done.stderr
    options = "build --release --lib --features brotli --message-format=json-render-diagnostics"
    assert (checkout / "cargo-ran").read_text() == f"{checkout}: {options}\n"
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == b"built"


def words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.any_python
def test_a_build_that_fails_makes_no_wheel_and_tells_with_which_cargo(checkout: Path, tmp_path: Path) -> None:
    path = fake_cargo(
        tmp_path / "bin", '[ "$1" != --version ] || { echo cargo 1.63.0; exit; }; echo no edition >&2; exit 1'
    )
    done = build(checkout, PATH=path)
    assert done.returncode != 0
    assert not list(checkout.rglob("*.whl"))
    assert "no edition" in words(done) and f"failed in {checkout} with cargo 1.63.0" in words(done)


@pytest.mark.any_python
def test_a_cargo_that_makes_no_shared_library_is_told(checkout: Path, tmp_path: Path) -> None:
    done = build(checkout, PATH=fake_cargo(tmp_path / "bin", """echo '{"filenames":["/x/libhasty.a"]}'"""))
    assert done.returncode != 0
    assert "made no libhasty.so" in words(done)


@pytest.mark.any_python
def test_a_module_that_is_gone_is_in_no_later_wheel(checkout: Path) -> None:
    extra = checkout / "bindings" / "python" / "src" / "hasty" / "extra.py"
    extra.write_text("")
    for there in (True, False):
        assert build(checkout, HASTY_LIBRARY=str(_ffi.PATH)).returncode == 0
        with zipfile.ZipFile(wheel(checkout)) as archive:
            assert ("hasty/extra.py" in archive.namelist()) is there
        extra.unlink(missing_ok=True)


@pytest.mark.any_python
def test_a_source_distribution_carries_the_crate_and_is_built_by_cargo(checkout: Path, tmp_path: Path) -> None:
    if setuptools_version() < 77:
        pytest.skip("the source distribution is made with the setuptools that is here, 77 or newer")
    backend = "from setuptools import build_meta; build_meta.build_sdist('../../dist')"
    done = python("-c", backend, cwd=checkout / "bindings" / "python")
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(wheel(checkout)) as archive:
        inside = {name.split("/", 1)[-1] for name in archive.getnames() if not name.endswith("/")}
    (tmp_path / "sources").mkdir()
    subprocess.run(["tar", "-xf", wheel(checkout), "-C", tmp_path / "sources"], check=True)
    assert {f"crate/{name}" for name in CRATE} | {"setup.py", "src/hasty/app.py", "LICENSE-MIT"} <= inside
    assert not [name for name in inside if name.endswith((".so", ".pyc")) or name.startswith("tests")]
    shutil.rmtree(checkout)
    checkout.mkdir()
    (root,) = (tmp_path / "sources").iterdir()
    path = fake_cargo(tmp_path / "bin", BUILDS)
    done = build(checkout, root, PATH=path, made=str(tmp_path / "wherever"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "crate" / "cargo-ran").read_text().startswith(f"{root}/crate: build --release")
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == b"built"


@pytest.mark.any_python
def test_a_library_from_elsewhere_is_packed_without_the_crate(checkout: Path) -> None:
    for name in ("Cargo.toml", "NOTICES.txt"):
        (checkout / name).unlink()
    done = build(checkout, HASTY_LIBRARY=str(_ffi.PATH))
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == _ffi.PATH.read_bytes()


@pytest.mark.any_python
def test_sources_without_the_crate_say_where_to_build(checkout: Path) -> None:
    (checkout / "Cargo.toml").unlink()
    done = build(checkout)
    assert done.returncode != 0
    assert "is not a checkout of hasty nor a source distribution: build from one" in words(done)


def test_package_crate_and_library_have_one_version() -> None:
    declared = re.search(r'^version = "(.*)"$', (SOURCES / "pyproject.toml").read_text(), re.M)
    crate = re.search(r'^version = "(.*)"$', (SOURCES.parents[1] / "Cargo.toml").read_text(), re.M)
    assert declared and crate and declared[1] == crate[1] == hasty.__version__


def without_cargo() -> str:
    return ":".join(folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "cargo").exists())


@pytest.mark.any_python
def test_without_cargo_a_library_that_was_built_is_taken(checkout: Path) -> None:
    built = checkout / "target" / "release" / "libhasty.so"
    built.parent.mkdir(parents=True)
    built.write_bytes(b"built before")
    done = build(checkout, PATH=without_cargo())
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(wheel(checkout)) as archive:
        assert archive.read("hasty/libhasty.so") == b"built before"


@pytest.mark.any_python
def test_without_cargo_and_library_the_build_says_what_is_needed(checkout: Path) -> None:
    done = build(checkout, PATH=without_cargo())
    assert done.returncode != 0
    assert "cargo is not on PATH" in words(done) and "install Rust 1.85 or newer" in words(done)
