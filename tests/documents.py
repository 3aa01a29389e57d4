#!/usr/bin/env python3
"""What README.md and its kin show is true: every fence in C, Python and sh is compiled and run.

    documents.py LIBRARY_FOLDER SCRATCH_FOLDER [DOCUMENT...]

Each document is worked through from top to bottom in a folder of its own that has the checkout's files, and a folder
`public` with a page:

- a program in C (with main) or Python (with an import) is built and run. It ends with 0, or it serves; then it
  goes on until the next program starts, so that the commands that follow can talk to it. One that nobody asks
  anything is asked for `/`. Its port, 8080, becomes a free one everywhere in the document.
- a fragment in C is compiled, in Python run, where `app`, `req`, `res` and `user_data` are known.
- `sh`: commands are run one by one and must succeed; a `text` fence right after them is what the last one prints.
  `make` is asked whether it knows the target. What needs root or the network is left out.
- `console`: each line after `$ ` is a command, run like those above; the lines below it are all that it prints.
- a `text` fence right after a program is what it has printed, to both streams, when it ends or begins to serve.
- tables: what a column called `option`, `route option` or "field of `hasty_...`" names must be there, and what the
  column `default` says between backticks must be the default. Links to files of the checkout must lead somewhere.

In what is printed, `...` stands for any text.

Comments ahead of a fence say what the reader need not see:

    <!-- pair -->            this program is the same as the one before in another language: both go on, and the commands
                             that follow are run against each, and must print the same
    <!-- printed -->         a `text` fence: all that the programs have printed, but for their address
    <!-- before: CODE -->    code that belongs to the fence and is not shown
    <!-- not run: why -->    the fence is skipped
"""

import ctypes
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

from protocol import done, expect, not_ok, ok, skip  # noqa: E402

# What is shown is copied, and is to compile without a word wherever it goes.
C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", "include"]
C_FRAGMENT = """#define _POSIX_C_SOURCE 200809L
#include <hasty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
"""
C_KNOWN = "hasty_app *app, const hasty_request *req, hasty_response *res, void *user_data"
PYTHON_FRAGMENT = "import hasty\nfrom hasty import *\napp = App(exchange_timeout_ms=500)\n"
# What a fragment registers is asked once, so that its handlers run too.
PYTHON_RECORD = """
_asked = []
def _record(name):
    register = getattr(app, name)
    def recording(*words, **options):
        _asked.append((name.upper(), *words)[-2:])
        return register(*words, **options)
    setattr(app, name, recording)
for _name in ("get", "post", "put", "patch", "delete", "route"):
    _record(_name)
"""
PYTHON_ASK = """
import re, sys
_asked = {(method, re.sub(r"[:*][^/]*", "7", pattern)) for method, pattern in _asked}
with app.test_client() as _client:
    for _method, _path in sorted(_asked):
        _status = _client.request(_method, _path).status_code
        # 504: it was deferred, and nobody here knows more.
        if _status >= 500 and _status != 504:
            sys.exit(f"{_method} {_path} is answered {_status}")
"""
# What pip says where the package index is out of reach.
NO_INDEX = re.compile(r"No matching distribution|Failed to establish|Could not connect|ReadTimeout|Temporary failure in name resolution")
# Work of the machine's owner, not of a test.
LEFT_OUT = re.compile(r"^(sudo|apt|apt-get|git clone|cd hasty\b)")


class Fence:
    def __init__(self, document, line, language, before):
        self.name = f"{document}:{line} {language}"
        self.language = language
        self.hidden = [words[8:] for words in before if words.startswith("before: ")]
        self.excuse = next((words[9:] for words in before if words.startswith("not run: ")), None)
        self.is_pair, self.is_printed = "pair" in before, "printed" in before
        self.lines = []
        self.expected = None

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def shown(path):
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def fences(path):
    """The fences of a document that can be run."""
    found, fence, before, quiet = [], None, [], True
    for number, line in enumerate(path.read_text().splitlines(), 1):
        opening = re.match(r"^(\s*)```(\w*)", line)
        if fence and line.strip() == "```":
            if fence.language == "text" and not fence.is_printed and quiet and found and found[-1].language in ("sh", "c", "python"):
                found[-1].expected = fence.text
            elif fence.language in ("c", "python", "sh", "console") or fence.is_printed:
                found.append(fence)
            fence, before, quiet = None, [], True
        elif fence:
            fence.lines.append(line[fence.indent :])
        elif opening:
            language = {"bash": "sh", "shell": "sh"}.get(opening[2], opening[2])
            fence = Fence(shown(path), number, language, before)
            fence.indent = len(opening[1])
        elif line.startswith("<!-- ") and line.rstrip().endswith(" -->"):
            before = [*before, line.strip()[5:-4]]
        elif line.strip():
            before, quiet = [], False
    return found


def conversation(fence):
    """The commands of a console fence, each with what it prints."""
    commands = []
    for line in re.sub(r"\\\n\s*", "", fence.text).splitlines():
        if line.startswith("$ "):
            commands.append([line[2:], ""])
        elif commands:
            commands[-1][1] += line + "\n"
        elif line.strip():
            raise Trouble("it does not begin with a command: $ ...")
    return commands


