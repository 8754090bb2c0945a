"""An N×N table of short texts that scrolls both ways under fixed headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from inspector.tui.text import Line, bracketed, centre, left, page, right
from inspector.tui.views.base import Area, window

Cell = Callable[[int, int], tuple[str, Style]]
_LABEL, _CELL = 22, 9


@dataclass(frozen=True, slots=True)
class Layout:
    """How the table lies in an area; `named`: names above the columns, else numbers."""

    label: int
    cell: int
    rows: int
    cols: int
    named: bool


@dataclass(slots=True)
class Matrix:
    """The table's scroll position."""

    top: int = 0
    first: int = 0

    def paint(self, cell: Cell, names: Sequence[str], cursor: tuple[int, int], area: Area) -> list[Strip]:
        """Header line and as many rows as fit around the cursor; the cursor's cell in brackets."""
        form = self._layout(names, area)
        self.top = window(self.top, cursor[0], form.rows, len(names))
        self.first = window(self.first, cursor[1], form.cols, len(names))
        columns = range(self.first, min(self.first + form.cols, len(names)))
        header = Line().to(form.label)
        for c in columns:
            text = names[c] if form.named else str(c + 1)
            header.add(centre(text, form.cell), area.ink.accent if c == cursor[1] else area.ink.dim)
        lines = [header]
        for row in range(self.top, min(self.top + form.rows, len(names))):
            line = Line(f" {right(str(row + 1), len(str(len(names))))} ", area.ink.dim)
            style = area.ink.accent if row == cursor[0] else area.ink.plain
            line.add(left(names[row], form.label - line.width - 1), style).to(form.label)
            for c in columns:
                text, look = cell(row, c)
                if (row, c) == cursor:
                    line.add(bracketed(text, form.cell), look + area.ink.bold)
                else:
                    line.add(centre(text, form.cell), look)
            lines.append(line)
        return page(lines, area.width, area.height)

    def extent(self, names: Sequence[str], area: Area) -> str:
        """` · rows 1–18, columns 1–9 of 64` when not all fit."""
        form, n = self._layout(names, area), len(names)
        if form.rows >= n and form.cols >= n:
            return ""
        rows = f"rows {self.top + 1}–{self.top + form.rows}"
        return f" · {rows}, columns {self.first + 1}–{self.first + form.cols} of {n}"

    def _layout(self, names: Sequence[str], area: Area) -> Layout:
        """One line a row; cells wide enough for counts of three digits, and for names if all of them fit."""
        longest, n = max((cell_len(name) for name in names), default=1), max(len(names), 1)
        label = min(longest, _LABEL, max(area.width // 3, 8)) + len(str(n)) + 3
        room = area.width - label - 1
        named = max(longest + 2, _CELL) * n <= room
        cell = min(max(longest + 2, _CELL), 12) if named else _CELL
        return Layout(label, cell, min(max(area.height - 1, 1), n), min(max(room // cell, 1), n), named)
