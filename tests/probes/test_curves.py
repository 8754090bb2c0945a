"""Losses by point, as blocks: both directions, points that are missing, ends that differ."""

from zlib import crc32

import numpy as np
import pytest

from inspector.probes.barriers import barriers, difference
from inspector.probes.connectivity import Point, on_path, points
from inspector.probes.lmc import Curves, described

NAMES, PAIRS = ("x", "a", "b", "c"), (("b", "a"), ("a", "c"))
ALPHAS = (-0.5, 0.0, 0.25, 0.75, 1.0, 1.25)
TOKENS = np.array([1.0, 2.0, 5.0])
MIRRORED = [None, 4, 3, 2, 1, None]
"""Where 1 − α stands on the grid."""


def losses(point):
    """(3,) different at every point and for every example."""
    return np.random.default_rng(crc32(repr(point.weights).encode())).uniform(1, 9, 3)


@pytest.fixture
def measured():
    """Every point but one of the second pair, inside of its segment."""
    gone = on_path("a", "c", 0.25)
    return {point: losses(point) for point in points(PAIRS, ALPHAS) if point != gone}


def blocks(measured, suffix=""):
    curves = Curves(NAMES, PAIRS, ALPHAS, suffix, TOKENS)
    for point, values in measured.items():
        curves.add(point, values)
    return {metric: values for (metric, scope), values in curves.blocks().items() if scope == "global"}


def mean(values):
    return values.sum() / 8


def test_every_point_stands_in_both_directions_where_the_grid_has_both(measured):
    found = blocks(measured)
    curve = found["lmc_loss"]
    assert curve.shape == (4, 4, 1, 6)
    assert found["lmc_loss_base"] == pytest.approx([mean(losses(Point(())))])
    filled = np.zeros(curve.shape, dtype=bool)
    for (one, other), i, j in ((("b", "a"), 2, 1), (("a", "c"), 1, 3)):
        for k, alpha in enumerate(ALPHAS):
            if (point := on_path(one, other, alpha)) not in measured:
                continue
            places = [(i, j, k)] + ([(j, i, MIRRORED[k])] if MIRRORED[k] is not None else [])
            for row, column, at in places:
                filled[row, column, 0, at] = True
                assert curve[row, column, 0, at] == pytest.approx(mean(losses(point)))
    assert filled.sum() == 10 + 8
    assert np.isnan(curve[~filled]).all()


def test_barriers_are_of_complete_paths_and_turn_round_with_the_pair(measured):
    found = blocks(measured)
    inside = [alpha for alpha in ALPHAS if 0 <= alpha <= 1]
    expected = barriers(inside, np.stack([losses(on_path("b", "a", alpha)) for alpha in inside]), TOKENS)
    assert set(expected) == {"mean", "chord", "strict"}
    others = np.ones((4, 4), dtype=bool)
    others[[1, 2], [2, 1]] = False
    for kind, barrier in expected.items():
        assert found[f"barrier_{kind}"][[2, 1], [1, 2], 0] == pytest.approx([barrier.value] * 2)
        assert found[f"barrier_{kind}_at"][[2, 1], [1, 2], 0] == pytest.approx([barrier.at, 1 - barrier.at])
        for bound in ("", "_low", "_high", "_at"):
            assert np.isnan(found[f"barrier_{kind}{bound}"][others]).all()
    assert {barrier.at for barrier in expected.values()} - {0.5}


def test_the_difference_of_the_ends_turns_its_sign_with_the_pair(measured):
    found = blocks(measured)
    ends = difference(losses(on_path("b", "a", 1.0)), losses(on_path("b", "a", 0.0)), TOKENS)
    assert ends.low < ends.value < ends.high
    for bound, value, turned in (
        ("", ends.value, -ends.value), ("_low", ends.low, -ends.high), ("_high", ends.high, -ends.low),
    ):  # fmt: skip
        block = found[f"lmc_ends{bound}"]
        assert block.shape == (4, 4, 1)
        assert (block[2, 1, 0], block[1, 2, 0]) == (value, turned)
        assert np.isfinite(block).sum() == 2


def test_nothing_measured_is_nothing_known():
    found = blocks({}, "_rollouts")
    assert all(metric.endswith("_rollouts") for metric in found)
    assert all(np.isnan(values).all() for values in found.values())


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Point(()), "of the base"),
        (Point((("a", 1.0),)), "of a"),
        (Point((("a", 0.5),)), "0.5·a"),
        (on_path("sft", "dpo", 0.3), "0.7·dpo + 0.3·sft"),
    ],
)
def test_points_in_words(point, words):
    assert described(point) == words
