#!/usr/bin/env python3
"""What README.md and its kin show is true: every fence in C, Python and sh is compiled and run.

    documents.py LIBRARY_FOLDER SCRATCH_FOLDER

Each document is worked through from top to bottom in a folder of its own that has the checkout's files:

- a program in C (with main) or Python (with an import) is built and run. It ends with 0, or it serves; then it
  goes on until the next program starts, so that the commands that follow can talk to it. One that nobody asks
  anything is asked for `/`. Its port, 8080, becomes a free one everywhere in the document.
- a fragment in C is compiled, in Python run, where `app`, `req`, `res` and `user_data` are known.
- commands are run one by one and must succeed; a `text` fence right after them is what the last one prints,
  with `...` for any text. `make` is asked whether it knows the target. What needs root or the network is left out.

`<!-- before: CODE -->` ahead of a fence adds code that is not shown; `<!-- not run: why -->` skips the fence.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol import done, not_ok, ok, skip  # noqa: E402

C_FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", "include"]
C_FRAGMENT = """#include <hasty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
"""
C_KNOWN = "hasty_app *app, const hasty_request *req, hasty_response *res, void *user_data"
PYTHON_FRAGMENT = "import hasty\nfrom hasty import *\napp = App()\n"
# What pip says where the package index is out of reach.
NO_INDEX = re.compile(r"No matching distribution|Failed to establish|Could not connect|ReadTimeout|Temporary failure in name resolution")
# Work of the machine's owner, not of a test.
LEFT_OUT = re.compile(r"^(sudo|apt|apt-get|git clone|cd hasty\b)")


class Fence:
    def __init__(self, document, line, language, before):
        self.name = f"{document}:{line} {language}"
        self.language, self.before = language, before
        self.lines = []
        self.expected = None

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def fences(path):
    """The fences of a document that can be run."""
    found, fence, before, quiet = [], None, [], True
    document = str(path.relative_to(ROOT))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        opening = re.match(r"^(\s*)```(\w*)", line)
        if fence and line.strip() == "```":
            if fence.language == "text" and quiet and found and found[-1].language == "sh":
                found[-1].expected = fence.text
            elif fence.language in ("c", "python", "sh"):
                found.append(fence)
            fence, before, quiet = None, [], True
        elif fence:
            fence.lines.append(line[fence.indent :])
        elif opening:
            language = {"bash": "sh", "console": "sh", "shell": "sh"}.get(opening[2], opening[2])
            fence = Fence(document, number, language, before)
            fence.indent = len(opening[1])
        elif line.startswith("<!-- ") and line.rstrip().endswith(" -->"):
            before = [*before, line.strip()[5:-4]]
        elif line.strip():
            before, quiet = [], False
    return found


class Trouble(Exception):
    """What is wrong with a fence."""


class Absent(Exception):
    """A package that a fence installs cannot be had."""


class Document:
    def __init__(self, path, library, scratch):
        self.fences = fences(path)
        self.library = library
        self.folder = scratch / re.sub(r"\W", "_", str(path.relative_to(ROOT)))
        self.prepare()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        self.server, self.asked = None, False
        self.settings = []
        self.python = os.environ.get("HASTY_PYTHON", sys.executable)
        self.environment = {
            **os.environ,
            "PORT": self.port,
            "HASTY_LIBRARY": str(library / "libhasty.so"),
            "PYTHONPATH": str(ROOT / "bindings/python/src"),
            "PYTHONUNBUFFERED": "1",
            # The tests have a stage of their own; here it is enough that they are found.
            "PYTEST_ADDOPTS": "--collect-only --quiet",
            "LD_LIBRARY_PATH": str(library),
        }

    def prepare(self):
        """A folder where the paths of the checkout hold and nothing of it is written to."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for entry in ROOT.iterdir():
            if entry.name in ("include", "examples-c", "examples-python", "tests", "README.md"):
                (self.folder / entry.name).symlink_to(entry)
        (self.folder / "target").mkdir()
        (self.folder / "target/release").symlink_to(self.library)
        ignored = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*_cache", "*.so*")
        if (ROOT / "bindings").exists():
            shutil.copytree(ROOT / "bindings", self.folder / "bindings", ignore=ignored)

    def run(self):
        for fence in self.fences:
            excuse = next((line[9:] for line in fence.before if line.startswith("not run: ")), None)
            if excuse:
                skip(fence.name, excuse)
                continue
            try:
                getattr(self, f"run_{fence.language}")(fence)
                ok(fence.name)
            except Trouble as trouble:
                not_ok(fence.name, " ".join(str(trouble).split())[:400])
            except Absent as absent:
                skip(fence.name, absent)
        try:
            self.end_server()
        except Trouble as trouble:
            not_ok("the last server of " + self.folder.name, trouble)

    def code(self, fence):
        hidden = [line[8:] for line in fence.before if line.startswith("before: ")]
        return "\n".join([*hidden, fence.text.replace("8080", self.port)])

    # ---- C

    def run_c(self, fence):
        code = self.code(fence)
        named = re.match(r"\s*(?:/\*|//) *([\w-]+\.c)\b", fence.text)
        source = self.folder / (named[1] if named else "hello.c" if self.is_program(code) else "fragment.c")
        if not self.is_program(code):
            if not re.search(r"^(?!if\b|for\b|while\b|switch\b)\w[^\n;]*\)\s*\{", code, re.M):
                code = f"void fragment({C_KNOWN});\nvoid fragment({C_KNOWN})\n{{\n(void)app, (void)req, (void)res, (void)user_data;\n{code}}}\n"
            source.write_text(C_FRAGMENT + code)
            self.command(["cc", *C_FLAGS, "-Wno-unused", "-fsyntax-only", source])
            return
        source.write_text(code)
        binary = source.with_suffix(".built")
        self.command(["cc", *C_FLAGS, source, "-o", binary, self.library / "libhasty.a", "-lpthread", "-ldl", "-lm"])
        self.program([binary])

    @staticmethod
    def is_program(code):
        return re.search(r"\bmain\s*\(", code) is not None

    # ---- Python

    def run_python(self, fence):
        code = self.code(fence)
        if not re.search(r"^\s*(import|from)\s", code, re.M):
            code = PYTHON_FRAGMENT + code
        script = self.folder / "program.py"
        script.write_text(code)
        self.program([self.python, script])

    # ---- commands

    def run_sh(self, fence):
        printed = ""
        text = re.sub(r"\\\n\s*", "", self.code(fence))
        for line in text.splitlines():
            line = re.sub(r"^\$ ", "", line.strip())
            if not line or line.startswith("#") or LEFT_OUT.match(line):
                continue
            if re.fullmatch(r"(export|cd) [^&|;]*", line):
                self.settings.append(line)
            elif re.match(r"pip3? install ", line):
                self.pip(line)
            elif re.match(r"make\b", line):
                self.command(["make", "-n", *line.split("#")[0].split()[1:]], cwd=ROOT)
            elif re.match(r"cargo\b", line):
                self.command(["bash", "-c", line], cwd=ROOT)
            else:
                self.asked = self.asked or self.port in line
                command = "\n".join(["set -e", *self.settings, line])
                printed = self.program(["bash", "-c", command], servers=not re.match(r"curl\b", line))
        if fence.expected is not None:
            pattern = ".*".join(re.escape(part) for part in fence.expected.strip().split("..."))
            if not re.fullmatch(pattern, printed.strip().replace("\r\n", "\n"), re.S):
                raise Trouble(f"it printed {printed!r}, not {fence.expected!r}")

    def pip(self, line):
        """Installs into an environment of the document's own, which its further commands use."""
        venv = self.folder / "environment"
        if not venv.exists():
            self.command([self.python, "-m", "venv", venv])
            self.python = venv / "bin/python"
            self.environment["PATH"] = f"{venv}/bin:{self.environment['PATH']}"
            del self.environment["PYTHONPATH"]
        self.command(["bash", "-c", line])

    # ---- processes

    def command(self, words, cwd=None):
        """Runs what ends by itself; gives what it printed."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        try:
            run = subprocess.run(words, cwd=cwd or self.folder, env=self.environment, timeout=300, **streams)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{words} took more than 300 s") from None
        if run.returncode:
            raise self.trouble(words, run.returncode, run.stdout + run.stderr)
        return run.stdout

    @staticmethod
    def trouble(words, code, printed):
        unreachable = "pip" in str(words[-1]) and NO_INDEX.search(printed)
        return Absent(f"pip: {unreachable[0]}") if unreachable else Trouble(f"ended with {code}: {printed[-1500:]}")

    def program(self, words, servers=True):
        """Runs what may serve: it ends with 0, or it goes on once its port is open. Gives what it printed if it ended."""
        if not servers:
            return self.command(words)
        self.end_server()
        output = (self.folder / "output").open("w+")
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            if self.is_open():
                self.server, self.asked = process, False
                return ""
            time.sleep(0.02)
        output.seek(0)
        printed = output.read()
        if process.poll() is None:
            self.end(process)
            raise Trouble(f"neither ended nor served on port {self.port}: {printed[-500:]}")
        if process.returncode:
            raise self.trouble(words, process.returncode, printed)
        return printed

    def is_open(self):
        try:
            socket.create_connection(("127.0.0.1", int(self.port)), timeout=1).close()
            return True
        except OSError:
            return False

    def end_server(self):
        if self.server is None:
            return
        server, self.server = self.server, None
        try:
            if not self.asked:
                self.ask()
            if server.poll() is not None:
                raise Trouble(f"the server ended by itself, with {server.returncode}")
        finally:
            self.end(server)

    def ask(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise Trouble(f"the server answers / with {error.code}") from None
        except OSError as error:
            raise Trouble(f"the server does not answer /: {error}") from None

    @staticmethod
    def end(process):
        """Ends the process and what it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sign)
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                pass
            process.wait()
            return


def main():
    library, scratch = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    paths += [ROOT / folder / "README.md" for folder in ("examples-c", "examples-python", "bindings/python")]
    for path in paths:
        if path.exists():
            Document(path, library, scratch).run()
    return done()


if __name__ == "__main__":
    sys.exit(main())
