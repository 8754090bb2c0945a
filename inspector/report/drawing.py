"""Charts by matplotlib, one code for the page and for publications. Nothing here knows a study."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from inspector.common.colours import RGB, hexed, ink_on, shade
from inspector.common.numbers import fixed
from inspector.report.document import Bar, Bars, Chart, Lines, Matrix, Series
from inspector.report.style import INK, RC, SOFT, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.0, 3.0
ROW = 0.2
"""Inches of a bar's row."""
_LEGEND_ROW = 0.17


@contextmanager
def styled() -> Iterator[None]:
    """The house's looks. Glyphs that the bundled font lacks are drawn by the reader's, and are not a warning."""
    import matplotlib as mpl

    with mpl.rc_context(RC), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message=".*(?:[Gg]lyph|font).*", category=UserWarning)
        yield


def draw(part: Chart | Matrix, *, whole: bool = True) -> Figure:
    """The figure of a part.

    `whole`: for a publication, with a legend, and of many lines those shown at first; else every line, the legend
    being the page's. What stands for a subject carries its key as gid.
    """
    if isinstance(part, Lines):
        return _lines(part, whole=whole)
    return _bars(part, whole=whole) if isinstance(part, Bars) else _matrix(part)


def _figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _lines(part: Lines, *, whole: bool) -> Figure:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shown = drawn_at_first(part)
    series = [s for s in part.series if not whole or s.subject.key in shown]
    rows = -(-(len(series) + len(part.levels)) // 3)
    figure, axes = _figure(HEIGHT + (_LEGEND_ROW * rows if whole else 0))
    for line in series:
        _line(axes, part, line)
    for n, level in enumerate(part.levels):
        values = level.values * len(part.x) if len(level.values) == 1 else level.values
        axes.plot(part.x, values, color=SOFT, lw=1, ls=(0, ((5, 2), (1, 1.5))[n % 2]), label=level.label, zorder=1.5)
    axes.set_xlabel(part.titles[0])
    axes.set_ylabel(f"{part.titles[1]}{', logarithmic' if part.log else ''}")
    axes.margins(x=0.015)
    if part.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if part.limits:
        pad = 0.02 * (part.limits[1] - part.limits[0])
        axes.set_ylim(part.limits[0] - pad, part.limits[1] + pad)
    if part.by_layer or part.titles[0] == "k":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if whole and rows:
        figure.legend(loc="outside lower center", ncols=3, handlelength=3.2)
    return figure


def drawn_at_first(part: Lines) -> frozenset[str]:
    """The keys of the lines shown before anybody chooses; all of them where none was picked."""
    picked = frozenset(s.subject.key for s in part.series if s.subject.shown)
    return picked or frozenset(s.subject.key for s in part.series)


def _line(axes: Axes, part: Lines, line: Series) -> None:
    style = style_of(line.subject.style)
    count = len(part.x)
    every = max(count // 6, 1)
    (artist,) = axes.plot(
        part.x, line.values, color=style.colour, marker=style.marker, label=line.subject.label,
        markevery=(line.subject.style % every, every), markeredgewidth=0,
    )  # fmt: skip
    if style.dashes:
        artist.set_dashes(style.dashes)
    artist.set_gid(line.subject.key)


def _bars(part: Bars, *, whole: bool) -> Figure:
    """Rows from the top, the axis above them: rows can be taken out below it."""
    figure, axes = _figure(ROW * (len(part.bars) + 1) + 0.75)
    for row, bar in enumerate(part.bars):
        grey = whole and not bar.subject.shown
        _row(axes, part, row, bar, SOFT if grey else style_of(bar.subject.style).colour)
    for n, (label, value) in enumerate(part.levels):
        axes.axvline(
            value,
            color=SOFT,
            lw=1,
            ls=(0, ((5, 2), (1, 1.5))[n % 2]),
            zorder=3,
            label=f"{label}: {fixed(value, part.digits)}",
        )
    axes.set_ylim(len(part.bars) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    marks = zip(("box", "whisker"), part.parts[1:], strict=True)
    more = "; ".join(f"{mark}: {name}" for mark, name in marks if name)
    title = f"{part.title}{', logarithmic' if part.log else ''}"
    axes.set_xlabel(f"{title} ({more})" if more else title)
    axes.grid(axis="y", visible=False)
    low, high = part.limits or axes.get_xlim()
    if part.log:
        _logarithmic(axes, [bar.value for bar in part.bars])
    else:
        axes.set_xlim(min(low, 0), high)
    if part.levels:
        figure.legend(loc="outside upper right", ncols=2, handlelength=2.6)
    return figure


def _logarithmic(axes: Axes, values: list[float]) -> None:
    """A log axis that begins below the smallest of the values."""
    from matplotlib.ticker import FuncFormatter

    known = [value for value in values if value > 0]
    axes.set_xscale("log")
    axes.set_xlim(min(known) / 1.5, max(known) * 1.1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _row(axes: Axes, part: Bars, row: int, bar: Bar, colour: str) -> None:
    """Bar, interval, whisker, name and number, each with the key of the subject."""
    key = bar.subject.key
    artists = [axes.barh(row, bar.value, height=0.62, color=colour, alpha=0.45, zorder=1.5)[0]]
    if np.isfinite(bar.whisker):
        artists += axes.plot([bar.value, bar.whisker], [row, row], color=INK, lw=0.9, zorder=2)
        artists += axes.plot([bar.whisker] * 2, [row - 0.22, row + 0.22], color=INK, lw=0.9, zorder=2)
    if np.isfinite(bar.low) and np.isfinite(bar.high):
        artists += axes.plot([bar.low, bar.high], [row, row], color=colour, lw=5, solid_capstyle="butt", zorder=2.5)
    artists += axes.plot([bar.value] * 2, [row - 0.31, row + 0.31], color=INK, lw=1.6, zorder=3)
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center", "fontsize": 8.5}
    name = axes.annotate(bar.subject.label, (0, row), (-4, 0), ha="right", **place)  # type: ignore[arg-type]
    value = axes.annotate(part.shown(bar.value), (1, row), (4, 0), ha="left", **place)  # type: ignore[arg-type]
    for artist in (*artists, name, value):
        artist.set_gid(key)


def _matrix(part: Matrix) -> Figure:
    """Numbers on their colours, those of the app on a light background: white at zero."""
    n = len(part.names)
    size = min(max(0.42 * n + max(1.2, 0.075 * max(map(len, part.names))), 2.2), 14)
    figure, axes = _figure(size, size + 0.6)
    colours = [[_shade(part, value) for value in line] for line in part.values.tolist()]
    axes.imshow(np.array(colours, dtype=np.uint8).reshape(n, n, 3))
    axes.set_xticks(range(n), part.names, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(n), part.names)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for at in part.breaks:
        axes.axhline(at - 0.5, color="white", lw=3)
        axes.axvline(at - 0.5, color="white", lw=3)
    for (i, j), value in np.ndenumerate(part.values):
        colour = hexed(ink_on(_shade(part, float(value))))
        text = fixed(float(value), part.digits)
        axes.text(j, i, text, color=colour, ha="center", va="center", fontsize=7 if n < 16 else 5)
    return figure


def _shade(part: Matrix, value: float) -> RGB:
    return shade(0.0 if np.isnan(value) else value / part.limit, "grey" if part.apart else "signed", dark=False)
