#!/usr/bin/env python3
"""Compares hasty with other servers, and each with a floor that no server on epoll can go below.

    benches/run.sh                                   builds the servers, then runs this
    benches/compare.py --workloads hello,echo        some of it
    benches/compare.py --instructions                instructions per request, under callgrind: free of noise
    benches/compare.py --report                      the tables of the last run once more
    benches/compare.py --publish README.md --chart COST.svg     and put them between the markers of this file

benches/README.md says what is measured and how to read it.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import chart

HERE = Path(__file__).resolve().parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target").resolve() / "benches"
SERVERS = ["floor", "hasty", "microhttpd", "evhttp", "h2o", "hyper", "may"]
CRATES = {"hyper": "hyper", "may": "may_minihttp"}
PACKAGES = {"microhttpd": "libmicrohttpd-dev", "evhttp": "libevent-dev", "h2o": "libh2o-evloop-dev"}
#: What a run leaves in target/benches, each with the figures that it has taken.
TIMES, COUNTS, MICRO = BUILT / "results.jsonl", BUILT / "instructions.jsonl", BUILT / "micro.txt"
BEGIN, END = "<!-- written by make bench: from here -->\n", "<!-- written by make bench: to here -->\n"
PATIENCE = 20.0  # seconds for anything that should take none
CROWDED = 0.10  # of one CPU: a slice in which others took more is done again, and the calmest is kept
BLOCKING_SLICE = 4  # times as long as others: there are few answers to time

BROWSER = """\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-GB,en;q=0.7,de;q=0.3
Accept-Encoding: gzip, deflate, br, zstd
Connection: keep-alive
Cookie: session=6f1ed002ab5595859014ebf0951522d9; theme=dark; consent=1; seen=1763820000
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
"""


class Wrong(Exception):
    """A server answered what it should not have, or did not answer."""


@dataclasses.dataclass(frozen=True)
class Workload:
    title: str
    body: bytes  # of the answer
    path: str = "/"
    method: str = "GET"
    fields: str = ""
    content: bytes = b""  # of the request
    pipelined: int = 1
    closes: bool = False
    connections: int = 64
    only: tuple[str, ...] = ()  # the servers that have it, where not all do

    @property
    def request(self) -> bytes:
        fields = "Host: localhost\n" + self.fields
        if self.content:
            fields += f"Content-Type: application/octet-stream\nContent-Length: {len(self.content)}\n"
        if self.closes:
            fields += "Connection: close\n"
        head = f"{self.method} {self.path} HTTP/1.1\n{fields}\n".replace("\n", "\r\n")
        return head.encode() + self.content


HELLO = b"Hello, World!"
FILE = b"4 KiB of it." * 341 + b"full"
WORKLOADS = {
    "hello": Workload("GET /, keep-alive, 64 connections", HELLO),
    "browser": Workload("GET / with ten header fields of a browser", HELLO, fields=BROWSER),
    "param": Workload("GET /users/:id", b"12345", path="/users/12345"),
    "echo": Workload("POST /echo, 1 KiB", bytes(1024), method="POST", path="/echo", content=bytes(1024)),
    "file": Workload("GET of a file of 4 KiB", FILE, path="/files/4k.txt", only=("floor", "hasty", "h2o")),
    "pipelined": Workload("GET /, sixteen in one write", HELLO, pipelined=16),
    "close": Workload("GET /, a connection for each", HELLO, closes=True),
    "idle": Workload("GET /, beside idle connections", HELLO),
    "blocking": Workload("GET /sleep (10 ms), GET / asked meanwhile", b"slept", path="/sleep"),
}


# ---------------------------------------------------------------------------------------------------------- servers


class Server:
    """A process that serves, pinned to its CPUs, until the `with` block ends."""

    def __init__(self, name: str, threads: int, cpus: set[int], more: list[str], prefix: list[str] | None = None) -> None:
        self.name = name
        command = [*(prefix or []), str(BUILT / name), str(threads), *more]
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)  # which the process inherits; to run something in between would take a real fork
        self.born = time.perf_counter()
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        finally:
            os.sched_setaffinity(0, mine)
        assert self.process.stdout and self.process.stderr
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if not line.strip().isdigit():
            self.stop()
            raise Wrong(f"{name} did not start: {self.process.stderr.read().strip()[-300:]}")
        self.port = int(line)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu(self) -> float:
        """CPU seconds of all its threads, those that ended too, to the nanosecond (what /proc tells in ticks)."""
        return time.clock_gettime_ns((~self.process.pid << 3) | 2) / 1e9  # clock_getcpuclockid(3), which Python lacks

    def split(self) -> tuple[float, float]:
        """User and system seconds, as the kernel's tick sampled them."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def memory(self) -> int:
        """Bytes that are its own: not files, and not the kernel's for its sockets."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        match = re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)
        assert match
        return int(match[1]) * 1024


@contextlib.contextmanager
def started(name: str, threads: int, work: Workload, opt: argparse.Namespace, prefix: list[str] | None = None) -> Iterator[Server]:
    more: list[str] = []
    if name == "floor":
        # It repeats what hasty answers, so that both move the same bytes.
        with Server("hasty", 1, opt.cpus, []) as model:
            (opt.folder / "answer").write_bytes(ask(model.port, work))
        (opt.folder / "one").write_bytes(work.request)
        more = [str(opt.folder / "one"), str(opt.folder / "answer"), *(["close"] if work.closes else [])]
    with Server(name, threads, opt.cpus, more, prefix) as server:
        yield server


# ---------------------------------------------------------------------------------------------------------- answers


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def take(connection: socket.socket, unread: bytearray, work: Workload) -> bytes:
    """One answer, which is right to the last byte of its body."""

    def more() -> None:
        piece = connection.recv(65536)
        if not piece:
            raise Wrong(f"closed after {bytes(unread[:100])!r}")
        unread.extend(piece)

    while b"\r\n\r\n" not in unread:
        more()
    head = bytes(unread[: unread.index(b"\r\n\r\n") + 4])
    length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE)
    if not head.startswith(b"HTTP/1.1 200 ") or not length:
        raise Wrong(f"head {head!r}")
    while len(unread) < len(head) + int(length[1]):
        more()
    answer = bytes(unread[: len(head) + int(length[1])])
    del unread[: len(answer)]
    if answer[len(head) :] != work.body:
        raise Wrong(f"body {answer[len(head) :][:100]!r}")
    return answer


def ask(port: int, work: Workload) -> bytes:
    """The answer to the workload's request; as many as are pipelined must be alike in length."""
    with connect(port) as connection:
        unread = bytearray()
        connection.sendall(work.request * work.pipelined)
        answers = [take(connection, unread, work) for _ in range(work.pipelined)]
        if len({len(answer) for answer in answers}) != 1:
            raise Wrong(f"answers of different lengths: {answers[:2]}")
        if work.closes and (unread or connection.recv(1)):
            raise Wrong("the connection was not closed")
        if unread:
            raise Wrong(f"more than was asked for: {bytes(unread[:100])!r}")
        return answers[0]


