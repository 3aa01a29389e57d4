#!/usr/bin/env python3
"""The wheel works on every Python and Linux that its name promises, and the source distribution can be built.

    wheel.py LIBRARY SCRATCH_FOLDER PYTHON...

`make wheel` makes both. Each PYTHON gets a virtual environment with the wheel and nothing else, in which
tests/wheel/works.py runs without cargo, compiler or checkout. LIBRARY is that of target/release: what it needs of a
system is looked at too, and a wheel with it must have a more modest name.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol import done, expect, not_ok, ok, skip  # noqa: E402

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
MODULES = {f"hasty/{path.name}" for path in (ROOT / "bindings/python/src/hasty").glob("*.py")}
#: Parts of the C library, and the one of gcc that is wherever C++ is. Before glibc 2.34 threads and dlopen had files of their own.
ALLOWED = re.compile(r"libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|libgcc_s\.so\.1|ld-linux.*\.so\.\d")
#: Without symbols. Of these, brotli's tables and code are 1,130,000.
MOST_BYTES = 2_600_000
#: Rust's own oldest; and what Linux has had since 2021, for libraries that are built where they are used.
OLDEST, USUAL = (2, 17), (2, 34)


def run(*command, seconds=600, **environ):
    """Runs a command in the checkout; a variable that is None is taken away."""
    environment = {name: value for name, value in {**os.environ, **environ}.items() if value is not None}
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def why(finished):
    """What was wrong with a command that has run; empty where nothing was."""
    if finished.returncode == 0:
        return ""
    print(textwrap.indent(finished.stdout + finished.stderr, "  "))
    lines = (finished.stderr.strip() or finished.stdout.strip() or "no word").splitlines()
    return f"ended with {finished.returncode}: {lines[-1]}"


# ---- what a library needs


class Needs(NamedTuple):
    libraries: list
    glibc: tuple  # the newest version that one of its symbols has


def needs(library):
    text = run("readelf", "--dynamic", "--version-info", "--wide", library, LC_ALL="C").stdout
    versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", text.partition("Version needs section")[2])
    return Needs(re.findall(r"\(NEEDED\).*\[(.+)\]", text), max(tuple(map(int, each)) for each in versions))


def more_than(library, glibc):
    """What a library needs beyond the C library of this version; empty where it is nothing."""
    found = needs(library)
    wrong = [name for name in found.libraries if not ALLOWED.fullmatch(name)]
    if found.glibc > glibc:
        wrong.append(f"glibc {dotted(found.glibc)}")
    return f"it needs {', '.join(wrong)}" if wrong else ""


def dotted(version):
    return ".".join(map(str, version))


def a_check_that_can_fail(scratch):
    """What needs more is found: a library of another part of glibc that nobody has allowed."""
    other = scratch / "other.so"
    code = '#include <stdlib.h>\nchar *more(void) { return getenv("PATH"); }\n'
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(other), "-Wl,--no-as-needed", "-lresolv"]
    subprocess.run(command, input=code, text=True, check=True)
    told = more_than(other, (2, 1))
    wanted = f"it needs libresolv.so.2, glibc {dotted(needs(other).glibc)}"
    expect(
        "a library that needs more than is allowed is found", "" if told == wanted else f"said {told!r}, not {wanted!r}"
    )


# ---- wheels


class Wheel:
    def __init__(self, folder):
        (self.path,) = folder.glob("*.whl")
        self.tags = self.path.stem.split("-", 2)[2]
        versions = re.findall(r"manylinux_(\d+)_(\d+)_", self.tags)
        #: The glibc that its name asks for, or None for a wheel that promises nothing.
        self.glibc = min(tuple(map(int, each)) for each in versions) if versions else None
        with zipfile.ZipFile(self.path) as archive:
            self.files = set(archive.namelist())
            self.library = Path(archive.extract("hasty/libhasty.so", folder / "unpacked"))
            self.notices = archive.read("hasty/NOTICES.txt").decode() if "hasty/NOTICES.txt" in self.files else ""


def honest(wheel, name):
    """Whatever the name promises is so; and it is for every Python 3."""
    wrong = "" if wheel.tags.startswith("py3-none-manylinux") else f"its name says {wheel.tags}"
    expect(f"{name} is for every Python 3 of a Linux", wrong)
    if wheel.glibc:
        expect(f"{name} needs no more than its name says", more_than(wheel.library, wheel.glibc))


def the_wheel(wheel):
    honest(wheel, "the wheel")
    if not (TARGET / "zig/installed").is_file():
        skip("the wheel is for old Linux too", "pip had no zig to give")
    else:
        expect(
            f"the wheel is for glibc {dotted(OLDEST)}",
            "" if wheel.glibc == OLDEST else f"it is called {wheel.path.name}",
        )
    bytes_ = wheel.library.stat().st_size
    too_many = "" if bytes_ <= MOST_BYTES else "that is too large"
    expect(f"the wheel's library has {bytes_} bytes, of at most {MOST_BYTES}", too_many)
    wanted = MODULES | {"hasty/py.typed", "hasty/libhasty.so", "hasty/NOTICES.txt"}
    inside = {file for file in wheel.files if file.startswith("hasty/") and not file.endswith("/")}
    expect("the wheel has the modules, their types and the library", difference(wanted, inside))
    licences = {Path(file).name for file in wheel.files if "/licenses/LICENSE" in file}
    expect("the wheel has the licences", difference({"LICENSE-MIT", "LICENSE-APACHE"}, licences))
    same = wheel.notices == (ROOT / "NOTICES.txt").read_text()
    expect("the wheel has the notices of what is linked into its library", "" if same else "they are others")


def difference(wanted, found):
    return " ".join(
        [
            *(f"{each} is missing" for each in sorted(wanted - found)),
            *(f"{each} is too much" for each in sorted(found - wanted)),
        ]
    )


def modest(library, scratch):
    """A wheel with a library of this machine promises what that one needs, and not less."""
    made = run("bindings/python/wheel/make.sh", scratch, HASTY_LIBRARY=str(library))
    expect("a library of this machine can be packed", why(made))
    if made.returncode == 0:
        wheel = Wheel(scratch)
        honest(wheel, "its wheel")
        same = wheel.library.read_bytes() == library.read_bytes()
        expect("its wheel has that library", "" if same else "another one is in it")


# ---- Pythons


def environment(python, folder, *wheels):
    """A virtual environment with the wheel, made without asking any registry; what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    made = run(python, "-m", "venv", folder)
    if made.returncode:
        return why(made)
    return why(run(folder / "bin/python", "-m", "pip", "install", "-q", "--no-index", "--no-deps", *wheels))


