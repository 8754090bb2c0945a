"""A line plot with axes, letters on its lines, and a cursor column that needs no new plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.style import Style

from inspector.common.arrays import Floats
from inspector.tui.plotting import Cell, Curve, Frame, canvas, nice_limits
from inspector.tui.text import Line, right
from inspector.tui.theme import Ink

AXIS = 7
Look = tuple[str, Style]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Lines:
    """What to plot: a curve per letter, over the numbers of the x axis."""

    x: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    chance: tuple[float, ...] = ()
    limits: tuple[float, float, float] = (0.0, 1.0, 0.25)
    cursor: float | None = None
    strong: int = -1
    ticks: tuple[str, ...] = field(default=())
    log: bool = False
    spread: tuple[float, ...] = ()
    """Half the width of the band around chance, at each x; without it, a line."""
    colours: tuple[int, ...] = ()
    """Of the curves, as the ink numbers them; by default in their order."""
    lettered: bool = True

    def colour(self, curve: int) -> int:
        return self.colours[curve] if self.colours else curve


def as_curve(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def limits_of(
    curves: Sequence[Sequence[float]], *, floor: float | None = None, roof: float | None = None
) -> tuple[float, float, float]:
    """Round limits around everything finite, within bounds that the metric itself has."""
    known = [v for curve in curves for v in curve if math.isfinite(v)]
    low = min([*known, *([floor] if floor is not None else [])], default=0.0)
    high = max(known, default=1.0)
    bottom, top, step = nice_limits(low, high)
    return bottom, min(top, roof) if roof is not None and high <= roof else top, step


def plot(lines: Lines, ink: Ink, width: int, height: int) -> list[Line]:
    """The plot in `height` lines of `width` cells: canvas, y numbers left, x numbers below."""
    low, high, step = lines.limits
    x0, x1 = (lines.x[0], lines.x[-1]) if lines.x else (0.0, 1.0)
    tall, ticks = _rows(max(height - 1, 2), round((high - low) / step) if step > 0 else 1)
    frame = Frame(max(width - AXIS - 2, 2), tall, (x0, x1), (low, high))
    curves = tuple(Curve(lines.x, curve) for curve in lines.curves)
    rows = [list(row) for row in canvas(curves, frame)]
    letters = _place_letters(lines, frame) if lines.lettered else {}
    labels = _y_labels(frame, ticks, log=lines.log)
    cursor = frame.column(lines.cursor) if lines.cursor is not None else -1
    chance = _chance_rows(lines, frame)
    out = []
    zero = frame.row(0.0) if low <= 0 < high and not lines.log else -1
    if zero >= 0:
        labels.setdefault(zero, "0 ")
    for y, row in enumerate(rows):
        line = Line(right(labels.get(y, ""), AXIS), ink.dim).add("┤" if y in labels else "│", ink.dim)
        blank = "──" if y == zero else "· " if y in labels else "  "
        here = {x: curve for (at, x), curve in letters.items() if at == y}
        out.append(_add_cells(line, row, here, _behind(y, cursor, blank, chance, ink), lines, ink))
    return [*out, _x_axis(lines, frame, ink), *[Line()] * (max(height - 1, 2) - tall)]


def _rows(height: int, steps: int) -> tuple[int, int]:
    """(rows of the canvas, ticks above the lowest): evenly apart, on rows of their own, for at most an eighth left out.

    Of the numbers of ticks that divide the steps of the scale, the largest that allows it.
    """
    for ticks in range(steps, 0, -1):
        left_out = (height - 1) % ticks
        if steps % ticks == 0 and ticks < height and left_out <= max(height // 8, 1):
            return height - left_out, ticks
    return height, 1


def _behind(row: int, cursor: int, blank: str, chance: dict[int, set[int]], ink: Ink) -> Callable[[int], Look]:
    """What is seen in a column of a row where there is no curve: slider, chance, grid."""

    def look(x: int) -> Look:
        if x == cursor:
            return "│", ink.accent
        return ("╌", ink.dim) if row in chance.get(x, ()) and x % 2 == 0 else (blank[x % 2], ink.dim)

    return look


def _add_cells(
    line: Line, row: list[Cell], letters: dict[int, int], behind: Callable[[int], Look], lines: Lines, ink: Ink
) -> Line:
    """One row of the canvas, neighbours of one style as one segment; `letters`: curves by column."""
    run, style = "", Style()
    for x, (char, curve) in enumerate(row):
        if x in letters:
            at, want = LETTERS[letters[x] % 26], ink.line(lines.colour(letters[x])) + ink.bold
        elif curve >= 0:
            at, want = char, ink.line(lines.colour(curve)) + Style(bold=curve == lines.strong or None)
        else:
            at, want = behind(x)
        if want != style and run:
            line.add(run, style)
            run = ""
        run, style = run + at, want
    return line.add(run, style)


def _place_letters(lines: Lines, frame: Frame) -> dict[tuple[int, int], int]:
    """Where each curve's letter stands: on the curve, at columns staggered so that they do not meet."""
    taken: dict[tuple[int, int], int] = {}
    n, places = len(lines.curves), len(lines.x)
    if places < 2:
        return taken
    repeats = 2 if frame.width >= 12 * n else 1
    for index, curve in enumerate(lines.curves):
        for repeat in range(repeats):
            want = round((index + repeat * n + 0.5) / (n * repeats) * (places - 1))
            for at in sorted(range(places), key=lambda at: abs(at - want)):
                cell = (frame.row(curve[at]), frame.column(lines.x[at])) if math.isfinite(curve[at]) else (-1, -1)
                if 0 <= cell[0] < frame.height and cell not in taken:
                    taken[cell] = index
                    break
    return taken


