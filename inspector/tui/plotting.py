"""Lines on a braille canvas: the only module that knows plotext."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

_FIRST = 16  # palette index that stands for curve 0 in plotext's output
_SGR = re.compile(r"\x1b\[([0-9;]*)m")

Cell = tuple[str, int]
"""A character and the curve it belongs to, −1 for none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: y over x, NaN where there is a gap."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """The canvas in cells and the numbers at its edges."""

    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]

    def column(self, x: float) -> int:
        low, high = self.x
        return round((x - low) / (high - low) * (self.width - 1)) if high > low else 0

    def row(self, y: float) -> int:
        low, high = self.y
        return round((high - y) / (high - low) * (self.height - 1)) if high > low else 0


@lru_cache(32)
def canvas(curves: tuple[Curve, ...], frame: Frame) -> tuple[tuple[Cell, ...], ...]:
    """The curves as rows of cells, later curves over earlier ones."""
    blank = tuple(tuple((" ", -1) for _ in range(frame.width)) for _ in range(frame.height))
    pieces = [(index, piece) for index, curve in enumerate(curves) for piece in _pieces(curve, frame)]
    if not pieces or frame.width < 2 or frame.height < 2:
        return blank
    rows = _render(pieces, frame)
    if len(rows) != frame.height or any(len(row) != frame.width for row in rows):
        return blank
    return rows


def warm_up() -> None:
    """Import plotext beforehand: the first plot then appears at once."""
    import plotext  # noqa: F401


def _pieces(curve: Curve, frame: Frame) -> list[list[tuple[float, float]]]:
    """The unbroken parts of a curve, within the frame.

    plotext 6.1's kernel aborts the process on NaN (an assertion in C++), so none may reach it.
    """
    pieces: list[list[tuple[float, float]]] = [[]]
    low, high = frame.y
    for x, y in zip(curve.x, curve.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            pieces[-1].append((x, min(max(y, low), high)))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _render(pieces: list[tuple[int, list[tuple[float, float]]]], frame: Frame) -> tuple[tuple[Cell, ...], ...]:
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(frame.width, frame.height)
    figure.theme("colorless")
    figure.canvas("default")
    figure.axes(active=False)
    for axis, side, limits in (("x", "lower", frame.x), ("y", "left", frame.y)):
        figure.ruler(axis, side).lim(*limits).frequency(0)
    for index, piece in pieces:
        marker = plotext.marker("braille", pixel=_FIRST + index)
        xs, ys = [x for x, _ in piece], [y for _, y in piece]
        figure.draw(figure.signal(xs, ys, marker=marker).lines(active=len(piece) > 1))
    lines = str(figure.build().string()).split("\n")
    return tuple(_cells(line) for line in lines[: frame.height])


def _cells(line: str) -> tuple[Cell, ...]:
    """One line of plotext's ANSI output as cells."""
    cells: list[Cell] = []
    curve, at = -1, 0
    for code in _SGR.finditer(line):
        cells += [(char, curve) for char in line[at : code.start()]]
        at = code.end()
        fields = code[1].split(";")
        curve = int(fields[2]) - _FIRST if fields[:2] == ["38", "5"] else -1
    return (*cells, *((char, curve) for char in line[at:]))


def nice_limits(low: float, high: float) -> tuple[float, float, float]:
    """Round limits around [low, high] and the step between their ticks."""
    if not math.isfinite(low) or not math.isfinite(high):
        return 0.0, 1.0, 0.5
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= rough * (1 - 1e-9))
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step
