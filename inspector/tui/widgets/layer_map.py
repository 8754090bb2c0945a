"""Rows of numbers along the layers as a heatmap that is its own legend: letter, name, value, a cell a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from inspector.common.arrays import Floats
from inspector.tui.text import NA, Line, decimal, fit, right
from inspector.tui.views.base import Area, window
from inspector.tui.widgets.plot import LETTERS

_VALUE = 6


@dataclass(frozen=True, slots=True)
class Track:
    """One row: its name, its values along the layers, the number beside the name, its letter in the plot."""

    label: str
    values: Floats
    number: float
    here: bool = False
    letter: int = -1
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """How the rows lie in an area: width of the names and of a cell, first layer and how many."""

    label: int
    cell: int
    first: int
    count: int

    @property
    def caption(self) -> str:
        """What the cells say, where there is no room for whole numbers."""
        return {1: "tenths, * = 1", 2: "tenths, * = 1", 3: "hundredths, * = 1"}.get(self.cell, "")


def grid(tracks: Sequence[Track], layers: int, current: int, width: int) -> Grid:
    """The widest cells that fit; a window around the slider where even the narrowest do not."""
    label = min(max((cell_len(track.label) for track in tracks), default=1), max(width // 3, 10)) + 3
    room = max(width - label - _VALUE - 2, 1)
    cell = min(max(room // max(layers, 1), 1), 5)
    count = min(layers, room // cell)
    return Grid(label, cell, window(max(current - count // 2, 0), current, count, layers), count)


def paint(
    tracks: Sequence[Track], layers: Sequence[int], current: int, form: Grid, value: str, area: Area
) -> list[Line]:
    """A header with layer numbers, the slider's among them, and a line a track."""
    return [_header(layers, current, form, value, area), *(_row(track, current, form, area) for track in tracks)]


def _header(layers: Sequence[int], current: int, form: Grid, value: str, area: Area) -> Line:
    line = Line().to(form.label).add(right(value, _VALUE), area.ink.dim).add("  ")
    marks, used = [" "] * (form.count * form.cell + 4), set[int]()
    shown = range(form.first, form.first + form.count)
    for at in (current, *shown):
        text = str(layers[at])
        start = (at - form.first + 1) * form.cell - len(text)
        if at not in shown or start < 0 or used & set(range(start - 1, start + len(text) + 1)):
            continue
        used |= set(range(start, start + len(text)))
        marks[start : start + len(text)] = text
    text = "".join(marks).rstrip()
    start = max((current - form.first + 1) * form.cell - len(str(layers[current])), 0)
    line.add(text[:start], area.ink.dim).add(text[start : start + len(str(layers[current]))], area.ink.accent)
    return line.add(text[start + len(str(layers[current])) :], area.ink.dim)


def _row(track: Track, current: int, form: Grid, area: Area) -> Line:
    ink = area.ink
    style = ink.bold if track.here else ink.plain
    line = Line("▸" if track.here else " ", ink.accent)
    if track.letter >= 0:
        line.add(f"{LETTERS[track.letter % 26]} ", ink.line(track.colour) + ink.bold)
    else:
        line.add("  ")
    line.add(fit(track.label, form.label - 3), style).to(form.label).add(right(decimal(track.number), _VALUE), style)
    line.add("  ")
    for at in range(form.first, form.first + form.count):
        number = float(track.values[at])
        chosen = ink.bold if at == current and track.here else ink.plain
        line.add(_cell(number, form.cell), ink.cell(number) + chosen)
    return line


def _cell(number: float, width: int) -> str:
    if width >= 4 or math.isnan(number):
        return right(decimal(number) if not math.isnan(number) else NA, width)
    if width == 3 and number < 0.995:
        return right(f"{round(100 * number)}".replace("-", "−"), width)
    return right(_tenth(number), width)


def _tenth(number: float) -> str:
    """One character: `9` for .9 up to .99, `*` for 1, `−` below 0."""
    if number >= 0.995:
        return "*"
    return "−" if number < -0.005 else str(max(math.floor(number * 10 + 1e-9), 0))
