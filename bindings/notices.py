#!/usr/bin/env python3
"""Writes NOTICES.txt: the licences of everything that is linked into libhasty, which whoever passes it on must pass on too.

    notices.py            writes it anew, by Cargo.lock and the crates that cargo has
    notices.py --check    says whether it is as it would be written, in the lines that tests/check.sh counts

The file is in the repository, since `make install` and the wheel are made where there may be no cargo. It tells of
every feature, on both processors that wheels are for: a library with less is told too much about, never too little.
What Rust's own standard library brings is in notices-std.txt, as cargo knows nothing about that.
"""

import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "NOTICES.txt"
STANDARD_LIBRARY = Path(__file__).resolve().parent / "notices-std.txt"
SYSTEMS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
#: Of several licences that may be chosen from, the first of these: they are short, and hasty may be had under MIT itself.
CHOICE = ["MIT", "Zlib", "BSD-3-Clause", "Apache-2.0"]
#: Crates that were published without the text of their licence, and a crate of the same repository that has it.
TEXT_OF = {"alloc-stdlib": "alloc-no-stdlib"}
RULE = "-" * 100

HEAD = """\
libhasty contains the software below. It may be passed on together with these notices; for hasty's own licences see
LICENSE-MIT and LICENSE-APACHE. Written by bindings/notices.py, by Cargo.lock.
"""


class Unknown(Exception):
    """A crate whose licence is not one that this program can tell."""


# ---- which crates


def linked(system):
    """The packages whose code or tables get into the library, whatever features it has."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version=1", "--locked", "--all-features"]
    told = subprocess.run(
        [*command, "--filter-platform", system], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    data = json.loads(told.stdout)
    packages = {package["id"]: package for package in data["packages"]}
    needs = {node["id"]: node["deps"] for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    found, waiting = {}, [root]
    while waiting:
        name = waiting.pop()
        if name in found or runs_in_the_compiler(packages[name]):
            continue
        found[name] = packages[name]
        # A kind of null is a plain dependency: not one for tests, and not one for build scripts.
        waiting += [need["pkg"] for need in needs[name] if any(kind["kind"] is None for kind in need["dep_kinds"])]
    # What our own build script asks, it writes into the library; with what that in turn is built, it does not.
    for need in needs[root]:
        if any(kind["kind"] == "build" for kind in need["dep_kinds"]):
            found[need["pkg"]] = packages[need["pkg"]]
    del found[root]
    return found


def runs_in_the_compiler(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def crates():
    everywhere = {}
    for system in SYSTEMS:
        everywhere.update(linked(system))
    return sorted(everywhere.values(), key=lambda package: (package["name"], package["version"]))


# ---- what to say of a crate


def licences(package):
    """The licences that apply, as far as one may choose: `(MIT OR Apache-2.0) AND Zlib` would be two."""
    expression = package["license"] or ""
    # Crates of before 2018 write a stroke for OR. None has brackets yet, and they are not guessed at.
    alternatives = re.split(r"\s+OR\s+|/", expression)
    if not expression or "(" in expression:
        raise Unknown(f"{package['name']} has the licence {expression!r}")
    for wanted in CHOICE:
        for alternative in alternatives:
            names = [name.strip() for name in alternative.split(" AND ")]
            if wanted in names and set(names) <= set(CHOICE):
                return names
    raise Unknown(f"{package['name']} has the licence {expression!r}")


def texts(package, others):
    """The texts of these licences, as the crate has them; all that it has where names do not tell which is which."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if re.match("licen[cs]e|copying|notice", path.name, re.IGNORECASE))
    if not files and package["name"] in TEXT_OF:
        return texts(others[TEXT_OF[package["name"]]], others)
    words = [licence.partition("-")[0].upper() for licence in licences(package)]
    named = [path for path in files if any(word in path.name.upper() for word in words)]
    notices = [path for path in files if path.name.upper().startswith("NOTICE")]
    chosen = sorted({*(named or files), *notices})
    if not chosen:
        raise Unknown(f"{package['name']} has no text of its licence in {folder}")
    return [plain(path.read_text(encoding="utf-8")) for path in chosen]


def plain(text):
    """Without what editors leave at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def notices():
    packages = crates()
    by_name = {package["name"]: package for package in packages}
    # Many share a text to the letter, which then stands there once.
    sharing = {}
    for package in packages:
        about = f"{package['name']} {package['version']} ({package['license']})"
        sharing.setdefault(tuple(texts(package, by_name)), []).append(about)
    parts = [HEAD]
    for several, about in sharing.items():
        parts.append("\n".join(about) + "\n\n" + "\n".join(several))
    parts.append(plain(STANDARD_LIBRARY.read_text(encoding="utf-8")))
    return f"\n{RULE}\n\n".join(parts)


def main(arguments):
    wanted = notices()
    if arguments != ["--check"]:
        OUT.write_text(wanted, encoding="utf-8")
        return 0
    sys.path.insert(0, str(ROOT / "tests/lib"))
    from protocol import done, expect

    there = OUT.read_text(encoding="utf-8") if OUT.is_file() else ""
    changes = list(
        difflib.unified_diff(there.splitlines(), wanted.splitlines(), "NOTICES.txt", "as it would be", lineterm="")
    )
    for line in changes[:40]:
        print(f"  {line}")
    expect(
        "NOTICES.txt tells of every crate that is linked", "it does not: `make notices` writes it" if changes else ""
    )
    return done()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unknown as why:
        sys.exit(f"notices.py: {why}")
