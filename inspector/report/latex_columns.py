"""How wide the columns of a LaTeX table are, so that it fits on a page: estimated, no TeX is run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from inspector.report.document import Table

LINE, PAGE = 345.0, 550.0
"""Points of a line and of a page's height, in an article of 10 pt: narrower than most journals'."""
GAP, NARROW_GAP = 12.0, 6.0
SIZES = (("", 10.0), (r"\small", 9.25), (r"\footnotesize", 8.5), (r"\scriptsize", 7.95))
"""With the points that their letters are as wide as: small ones of Computer Modern are drawn wider."""
BREAKS = re.compile(r"(?<=[_/ ])|(?<=[^\W\d]-)(?=\w)")
"""Where a line of a wrapped cell may end."""
_WIDTHS = {
    **dict.fromkeys("ijlt.,;:'|!()[]` ", 3.6),
    **dict.fromkeys("mwMW%—…<>&=#+×", 9.0),
    **dict.fromkeys("≥≤≈±‖∞→↔", 8.5),
}
_NUMBER = re.compile(r"[−+-]?[\d.,]+(?:e[+-]?\d+)?|n/a|–")
_HEAD, _ROW = 6, 3
"""Lines of a caption, headings and rules, and lines that a row may take."""
_SAMPLE, _STEP = 100, 4.0
"""Rows that widths are fitted to, and points that a column grows by."""
_FLAT = 16.0
"""Points of a heading that stands upright."""


@dataclass(frozen=True, slots=True)
class Columns:
    """`widths`: shares of the line, of wrapped columns; empty where every cell stays on one line."""

    numeric: tuple[bool, ...]
    size: str = ""
    widths: tuple[float, ...] = ()
    upright: bool = False
    """Whether the headings stand upright, but for the first."""
    long: bool = False
    """Whether it goes on over pages."""
    landscape: bool = False
    fits: bool = True


def columns(table: Table) -> Columns:
    """The largest type in which the table fits: first on one line each, then wrapped, then with headings upright."""
    cells = [[heading, *(row[n] for row in table.rows)] for n, heading in enumerate(table.columns)]
    numeric = tuple(
        n > 0 and all(_NUMBER.fullmatch(cell) or not cell for cell in column[1:]) for n, column in enumerate(cells)
    )
    natural = [max(map(_width, column)) for column in cells]
    if sum(natural) + GAP * len(cells) <= LINE:
        return Columns(numeric, long=12 * (len(table.rows) + _HEAD) > PAGE)
    least = [max(_longest(cell) for cell in column) for column in cells]
    bodies = [max(_longest(cell) for cell in column[1:] or [""]) for column in cells]
    flat = [max(body, _FLAT) if n else least[n] for n, body in enumerate(bodies)]
    wanted = [max(map(_width, column[1:]), default=0.0) if n else natural[n] for n, column in enumerate(cells)]
    shapes = itertools.product(((LINE, PAGE), (PAGE, LINE)), ((False, least, natural), (True, flat, wanted)), SIZES)
    for (line, height), (upright, narrowest, widest), (size, points) in shapes:
        room = 10 / points * (line - 1 - NARROW_GAP * len(cells))
        if sum(narrowest) <= room:
            widths = _spread(table, narrowest, widest, room)
            shares = tuple(width * points / 10 / line for width in widths)
            lines = _lines(table, widths)
            if lines > _ROW * len(table.rows) + _HEAD and size != SIZES[-1][0]:
                continue  # sentences in narrow columns: smaller letters read better
            return Columns(numeric, size, shares, upright, lines * 1.2 * points > height, line != LINE)
    return Columns(numeric, SIZES[-1][0], upright=True, long=12 * len(table.rows) > LINE, landscape=True, fits=False)


def _spread(table: Table, least: Sequence[float], widest: Sequence[float], room: float) -> list[float]:
    """The room that is left goes, step by step, to the column that makes the rows shortest."""
    rows = [[_width(cell) for cell in row] for row in (table.columns, *table.rows[:_SAMPLE])]
    widths = list(least)

    def height(n: int) -> float:
        wider = [*widths[:n], widths[n] + _STEP, *widths[n + 1 :]]
        return sum(max(cell / width for cell, width in zip(row, wider, strict=True) if width) for row in rows)

    while sum(widths) + _STEP <= room:
        narrow = [n for n, width in enumerate(widths) if width < widest[n]]
        if not narrow:
            break
        widths[min(narrow, key=height)] += _STEP
    return widths


def _lines(table: Table, widths: Sequence[float]) -> float:
    """How many lines the wrapped rows and what stands above them take."""
    wrapped = (max(-(-_width(cell) // w) for cell, w in zip(row, widths, strict=True)) or 1 for row in table.rows)
    return sum(wrapped) + _HEAD


def _longest(text: str) -> float:
    return max(map(_width, BREAKS.split(text)))


def _width(text: str) -> float:
    """Points at 10 pt, rather too many."""
    return sum(_WIDTHS.get(c, 7.4 if c.isupper() or ord(c) > 0x2000 else 5.2) for c in text)
