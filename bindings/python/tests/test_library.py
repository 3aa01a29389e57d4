"""Finding the library: where, in which order, and what is said when it is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE

from hasty import LibraryError, _ffi, _interpreter, _library


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The place of the package in a checkout without a library."""
    (tmp_path / "Cargo.toml").write_text("[package]\n")
    (tmp_path / "src" / "ffi").mkdir(parents=True)
    place = tmp_path / "bindings" / "python" / "src" / "hasty"
    place.mkdir(parents=True)
    return place


def lay(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_the_package_comes_first_then_the_variable_then_the_build_folder(package: Path, tmp_path: Path) -> None:
    debug = lay(tmp_path / "target" / "debug" / "libhasty.so")
    assert _library.find(package, {}) == debug
    release = lay(tmp_path / "target" / "release" / "libhasty.so")
    assert _library.find(package, {}) == release
    named = lay(tmp_path / "elsewhere" / "mine.so")
    assert _library.find(package, {"HASTY_LIBRARY": str(named)}) == named
    bundled = lay(package / "libhasty.so")
    assert _library.find(package, {"HASTY_LIBRARY": str(named)}) == bundled


def test_an_empty_variable_is_none(package: Path, tmp_path: Path) -> None:
    release = lay(tmp_path / "target" / "release" / "libhasty.so")
    assert _library.find(package, {"HASTY_LIBRARY": ""}) == release


def test_a_missing_library_tells_what_was_tried_and_how_to_build_it(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportError) as caught:
        _library.find(package, {})
    words = str(caught.value)
    assert isinstance(caught.value, LibraryError) and caught.value.status == 9
    places = [
        f"{package}/libhasty.so (inside the package): not there",
        "HASTY_LIBRARY: not set",
        f"{tmp_path}/target/release/libhasty.so (the build folder): not there",
        f"{tmp_path}/target/debug/libhasty.so (the build folder): not there",
        f"cargo build --release (in {tmp_path})",
    ]
    at = [words.index(place) for place in places]
    assert at == sorted(at), "in the order they were tried"


def test_a_variable_that_points_nowhere_is_an_error_even_if_there_is_another_library(
    package: Path, tmp_path: Path
) -> None:
    lay(tmp_path / "target" / "release" / "libhasty.so")
    with pytest.raises(LibraryError, match=r"/nowhere/libhasty.so \(HASTY_LIBRARY\): not a file"):
        _library.find(package, {"HASTY_LIBRARY": "/nowhere/libhasty.so"})


def test_outside_a_checkout_the_error_says_so(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "hasty"
    package.mkdir(parents=True)
    with pytest.raises(LibraryError, match="the package is not inside a checkout of hasty"):
        _library.find(package, {})


def test_near_the_root_of_the_file_system_there_is_no_checkout() -> None:
    assert _library.checkout(Path("/hasty")) is None


def import_hasty(place: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Imports the package from a copy in `place`, away from any checkout."""
    copy = place / "hasty"
    if not copy.exists():
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    clean = {name: value for name, value in os.environ.items() if name not in ("HASTY_LIBRARY", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-c", "import hasty; print(hasty.__version__, hasty._ffi.PATH)"],
        cwd=place,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_import_uses_the_library_that_the_variable_names(tmp_path: Path) -> None:
    done = import_hasty(tmp_path, HASTY_LIBRARY=str(_ffi.PATH))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == str(_ffi.PATH)


def test_import_without_a_library_is_an_import_error_that_helps(tmp_path: Path) -> None:
    done = import_hasty(tmp_path)
    assert done.returncode == 1
    assert "LibraryError: hasty cannot find its library, libhasty.so. Tried:" in done.stderr
    assert "cargo build --release" in done.stderr


def test_a_file_that_is_no_library_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.so"
    wrong.write_text("not a library")
    done = import_hasty(tmp_path, HASTY_LIBRARY=str(wrong))
    assert f"LibraryError: {wrong} exists, but the system cannot load it: " in done.stderr


def compiled(place: Path, source: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    code, library = place / "other.c", place / "other.so"
    code.write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(code)], check=True)
    return library


@pytest.mark.parametrize("other", [_ffi.ABI_VERSION + 1, 0xFFFFFFFF])
def test_another_abi_is_refused_with_both_numbers_and_what_to_do(other: int, tmp_path: Path) -> None:
    # It has none of the other functions: the number is asked first.
    library = compiled(tmp_path, f"unsigned hasty_abi_version(void) {{ return {other}u; }}\n")
    done = import_hasty(tmp_path, HASTY_LIBRARY=str(library))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"hasty.errors.LibraryError: {library} has ABI {other}, but this package needs ABI {_ffi.ABI_VERSION}: "
        "build the library and install the package from the same checkout"
    )


@pytest.mark.parametrize(
    "source", ["int nothing;\n", f"unsigned hasty_abi_version(void) {{ return {_ffi.ABI_VERSION}; }}\n"]
)
def test_a_library_without_a_function_is_named_with_it(source: str, tmp_path: Path) -> None:
    library = compiled(tmp_path, source)
    done = import_hasty(tmp_path, HASTY_LIBRARY=str(library))
    assert f"LibraryError: {library} has no function hasty_" in done.stderr


def test_a_python_without_its_lock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    _interpreter.refuse_others()
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(LibraryError, match="hasty needs the GIL"):
        _interpreter.refuse_others()
