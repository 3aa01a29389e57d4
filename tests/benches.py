#!/usr/bin/env python3
"""What benches/ makes of figures: tables, charts, and a verdict on what grows. Nothing is measured here.

benches.py SCRATCH_FOLDER
"""

import io
import sys
import xml.etree.ElementTree as tree
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "benches")]

import chart  # noqa: E402
import compare  # noqa: E402
import growth  # noqa: E402
from protocol import done, expect  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def same(name, found, wanted):
    expect(name, "" if found == wanted else f"{found!r} is not {wanted!r}")


# ---- growth


def series(power, exact=True):
    return growth.Series("Things", "things", "seconds", (), None, power, exact)


def what_grows_faster_than_it_may_is_found():
    sizes = (10, 100, 1000, 10_000)
    for name, power, grows, may in (
        ("what stays the same", 0, lambda x: 4000, True),
        ("what becomes less", 0, lambda x: 4000 - x / 10, True),
        ("what has a search in order in it", 0, lambda x: 4000 + 2 * x, False),
        ("what has a tree of some depth in it", 0, lambda x: 4000 + 100 * len(str(x)), True),
        ("what grows linearly, on top of much that does not", 1, lambda x: 4000 + 3 * x, True),
        ("what grows a little, by its square", 1, lambda x: 4000 + 3 * x + x * x / 1000, False),
        ("what does not grow, and might", 1, lambda x: 4000, True),
        ("what falls, and then rises by its square", 1, lambda x: 4000 - x + (x * x if x > 5000 else 0), False),
    ):
        wrong = growth.verdict(growth.Found(series(power), [(float(x), float(grows(x))) for x in sizes]))
        expect(f"{name} {'may' if may else 'may not'}", "" if bool(wrong) != may else wrong or "it was not found")
    twice, thrice = [(1.0, 2.0), (10.0, 6.0)], [(1.0, 3.0), (10.0, 9.0)]
    same("what grows as the floor does may", growth.verdict(growth.Found(series(0), thrice, twice)), "")
    same("what others had is told", growth.disturbance((10.0, 100.0, 50.0), (20.0, 115.0, 60.0)), 0.5)
    told = growth.verdict(growth.Found(series(0), [(1.0, 1.0), (10.0, 10.0)], [(1.0, 1.0), (10.0, 1.0)]))
    same("and is named", told, "Things: seconds grow with the power 1.00 of things, and may grow not at all")


# ---- charts


def charts_can_be_read(scratch):
    file = scratch / "bars.svg"
    panels = [chart.Bars("a < b", [("hasty", [1.1, 1.2]), ("other & co", [12.9, None])])]
    chart.bars(file, "Cost", "in nothing", ["one", "pool"], panels, 2.5, "hasty")
    words = [text.text for text in tree.parse(file).iter(f"{SVG}text")]
    missing = {"a < b", "other & co", "1.10", "1.20", "13 →", "not correct"} - set(words)
    expect("a chart of bars has a figure for each bar, and says which are cut or missing", ", ".join(missing))

    file = scratch / "curves.svg"
    panels = [
        chart.Curve("Growth", "things", "seconds", [(10.0, 0.5), (100.0, 5.0), (10_000.0, 500.0)], ["10", "100", "10k"])
    ]
    chart.curves(file, "Growth", "", panels, "linear")
    drawn = tree.parse(file)
    words = {text.text for text in drawn.iter(f"{SVG}text")}
    expect("a chart of growth names its axes and sizes", ", ".join({"things", "seconds", "10", "100", "10k"} - words))
    own, dashed = (
        [line for line in drawn.iter(f"{SVG}polyline") if line.get("class") == kind] for kind in ("line", "linear")
    )
    ends = [[tuple(map(float, point.split(","))) for point in line[0].get("points").split()] for line in (own, dashed)]
    expect(
        "what grows linearly lies on the dashed line",
        "" if ends[0][0] == ends[1][0] and ends[0][-1] == ends[1][-1] else f"{ends}",
    )


# ---- tables

ROWS = [
    {"workload": "hello", "threads": threads, "server": server, "round": turn, "cpu_us": cost, "others": 0, "stolen": 0}
    for threads in (1, 0)
    for turn in (0, 1)
    for server, cost in (("floor", 10.0), ("hasty", 11.0 + turn), ("hyper", 20.0))
] + [{"workload": "close", "threads": 0, "server": "hyper", "wrong": "it said nothing"}]


def tables_tell_what_was_measured(scratch):
    with redirect_stdout(io.StringIO()) as told:
        compare.report(ROWS)
    lines = told.getvalue().splitlines()
    for number in ("1 thread", "pool"):
        start = next((i for i, line in enumerate(lines) if f"floor's, {number}" in line), None)
        rows = [] if start is None else lines[start + 2 : start + 7]
        wanted = [
            "| | hello |",
            "|---|--:|",
            "| floor | 10.00 us |",
            "| **hasty** | 1.10 (1.15) |",
            "| hyper | 2.00 (2.00) |",
        ]
        same(f"ratios to the floor, {number}: best (median)", rows, wanted)
    expect(
        "what was rejected is named", "" if "rejected: hyper, close, pool: it said nothing" in lines else "it is not"
    )

    page = scratch / "page.md"
    page.write_text(f"before\n{compare.BEGIN}old\n{compare.END}after\n")
    for text in ("first\n", "second\n"):
        compare.place(page, compare.BEGIN, compare.END, text)
    same(
        "a page keeps all but what is between the marks",
        page.read_text(),
        f"before\n{compare.BEGIN}second\n{compare.END}after\n",
    )
    page.write_text("no marks\n")
    try:
        compare.place(page, compare.BEGIN, compare.END, "text")
        expect("a page without marks is refused", "it was not")
    except SystemExit:
        same("a page without marks is refused, and left as it was", page.read_text(), "no marks\n")


def the_page_has_the_marks():
    text = (ROOT / "benches/README.md").read_text()
    for name, marks in (("make bench", (compare.BEGIN, compare.END)), ("make growth", (growth.BEGIN, growth.END))):
        expect(
            f"benches/README.md has a place for what {name} writes",
            "" if all(text.count(mark) == 1 for mark in marks) else "it has none",
        )


def main(scratch):
    scratch = Path(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    what_grows_faster_than_it_may_is_found()
    charts_can_be_read(scratch)
    tables_tell_what_was_measured(scratch)
    the_page_has_the_marks()
    return done()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
