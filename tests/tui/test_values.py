"""How numbers look: digits, colours, characters without colour, bars on a logarithmic scale, strips, names of pairs."""

import math

import numpy as np
import pytest
from rich.cells import cell_len

from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_label, pair_labels, shared
from inspector.tui.text import Line, general
from inspector.tui.theme import ink_for
from inspector.tui.values import glyph, number, shaded
from inspector.tui.views.base import Area
from inspector.tui.widgets.bars import decades, log_axis, log_share
from inspector.tui.widgets.heatmap import layout, stacked
from inspector.tui.widgets.strips import folded, form, legend, numbers, strip
from tests.tui.factory import make_study

NAN = math.nan
PLAIN = ink_for("", coloured=False)
DARK = ink_for("inspector-dark", coloured=True)
LONG = tuple(f"run1-qwen3-4b-lora-r32-math-{end}" for end in ("sft-lr1e-4", "sft-lr2e-4", "dpo-beta0.1", "dpo-beta0.3"))


def test_numbers_have_the_digits_they_deserve():
    assert [general(v) for v in (1.4444, 0.1, 123.4, 1234.5, 0.00123, 1e-5, 999.6, 0.0, NAN)] == [
        "1.44", "0.100", "123", "1230", "0.00123", "1.00e-05", "1000", "0", "·",
    ]  # fmt: skip
    for metric, value, text in (
        ("norm", 1.4444, "1.44"),
        ("effective_rank", 6.13, "6.1"),
        ("cosine", -0.16, "−0.16"),
        ("u1", 0.314, "0.31"),
        ("principal_angle", 41.23, "41.2°"),
        ("energy_ratio", 1.234, "1.23"),
        ("cosine", NAN, "·"),
    ):
        assert number(metric, value) == text


def test_colours_mean_one_thing_for_every_metric():
    assert shaded("cosine", -0.5) == (-0.5, "signed")
    assert shaded("principal_angle", 0.0) == (1.0, "signed")
    assert shaded("principal_angle", 90.0) == (0.0, "signed")
    assert shaded("energy_ratio", 0.5) == (-0.5, "signed"), "they cancel"
    assert shaded("orthogonal_fraction_global", 0.9) == (0.9, "grey"), "apart is not opposite"
    assert shaded("norm", 1.0, 10.0) == (pytest.approx(0.5), "grey")
    assert shaded("norm", 0.0, 10.0) == (0.0, "grey")
    assert math.isnan(shaded("norm", NAN, 10.0)[0])


def test_without_colour_characters_grow_heavier_with_the_value_and_keep_its_sign():
    more, less = [glyph(n / 5 + 0.1) for n in range(5)], [glyph(-n / 5 - 0.1) for n in range(5)]
    assert more == [" ", "░", "▒", "▓", "█"]
    assert less == [" ", "−", "=", "≡", "≣"]
    assert glyph(1.0) == "█"
    assert glyph(NAN) == "·"


def test_sizes_lie_on_whole_decades():
    ends = decades([0.0985, 7.9, NAN, 0.0])
    assert ends == (-2, 1)
    assert log_share(0.01, ends) == 0
    assert log_share(0.1, ends) == pytest.approx(1 / 3)
    assert log_share(10.0, ends) == pytest.approx(1)
    assert log_share(0.0, ends) == 0
    assert math.isnan(log_share(NAN, ends))
    assert decades([1.07, 1.7]) == (-1, 1), "two decades at least: no small difference looks large"
    assert log_axis(ends, 30).split() == ["0.01", "0.1", "1", "10"]
    assert len(log_axis(ends, 30)) == 30
    assert len(log_axis((-6, 1), 12)) == 12


def test_strips_have_a_cell_or_two_a_layer_or_several_layers_a_cell():
    assert (form(30, 60).wide, form(30, 59).wide, form(30, 29).folded) == (2, 1, 2)
    values = np.array([0.9, 0.1, 0.5, NAN, NAN])
    of = form(5, 3)
    assert of.caption == " · 2 layers a cell"
    assert folded(values, "cosine", of)[:2] == [0.1, 0.5], "where they are least alike"
    assert folded(values, "orthogonal_fraction_global", of)[:2] == [0.9, 0.5]
    assert math.isnan(folded(values, "cosine", of)[2])
    line = Line()
    strip(line, np.array([0.9, -0.9, 0.0, NAN]), "cosine", 1.0, form(4, 4), PLAIN)
    assert line.text == "█≣ ·"
    line = Line()
    strip(line, np.array([0.9, -0.9]), "cosine", 1.0, form(2, 2), DARK, mark=1)
    assert line.text == " │"
    assert [segment.style for segment in line.segments] == [DARK.cell(0.9), DARK.cell(-0.9)]


def test_layers_are_numbered_over_their_cells():
    text = numbers(range(30), 20, form(30, 30), PLAIN).text
    assert text.index("20") == 20
    assert text.startswith("0")
    assert text.endswith("29") or text.rstrip().endswith("29")
    assert legend("cosine", PLAIN).text.startswith("−1")
    assert "largest" in legend("norm", PLAIN).text


def test_what_all_names_share_is_said_once_and_no_two_pairs_read_the_same():
    state = AppState.of(make_study(4, layers=2, names=LONG))
    assert shared(state) == " · run1-qwen3-4b-lora-r32-math-…"
    assert pair_label(state, (0, 2)) == "sft-lr1e-4↔dpo-beta0.1"
    for width in (40, 22, 17, 13):
        labels = pair_labels(state, state.pairs, width)
        assert len(set(labels)) == len(state.pairs)
        assert max(map(cell_len, labels)) <= width


def test_lines_of_pairs_have_the_colour_of_the_adapter_that_differs():
    state = AppState.of(make_study(4, layers=2))
    assert pair_colours(state, [(0, 1), (0, 2), (0, 3)]) == (1, 2, 3)
    assert pair_colours(state, [(0, 1), (2, 3)]) == (0, 1)
    state.order = (3, 2, 1, 0)
    assert pair_colours(state, [(0, 1), (0, 3)]) == (2, 0), "by the order they were opened in"


def test_names_stand_above_narrow_columns_in_lines():
    assert stacked("offline-grpo", 4, 3) == ("offl", "ine-", "grpo")
    assert stacked("sft", 4, 3) == ("sft",)
    assert all(cell_len(part) <= 4 for part in stacked("dpo-lr1e-4-beta0.1", 4, 3))


@pytest.mark.parametrize(("width", "height"), [(80, 19), (60, 10), (120, 35), (200, 45)])
@pytest.mark.parametrize("n", [2, 5, 11, 20, 64])
def test_maps_fit_into_any_area(width, height, n):
    names = [f"run_{i}" for i in range(n)]
    form_ = layout(names, frozenset({n // 2}), Area(PLAIN, width, height))
    assert form_.label + form_.span <= width
    assert form_.height <= height or form_.rows < n
