"""Finds libhasty: in the package, else in HASTY_LIBRARY, else in the build folder of the checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .errors import LibraryError

NAME = "libhasty.so"
PACKAGE = Path(__file__).resolve().parent
_NOT_FOUND = 9


def checkout(package: Path = PACKAGE) -> Path | None:
    """Returns the checkout that this package is part of, or None if it is installed elsewhere."""
    # ROOT/bindings/python/src/hasty
    if len(package.parents) < 4:
        return None
    root = package.parents[3]
    return root if (root / "Cargo.toml").is_file() and (root / "src" / "ffi").is_dir() else None


def find(package: Path = PACKAGE, environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the path of the first library found. Raises LibraryError, which lists every place that was tried."""
    tried = []

    bundled = package / NAME
    if bundled.is_file():
        return bundled
    tried.append(f"{bundled} (inside the package): not there")

    named = environ.get("HASTY_LIBRARY")
    if named:
        # If the user names a library, do not silently fall back to another one.
        if Path(named).is_file():
            return Path(named).resolve()
        tried.append(f"{named} (HASTY_LIBRARY): not a file")
        raise _missing(tried, package)
    tried.append("HASTY_LIBRARY: not set")

    root = checkout(package)
    if root is None:
        tried.append("a build folder: the package is not inside a checkout of hasty")
        raise _missing(tried, package)
    for profile in ("release", "debug"):
        built = root / "target" / profile / NAME
        if built.is_file():
            return built
        tried.append(f"{built} (the build folder): not there")
    raise _missing(tried, package)


def _missing(tried: list[str], package: Path) -> LibraryError:
    root = checkout(package)
    build = f"cargo build --release (in {root})" if root else "cargo build --release (in a checkout of hasty)"
    lines = [f"hasty cannot find its library, {NAME}. Tried:"]
    lines += [f"  - {place}" for place in tried]
    lines += [
        "What helps, any of:",
        f"  - {build}",
        "  - pip install ./bindings/python (in a checkout; builds the library and puts it inside the package)",
        f"  - HASTY_LIBRARY=/path/to/{NAME}",
    ]
    return LibraryError("\n".join(lines), _NOT_FOUND)
