"""Charts as SVG, drawn by nothing but this file: bars that are compared, and lines that grow.

Each is a card with a ground of its own, light or dark as the reader's system is, so that it can be read on any page.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH = 880
#: Where a point of a panel lies in the drawing.
Place = Callable[[float, float], tuple[float, float]]
STYLE = """\
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.panel { font-weight: 600 }
.quiet { fill: #59636e }
.small { font-size: 11px }
.card { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.axis { stroke: #59636e }
.mark { stroke: #1f2328; stroke-dasharray: 3 3 }
.own { fill: #0969da } .own-2 { fill: #80b8f0 } .peer { fill: #6e7781 } .peer-2 { fill: #b7bec5 }
.line { fill: none; stroke: #0969da; stroke-width: 2 } .dot { fill: #0969da }
.floor { fill: none; stroke: #818b98; stroke-width: 2 }
.linear { fill: none; stroke: #59636e; stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .quiet { fill: #9198a1 } .card { fill: #0d1117; stroke: #3d444d }
  .grid { stroke: #3d444d } .axis { stroke: #9198a1 } .mark { stroke: #f0f6fc }
  .own { fill: #4493f8 } .own-2 { fill: #1f4f8f } .peer { fill: #9198a1 } .peer-2 { fill: #555d66 }
  .line { stroke: #4493f8 } .dot { fill: #4493f8 }
  .linear { stroke: #9198a1 }
}
"""


# ---- marks


class Drawing:
    """What has been drawn so far; y grows downwards."""

    def __init__(self, height: float, title: str) -> None:
        self.height, self.title = height, title
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start", turned: bool = False) -> None:
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        of = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{of}{turn}>{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, x: float, y: float, width: float, height: float, kind: str, about: str) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="1.5" class="{kind}">'
            f"<title>{escape(about)}</title></rect>"
        )

    def dot(self, x: float, y: float, kind: str, about: str) -> None:
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="{kind}"><title>{escape(about)}</title></circle>'
        )

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        self.parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>')

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:.0f}" role="img" '
            f'aria-label="{escape(self.title)}">\n<style>\n{STYLE}</style>\n'
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1:.0f}" rx="8" class="card"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n",
            encoding="utf-8",
        )


# ---- bars


@dataclass(frozen=True)
class Bars:
    """One panel: what each row took, once for every name in the legend. None is a row that has no such figure."""

    title: str
    rows: list[tuple[str, list[float | None]]]


def bars(
    file: Path, title: str, about: str, legend: Sequence[str], panels: Sequence[Bars], most: float, own: str
) -> None:
    """Panels of horizontal bars on one scale from 0 to `most`, with a line at 1. Longer bars are cut, and say so."""
    across, row_height, gap, names = 3, 12 * len(legend) + 7, 26, 92
    panel_width = (WIDTH - 2 * 20 - (across - 1) * gap) / across
    panel_height = 30 + row_height * max(len(panel.rows) for panel in panels) + 26
    down = math.ceil(len(panels) / across)
    drawing = Drawing(78 + down * panel_height, title)
    drawing.text(20, 30, title, "title")
    drawing.text(20, 50, about, "quiet")
    key(drawing, legend, own)
    for number, panel in enumerate(panels):
        left = 20 + number % across * (panel_width + gap)
        top = 78 + number // across * panel_height
        bar_panel(drawing, panel, left, top, panel_width, names, row_height, most, own)
    drawing.write(file)


def key(drawing: Drawing, legend: Sequence[str], own: str) -> None:
    right = WIDTH - 20.0
    for number, words in reversed(list(enumerate(legend))):
        right -= 7 * len(words) + 40
        for offset, kind in ((0, "own"), (12, "peer")):
            drawing.bar(right + offset, 21, 10, 10, kind + shade(number), words)
        drawing.text(right + 28, 30, words, "quiet")


def shade(number: int) -> str:
    return f"-{number + 1}" if number else ""


def bar_panel(
    drawing: Drawing,
    panel: Bars,
    left: float,
    top: float,
    width: float,
    names: float,
    row_height: float,
    most: float,
    own: str,
) -> None:
    start, room = left + names, width - names - 34
    bottom = top + 24 + row_height * len(panel.rows)
    drawing.text(left, top + 12, panel.title, "panel")
    for tick in range(int(most) + 1):
        x = start + room * tick / most
        drawing.line(x, top + 20, x, bottom, "mark" if tick == 1 else "grid")
        drawing.text(x, bottom + 14, str(tick), "quiet small", "middle")
    for number, (name, values) in enumerate(panel.rows):
        y = top + 26 + number * row_height
        drawing.text(start - 6, y + 6 * len(values) + 3, name, "panel" if name == own else "", "end")
        for index, value in enumerate(values):
            at = y + 12 * index
            if value is None:
                drawing.text(start + 4, at + 9, "not correct", "quiet small")
                continue
            kind = ("own" if name == own else "peer") + shade(index)
            length = room * min(value, most) / most
            words = f"{value:.2f}" if value < 10 else f"{value:.0f}"
            drawing.bar(start, at, length, 10, kind, f"{panel.title}, {name}: {words}")
            drawing.text(start + length + 4, at + 9, words + (" →" if value > most else ""), "small")


# ---- lines


@dataclass(frozen=True)
class Curve:
    """One panel of something that grows: points (x, y), and how the axes are called, with their units."""

    title: str
    x: str
    y: str
    points: list[tuple[float, float]]
    #: How the sizes are called on the axis.
    ticks: list[str]
    #: What the same takes where nobody could take less.
    floor: list[tuple[float, float]] | None = None


def curves(file: Path, title: str, about: str, panels: Sequence[Curve], linear: str) -> None:
    """Panels with both axes logarithmic: what grows linearly has the slope of the dashed line, called `linear`."""
    across, gap, panel_height = 2, 30, 250
    panel_width = (WIDTH - 2 * 20 - (across - 1) * gap) / across
    drawing = Drawing(80 + math.ceil(len(panels) / across) * panel_height, title)
    drawing.text(20, 30, title, "title")
    drawing.text(20, 50, about, "quiet")
    drawing.line(WIDTH - 190, 26, WIDTH - 160, 26, "linear")
    drawing.text(WIDTH - 154, 30, linear, "quiet")
    for number, panel in enumerate(panels):
        left = 20 + number % across * (panel_width + gap)
        curve_panel(drawing, panel, left, 74 + number // across * panel_height, panel_width, panel_height - 24)
    drawing.write(file)


def curve_panel(drawing: Drawing, panel: Curve, left: float, top: float, width: float, height: float) -> None:
    drawing.text(left, top + 12, panel.title, "panel")
    box = (left + 62, top + 24, left + width - 14, top + height - 44)
    low_x, high_x = panel.points[0][0], panel.points[-1][0]
    floor = panel.floor or []
    low_y, high_y = decades([y for _, y in panel.points + floor])

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / low_x) / math.log(high_x / low_x)
        up = math.log(y / low_y) / math.log(high_y / low_y)
        return box[0] + (box[2] - box[0]) * across, box[3] - (box[3] - box[1]) * up

    axes(drawing, panel, box, place, (low_y, high_y))
    drawing.path(slope(panel.points[0], high_x, high_y, place), "linear")
    if floor:
        drawing.path([place(*point) for point in floor], "floor")
        drawing.text(place(*floor[0])[0] + 8, place(*floor[0])[1] + 16, "grey: the floor", "quiet small")
    drawing.path([place(*point) for point in panel.points], "line")
    for (x, y), tick in zip(panel.points, panel.ticks, strict=True):
        drawing.dot(*place(x, y), "dot", f"{tick}: {short(y)} {panel.y}")


def slope(first: tuple[float, float], high_x: float, high_y: float, place: Place) -> list[tuple[float, float]]:
    """From the first point on as steep as what grows linearly, as far as the panel goes."""
    x, y = first
    end = min(high_x, x * high_y / y)
    return [place(x, y), place(end, y * end / x)]


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten around the values, two of them at least: less would make a cliff of what is almost flat."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    while high - low < 2:
        high += 1
    return 10.0**low, 10.0**high


def axes(drawing: Drawing, panel: Curve, box: tuple[float, ...], place: Place, range_y: tuple[float, float]) -> None:
    left, top, right, bottom = box
    decade = range_y[0]
    while decade <= range_y[1] * 1.001:
        y = place(panel.points[0][0], decade)[1]
        drawing.line(left, y, right, y, "grid")
        drawing.text(left - 6, y + 4, short(decade), "quiet small", "end")
        decade *= 10
    for (x, _), tick in zip(panel.points, panel.ticks, strict=True):
        at = place(x, range_y[0])[0]
        drawing.line(at, bottom, at, bottom + 4, "axis")
        drawing.text(at, bottom + 17, tick, "quiet small", "middle")
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.line(left, top, left, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 35, panel.x, "quiet", "middle")
    drawing.text(left - 48, (top + bottom) / 2, panel.y, "quiet", "middle", turned=True)


def short(value: float) -> str:
    """1234 as 1.2k, 0.05 as it is: what fits beside an axis."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"