def _chance_rows(lines: Lines, frame: Frame) -> dict[int, set[int]]:
    """Column -> rows of the chance line: one, or both edges of its band."""
    rows: dict[int, set[int]] = {}
    for x in range(frame.width if lines.chance else 0):
        at = round(x / max(frame.width - 1, 1) * (len(lines.chance) - 1))
        value, half = lines.chance[at], lines.spread[at] if lines.spread else 0.0
        edges = [edge for edge in (value - half, value + half) if frame.y[0] <= edge <= frame.y[1]]
        rows[x] = {frame.row(edge) for edge in edges}
    return rows


def _y_labels(frame: Frame, ticks: int, *, log: bool) -> dict[int, str]:
    """Row -> number, of the lowest and so many ticks above it."""
    low, high = frame.y
    labels: dict[int, str] = {}
    for n in range(ticks + 1):
        value = low + (high - low) * n / ticks
        value = 0.0 if abs(value) < (high - low) * 1e-6 else value
        labels[frame.row(value)] = (_power(value) if log else f"{value:.4g}".replace("-", "−")) + " "
    return labels


def _power(exponent: float) -> str:
    """10 to that power in what the axis has room for: `0.032`, `3.2e-4`."""
    text = f"{10**exponent:.2g}"
    return text if len(text) < AXIS else f"{10**exponent:.1e}".replace("e-0", "e-")


def _x_axis(lines: Lines, frame: Frame, ink: Ink) -> Line:
    """The bottom edge with as many numbers as fit into it; the slider names the cursor's."""
    ticks = lines.ticks or tuple(f"{x:g}" for x in lines.x)
    cells, free = ["─"] * frame.width, 0
    least = math.ceil(len(lines.x) * 5 / max(frame.width, 1))
    stride = next(m * 10**n for n in range(9) for m in (1, 2, 5) if m * 10**n >= least)
    for at in range(0, len(lines.x), stride):
        width = len(ticks[at])
        start = min(max(frame.column(lines.x[at]) - width // 2, 0), frame.width - width)
        if start >= free:
            cells[start : start + width] = ticks[at]
            free = start + width + 2
    return Line(" " * AXIS).add("└" + "".join(cells), ink.dim)
