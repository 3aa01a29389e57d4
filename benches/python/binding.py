#!/usr/bin/env python3
"""What the Python package takes for a request, without sockets, beside its budget.

    benches/python/binding.py                       all cases, ten seconds
    benches/python/binding.py --cases hello,dict    some of them
    benches/python/binding.py --instructions        under callgrind: free of noise
    benches/python/binding.py --json                figures for other programs

The package is loaded with canned.c in place of the library, which hands out each request many times over and times the
answers; benches/README.md says more. It needs a C compiler and a built library: HASTY_LIBRARY, or that of `make build`.
The machine's speed changes: "to ctypes alone" compares neighbours in time.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
BUILT = TARGET / "benches"
PATIENCE = 20.0  # seconds for anything that should take none

HELLO = "Hello, World!"
EIGHT = {
    "Host": "localhost",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "session=6f1ed002ab5595859014ebf0951522d9; theme=dark",
    "Cache-Control": "no-cache",
    "X-Request-Id": "5d1c8a52",
}
ONE = {"Host": "localhost"}
#: Not the spelling of the library, nor of the client: a lookup must do for any.
NAMES = [name.title() for name in EIGHT]


class Wrong(Exception):
    """An answer is not what it must be."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A request, and what its answer may take in nanoseconds over that of the loop in C."""

    title: str
    server: str
    path: str
    budget: int | None
    headers: dict[str, str] = dataclasses.field(default_factory=lambda: ONE)
    body: str = HELLO
    type: str = "text/plain"

    @property
    def request(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"GET {self.path} HTTP/1.1\r\n{fields}\r\n".encode()


CASES = {
    "bare": Case("ctypes alone: a loop, no package", "bare", "/", None),
    "hello": Case("hello", "app", "/", 650),
    "param": Case("one param", "app", "/users/42", 850, body="42"),
    "dict": Case("dict answer", "app", "/json", 1500, body='{"message":"Hello, World!"}', type="application/json"),
    "unread": Case("8 headers, unread", "app", "/", 700, EIGHT),
    "one": Case("8 headers, one read", "app", "/one", None, EIGHT),
    "read": Case("8 headers, each read by name", "app", "/read", 2200, EIGHT),
    "async": Case("async def", "async", "/", None),
    "wsgi": Case("WSGI", "wsgi", "/", 2600, EIGHT),
}


# ------------------------------------------------------------------------------------------------------------ servers
# Each gives its port and serves until the end of `with`.


@contextlib.contextmanager
def an_app() -> Iterator[int]:
    """Handlers as one writes them."""
    from hasty import App, Request

    app = App()

    @app.get("/")
    def hello(req: Request) -> str:
        return HELLO

    @app.get("/users/:id")
    def user(req: Request) -> str:
        return req.params["id"]

    @app.get("/json")
    def answer(req: Request) -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/one")
    def one(req: Request) -> str:
        return HELLO if req.headers["Accept-Language"] else ""

    @app.get("/read")
    def read(req: Request) -> str:
        headers = req.headers
        for name in NAMES:
            if not headers[name]:
                return ""
        return HELLO

    with app.start(port=0) as server:
        yield server.port


@contextlib.contextmanager
def an_async_app() -> Iterator[int]:
    """A coroutine that never waits: what the way to the loop and back takes."""
    from hasty import App, Request

    app = App()

    @app.get("/")
    async def hello(req: Request) -> str:
        return HELLO

    with app.start(port=0) as server:
        yield server.port


@contextlib.contextmanager
def a_wsgi_app() -> Iterator[int]:
    """An application without a framework."""
    import hasty.wsgi

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
        return [b"Hello, World!"]

    with hasty.wsgi.as_app(application).start(port=0) as server:
        yield server.port


@contextlib.contextmanager
def a_bare_loop() -> Iterator[int]:
    """The least that ctypes can do: what the budgets are to be read against on this machine."""
    from hasty import _ffi

    app = _ffi.AppPointer()
    _ffi.check(_ffi.hasty_app_new(None, ctypes.byref(app)))
    _ffi.check(_ffi.hasty_app_set_option(app, b"threads", b"0"))
    _ffi.check(_ffi.hasty_app_route(app, b"GET", b"/", _ffi.hasty_handler(), None, _ffi.NO_DROP))
    _ffi.check(_ffi.hasty_app_listen(app, b"127.0.0.1", 0))
    _ffi.check(_ffi.hasty_app_start(app))

    def serve() -> None:
        slot = _ffi.hasty_slot(size=ctypes.sizeof(_ffi.hasty_slot), app=app)
        reply = ctypes.create_string_buffer(HELLO.encode())
        address, start, length = ctypes.byref(slot), ctypes.addressof(reply), len(HELLO)
        words = memoryview(slot).cast("B").cast("Q")
        at, at_length = _ffi.hasty_slot.reply.offset // 8, _ffi.hasty_slot.reply_len.offset // 8
        # Of its own: argument types cost time.
        take = ctypes.PyDLL(str(_ffi.PATH)).hasty_slot_take
        while True:
            status = take(address)
            if status == _ffi.OK:
                words[at] = start
                words[at_length] = length
            elif status == _ffi.ERR_CLOSED:
                break
            else:
                _ffi.hasty_slot_wait(slot, -1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(_ffi.hasty_app_port(app))
    finally:
        _ffi.hasty_app_stop(app)
        thread.join(PATIENCE)
        _ffi.hasty_app_free(app)


SERVERS = {"bare": a_bare_loop, "app": an_app, "async": an_async_app, "wsgi": a_wsgi_app}


# ----------------------------------------------------------------------------------------------------------- measuring


class Figures(ctypes.Structure):
    """What canned.c tells of the last request."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("answers", "wrong", "nanoseconds", "native_nanoseconds")]


def canned() -> ctypes.CDLL:
    """Builds the library that hands out canned requests, and has the package load it."""
    real = Path(os.environ.get("HASTY_LIBRARY") or TARGET / "release" / "libhasty.so")
    if not real.is_file():
        sys.exit(f"there is no {real} yet: make build")
    BUILT.mkdir(parents=True, exist_ok=True)
    built = BUILT / "libcanned.so"
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden"]
    # It is needed though nothing in canned.c names it: the package's functions are looked up in both.
    command += ["-I", str(ROOT / "include"), "-o", str(built), str(HERE / "canned.c")]
    subprocess.run([*command, "-Wl,--no-as-needed", str(real), "-ldl"], check=True)
    # Loaded first, by its path, it is found by its name when the other one asks.
    ctypes.CDLL(str(real))
    os.environ["HASTY_LIBRARY"] = str(built)
    library = ctypes.CDLL(str(built))
    library.canned_repeat.argtypes = [ctypes.c_uint64]
    library.canned_last.argtypes = [ctypes.POINTER(Figures)]
    library.canned_repeat.restype = library.canned_last.restype = None
    return library


def ask(connection: socket.socket, case: Case) -> None:
    """Sends the request, and compares what comes back with what must."""
    connection.sendall(case.request)
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if end and length and len(body) >= int(length[1]):
            break
        piece = connection.recv(65536)
        if not piece:
            raise Wrong(f"the server closed the connection after {received!r}")
        received += piece
    kind = re.search(rb"\r\ncontent-type: ([^;\r]+)", head, re.IGNORECASE)
    if not head.startswith(b"HTTP/1.1 200 ") or body != case.body.encode() or not kind or kind[1] != case.type.encode():
        raise Wrong(repr(received))


def once(library: ctypes.CDLL, connection: socket.socket, case: Case, times: int) -> tuple[float, float]:
    """Nanoseconds per request: the package's, and those of the loop in C."""
    library.canned_repeat(times)
    ask(connection, case)
    library.canned_repeat(1)
    figures = Figures()
    library.canned_last(ctypes.byref(figures))
    if figures.answers != times:
        raise Wrong(f"{figures.answers} of {times} answers came through the slot")
    if figures.wrong:
        raise Wrong(f"{figures.wrong} of {times} answers are unlike the first")
    return figures.nanoseconds / times, figures.native_nanoseconds / times


def measure(library: ctypes.CDLL, names: list[str], rounds: int, times: int) -> dict[str, Any]:
    """All cases take turns, in an order that is reversed every round."""
    rows: dict[str, Any] = {name: {"ns": [], "native_ns": [], "budget": CASES[name].budget} for name in names}
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        connections = {}
        for name in names:
            server = CASES[name].server
            try:
                if server not in ports:
                    ports[server] = stack.enter_context(SERVERS[server]())
            except (ImportError, AttributeError) as missing:
                rows[name]["missing"] = str(missing)
                continue
            address = ("127.0.0.1", ports[server])
            connections[name] = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
        for number in range(rounds):
            for name in list(connections) if number % 2 == 0 else list(reversed(connections)):
                try:
                    own, native = once(library, connections[name], CASES[name], times)
                except (Wrong, OSError) as wrong:
                    rows[name] |= {"wrong": str(wrong), "ns": [], "native_ns": []}
                    del connections[name]
                    continue
                rows[name]["ns"].append(own)
                rows[name]["native_ns"].append(native)
    for row in rows.values():
        # The least: what held that loop up did not hold the package up.
        native = min(row["native_ns"], default=0.0)
        row["ns"] = [round(own - native, 1) for own in row["ns"]]
    return rows


def report(rows: dict[str, Any]) -> None:
    bare = rows.get("bare", {}).get("ns")
    print("| ns per request over a loop in C | best | median | to ctypes alone | budget |\n|---|--:|--:|--:|--:|")
    for name, row in rows.items():
        title, budget, ns = CASES[name].title, row["budget"], row["ns"]
        if not ns:
            print(f"| {title} | | | | {'WRONG: ' + row['wrong'] if 'wrong' in row else row['missing']} |")
            continue
        ratio = f"{statistics.median(own / least for own, least in zip(ns, bare)):.2f}" if bare else ""
        over = min(ns) - (budget or 0)
        allowed = "" if budget is None else f"{budget:,}" if over <= 0 else f"{budget:,}, EXCEEDED by {over:,.0f}"
        print(f"| {title} | {min(ns):,.0f} | {statistics.median(ns):,.0f} | {ratio} | {allowed} |")
    natives = [ns for row in rows.values() for ns in row["native_ns"]]
    print(f"\nThe loop in C: {min(natives, default=0):.0f} ns. Python {sys.version.split()[0]}.")


# ------------------------------------------------------------------------------------------------------ instructions


def instructions(names: list[str], times: int, package: str) -> int:
    """The same under callgrind, where each loop leaves a profile of its own; those of the last round are kept."""
    for old in BUILT.glob("callgrind.binding.*"):
        old.unlink()
    BUILT.mkdir(parents=True, exist_ok=True)
    prefix = BUILT / "callgrind.binding"
    # valgrind counts each turn of a "rep movs" as an instruction: libc is told to copy with vectors, as it does for what is short.
    tunables = "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824"
    # Three rounds: Python changes its code to fit in the first.
    own = [sys.executable, __file__, "--json", "--rounds", "3", "--times", str(times), "--cases", ",".join(names), "--package", str(package)]
    callgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={prefix}"]
    environment = {**os.environ, "GLIBC_TUNABLES": tunables, "PYTHONHASHSEED": "0"}
    done = subprocess.run([*callgrind, *own], env=environment, stdout=subprocess.PIPE, text=True)
    rows = json.loads(done.stdout)
    if wrong := [f"{CASES[name].title}: {row['wrong']}" for name, row in rows.items() if "wrong" in row]:
        sys.exit(f"leave out by --cases what is wrong: {'; '.join(wrong)}")
    there = [name for name in names if rows[name]["ns"]]
    profiles = sorted(BUILT.glob("callgrind.binding.*"), key=lambda path: int(path.suffix[1:]))
    counts = [collected(profile) / times for profile in profiles]
    if len(counts) != 3 * 2 * len(there):
        sys.exit(f"{len(counts)} profiles for {len(there)} cases: are valgrind's headers there?")
    print("| instructions per request | over a loop in C | of that loop |\n|---|--:|--:|")
    for number, name in enumerate(there):
        native, binding = counts[4 * len(there) + 2 * number :][:2]
        print(f"| {CASES[name].title} | {binding - native:,.0f} | {native:,.0f} |")
        profiles[4 * len(there) + 2 * number + 1].rename(f"{prefix}.{name}")
    for profile in profiles:
        profile.unlink(missing_ok=True)
    print(f"\nPython {sys.version.split()[0]}. Profiles: {prefix}.CASE")
    return 0


def collected(profile: Path) -> int:
    """The instructions of a profile: its own summary is wrong where counting was stopped and started."""
    total, inclusive = 0, False
    for line in profile.read_text().splitlines():
        cost = re.match(r"[-+*\d]+ (\d+)$", line)
        if cost and not inclusive:
            total += int(cost[1])
        # The line after a call is what that took in all, which stands in the callee's own lines.
        inclusive = line.startswith("calls=")
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=300)
    # Half a millisecond at a time: few slices are disturbed then.
    parser.add_argument("--times", type=int, default=500, help="how often each request is handed out in a round")
    parser.add_argument("--package", default=ROOT / "bindings" / "python" / "src", help="where another package is")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    opt = parser.parse_args()
    names = opt.cases.split(",")
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if opt.instructions:
        return instructions(names, opt.times, opt.package)
    library = canned()
    sys.path.insert(0, str(opt.package))
    rows = measure(library, names, opt.rounds, opt.times)
    if opt.json:
        print(json.dumps(rows))
    else:
        report(rows)
    return 1 if any("wrong" in row for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