def works(name, folder):
    """tests/wheel/works.py in this environment, with nothing in PATH and in its environment that it has not brought itself."""
    finished = subprocess.run(
        [folder / "bin/python", "-I", "-X", "dev", "-W", "error", ROOT / "tests/wheel/works.py", ROOT / "tests/lib"],
        cwd=folder,
        env={"PATH": str(folder / "bin"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    print(textwrap.indent(finished.stderr, "  "), end="")
    passed = failed = 0
    for line in finished.stdout.splitlines():
        if line.startswith("ok "):
            passed += 1
            ok(f"{name}: {line[3:]}")
        elif line.startswith("not ok "):
            failed += 1
            test, _, reason = line[7:].partition(": ")
            not_ok(f"{name}: {test}", reason)
    if not finished.stdout.endswith(f"{passed} passed, {failed} failed\n"):
        not_ok(f"{name}: works.py", why(finished) or "stopped before its end")


def on(python, wheel, scratch):
    """The wheel on one Python."""
    told = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    name, folder = f"Python {told}", scratch / told
    wrong = environment(python, folder, wheel.path)
    expect(f"{name}: the wheel can be installed", wrong)
    if not wrong:
        works(name, folder)


# ---- the source distribution


def the_sources(source, python, scratch):
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "setup.py",
        "pyproject.toml",
        "crate/Cargo.toml",
        "crate/Cargo.lock",
        "crate/build.rs",
        "crate/bindings/c/Cargo.toml",
        "crate/bindings/c/build.rs",
        "crate/bindings/c/lib.rs",
        "crate/NOTICES.txt",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    }
    wanted |= {f"crate/{path.relative_to(ROOT)}" for path in (ROOT / "src").rglob("*.rs")} | {
        f"src/{module}" for module in MODULES
    }
    expect("the source distribution has the crate and the package", difference(wanted, inside & wanted))
    made = [file for file in inside if file.endswith((".so", ".pyc"))]
    expect("the source distribution has nothing that was built", " ".join(made))

    # It matters that it can be built, not how fast it is.
    quickly = {
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    }
    pip = [
        TARGET / "wheel-tools/bin/python",
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        scratch,
    ]
    built = run(*pip, source, HASTY_LIBRARY=None, CARGO_TARGET_DIR=str(scratch / "target"), **quickly)
    wrong = why(built) or environment(python, scratch / "venv", *scratch.glob("*.whl"))
    expect("the source distribution can be built with cargo", wrong)
    if not wrong:
        works("built from sources", scratch / "venv")


def main(library, scratch, *pythons):
    library, scratch = Path(library).resolve(), Path(scratch).resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    a_check_that_can_fail(scratch)
    expect(f"libhasty.so needs the C library only, glibc {dotted(USUAL)} or older", more_than(library, USUAL))

    made = run("make", "-s", "wheel", HASTY_LIBRARY=None, seconds=1200)
    expect("make wheel", why(made))
    if made.returncode == 0:
        wheel = Wheel(TARGET / "wheels")
        the_wheel(wheel)
        for python in pythons:
            on(python, wheel, scratch)
        (source,) = (TARGET / "wheels").glob("*.tar.gz")
        (scratch / "sources").mkdir()
        the_sources(source, pythons[0], scratch / "sources")
    modest(library, scratch / "native")
    return done()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