def compare(printed, expected):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    if not re.fullmatch(pattern, printed.strip().replace("\r\n", "\n"), re.S):
        raise Trouble(f"it printed {printed!r}, not {expected!r}")


class Trouble(Exception):
    """What is wrong with a fence."""


class Absent(Exception):
    """A package that a fence installs cannot be had."""


class Server:
    """A program of a document that serves."""

    def __init__(self, words, document, port):
        self.port = port
        self.output = document.folder / f"output-{port}"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                words,
                cwd=document.folder,
                env=document.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.asked = False

    def await_service(self):
        """Whether it serves; otherwise it has ended."""
        deadline = time.monotonic() + 300
        while self.process.poll() is None and time.monotonic() < deadline:
            if self.is_open():
                return True
            time.sleep(0.02)
        if self.process.poll() is None:
            self.end()
            raise Trouble(f"neither ended nor served on port {self.port}: {self.printed()[-500:]}")
        return False

    def is_open(self):
        try:
            socket.create_connection(("127.0.0.1", int(self.port)), timeout=1).close()
            return True
        except OSError:
            return False

    def printed(self):
        return portless(self.output.read_text(errors="replace"), self.port)

    def check(self):
        """Asks it for `/` if nobody has asked anything, and sees that it still serves."""
        if not self.asked:
            self.ask()
        if self.process.poll() is not None:
            raise Trouble(f"the server ended by itself, with {self.process.returncode}: {self.printed()[-500:]}")

    def ask(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise Trouble(f"the server answers / with {error.code}") from None
        except OSError as error:
            raise Trouble(f"the server does not answer /: {error}") from None

    def end(self):
        """Ends the process and what it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                pass
            self.process.wait()
            return


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def portless(text, port):
    """What is printed, as the document has it."""
    return re.sub(rf"\b{port}\b", "8080", text)


class Document:
    def __init__(self, path, library, scratch):
        self.path = path
        self.fences = fences(path)
        self.library = library
        self.folder = scratch / re.sub(r"\W", "_", shown(path))
        self.prepare()
        self.port = free_port()
        self.servers = []
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
        # What a reader's own project would have.
        (self.folder / "public").mkdir()
        (self.folder / "public/index.html").write_text("<!doctype html>\n<title>public</title>\n")
        (self.folder / "target").mkdir()
        (self.folder / "target/release").symlink_to(self.library)
        ignored = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*_cache", "*.so*")
        if (ROOT / "bindings").exists():
            shutil.copytree(ROOT / "bindings", self.folder / "bindings", ignore=ignored)

    def run(self):
        for fence in self.fences:
            if fence.excuse:
                skip(fence.name, fence.excuse)
                continue
            try:
                getattr(self, f"run_{fence.language}")(fence)
                ok(fence.name)
            except Trouble as trouble:
                not_ok(fence.name, " ".join(str(trouble).split())[:600])
            except Absent as absent:
                skip(fence.name, absent)
        try:
            self.end_servers()
        except Trouble as trouble:
            not_ok("the last server of " + self.folder.name, trouble)

    def code(self, fence, port=None):
        return "\n".join([*fence.hidden, fence.text.replace("8080", port or self.port)])

    def run_text(self, fence):
        """What a program has printed may be a moment late."""
        for server in self.servers:
            deadline = time.monotonic() + 10
            while True:
                try:
                    compare(server.printed().replace("http://127.0.0.1:8080/\n", ""), fence.text)
                    break
                except Trouble:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    # ---- C

    def run_c(self, fence):
        port = self.port_for(fence)
        code = self.code(fence, port)
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
        self.program([binary], fence, port)

    @staticmethod
    def is_program(code):
        return re.search(r"\bmain\s*\(", code) is not None

    # ---- Python

    def run_python(self, fence):
        port = self.port_for(fence)
        code = self.code(fence, port)
        script = self.folder / f"program-{port}.py"
        if re.search(r"^\s*(import|from)\s", fence.text, re.M):
            script.write_text(code)
            self.program([self.python, script], fence, port)
        elif re.search(r"\bapp\.(listen|run|start|serve|test_client)\(", code):
            script.write_text(PYTHON_FRAGMENT + code)
            self.program([self.python, script], fence, port)
        else:
            script.write_text(PYTHON_FRAGMENT + PYTHON_RECORD + code + PYTHON_ASK)
            printed = self.command([self.python, script])
            if fence.expected is not None:
                compare(printed, fence.expected)

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
            elif re.match(r"curl\b", line):
                printed = self.shell(line)
            else:
                printed = self.program(["bash", "-c", "\n".join(["set -e", *self.settings, line])])
        if fence.expected is not None:
            compare(printed, fence.expected)

    def run_console(self, fence):
        for command, expected in conversation(fence):
            for server in self.servers or [None]:
                port = server.port if server else self.port
                printed = self.shell(command.replace("8080", port), server)
                try:
                    compare(portless(printed, port), expected)
                except Trouble as trouble:
                    raise Trouble(f"{command} asked {self.about(server)}: {trouble}") from None

    @staticmethod
    def about(server):
        return "nobody" if server is None else Path(str(server.process.args[-1])).name

    def shell(self, line, server=None):
        for each in [server] if server else self.servers:
            each.asked = each.asked or each.port in line
        return self.command(["bash", "-c", "\n".join(["set -e", *self.settings, line])])

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

    def port_for(self, fence):
        return free_port() if fence.is_pair else self.port

    def program(self, words, fence=None, port=None):
        """Runs what may serve: it ends with 0, or it goes on once its port is open. Gives what it printed if it ended."""
        if not (fence and fence.is_pair):
            self.end_servers()
        server = Server(words, self, port or self.port)
        serves = server.await_service()
        printed = server.printed()
        if serves:
            self.servers.append(server)
        elif server.process.returncode:
            raise self.trouble(words, server.process.returncode, printed)
        if fence and fence.expected is not None:
            compare(printed, fence.expected)
        return "" if serves else printed

    def end_servers(self):
        servers, self.servers = self.servers, []
        try:
            for server in servers:
                server.check()
        finally:
            for server in servers:
                server.end()


# ---- what stands between the fences


def prose(path):
    """The lines of a document outside its fences, numbered."""
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.match(r"^\s*```", line):
            inside = not inside
        elif not inside:
            yield number, line


def tables(path):
    """The tables of a document: the names of the columns, and rows with their line numbers."""
    rows = []
    for number, line in [*prose(path), (0, "")]:
        if line.startswith("|"):
            # A pipe inside code is escaped.
            rows.append((number, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]))
        elif rows:
            if len(rows) > 2:
                yield rows[0][1], rows[2:]
            rows = []


class Options:
    """What the library says of its options."""

    class Str(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    NOT_FOUND = 9

    def __init__(self, library):
        self.native = ctypes.CDLL(str(library / "libhasty.so"))
        self.app = ctypes.c_void_p()
        self.native.hasty_app_new(None, ctypes.byref(self.app))
        handler = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self.handler = handler(lambda *_: 0)
        self.native.hasty_app_get(self.app, b"/", self.handler, None)

    def default(self, name):
        """As text; None for an unknown name."""
        view = self.Str()
        self.native.hasty_app_option_to(self.app, name.encode(), ctypes.byref(view))
        return None if view.data is None else ctypes.string_at(view.data, view.len).decode()

    def of_route(self, name):
        return self.native.hasty_app_set_route_option(self.app, b"GET", b"/", name.encode(), b"?") != self.NOT_FOUND


def literals(cell):
    return re.findall(r"`([^`]+)`", cell)


def wrong_option(options, names, defaults):
    for place, name in enumerate(names):
        default = options.default(name)
        if default is None:
            return f"the library has no option {name}"
        if len(defaults) == len(names) and defaults[place] != default:
            return f"{name} is {default}, not {defaults[place]}"
    return ""


def wrong_field(struct, names):
    body = re.search(rf"typedef struct {struct} \{{(.*?)\n\}}", (ROOT / "include/hasty.h").read_text(), re.S)
    if not body:
        return f"there is no struct {struct}"
    return next((f"{struct} has no {name}" for name in names if not re.search(rf"\b{name};", body[1])), "")


def check_tables(path, options):
    for columns, rows in tables(path):
        struct = re.fullmatch(r"field of `(\w+)`", columns[0])
        if not struct and columns[0] not in ("option", "route option"):
            continue
        for number, cells in rows:
            names = literals(cells[0])
            if struct:
                wrong = wrong_field(struct[1], names)
            elif columns[0] == "option":
                wrong = wrong_option(options, names, literals(cells[1]) if columns[1] == "default" else [])
            else:
                wrong = next((f"there is no route option {name}" for name in names if not options.of_route(name)), "")
            expect(f"{shown(path)}:{number} {', '.join(names)}", wrong)


def anchors(path):
    """The names of a document's headings, as GitHub makes them."""
    headings = [re.sub(r"^#+ ", "", line) for _, line in prose(path) if re.match(r"^#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(path):
    for number, line in prose(path):
        for target, anchor in re.findall(r"\]\(([^)\s#:]*)(?:#([^)\s:]*))?\)", line):
            file = (path.parent / target).resolve() if target else path
            wrong = "" if file.exists() else "there is no such file"
            if not wrong and anchor and file.suffix == ".md" and anchor not in anchors(file):
                wrong = f"it has no heading {anchor}"
            expect(f"{shown(path)}:{number} link to {target}{'#' + anchor if anchor else ''}", wrong)


def documents():
    yield from (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    yield from sorted(ROOT.glob("docs/**/*.md"))
    yield from (ROOT / folder / "README.md" for folder in ("examples-c", "examples-python", "bindings/python"))


def main():
    library, scratch = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    paths = [Path(path).resolve() for path in sys.argv[3:]] or [path for path in documents() if path.exists()]
    options = Options(library)
    for path in paths:
        check_tables(path, options)
        check_links(path)
        Document(path, library, scratch).run()
    return done()


if __name__ == "__main__":
    sys.exit(main())
