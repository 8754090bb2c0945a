"""N×N maps of numbers side by side, in blocks with gaps between them, scrolling both ways under fixed headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.common.colours import Ramp
from inspector.common.labels import labels
from inspector.common.numbers import fixed
from inspector.tui.text import Line, bracketed, centre, decimal, left, page, right
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, window

_LABEL = 22
_NARROWEST, _LEAST = 5, 4
"""Columns of a cell; where these do not suffice for all adapters, fewer, which have no room for the zero of `0.86`."""
_APART = 3
_ROOMY = 7
"""Cells from which numbers stand in the middle."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One map: (N, N) in the order of its rows, and how a number looks there."""

    title: str
    values: Floats
    shade: Callable[[float], tuple[float, Ramp]]
    signed: bool

    def style(self, value: float, ink: Ink) -> Style:
        return ink.cell(*self.shade(value))


@dataclass(frozen=True, slots=True)
class Layout:
    """How N×N maps lie in an area; `gaps`: the rows and columns that begin a block."""

    label: int
    cell: int
    tall: int
    rows: int
    cols: int
    header: int
    """Lines of names above the columns; 0 for their numbers."""
    gaps: frozenset[int]
    down: bool
    """Whether blocks are apart in height too."""

    @property
    def span(self) -> int:
        """Columns of one map."""
        return self.cols * self.cell + len(self.gaps)

    @property
    def height(self) -> int:
        return max(self.header, 1) + self.rows * self.tall + self.down * len(self.gaps)


