"""The braille canvas, and what must never reach plotext's kernel."""

import math
from itertools import pairwise

import pytest

from inspector.tui.plotting import Curve, Frame, canvas, nice_limits
from inspector.tui.text import Line, bracketed, chance_level, clean, decimal, degrees, fit, wrap
from inspector.tui.theme import ink_for
from inspector.tui.widgets.bars import bar
from inspector.tui.widgets.heatmap import _marked, _placed
from inspector.tui.widgets.plot import Lines, plot

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "y", [(NAN, NAN, NAN), (0.1, NAN, 0.5), (INF, 0.2, -INF), (NAN, 0.3, NAN), (1e300, -1e300, 0.0), (0.0, 0.0, 0.0)]
)
@pytest.mark.parametrize("size", [(2, 2), (40, 8), (150, 40)])
def test_any_numbers_give_a_canvas_of_the_asked_size(y, size):
    frame = Frame(*size, (0.0, 2.0), (-1.0, 1.0))
    rows = canvas((Curve((0.0, 1.0, 2.0), y),), frame)
    assert [len(row) for row in rows] == [size[0]] * size[1]


def test_curves_keep_their_index_and_place():
    frame = Frame(20, 5, (0.0, 1.0), (0.0, 1.0))
    rows = canvas((Curve((0.0, 1.0), (1.0, 1.0)), Curve((0.0, 1.0), (0.0, 0.0))), frame)
    assert {curve for char, curve in rows[0] if char != " "} == {0}
    assert {curve for char, curve in rows[4] if char != " "} == {1}
    assert {char for row in rows[1:4] for char, _ in row} == {" "}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.13, 0.93), (0, 3.3), (-9, 1), (5, 5), (0, 0), (NAN, 1)])
def test_nice_limits_hold_the_data(low, high):
    bottom, top, step = nice_limits(low, high)
    assert step > 0
    assert top > bottom
    if math.isfinite(low):
        assert bottom <= low + 1e-12
        assert top >= high - 1e-12


def test_numbers_in_their_short_form():
    assert [decimal(v) for v in (0.894, -0.16, 1.0, -1.0, 0.004, -0.004, -0.999, NAN)] == [
        "0.89", "−0.16", "1.00", "−1.00", "0.00", "0.00", "−1.00", "·",
    ]  # fmt: skip
    assert [chance_level(v) for v in (0.033, 0.0067, 0.25, 0.0, NAN)] == ["0.033", "0.0067", "0.25", "0.00", "·"]
    assert [degrees(v) for v in (12.34, 0.0, 3e-15, 1e-6, NAN)] == ["12.3°", "0.0°", "0.0°", "1e-06°", "·"]


def test_text_is_fitted_cleaned_and_wrapped():
    assert fit("abcdef", 4) == "abc…"
    assert fit("日本語", 4) == "日…"
    assert clean("a\x1b[31m\nb") == "a�[31m�b"
    assert wrap("one two " + "x" * 12, 7) == ["one two", "xxxxxxx", "xxxxx"]
    assert Line("abcdef").strip(4).text == "abc…"
    assert Line("ab").strip(4).text == "ab  "


def test_bars_are_as_wide_as_asked():
    assert bar(0.5, 10) == "█████     "
    assert bar(1e-9, 4) == "▏   "
    assert bar(NAN, 3) == "   "
    assert len(bar(2.0, 7)) == 7


def test_brackets_leave_no_blank():
    assert [bracketed(text, 8) for text in ("1.00", "−0.16", "·")] == [" [1.00] ", "[−0.16] ", "  [·]   "]
    assert [bracketed(text, 5) for text in ("1.00", "0.86", "·")] == ["▸1.00", "▸0.86", " [·] "]


def test_a_narrow_cell_of_the_map_drops_what_says_least():
    texts = ("1.00", "0.86", "−0.16", "−1.00")
    assert [_marked(text, 6) for text in texts] == ["[1.00]", "[0.86]", "▸−0.16", "▸−1.00"]
    assert [_marked(text, 5) for text in texts] == ["▸1.00", "▸0.86", "▸−.16", "▸−1.0"]
    assert [_marked(text, 4) for text in texts] == ["▸1.0", "▸.86", "▸−.2", "▸−1 "]
    assert [_placed(text, 5) for text in texts] == [" 1.00", " 0.86", " −.16", " −1.0"]
    assert [_placed(text, 4) for text in texts] == [" 1.0", " .86", "−.16", "−1.0"]


@pytest.mark.parametrize("height", range(4, 30))
@pytest.mark.parametrize("limits", [(-4.0, 0.0, 1.0), (0.0, 2.0, 0.5), (0.0, 10.0, 2.0), (0.0, 1.0, 0.25)])
def test_numbers_of_the_scale_are_evenly_apart(height, limits):
    low, high, step = limits
    lines = plot(Lines((0.0, 1.0), ((low, high),), limits=limits), ink_for("", coloured=False), 60, height)
    assert len(lines) == height
    rows = {n: float(line.text[:7].replace("−", "-")) for n, line in enumerate(lines) if "┤" in line.text}
    apart = {b - a for a, b in pairwise(rows)}
    assert len(apart) == 1
    assert (max(rows.values()), min(rows.values())) == (high, low)
    assert all((value - low) / step == round((value - low) / step) for value in rows.values())
    assert sum(not line.text for line in lines) <= max((height - 1) // 8, 1)
