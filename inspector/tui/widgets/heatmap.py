"""An N×N map of numbers on a fixed colour ramp, scrolling both ways under fixed headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.tui.text import Line, bracketed, centre, left, page, right, signed, unsigned
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, window

_LABEL, _NARROWEST = 22, 5


@dataclass(frozen=True, slots=True)
class Layout:
    """How an N×N map lies in an area."""

    label: int
    cell: int
    tall: int
    rows: int
    cols: int
    named: bool


def layout(names: Sequence[str], area: Area) -> Layout:
    """The roomiest layout that fits: named columns if they do, cells up to three lines high."""
    longest = max((cell_len(name) for name in names), default=1)
    digits = len(str(len(names)))
    n = max(len(names), 1)
    label = min(longest, _LABEL, max(area.width // 3, 8)) + digits + 3
    room = area.width - label - 1
    named = (longest + 2) * n <= room
    cell = min(max(longest + 2, 7), 12) if named else max(_NARROWEST, min(8, room // n))
    tall = next((t for t in (3, 2, 1) if t * n + 1 <= area.height), 1)
    rows, cols = max((area.height - 1) // tall, 1), max(room // cell, 1)
    return Layout(label, cell, tall, min(rows, n), min(cols, n), named)


@dataclass(slots=True)
class Heatmap:
    """The map's scroll position; everything else comes with each painting."""

    top: int = 0
    first: int = 0

    def paint(
        self, values: Floats, names: Sequence[str], cursor: tuple[int, int], area: Area, *, diverging: bool
    ) -> list[Strip]:
        """Header line and as many rows as fit around the cursor."""
        form = layout(names, area)
        self.top = window(self.top, cursor[0], form.rows, len(names))
        self.first = window(self.first, cursor[1], form.cols, len(names))
        rows = range(self.top, min(self.top + form.rows, len(names)))
        lines = [
            self._row(values, names, (row, part), cursor, form, area.ink, diverging=diverging)
            for row in rows
            for part in range(form.tall)
        ]
        return page([self._header(names, cursor[1], form, area), *lines], area.width, area.height)

    def height(self, names: Sequence[str], area: Area) -> int:
        """How many lines of the area the map needs."""
        form = layout(names, area)
        return form.rows * form.tall + 1

    def extent(self, names: Sequence[str], area: Area) -> str:
        """` · rows 1–18, columns 1–9 of 64` when not all fit."""
        form, n = layout(names, area), len(names)
        if form.rows >= n and form.cols >= n:
            return ""
        rows = f"rows {self.top + 1}–{self.top + form.rows}"
        return f" · {rows}, columns {self.first + 1}–{self.first + form.cols} of {n}"

    def _header(self, names: Sequence[str], col: int, form: Layout, area: Area) -> Line:
        line = Line().to(form.label)
        for c in range(self.first, min(self.first + form.cols, len(names))):
            text = names[c] if form.named else str(c + 1)
            line.add(centre(text, form.cell), area.ink.accent if c == col else area.ink.dim)
        return line

    def _row(
        self,
        values: Floats,
        names: Sequence[str],
        at: tuple[int, int],
        cursor: tuple[int, int],
        form: Layout,
        ink: Ink,
        *,
        diverging: bool,
    ) -> Line:
        """Line `part` of the cells of one row; the number stands in the middle one."""
        row, part = at
        middle = part == (form.tall - 1) // 2
        line = Line()
        if middle:
            style = ink.accent if row == cursor[0] else ink.plain
            number = right(str(row + 1), len(str(len(names))))
            line.add(f" {number} ", ink.dim).add(left(names[row], form.label - line.width - 1), style)
        line.to(form.label)
        for c in range(self.first, min(self.first + form.cols, len(names))):
            value = float(values[row, c])
            text = (signed(value) if diverging else unsigned(value)) if middle else ""
            chosen = (row, c) == cursor
            style = ink.cell(value, diverging=diverging)
            if chosen and middle:
                line.add(bracketed(text, form.cell), style + ink.bold)
            else:
                line.add(_placed(text, form.cell), style)
        return line


def _placed(text: str, width: int) -> str:
    """In the middle; in the narrowest cells at the right, where the cursor's mark leaves it."""
    return right(text, width) if width == _NARROWEST else centre(text, width)


def ramp_legend(area: Area, *, diverging: bool) -> Line:
    """The ramp with its ends."""
    line = Line("−1 " if diverging else "0 ", area.ink.dim)
    for value in np.linspace(-1 if diverging else 0, 1, 15 if diverging else 8):
        line.add("  " if not diverging else " ", area.ink.cell(float(value), diverging=diverging))
    return line.add(" 1", area.ink.dim)
