"""Adds libhasty.so and its notices to the package, and the crate that it is built from to the source distribution.

The library is built with cargo, unless HASTY_LIBRARY names one. Everything else is in pyproject.toml.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.dist import Distribution

NAME = "libhasty.so"
HERE = Path(__file__).resolve().parent
#: The licences of the code linked into the library, which must be distributed with it.
NOTICES = "NOTICES.txt"
#: The files of a checkout that are needed to build and distribute the library.
CRATE = ("Cargo.toml", "Cargo.lock", "build.rs", "src", "bindings/c", NOTICES)
RUST = "install Rust 1.85 or newer"
INSTEAD = f"or set HASTY_LIBRARY to a {NAME}"


#: Where the Rust sources are: inside this folder in a source distribution, above it in a checkout.
CRATES = (HERE / "crate", HERE.parent.parent)


def crate() -> Path:
    """The folder of the Rust sources."""
    for place in CRATES:
        if (place / "Cargo.toml").is_file():
            return place
    raise SystemExit(
        f"{HERE} is not a checkout of hasty nor a source distribution: "
        f"build from one (pip install ./bindings/python), {INSTEAD}"
    )


def library() -> Path:
    """Returns the library to ship. Exits with advice if there is none."""
    named = os.environ.get("HASTY_LIBRARY")
    if named:
        if not Path(named).is_file():
            raise SystemExit(f"HASTY_LIBRARY={named} is not a file")
        return Path(named)
    root = crate()
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if cargo:
        return built(cargo, root)
    before = root / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / NAME
    if before.is_file():
        return before
    raise SystemExit(f"cargo is not on PATH and {before} is not there: {RUST}, {INSTEAD}")


def built(cargo: str, root: Path) -> Path:
    """Builds the library and returns its path, which depends on cargo's settings."""
    # --lib leaves out tests and examples. Brotli almost doubles the size of the library, so it is off by default for C
    # programs; Python packages include it.
    command = [cargo, "build", "--release", "--lib", "--features", "brotli"]
    # Symbol names make up a tenth of the file, and only profilers read them.
    environment = {"CARGO_PROFILE_RELEASE_STRIP": "symbols", **os.environ}
    told = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
        cwd=root, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if told.returncode != 0:
        version = subprocess.run([cargo, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
        raise SystemExit(
            f"{' '.join(command)} failed in {root} with {version or cargo}; its output is above. "
            f"If it complains about the version: {RUST}, {INSTEAD}"
        )
    messages = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    made = [Path(file) for message in messages for file in message.get("filenames", []) if Path(file).name == NAME]
    if not made:
        raise SystemExit(f"{cargo} made no {NAME}: it builds for a system without shared libraries, or not for Linux")
    return root / made[-1]


class BuildWithLibrary(build_py):
    def run(self) -> None:
        # setuptools only adds to the build folder, so modules that were removed would stay in it.
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "hasty", ignore_errors=True)
        super().run()
        made = library()
        # An editable install finds the library in the build folder; a copy in the sources would become stale.
        if not self.editable_mode:
            self.copy_file(str(made), str(Path(self.build_lib) / "hasty" / NAME))
            self.copy_notices()

    def copy_notices(self) -> None:
        for place in CRATES:
            if (place / NOTICES).is_file():
                self.copy_file(str(place / NOTICES), str(Path(self.build_lib) / "hasty" / NOTICES))
                return
        # If the library comes from elsewhere, this need not be a checkout.
        self.warn(f"there is no {NOTICES} here: add the library's before you distribute this package")


class PlatformWheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # Works with any Python 3, since ctypes does not depend on its ABI, but on one platform only.
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class SourceWithCrate(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for name in CRATE:
            source, copy = crate() / name, Path(base_dir) / "crate" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy)
            else:
                shutil.copy(source, copy)


class WithMachineCode(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"bdist_wheel": PlatformWheel, "build_py": BuildWithLibrary, "sdist": SourceWithCrate},
    distclass=WithMachineCode,
)
