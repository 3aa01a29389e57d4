#!/usr/bin/env python3
"""How the cost of a request grows: with routes, header fields, connections, threads and the body.

    benches/run.sh --growth                  builds the server, then runs this
    benches/growth.py --only routes,headers  some of it
    benches/growth.py --rounds 1             quickly: times are the least of so many slices (3)
    benches/growth.py --publish README.md --charts FOLDER       and put table and plots there

Ends with 1 if anything grows faster than linearly, or what may not grow at all does. Instructions are counted under
callgrind, free of noise; where the kernel or the caches do the work, CPU time is measured beside them or instead.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import chart
import compare
from compare import BUILT, Server, Workload, Wrong, connect, take

BEGIN, END = "<!-- written by make growth: from here -->\n", "<!-- written by make growth: to here -->\n"
NOISE_IN_COUNTS, NOISE_IN_TIMES = 0.1, 0.2  # of the steepness
HELD = 16  # connections, where their number does not matter
KIB = 1024


@dataclasses.dataclass(frozen=True)
class Series:
    """How one figure grows with one quantity."""

    title: str
    x: str
    y: str
    sizes: tuple[int, ...]
    #: What one point is: the figure of this many, whatever it takes to find it.
    measure: Callable[[int, argparse.Namespace], float]
    #: The power of x that the figure may grow with: 1 is linear, 0 not at all.
    power: int
    exact: bool
    #: What the floor takes for the same. Where it is measured, what may not grow is the ratio to it.
    floor: Callable[[int, argparse.Namespace], float] | None = None

    @property
    def limit(self) -> float:
        return self.power + (NOISE_IN_COUNTS if self.exact else NOISE_IN_TIMES)


Points = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Found:
    """What was measured of a series."""

    series: Series
    points: Points
    floor: Points | None = None

    @property
    def judged(self) -> Points:
        """What its growth is told by."""
        if not self.floor:
            return self.points
        return [(size, value / least) for (size, value), (_, least) in zip(self.points, self.floor, strict=True)]


# -------------------------------------------------------------------------------------------------------------- rules


def steepness(points: Points, power: int) -> float:
    """The power of x that the figure grows with.

    What may grow linearly has a part that does not grow, which would hide much: so only what came on top of the first
    point counts, and the last step, where the highest power shows. What may not grow is looked at as a whole, at its
    highest point.
    """
    (x0, y0), *rest = points
    if power == 0:
        x, y = max(rest, key=lambda point: point[1])
        return max(0.0, math.log(y / y0) / math.log(x / x0))
    (x1, y1), (x2, y2) = ((x - x0, y - y0) for x, y in points[-2:])
    if y2 <= 0:
        return 0.0  # it does not grow
    if y1 <= 0:
        return math.log(points[-1][1] / points[-2][1]) / math.log(points[-1][0] / points[-2][0])
    return math.log(y2 / y1) / math.log(x2 / x1)


def verdict(it: Found) -> str:
    """What is wrong with how it grows; empty where nothing is."""
    series = it.series
    found = steepness(it.judged, series.power)
    if found <= series.limit:
        return ""
    may = "linearly at most" if series.power else "not at all"
    return f"{series.title}: {series.y} grow with the power {found:.2f} of {series.x}, and may grow {may}"


# ---------------------------------------------------------------------------------------------------------- measuring


def rounds(port: int, works: list[Workload], held: int, number: int) -> int:
    """Asks on so many connections at once, again and again, one request after the other; says how many there were."""
    with contextlib.ExitStack() as stack:
        connections = [(stack.enter_context(connect(port)), bytearray()) for _ in range(held)]
        for turn in range(number):
            mine = [works[(turn * held + index) % len(works)] for index in range(held)]
            for (connection, _), work in zip(connections, mine, strict=True):
                connection.sendall(work.request)
            for (connection, unread), work in zip(connections, mine, strict=True):
                take(connection, unread, work)
    return held * number


def counted(
    works: list[Workload], opt: argparse.Namespace, *, held: int = HELD, routes: int = 0, turns: int = 100
) -> float:
    """Instructions for a request: what a long run takes more than a short one, so that starting is not counted."""
    log, out = opt.folder / "valgrind.log", opt.folder / "callgrind.out"
    counts = []
    for number in (2, 2 + turns):
        prefix = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--log-file={log}"]
        with Server("growth", 1, opt.cpus, [str(routes)], prefix) as server:
            done = rounds(server.port, works, held, number)
        match = re.search(r"Collected : (\d+)", log.read_text())
        if not match:
            raise Wrong(log.read_text()[-300:])
        counts.append((done, int(match[1])))
    return (counts[1][1] - counts[0][1]) / (counts[1][0] - counts[0][0])


def timed(work: Workload, opt: argparse.Namespace, *, threads: int = 1) -> float:
    """Microseconds of CPU for a request, in a slice of wrk."""
    with Server("growth", threads, opt.cpus, ["0"]) as server:
        return a_slice(server, work, opt)


def a_slice(server: Server, work: Workload, opt: argparse.Namespace) -> float:
    answer = compare.ask(server.port, work)
    # Thousands of connections take their time before anything is asked.
    seconds = opt.seconds + work.connections // 2000
    compare.load(server.port, work, seconds, answer, opt)  # memory is there
    before = server.cpu()
    run = compare.load(server.port, work, seconds, answer, opt)
    return (server.cpu() - before) / float(run["requests"]) * 1e6


def hello(**more: object) -> Workload:
    return dataclasses.replace(compare.WORKLOADS["hello"], **more)  # type: ignore[arg-type]


def by_routes(routes: int, opt: argparse.Namespace) -> float:
    ends = ["list", "12345", "12345/parts/678"]
    # Of many routes some all over them, a third of each kind.
    asked = [index * routes // 30 for index in range(30)] if routes > 30 else list(range(9))
    works = [hello(path=f"/v{number % 7}/things{number:05}/{ends[number % 3]}") for number in asked]
    return counted(works, opt, routes=routes, turns=90)


def by_headers(headers: int, opt: argparse.Namespace) -> float:
    # With Host.
    fields = "".join(f"X-Field-{number:03}: as long as many values are\n" for number in range(headers - 1))
    return counted([hello(fields=fields)], opt)


def by_connections(connections: int, opt: argparse.Namespace) -> float:
    return counted([hello()], opt, held=connections, turns=max(2, 3200 // connections))


def time_by_connections(connections: int, opt: argparse.Namespace) -> float:
    return timed(hello(connections=connections), opt)


def floor_by_connections(connections: int, opt: argparse.Namespace) -> float:
    work = hello(connections=connections)
    with compare.started("floor", 1, work, opt) as server:
        return a_slice(server, work, opt)


def time_by_threads(threads: int, opt: argparse.Namespace) -> float:
    return timed(hello(), opt, threads=threads)


def echo(size: int) -> Workload:
    return hello(method="POST", path="/echo", content=bytes(size), body=bytes(size))


def by_body(size: int, opt: argparse.Namespace) -> float:
    return counted([echo(size)], opt, held=1, turns=max(2, min(100, (8 << 20) // size)))


def time_by_body(size: int, opt: argparse.Namespace) -> float:
    """By one client in Python: what it takes itself is not counted."""
    work = echo(size)
    with Server("growth", 1, opt.cpus, ["0"]) as server, connect(server.port) as connection:
        unread, done, end = bytearray(), 0, time.monotonic() + opt.seconds
        request = work.request
        connection.sendall(request)
        take(connection, unread, work)
        before = server.cpu()
        while time.monotonic() < end or done < 3:
            connection.sendall(request)
            take(connection, unread, work)
            done += 1
        return (server.cpu() - before) / done * 1e6


COUNT, TIME = "instructions / request", "CPU time / request, µs"
BODIES = tuple(KIB * 4**step for step in range(9))  # to 64 MiB
CONNECTIONS = (64, 250, 1000, 4000, 10_000)
EVERY = {
    "routes": [Series("Routes", "routes", COUNT, (10, 100, 1000, 10_000), by_routes, 0, True)],
    "headers": [Series("Header fields", "header fields", COUNT, (5, 10, 25, 50, 100), by_headers, 1, True)],
    "connections": [
        Series("Open connections", "connections that all ask", COUNT, CONNECTIONS, by_connections, 0, True),
        Series(
            "Open connections, with the kernel",
            "connections that all ask",
            TIME,
            CONNECTIONS,
            time_by_connections,
            0,
            False,
            floor_by_connections,
        ),
    ],
    "threads": [Series("Threads", "threads, on one CPU", TIME, (1, 2, 4, 8, 16, 32, 64), time_by_threads, 0, False)],
    "body": [
        Series("Body, there and back", "bytes", COUNT, BODIES, by_body, 1, True),
        Series("Body, there and back, with the kernel", "bytes", TIME, BODIES, time_by_body, 1, False),
    ],
}


def measured(series: Series, opt: argparse.Namespace) -> Found:
    """Counts are taken once; of times the least of some rounds, each through all sizes, so that all have good ones."""
    best: dict[int, float] = {}
    floor: dict[int, float] = {}
    for _ in range(1 if series.exact else opt.rounds):
        for size in series.sizes:
            value = series.measure(size, opt)
            best[size] = min(value, best.get(size, math.inf))
            print(f"{series.title}, {size} {series.x}: {value:,.2f} {series.y}", file=sys.stderr, flush=True)
            if series.floor:
                floor[size] = min(series.floor(size, opt), floor.get(size, math.inf))
    return Found(series, in_order(best), in_order(floor) if floor else None)


def in_order(values: dict[int, float]) -> Points:
    return [(float(size), values[size]) for size in sorted(values)]


# ------------------------------------------------------------------------------------------------------------- tables


def in_words(size: float, series: Series) -> str:
    if series.x != "bytes":
        return f"{size:,.0f}"
    return f"{size / KIB:,.0f} KiB" if size < KIB**2 else f"{size / KIB**2:,.0f} MiB"


def table(it: Found) -> str:
    series, points = it.series, it.points
    digits = 0 if series.exact else 1
    found = steepness(it.judged, series.power)
    may = "may grow linearly" if series.power else "may not grow"
    head = " | ".join(in_words(size, series) for size, _ in points)
    rows = [(series.y, points, digits)]
    if it.floor:
        rows += [("of the floor", it.floor, digits), ("ratio", it.judged, 2)]
    lines = [f"| {name} | {' | '.join(f'{y:,.{places}f}' for _, y in values)} |\n" for name, values, places in rows]
    what = "the ratio to the floor" if it.floor else "it"
    return (
        f"{series.title}: {what} grows with the power {found:.2f}, {may} (limit {series.limit:.1f})\n\n"
        f"| {series.x} | {head} |\n|---|{'--:|' * len(points)}\n{''.join(lines)}"
    )


def plot(found: list[Found], folder: Path) -> None:
    panels = []
    for it in found:
        sizes = [in_words(size, it.series) for size, _ in it.points]
        ticks = [words.replace(" KiB", "K").replace(" MiB", "M").replace(",000", "k") for words in sizes]
        along = it.series.x.replace("bytes", "bytes (K: 1024)")
        panels.append(chart.Curve(it.series.title, along, it.series.y, it.points, ticks, it.floor))
    about = "One thread, unless it says otherwise; both axes are logarithmic"
    chart.curves(folder / "growth.svg", "How the cost of a request grows", about, panels, "linear growth")


Moment = tuple[float, float, float]


def now() -> Moment:
    """The time; the CPU seconds of the whole machine, with what the hypervisor took; and those of this run."""
    mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(compare.machine()), sum(used.ru_utime + used.ru_stime for used in mine)


def disturbance(began: Moment, ended: Moment) -> float:
    """What part of a CPU others had in between."""
    elapsed, everybody, mine = (after - before for before, after in zip(began, ended, strict=True))
    return max(0.0, everybody - mine) / elapsed


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in EVERY]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(EVERY)}")
    return chosen


def options() -> argparse.Namespace:
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names, default=list(EVERY), help=f"some of {','.join(EVERY)}")
    parser.add_argument("--rounds", type=int, default=3, help="for each time, of which the least is taken (3)")
    parser.add_argument("--seconds", type=int, default=1, help="of a slice (1)")
    parser.add_argument("--cpus", type=compare.numbers, default=allowed[:1], help="of the server (the first)")
    parser.add_argument(
        "--client-cpus", type=compare.numbers, default=allowed[1:2] or allowed, help="of wrk (the second)"
    )
    parser.add_argument("--publish", type=Path, metavar="PAGE", help="write the tables into this page")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", default=BUILT, help="where growth.svg goes")
    opt = parser.parse_args()
    opt.cpus, opt.client_cpus = set(opt.cpus), set(opt.client_cpus)
    return opt


def main() -> int:
    opt = options()
    for needed in (BUILT / "growth", "wrk", "valgrind"):
        if not shutil.which(needed):
            sys.exit(f"there is no {needed}: benches/run.sh --growth sees to it")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < max(CONNECTIONS) + 100:
        sys.exit(f"{most} descriptors are allowed; {max(CONNECTIONS) + 100} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end with this
    compare.copy_with_vectors()
    began = now()
    with tempfile.TemporaryDirectory(prefix="hasty-growth.") as folder:
        opt.folder = Path(folder)
        found = [measured(series, opt) for name in opt.only for series in EVERY[name]]
    tables = "\n".join(map(table, found))
    print(tables)
    plot(found, opt.charts)
    if opt.publish:
        noise = f"Others had {disturbance(began, now()):.0%} of a CPU meanwhile."
        compare.place(opt.publish, BEGIN, END, f"\n{compare.conditions()} {noise}\n\n{tables}\n")
    wrong = [why for it in found if (why := verdict(it))]
    print("\n".join(wrong) or "nothing grows faster than it may", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
