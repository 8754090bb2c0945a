"""The numbers of the layers' strips, names and colours of pairs: hand-made values in layers that do not begin at 0."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from inspector.study.study import Study
from inspector.tui.app import InspectorApp
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_label, pair_labels, shared
from inspector.tui.views.layers.rows import rows
from inspector.tui.views.layers.view import LayersView
from tests.insights.findings.published import from_layer, study, with_layers
from tests.tui.helpers import body, visit

NAMES = ("a", "b", "c")


def made(
    metric="cosine", whole=(0.5, 0.9, nan), layers=((0.6, nan, 0.4, 0.4), (nan,) * 4, (0.1, 0.2, -0.3, 0.9))
) -> Study:
    """Three pairs: ab, ac, bc; layers 5 to 8."""
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    found = from_layer(study(NAMES, layers=4, **{metric: dict(zip(pairs, whole, strict=True))}), 5)
    return with_layers(found, metric, dict(zip(pairs, layers, strict=True)))


@pytest.mark.parametrize(
    ("metric", "whole", "order"),
    [
        ("cosine", (0.5, 0.9, 0.7), "ac bc ab"),
        ("cosine", (0.5, 0.5, 0.5), "ab ac bc"),
        ("cosine", (nan, -1.0, 0.0), "bc ac ab"),
        ("cosine", (nan, nan, 0.1), "bc ab ac"),
        ("orthogonal_fraction_global", (0.5, 0.9, 0.7), "ab bc ac"),
        ("orthogonal_fraction_global", (nan, 0.9, 0.7), "bc ac ab"),
    ],
)
def test_the_most_alike_come_first_and_those_not_known_last(metric, whole, order):
    state = AppState.of(made(metric, whole))
    state.layers_metric = metric
    assert " ".join("".join(NAMES[i] for i in row.subject) for row in rows(state)) == order


def test_adapters_keep_their_order():
    found = from_layer(study(NAMES, layers=2, norm={"a": 1.0, "b": 3.0, "c": 2.0}), 5)
    found.blocks["norm", "layer"] = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    state = AppState.of(found)
    state.layers_metric = "norm"
    assert [(row.subject, row.whole, list(row.values)) for row in rows(state)] == [
        ((0,), 1.0, [1.0, 2.0]), ((1,), 3.0, [3.0, 1.0]), ((2,), 2.0, [2.0, 2.0]),
    ]  # fmt: skip


async def numbers(found, *keys, metric="cosine"):
    """The head, and the words of each row after its strip."""
    app = InspectorApp(study=found)
    async with app.run_test(size=(80, 24)) as pilot:
        app.state.layers_metric = metric
        await visit(pilot, "layers")
        await pilot.press(*keys)
        lines = body(app).splitlines()
        at = next(n for n, line in enumerate(lines) if " all " in f"{line} " and "at " in line)
        return lines[at].split()[-4:], [line.split()[-4:] for line in lines[at + 1 : at + 4]]


async def test_all_here_and_lowest_with_its_layer():
    head, found = await numbers(made())
    assert head == ["all", "at", "5", "lowest"]
    assert found[0][-3:] == ["0.90", "·", "·"]
    assert found[1:] == [["0.50", "0.60", "7", "0.40"], ["·", "0.10", "7", "−0.30"]]
    head, found = await numbers(made(), "right", "right", "right")
    assert head == ["all", "at", "8", "lowest"]
    assert found[1:] == [["0.50", "0.40", "7", "0.40"], ["·", "0.90", "7", "−0.30"]]


async def test_of_distances_the_highest():
    head, found = await numbers(made("orthogonal_fraction_global"), metric="orthogonal_fraction_global")
    assert head == ["all", "at", "5", "highest"]
    assert found[0][2] == "5"
    assert found[2][2] == "8"


async def test_the_title_counts_rows_and_the_chart_has_chance_of_pairs_alone():
    names = tuple("abcdefgh")
    found = from_layer(study(names, layers=4, u1={(a, b): 0.5 for a in names for b in names if a < b}), 5)
    found = with_layers(found, "u1", {(a, b): [0.5] * 4 for a in names for b in names if a < b})
    blocks = {("u1_chance", "layer"): np.full(4, 0.25), ("u1_chance", "global"): np.array([0.25])}
    blocks |= {("norm", "layer"): np.ones((8, 4)), ("norm", "global"): np.ones((8, 1))}
    app = InspectorApp(study=replace(found, blocks=found.blocks | blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        app.state.layers_metric = "u1"
        await visit(pilot, "layers")
        title = body(app).splitlines()[0]
        shown = sum("↔" in line[:5] for line in body(app).splitlines()[2:-9])
        assert f"pairs 1–{shown} of 28" in title
        assert "╌ chance 0.25" in body(app)
        await pilot.press(*["down"] * 30)
        assert f"pairs {29 - shown}–28 of 28" in body(app).splitlines()[0]
        assert app.state.pair == (6, 7)
        await pilot.press("up")
        assert app.state.pair == (5, 7)
        (head,) = [line for line in body(app).splitlines() if "╌ chance" in line]
        assert head.startswith(" f↔h  ")
        await pilot.press("space")
        (head,) = [line for line in body(app).splitlines() if "╌ chance" in line]
        assert head.startswith(" a f↔h  b ")
        app.state.layers_metric = "norm"
        app.repaint()
        assert "· 8 adapters" in body(app)
        assert "chance" not in body(app)


def test_the_table_has_a_column_a_row_of_the_view():
    found = made()
    found.blocks["norm", "layer"], found.blocks["norm", "global"] = np.ones((3, 4)), np.ones((3, 1))
    state = AppState.of(found)
    state.layers_metric = "cosine"
    assert LayersView().table(state).columns == ("layer", "a ↔ c", "a ↔ b", "b ↔ c")
    assert [line[0] for line in LayersView().table(state).rows] == ["5", "6", "7", "8"]
    state.layers_metric = "norm"
    assert LayersView().table(state).columns == ("layer", "a", "b", "c")


# Names and colours


def of(names):
    return AppState.of(study(names, cosine={(names[0], names[-1]): 0.5}))


@pytest.mark.parametrize(
    ("pairs", "colours"),
    [
        ([], ()),
        ([(1, 2)], (0,)),
        ([(0, 1), (0, 2)], (11, 12)),
        ([(1, 0), (1, 2)], (10, 12)),
        ([(0, 2), (1, 2)], (10, 11)),
        ([(0, 1), (2, 3)], (0, 1)),
        ([(0, 1), (1, 2), (0, 2)], (0, 1, 2)),
        ([(0, 1), (0, 1)], (0, 1)),
    ],
)
def test_a_pair_has_the_colour_of_the_one_that_is_not_in_all(pairs, colours):
    assert pair_colours(State((10, 11, 12, 13)), pairs) == colours


class State:
    def __init__(self, order):
        self.order = order


def test_pairs_are_named_without_what_all_share():
    state = of(("a-long-run-sft", "a-long-run-rft", "a-long-run-grpo"))
    assert pair_label(state, (0, 1)) == pair_label(state, (0, 1), "cosine") == "sft↔rft"
    assert pair_label(state, (1, 0), "orthogonal_fraction_module") == "rft→sft"
    assert shared(state) == " · a-long-run-…"
    assert shared(of(("sft", "rft"))) == ""


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (99, ["offline-grpo↔sft", "sft↔offline-grpp"]), (16, ["offline-grpo↔sft", "sft↔offline-grpp"]),
        (15, ["offline-g…o↔sft", "sft↔offline-g…p"]), (8, ["of…o↔sft", "sft↔of…p"]), (0, ["of…o↔sft", "sft↔of…p"]),
    ],
)  # fmt: skip
def test_pairs_are_cut_to_a_width_but_not_below_four_cells_a_name(width, shown):
    state = of(("offline-grpo", "sft", "offline-grpp"))
    assert pair_labels(state, [(0, 1), (1, 2)], width) == shown


def test_without_adapters_there_are_no_labels():
    assert pair_labels(AppState.of(study(("a",), norm={"a": inf}).subset(())), [], 10) == []
