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
TYPES: dict[str, Any] = {
    "void": None,
    "hasty_status": ctypes.c_int32,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "size_t": ctypes.c_size_t,
    "hasty_str": _ffi.hasty_str,
    "hasty_str*": POINTER(_ffi.hasty_str),
    "hasty_app*": POINTER(_ffi.hasty_app),
    "hasty_app**": POINTER(POINTER(_ffi.hasty_app)),
    "hasty_request*": POINTER(_ffi.hasty_request),
    "hasty_response*": POINTER(_ffi.hasty_response),
    "hasty_json**": POINTER(POINTER(_ffi.hasty_json)),
    "hasty_cookie*": POINTER(_ffi.hasty_cookie),
    "hasty_handler": _ffi.hasty_handler,
    "hasty_log_fn": _ffi.hasty_log_fn,
    "hasty_drop": _ffi.hasty_drop,
    "char*": ctypes.c_char_p,
    # Always NULL here, and user_data: a number.
    "hasty_options*": ctypes.c_void_p,
    "void*": ctypes.c_void_p,
}


def c_type(words: str) -> Any:
    stars = words.count("*")
    kind = words.replace("*", " ").replace("const", " ").split()[0]
    return TYPES[kind + "*" * stars]


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
    # c_char_p for results too: they are static strings.
    assert function.restype is result
    wanted = [] if arguments == "void" else [c_type(argument) for argument in arguments.split(",")]
    declared = list(function.argtypes)
    if name == "hasty_response_send":
        # Any bytes: c_char_p takes them without a copy, `const void *` would not say so.
        assert declared.pop(1) is ctypes.c_char_p
        wanted.pop(1)
    assert declared == wanted


def test_structs_are_laid_out_as_in_c(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    header()
    root = _library.checkout(PACKAGE)
    structs = (_ffi.hasty_str, _ffi.hasty_cookie)
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


def test_constants_are_the_headers() -> None:
    text = header()
    for name in ("OK", "ERR_INVALID", "ERR_STATE", "ERR_CLOSED", "ERR_TIMEOUT"):
        number = getattr(_ffi, name)
        assert number in (0, 2, 3, 5, 6)
        assert re.search(rf"HASTY_{name}\b", text) or "define" not in text
    root = _library.checkout(PACKAGE)
    full = (root / "include" / "hasty.h").read_text() if root else ""
    for name in (
        "OK",
        "ERR_INVALID",
        "ERR_STATE",
        "ERR_CLOSED",
        "ERR_TIMEOUT",
        "LOG_ERROR",
        "LOG_WARN",
        "LOG_INFO",
        "LOG_DEBUG",
    ):
        assert re.search(rf"\bHASTY_{name}\s*=?\s*{getattr(_ffi, name)}\b", full), name


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
