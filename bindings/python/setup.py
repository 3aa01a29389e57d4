"""Puts libhasty inside the package: built with cargo in the checkout, or the one that HASTY_LIBRARY names.

The rest of the build is in pyproject.toml; what is here cannot be said there.
"""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

NAME = "libhasty.so"
ROOT = Path(__file__).resolve().parents[2]


def library() -> Path:
    """The library to ship; what to do where there is none."""
    named = os.environ.get("HASTY_LIBRARY")
    if named:
        if not Path(named).is_file():
            raise SystemExit(f"HASTY_LIBRARY={named} is not a file")
        return Path(named)
    if not (ROOT / "Cargo.toml").is_file():
        raise SystemExit(
            f"{ROOT} is not a checkout of hasty: build from one (pip install ./bindings/python), "
            f"or set HASTY_LIBRARY to a {NAME}"
        )
    built = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / NAME
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if cargo:
        # Only what was asked for: tests and examples of the crate are not wanted here. Brotli makes the library almost
        # twice as large, which C programs may not want; those that serve the Web from Python do.
        subprocess.run([cargo, "build", "--release", "--lib", "--features", "brotli"], cwd=ROOT, check=True)
    elif not built.is_file():
        raise SystemExit(
            f"cargo is not on PATH and {built} is not there: "
            f"install Rust 1.85 or newer, or set HASTY_LIBRARY to a {NAME}"
        )
    return built


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        built = library()
        # An editable install finds the library in the build folder; a copy in the sources would only grow old.
        if not self.editable_mode:
            self.copy_file(str(built), str(Path(self.build_lib) / "hasty" / NAME))


class PlatformWheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # Any Python 3, since ctypes needs no ABI of it; but one platform, since the library is machine code.
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class WithMachineCode(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel}, distclass=WithMachineCode)