# --------------------------------------------------------------------------------------------------------- measuring


def machine() -> tuple[float, float]:
    """CPU seconds that anybody used, and that the hypervisor took away."""
    fields = [int(field) / os.sysconf("SC_CLK_TCK") for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields[0:3]) + sum(fields[5:7]), fields[7]


def load(port: int, work: Workload, seconds: int, answer: bytes, opt: argparse.Namespace) -> dict[str, Any]:
    """One run of wrk. Any error, and any answer of another length than the one that was checked, spoils it."""
    requests = opt.folder / "requests"
    requests.write_bytes(work.request * work.pipelined)
    command = ["wrk", "-t", str(len(opt.client_cpus)), "-c", str(work.connections), "-d", str(seconds), "--timeout", "5"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--latency", "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=False, timeout=seconds + PATIENCE, env=os.environ | {"REQUEST_FILE": str(requests)},
        preexec_fn=lambda: os.sched_setaffinity(0, opt.client_cpus),
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines or not lines[-1].startswith("{"):
        raise Wrong(f"wrk: {(done.stderr or done.stdout).strip()[-300:]}")
    run: dict[str, Any] = json.loads(lines[-1])
    run |= {"began": began, "ended": time.perf_counter()}
    on_the_way = work.connections * work.pipelined * len(answer)
    surplus = run["bytes"] - run["requests"] * len(answer)
    if run["bad_status"] or run["bad_socket"] or run["requests"] < 10:
        raise Wrong(f"{run['requests']} answers, {run['bad_status']} not 2xx, {run['bad_socket']} socket errors")
    if not 0 <= surplus <= on_the_way:
        raise Wrong(f"{run['bytes']} bytes in {run['requests']} answers of {len(answer)}")
    return run


def disturbance(run: dict[str, Any]) -> float:
    """What part of a CPU others had meanwhile, with what the hypervisor took."""
    return float(run["others"] + run["stolen"])


def quiet_moment(patience: float) -> None:
    """Waits until others leave the CPUs alone, or patience ends."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = sum(machine())
        time.sleep(0.3)
        if sum(machine()) - before <= 0.3 * CROWDED:
            return


def slice_of(server: Server, work: Workload, opt: argparse.Namespace, times: int = 1) -> dict[str, Any]:
    """CPU time and rate of one server in one slice of time."""
    answer = ask(server.port, work)
    tries: list[dict[str, Any]] = []
    while len(tries) < opt.tries and not any(disturbance(run) <= CROWDED for run in tries):
        quiet_moment(opt.patience)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        used, stolen = machine()
        cpu, (user, system), began = server.cpu(), server.split(), time.monotonic()
        run = load(server.port, work, opt.seconds * times, answer, opt)
        cpu, elapsed = server.cpu() - cpu, time.monotonic() - began
        used, stolen = machine()[0] - used, machine()[1] - stolen
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        client = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
        user, system = server.split()[0] - user, server.split()[1] - system
        run |= {
            "cpu_us": cpu / run["requests"] * 1e6,
            "user_share": user / max(user + system, 1e-9),
            "rate": run["requests"] / run["seconds"],
            "busy": cpu / elapsed,
            "others": max(0.0, (used - cpu - client) / elapsed),
            "stolen": stolen / elapsed,
        }
        tries.append(run)
    ask(server.port, work)  # still right, after all that
    return min(tries, key=disturbance)


def idle_growth(server: Server, work: Workload, held: list[socket.socket], idle: int) -> float:
    """Bytes by which one more idle connection enlarges the server; each has been answered once."""
    sizes: list[int] = []
    for wanted in (idle // 5, idle):
        while len(held) < wanted:
            connection = connect(server.port)
            held.append(connection)
            connection.sendall(work.request)
            take(connection, bytearray(), work)
        sizes.append(server.memory())
    return (sizes[1] - sizes[0]) / (idle - idle // 5)


def idle(server: Server, work: Workload, first: bool, opt: argparse.Namespace) -> dict[str, Any]:
    if first:
        load(server.port, work, 1, ask(server.port, work), opt)  # what it keeps for good it has now
    held: list[socket.socket] = []
    try:
        growth = idle_growth(server, work, held, opt.idle)
        run = slice_of(server, work, opt)
        poll = select.poll()
        for connection in held:
            poll.register(connection, select.POLLIN | select.POLLHUP)
        run["idle_lost"] = len(poll.poll(0))
        # Later rounds take what the first one left, which a process seldom gives back.
        return run | ({"idle_bytes": growth} if first else {})
    finally:
        for connection in held:
            connection.close()


def blocking(server: Server, work: Workload, opt: argparse.Namespace) -> dict[str, Any]:
    """How long others wait for GET / while 64 connections ask for what blocks."""
    asked: list[tuple[float, float]] = []  # when, and how long it took
    failures: list[Exception] = []
    over = threading.Event()

    def probe() -> None:
        quick = WORKLOADS["hello"]
        try:
            with contextlib.ExitStack() as stack:
                # Eight in turn, since where a connection belongs to a thread its luck is that thread's.
                connections = [stack.enter_context(connect(server.port)) for _ in range(8)]
                while not over.wait(0.005):
                    began = time.perf_counter()
                    connections[0].sendall(quick.request)
                    take(connections[0], bytearray(), quick)
                    asked.append((began, time.perf_counter() - began))
                    connections.append(connections.pop(0))
        except (OSError, Wrong) as failure:
            failures.append(failure)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        run = slice_of(server, work, opt, BLOCKING_SLICE)
    finally:
        over.set()
        prober.join(PATIENCE)
    # The load takes a moment to be there, and this thread asks before and after it too.
    waits = sorted(took for began, took in asked if run["began"] + 0.2 <= began <= run["ended"])
    if failures or not waits:
        raise Wrong(f"GET / beside it: {failures or 'no answer'}")
    at = {"probe_p50_us": 0.5, "probe_p99_us": 0.99, "probe_max_us": 1.0}
    return run | {key: waits[min(len(waits) - 1, int(len(waits) * part))] * 1e6 for key, part in at.items()}


def having(work: Workload, opt: argparse.Namespace) -> list[str]:
    return [server for server in opt.servers if not work.only or server in work.only]


def starting(opt: argparse.Namespace) -> list[dict[str, Any]]:
    """From the start of the process to its first answer; the floor's is what a process takes anyway."""
    work, rows = WORKLOADS["hello"], []
    for threads in opt.threads:
        for server in opt.servers:
            row: dict[str, Any] = {"workload": "start", "threads": threads, "server": server, "ms": []}
            try:
                for _ in range(opt.starts):
                    # The clock starts behind the floor's preparations, which are this program's.
                    with started(server, threads, work, opt) as process, connect(process.port) as connection:
                        connection.sendall(work.request)
                        take(connection, bytearray(), work)
                        row["ms"].append((time.perf_counter() - process.born) * 1000)
            except (Wrong, OSError) as why:
                row["wrong"] = str(why)
            rows.append(row)
            keep(TIMES, row)
    return rows


def keep(file: Path, row: dict[str, Any]) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def measure(opt: argparse.Namespace) -> list[dict[str, Any]]:
    """All servers of a workload stay up and take turns, so that each ratio compares neighbours in time."""
    rows: list[dict[str, Any]] = []
    for name in opt.workloads:
        work = WORKLOADS[name]
        for threads in opt.threads:
            names = [server for server in having(work, opt) if (name, server) != ("blocking", "floor")]
            with contextlib.ExitStack() as stack:
                up = {}
                for server in names:
                    try:
                        up[server] = stack.enter_context(started(server, threads, work, opt))
                    except (Wrong, OSError) as why:
                        rows.append({"workload": name, "threads": threads, "server": server, "wrong": str(why)})
                for number in range(1 if name == "blocking" else opt.rounds):
                    order = list(up) if number % 2 == 0 else list(reversed(up))
                    for server in order:
                        row: dict[str, Any] = {"workload": name, "threads": threads, "server": server, "round": number}
                        try:
                            if name == "idle":
                                row |= idle(up[server], work, number == 0, opt)
                            elif name == "blocking":
                                row |= blocking(up[server], work, opt)
                            else:
                                row |= slice_of(up[server], work, opt)
                        except (Wrong, OSError, subprocess.TimeoutExpired) as why:
                            row["wrong"] = str(why)
                            up.pop(server).stop()
                        rows.append(row)
                        tell(row)
                        keep(TIMES, row)
    return rows + starting(opt)


def tell(row: dict[str, Any]) -> None:
    """One line of progress."""
    what = f"{row['workload']:<10} {threads_in_words(row['threads']):<10} {row['server']:<10} "
    if "wrong" in row:
        what += f"WRONG: {row['wrong']}"
    else:
        what += f"{row['cpu_us']:8.2f} us  {row['rate']:9.0f}/s  server {row['busy']:4.0%} of a CPU, others {row['others']:4.0%}, stolen {row['stolen']:4.0%}"
    print(what, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------------ instructions


def instructions(opt: argparse.Namespace) -> list[dict[str, Any]]:
    """User-mode instructions per request: the growth between a short and a long run, so that starting is not counted."""
    rows = []
    copy_with_vectors()
    wanted = [name for name in opt.workloads if name not in ("idle", "blocking")]
    for name, threads in [(name, threads) for threads in opt.threads for name in wanted]:
        work = WORKLOADS[name]
        for server in having(work, opt):
            row: dict[str, Any] = {"workload": name, "threads": threads, "server": server}
            profile = BUILT / f"callgrind.{server}.{name}.{threads}"
            counts = []
            try:
                for rounds in (10, 110):
                    log = opt.folder / "valgrind.log"
                    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", f"--log-file={log}"]
                    with started(server, threads, work, opt, callgrind) as process:
                        done = rounds_of(process.port, work, rounds)
                    match = re.search(r"Collected : (\d+)", log.read_text())
                    if not match:
                        raise Wrong(log.read_text()[-300:])
                    counts.append((done, int(match[1])))
                row["instructions"] = (counts[1][1] - counts[0][1]) / (counts[1][0] - counts[0][0])
            except (Wrong, OSError) as why:
                row["wrong"] = str(why)
            rows.append(row)
            what = f"{row['instructions']:,.0f}" if "instructions" in row else row["wrong"]
            print(f"{name:<10} {threads_in_words(threads):<10} {server:<10} {what}", file=sys.stderr, flush=True)
            keep(COUNTS, row)
    return rows


def copy_with_vectors() -> None:
    """For valgrind, which counts each turn of a "rep movs" as an instruction: libc copies as it does what is short."""
    never = 1 << 30
    names = ("x86_rep_movsb_threshold", "x86_rep_stosb_threshold")
    os.environ["GLIBC_TUNABLES"] = ":".join(f"glibc.cpu.{name}={never}" for name in names)


def rounds_of(port: int, work: Workload, rounds: int) -> int:
    """Asks on 16 connections at once, again and again; returns how many requests that were."""
    if work.closes:
        for _ in range(rounds):
            ask(port, work)
        return rounds
    connections = [(connect(port), bytearray()) for _ in range(16)]
    for _ in range(rounds):
        for connection, _ in connections:
            connection.sendall(work.request * work.pipelined)
        for connection, unread in connections:
            for _ in range(work.pipelined):
                take(connection, unread, work)
    for connection, _ in connections:
        connection.close()
    return rounds * len(connections) * work.pipelined


# ------------------------------------------------------------------------------------------------------------ tables


def threads_in_words(threads: int) -> str:
    return {0: "pool", 1: "1 thread"}.get(threads, f"{threads} threads")


def duration(us: float) -> str:
    return f"{us:.0f} us" if us < 1000 else f"{us / 1000:.1f} ms"


def quiet(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that nobody disturbed, or all where there are none."""
    return [row for row in rows if disturbance(row) <= CROWDED] or rows


def ratios(rows: list[dict[str, Any]], server: str) -> tuple[float, float] | None:
    """Best CPU time to the floor's best, and the median of the rounds' ratios."""
    mine = [row for row in rows if row["server"] == server and "cpu_us" in row]
    floor = {row["round"]: row for row in rows if row["server"] == "floor" and "cpu_us" in row}
    if not mine or not floor:
        return None
    best = min(row["cpu_us"] for row in quiet(mine)) / min(row["cpu_us"] for row in quiet(list(floor.values())))
    pairs = [row for row in mine if row["round"] in floor]
    undisturbed = [row for row in pairs if row in quiet(mine) and floor[row["round"]] in quiet(list(floor.values()))]
    return best, statistics.median(row["cpu_us"] / floor[row["round"]]["cpu_us"] for row in undisturbed or pairs)


def report(rows: list[dict[str, Any]]) -> None:
    measured = [row for row in rows if "cpu_us" in row]
    counted = [row for row in rows if "instructions" in row]
    print(f"\n{conditions({row['server'] for row in rows})}")
    if measured:
        crowded = sum(disturbance(row) > CROWDED for row in measured)
        print(f"{crowded} of {len(measured)} slices had other processes or the hypervisor on more than {CROWDED:.0%} of a CPU.")
        if busy(measured):
            print("The machine was busy: ratios within 0.2 of each other are alike, and instructions the better guide.")
    for threads in dict.fromkeys(row["threads"] for row in measured):
        matrix(threads, [row for row in rows if row["threads"] == threads])
    idle_and_blocking(measured)
    starts([row for row in rows if row.get("ms")])
    for threads in dict.fromkeys(row["threads"] for row in counted):
        counts(threads, [row for row in counted if row["threads"] == threads])
    # A server that is rejected where times are taken is so where instructions are counted.
    wrong = [row for row in rows if "wrong" in row]
    kinds = [f"{row['server']}, {row['workload']}, {threads_in_words(row['threads'])}: {row['wrong']}" for row in wrong]
    for why in dict.fromkeys(kinds):
        print(f"\nrejected: {why}")


def busy(measured: list[dict[str, Any]]) -> bool:
    """Were most slices disturbed?"""
    return sum(disturbance(row) > CROWDED for row in measured) > len(measured) / 2


def conditions(servers: Set[str] = frozenset()) -> str:
    """The day, the machine and the peers that figures are of."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = model[1] if model else os.uname().machine
    system = f"{len(os.sched_getaffinity(0))} CPUs ({processor}), Linux {os.uname().release}"
    peers = [f"{name} {version}" for name, version in versions().items() if name in servers]
    return " ".join(f"{part}." for part in (time.strftime("%-d %B %Y"), system, ", ".join(peers)) if part)


def versions() -> dict[str, str]:
    found = {}
    for name, package in PACKAGES.items():
        with contextlib.suppress(OSError):
            command = ["dpkg-query", "-W", "-f", "${Version}", package]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.stdout:
                found[name] = told.stdout.partition("-")[0].partition("+")[0]
    for name, crate in CRATES.items():
        lock = (HERE / "servers" / name / "Cargo.lock").read_text()
        found[name] = lock.partition(f'name = "{crate}"\nversion = "')[2].partition('"')[0]
    return found


def counts(threads: int, counted: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(row["workload"] for row in counted))
    of = {(row["workload"], row["server"]): f"{row['instructions']:,.0f}" for row in counted}
    print(f"\nInstructions per request, {threads_in_words(threads)}\n")
    print(f"| | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    for server in dict.fromkeys(row["server"] for row in counted):
        print(f"| {called(server)} | {' | '.join(of.get((name, server), '-') for name in names)} |")


def called(server: str) -> str:
    return f"**{server}**" if server == "hasty" else server


def starts(rows: list[dict[str, Any]]) -> None:
    if rows:
        print("\nFrom the start of the process to its first answer, in ms: best (median)\n")
        kinds = list(dict.fromkeys(row["threads"] for row in rows))
        print(f"| | {' | '.join(map(threads_in_words, kinds))} |\n|---|{'--:|' * len(kinds)}")
    for server in dict.fromkeys(row["server"] for row in rows):
        times = {row["threads"]: row["ms"] for row in rows if row["server"] == server}
        cells = [f"{min(ms):.1f} ({statistics.median(ms):.1f})" if (ms := times.get(kind)) else "-" for kind in kinds]
        print(f"| {called(server)} | {' | '.join(cells)} |")


def matrix(threads: int, rows: list[dict[str, Any]]) -> None:
    """Servers against workloads, for one number of threads."""
    names = [name for name in WORKLOADS if name != "blocking" and any(row["workload"] == name and "cpu_us" in row for row in rows)]
    if not names:
        return
    print(f"\nCPU time per request to the floor's, {threads_in_words(threads)}: best of the rounds (median of the rounds)\n")
    print(f"| | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    for server in [server for server in SERVERS if any(row["server"] == server for row in rows)]:
        cells = []
        for name in names:
            of_name = [row for row in rows if row["workload"] == name]
            both = ratios(of_name, server)
            if any(row["server"] == server and "wrong" in row for row in of_name):
                cells.append("rejected")
            elif server == "floor":
                cells.append(f"{min(row['cpu_us'] for row in of_name if row['server'] == 'floor' and 'cpu_us' in row):.2f} us")
            else:
                cells.append(f"{both[0]:.2f} ({both[1]:.2f})" if both else "-")
        print(f"| {called(server)} | {' | '.join(cells)} |")


def idle_and_blocking(measured: list[dict[str, Any]]) -> None:
    idles = [row for row in measured if "idle_lost" in row]
    if idles:
        print("\nIdle connections that were answered once\n\n| | threads | bytes each | lost |\n|---|---|--:|--:|")
        for server, threads in dict.fromkeys((row["server"], row["threads"]) for row in idles):
            mine = [row for row in idles if (row["server"], row["threads"]) == (server, threads)]
            print(f"| {called(server)} | {threads_in_words(threads)} | {sum(row.get('idle_bytes', 0) for row in mine):.0f} | {max(row['idle_lost'] for row in mine)} |")
    blocked = [row for row in measured if "probe_p50_us" in row]
    if blocked:
        print("\nBlocking handler of 10 ms on 64 connections\n\n| | threads | answers/s | GET / p50 | p99 | longest |\n|---|---|--:|--:|--:|--:|")
        for row in blocked:
            waits = " | ".join(duration(row[key]) for key in ("probe_p50_us", "probe_p99_us", "probe_max_us"))
            print(f"| {called(row['server'])} | {threads_in_words(row['threads'])} | {row['rate']:.0f} | {waits} |")


# -------------------------------------------------------------------------------------------------------- publishing


def place(page: Path, begin: str, end: str, text: str) -> None:
    """Puts a text between two lines of a page, which stay."""
    whole = page.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        sys.exit(f"{page} has no place for the tables: {begin.strip()} and {end.strip()}, once each")
    page.write_text(whole.split(begin)[0] + begin + text + end + whole.split(end)[1], encoding="utf-8")


def publish(rows: list[dict[str, Any]], page: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as tables:
        report(rows)
    alone = f"\nThe parser and the router alone\n{MICRO.read_text()}" if MICRO.is_file() else ""
    place(page, BEGIN, END, tables.getvalue() + alone + "\n")


PANELS = {
    "hello": "64 connections",
    "browser": "ten more header fields",
    "param": "/users/:id",
    "echo": "POST of 1 KiB",
    "pipelined": "16 in one write",
    "close": "a connection for each",
}


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """The ratios to the floor as bars, for the workloads that every server has."""
    panels = []
    threads = list(dict.fromkeys(row["threads"] for row in rows if "cpu_us" in row))
    for name, title in PANELS.items():
        of_name = [row for row in rows if row["workload"] == name and "instructions" not in row]
        shown: list[tuple[str, list[float | None]]] = []
        for server in SERVERS[1:]:
            beside = [row for row in of_name if row["server"] in (server, "floor")]
            values: list[float | None] = []
            for kind in threads:
                both = [row for row in beside if row["threads"] == kind]
                ratio = ratios(both, server)
                values.append(None if not ratio or any("wrong" in row for row in both) else ratio[0])
            if any(row["server"] == server for row in beside):
                shown.append((server, values))
        if shown:
            panels.append(chart.Bars(f"{name}: {title}", shown))
    about = "CPU time per request, as a multiple of what a bare epoll loop takes for the same bytes; shorter is better"
    if busy([row for row in rows if "cpu_us" in row]):
        about += " (busy machine)"
    chart.bars(file, "What a request costs", about, [threads_in_words(kind) for kind in threads], panels, 2.5, "hasty")


def last_run() -> list[dict[str, Any]]:
    return [json.loads(line) for file in (TIMES, COUNTS) if file.is_file() for line in file.read_text().splitlines()]


def words(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [word for word in chosen if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(known)}")
        return chosen

    return parse


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    built = [name for name in SERVERS if os.access(BUILT / name, os.X_OK)]
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=words(built), default=built, help=f"some of {','.join(built)}")
    parser.add_argument("--workloads", type=words(list(WORKLOADS)), default=list(WORKLOADS), help=f"some of {','.join(WORKLOADS)}")
    parser.add_argument("--threads", type=numbers, default=[1, 0], help="of the servers; 0 is the default pool (1,0)")
    parser.add_argument("--rounds", type=int, default=5, help="slices of time for each server (5)")
    parser.add_argument("--seconds", type=int, default=1, help="of a slice (1)")
    parser.add_argument("--idle", type=int, default=5000, help="idle connections (5000)")
    parser.add_argument("--tries", type=int, default=3, help="for a slice that others disturb (3)")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for a quiet moment before each slice (0)")
    parser.add_argument("--cpus", type=numbers, default=allowed[:1], help="of the servers (the first)")
    parser.add_argument("--client-cpus", type=numbers, default=allowed[1:2] or allowed, help="of wrk (the second)")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead")
    parser.add_argument("--starts", type=int, default=20, help="of each process, to its first answer (20)")
    parser.add_argument("--report", action="store_true", help="print the tables of the last run")
    parser.add_argument("--publish", type=Path, metavar="PAGE", help="write the tables of the last run into this page")
    parser.add_argument("--chart", type=Path, metavar="SVG", help="draw the last run")
    opt = parser.parse_args()
    if opt.report or opt.publish or opt.chart:
        rows = last_run()
        if opt.publish:
            publish(rows, opt.publish)
        if opt.chart:
            draw(rows, opt.chart)
        if opt.report:
            report(rows)
        return
    if not {"floor", "hasty"} <= set(built) or not shutil.which("wrk"):
        sys.exit("not built yet, or without wrk: benches/run.sh sees to both")
    if set(opt.cpus) & set(opt.client_cpus):
        print("server and client share a CPU: the figures will be noisier", file=sys.stderr)
    opt.cpus, opt.client_cpus = set(opt.cpus), set(opt.client_cpus)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if opt.idle > most - 200:
        opt.idle = most - 200
        print(f"{opt.idle} idle connections: more descriptors are not allowed", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end with this
    (COUNTS if opt.instructions else TIMES).write_text("")
    with tempfile.TemporaryDirectory(prefix="hasty-bench.") as folder:
        opt.folder = Path(folder)
        (opt.folder / "files").mkdir()
        (opt.folder / "files/4k.txt").write_bytes(FILE)
        os.environ["BENCH_FILES"] = str(opt.folder / "files")
        report(instructions(opt) if opt.instructions else measure(opt))


if __name__ == "__main__":
    main()
