"""The raw layer: each prototype says what the header says, and each struct is laid out as in C."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE

from hasty import _ffi, _library

SOURCE = (PACKAGE / "_ffi.py").read_text()
PROTOTYPE = re.compile(r"^# ((?:[\w ]+?[ *]+)(hasty_\w+)\(([^)]*)\);)\n(hasty_\w+) = _declare\(", re.MULTILINE)
QUOTED = PROTOTYPE.findall(SOURCE)

POINTER = ctypes.POINTER
SIMPLE: dict[str, Any] = {
    "void": None,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "size_t": ctypes.c_size_t,
    "hasty_status": ctypes.c_int32,
}


def c_type(words: str) -> Any:
    """What stands for a type of C: "const hasty_request *req" is a pointer to _ffi.hasty_request."""
    stars = words.count("*")
    kind = words.replace("*", " ").replace("const ", " ").split()[0]
    if stars and kind in ("char", "void"):
        # Bytes that C only reads are passed without a copy; what else has no type is an address, or a number.
        return ctypes.c_char_p if kind == "char" or "const " in words else ctypes.c_void_p
    found = SIMPLE[kind] if kind in SIMPLE else getattr(_ffi, kind)
    for _ in range(stars):
        found = POINTER(found)
    return found


def header() -> str:
    root = _library.checkout(PACKAGE)
    if root is None or not (root / "include" / "hasty.h").is_file():
        pytest.skip("not in a checkout: no header to compare with")
    text = re.sub(r"/\*.*?\*/|//[^\n]*|^#.*?$", " ", (root / "include" / "hasty.h").read_text(), flags=re.S | re.M)
    return squeezed(text)


def squeezed(text: str) -> str:
    """One way to write what C lets one write in many."""
    text = re.sub(r"\s+", " ", text).replace("struct ", "")
    return re.sub(r" ?([*(),;{}]) ?", r"\1", text)


def test_every_declaration_quotes_its_prototype() -> None:
    assert len(QUOTED) == len(re.findall(r"^hasty_\w+ = _declare\(", SOURCE, re.MULTILINE)) > 40


def test_every_function_of_the_header_is_declared() -> None:
    exported = set(re.findall(r"[ *](hasty_\w+)\([^()]*\);", header()))
    assert {name for _, name, _, _ in QUOTED} == exported


@pytest.mark.parametrize(("prototype", "name"), [(quoted[0], quoted[1]) for quoted in QUOTED])
def test_the_quoted_prototype_is_the_headers(prototype: str, name: str) -> None:
    assert squeezed(prototype) in header()


@pytest.mark.parametrize(("prototype", "name", "arguments", "variable"), QUOTED)
def test_the_declared_types_are_those_of_the_prototype(
    prototype: str, name: str, arguments: str, variable: str
) -> None:
    assert variable == name
    function = getattr(_ffi, name)
    assert function.__name__ == name
    result = c_type(prototype.split(name)[0])
    assert function.restype is result
    wanted = [] if arguments == "void" else [c_type(argument) for argument in arguments.split(",")]
    assert list(function.argtypes) == wanted


def test_structs_are_laid_out_as_in_c(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    header()
    root = _library.checkout(PACKAGE)
    structs = (
        _ffi.hasty_str,
        _ffi.hasty_static,
        _ffi.hasty_cors,
        _ffi.hasty_cookie,
        _ffi.hasty_file,
        _ffi.hasty_access,
    )
    lines = [
        f'printf("{struct.__name__}.{name} %zu %zu\\n", offsetof({struct.__name__}, {name}), '
        f"sizeof((({struct.__name__} *)0)->{name}));"
        for struct in structs
        for name, *_ in struct._fields_
    ] + [f'printf("{struct.__name__} %zu\\n", sizeof({struct.__name__}));' for struct in structs]
    code = tmp_path / "layout.c"
    code.write_text(f"#include <stdio.h>\n#include <hasty.h>\nint main(void) {{ {' '.join(lines)} return 0; }}\n")
    subprocess.run([compiler, f"-I{root}/include", "-o", str(tmp_path / "layout"), str(code)], check=True)
    printed = subprocess.run([str(tmp_path / "layout")], check=True, capture_output=True, text=True).stdout.splitlines()
    here = [
        f"{struct.__name__}.{name} {getattr(struct, name).offset} {getattr(struct, name).size}"
        for struct in structs
        for name, *_ in struct._fields_
    ] + [f"{struct.__name__} {ctypes.sizeof(struct)}" for struct in structs]
    assert printed == here


CONSTANTS = [name for name in vars(_ffi) if re.fullmatch(r"OK|NEXT|(ERR|LOG)_[A-Z_]+", name)]


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_the_headers(name: str) -> None:
    header()
    root = _library.checkout(PACKAGE)
    assert root is not None and len(CONSTANTS) > 10
    text = (root / "include" / "hasty.h").read_text()
    assert re.search(rf"^#define HASTY_{name} {getattr(_ffi, name)}$", text, re.MULTILINE), name


def test_none_is_the_headers() -> None:
    assert _ffi.NONE == 2**32 - 1
    header()
    root = _library.checkout(PACKAGE)
    assert root is not None
    assert "#define HASTY_NONE UINT32_MAX\n" in (root / "include" / "hasty.h").read_text()


def test_octets_reads_by_length_not_to_the_first_nul() -> None:
    for data in (b"", b"abc", b"\0", b"a\0b\0", bytes(range(256)) * 3):
        assert _ffi.octets(_ffi.hasty_str(data, len(data))) == data
    assert _ffi.octets(_ffi.hasty_str(None, 0)) is None


def test_a_pointer_of_the_wrong_kind_is_refused_by_ctypes() -> None:
    with pytest.raises(ctypes.ArgumentError):
        _ffi.hasty_request_path(_ffi.ResponsePointer())


def test_null_has_an_answer_everywhere() -> None:
    assert _ffi.octets(_ffi.hasty_request_path(_ffi.RequestPointer())) is None
    assert _ffi.hasty_request_header_count(_ffi.RequestPointer()) == 0
    assert _ffi.hasty_response_set_status(_ffi.ResponsePointer(), 200) == 1
    _ffi.hasty_app_free(_ffi.AppPointer())