def layout(names: Sequence[str], starts: frozenset[int], area: Area, panels: int = 1) -> Layout:
    """The roomiest layout that fits: all rows first, then names above the columns, then gaps between blocks."""
    n = max(len(names), 1)
    label = min(max((cell_len(name) for name in names), default=1), _LABEL, max(area.width // 4, 8)) + 3
    room = (area.width - label - len(str(n)) - _APART * (panels - 1)) // panels
    gaps = starts if (room - len(starts)) // n >= _LEAST else frozenset[int]()
    cell = min((room - len(gaps)) // n, 12)
    cell = cell if cell >= _LEAST else _NARROWEST
    cols = min(max((room - len(gaps)) // cell, 1), n)
    most = 4 if area.height >= n + 8 else 3
    named = max(len(stacked(name, cell - 1, most)) for name in (names or ("",)))
    for header, down in ((named, True), (named, False), (0, True), (0, False)):
        if max(header, 1) + n + down * len(gaps) <= area.height:
            break
    else:
        header, gaps = (named if area.height >= 12 else 0), gaps if cols == n else frozenset()
    free = area.height - max(header, 1) - down * len(gaps)
    tall = next((t for t in (3, 2, 1) if t * n <= free and t * 3 <= cell), 1)
    return Layout(label + (len(str(n)) if not header else 0), cell, tall, min(max(free // tall, 1), n), cols, header,
                  gaps, down and bool(gaps))  # fmt: skip


@lru_cache(maxsize=4096)
def stacked(name: str, width: int, most: int) -> tuple[str, ...]:
    """A name in lines of at most `width` cells, broken behind `-_. ` or anywhere; else cut in its middle."""
    lines = [""]
    for word in re.findall(r"[^-_. ]*[-_. ]?", name):
        if cell_len(lines[-1] + word) > width and (cell_len(word) <= width or cell_len(lines[-1]) > width - 2):
            lines.append("")
        _fill(lines, word, width)
    if len(lines) > most:
        _fill(lines := [""], labels([name]).at(max(width * most, _LEAST))[0], width)
    return tuple(lines[:most])


def _fill(lines: list[str], text: str, width: int) -> None:
    """Go on with a text in the last line, and in new ones."""
    for char in text:
        if cell_len(lines[-1] + char) > width:
            lines.append("")
        lines[-1] += char


@dataclass(slots=True)
class Heatmap:
    """The maps' scroll position; everything else comes with each painting."""

    top: int = 0
    first: int = 0
    form: Layout | None = None
    """As it was painted last, that many maps side by side."""
    panels: int = 1

    def paint(
        self, panels: Sequence[Panel], names: Sequence[str], cursor: tuple[int, int], form: Layout, area: Area
    ) -> list[Strip]:
        """The header and as many rows as fit around the cursor."""
        self.top = window(self.top, cursor[0], form.rows, len(names))
        self.first = window(self.first, cursor[1], form.cols, len(names))
        self.form, self.panels = form, len(panels)
        lines = self._header(panels, names, cursor[1], form, area.ink)
        rows = range(self.top, min(self.top + form.rows, len(names)))
        for row, part in product(rows, range(form.tall)):
            if form.down and row in form.gaps and part == 0:
                lines.append(Line())
            lines.append(self._row(panels, names, (row, part), cursor, form, area.ink))
        return page(lines, area.width, len(lines))

    def extent(self, count: int, form: Layout) -> str:
        """` · rows 1–18, columns 1–9 of 64` when not all fit."""
        if form.rows >= count and form.cols >= count:
            return ""
        rows = f"rows {self.top + 1}–{self.top + form.rows}"
        return f" · {rows}, columns {self.first + 1}–{self.first + form.cols} of {count}"

    def cell(self, x: int, y: int) -> tuple[int, int] | None:
        """Row and column of the cell at a place of what was painted; None where there is none."""
        if (form := self.form) is None:
            return None
        line, rows = max(form.header, 1), range(self.top, self.top + form.rows)
        starts = {row: line + (row - self.top) * form.tall + form.down * sum(self.top <= g <= row for g in form.gaps)
                  for row in rows}  # fmt: skip
        columns = [column for panel in range(self.panels) for column in self._columns(panel, form)]
        return next(
            (
                (row, column)
                for row, start in starts.items()
                for column, left_ in columns
                if start <= y < start + form.tall and left_ <= x < left_ + form.cell
            ),
            None,
        )

    def _columns(self, panel: int, form: Layout) -> list[tuple[int, int]]:
        """(column of the map, where it begins on the screen)."""
        start = form.label + panel * (form.span + _APART)
        shown = range(self.first, self.first + form.cols)
        return [(c, start + (c - self.first) * form.cell + sum(g <= c for g in form.gaps)) for c in shown]

    def _header(self, panels: Sequence[Panel], names: Sequence[str], at: int, form: Layout, ink: Ink) -> list[Line]:
        """Names in lines of their own, the last of them lowest; else the numbers of the rows."""
        height = max(form.header, 1)
        shown = range(self.first, self.first + form.cols)
        texts = {c: stacked(names[c], form.cell - 1, form.header) if form.header else (str(c + 1),) for c in shown}
        lines = []
        for y in range(height):
            line = Line()
            for panel in range(len(panels)):
                for c, start in self._columns(panel, form):
                    line.pad(start)
                    text = (("",) * (height - len(texts[c])) + texts[c])[y]
                    style = ink.accent if c == at else ink.dim
                    line.add(left(f" {text}", form.cell) if form.cell < _ROOMY else centre(text, form.cell), style)
            lines.append(line)
        return lines

    def _row(
        self, panels: Sequence[Panel], names: Sequence[str], at: tuple[int, int], cursor: tuple[int, int],
        form: Layout, ink: Ink,
    ) -> Line:  # fmt: skip
        """Line `part` of the cells of one row; the number stands in the middle one."""
        row, part = at
        middle = part == (form.tall - 1) // 2
        line = Line(" ")
        if middle:
            if not form.header:
                line.add(f"{right(str(row + 1), len(str(len(names))))} ", ink.dim)
            style = ink.accent if row == cursor[0] else ink.plain
            line.add(left(names[row], form.label - line.width - 1), style)
        for number, panel in enumerate(panels):
            for c, start in self._columns(number, form):
                value = float(panel.values[row, c])
                text = decimal(value) if middle else ""
                look = panel.style(value, ink)
                if (row, c) == cursor and middle:
                    line.pad(start).add(_marked(text, form.cell), look + ink.bold)
                else:
                    line.pad(start).add(_placed(text, form.cell), look)
        return line


def _placed(text: str, width: int) -> str:
    """In the middle; in narrow cells at the right, where the cursor's mark leaves it."""
    text = text if cell_len(text) < width else _brief(text)
    return right(text, width) if width < _ROOMY else centre(text, width)


def _marked(text: str, width: int) -> str:
    """The cursor's cell: `[0.86]`, or `▸0.86`, `▸−.16` where a cell has five columns, `▸.86`, `▸−.2` where four."""
    if cell_len(text) + 2 <= width:
        return bracketed(text, width)
    text = text if cell_len(text) < width else _brief(text)
    if cell_len(text) >= width:
        text = _brief(fixed(float(text.replace("−", "-")), 1)).removesuffix(".")
    return left("▸" + text, width)


def _brief(text: str) -> str:
    """Without the zero before the point, or the second place of `1.00`: `.86`, `−.16`, `1.0`."""
    return text[:-1] if text.lstrip("−").startswith("1") else text.replace("0.", ".", 1)


def ramp_legend(panel: Panel, ink: Ink) -> Line:
    """The ramp with its ends."""
    low = -1.0 if panel.signed else 0.0
    line = Line("−1 " if panel.signed else "0 ", ink.dim)
    for value in np.linspace(low, 1, 15 if panel.signed else 8).tolist():
        line.add(" " if ink.blocks else "▪", panel.style(value, ink))
    return line.add(" 1", ink.dim)
