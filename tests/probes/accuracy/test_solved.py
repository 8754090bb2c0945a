"""From who solved what to the numbers of a study: by hand, and by counting."""

import math

import numpy as np
import pytest

from inspector.probes.accuracy.solved import blocks
from inspector.probes.accuracy.statistics import holm, mcnemar, wilson
from inspector.study.metrics import DEFINITIONS

N = math.nan


def test_blocks_by_hand():
    """a beats b on problems 0 and 1 and loses 2; the base has no answer to the last problem, b none to the first."""
    a = np.array([1, 1, 0, 1, 0, 0], dtype=float)
    b = np.array([N, 0, 1, 1, 0, 0], dtype=float)
    base = np.array([0, 0, 0, 1, 0, N], dtype=float)
    found = {metric: values for (metric, scope), values in blocks(np.array([a, b]), base).items() if scope == "global"}
    assert set(found) == {metric for metric, d in DEFINITIONS.items() if d.probe == "accuracy"}
    np.testing.assert_allclose(found["accuracy"], [[3 / 6], [2 / 5]])
    np.testing.assert_allclose(found["accuracy_base"], [1 / 5])
    np.testing.assert_allclose([found["accuracy_base_low"][0], found["accuracy_base_high"][0]], wilson(1, 5))
    np.testing.assert_allclose([found["accuracy_low"][1, 0], found["accuracy_high"][1, 0]], wilson(2, 5))
    np.testing.assert_array_equal(found["accuracy_answered"], [[6], [5]])
    np.testing.assert_array_equal(found["accuracy_base_answered"], [5])
    np.testing.assert_array_equal(found["mcnemar_wins"][..., 0], [[N, 1], [1, N]])
    p = [mcnemar(1, 1), mcnemar(2, 0), mcnemar(1, 0)]
    assert p == [1.0, 0.5, 1.0]
    np.testing.assert_allclose(found["mcnemar_p"][..., 0], [[N, p[0]], [p[0], N]])
    np.testing.assert_allclose(found["mcnemar_base_p"][:, 0], p[1:])
    np.testing.assert_allclose(found["mcnemar_base_p_holm"][:, 0], [1.0, 1.0])
    assert found["mcnemar_p_holm"][0, 1, 0] == found["mcnemar_p_holm"][1, 0, 0] == 1.0


def test_blocks_of_many_by_counting():
    """Four adapters of different problems; one has no answer, two have none in common."""
    rng = np.random.default_rng(3)
    marks = (rng.random((5, 23)) < np.array([[0.2], [0.9], [0.5], [0.5], [0.4]])).astype(float)
    marks[rng.random(marks.shape) < 0.2] = N
    marks[2] = N
    marks[0, 12:], marks[3, :12] = N, N
    *adapters, base = marks
    found = {metric: values for (metric, _), values in blocks(np.array(adapters), base).items()}
    tests = {}
    for i, j in ((i, j) for i in range(5) for j in range(5) if i != j):
        both = [(x, y) for x, y in zip(marks[i], marks[j], strict=True) if not (math.isnan(x) or math.isnan(y))]
        wins, losses = both.count((1, 0)), both.count((0, 1))
        tests[i, j] = (wins, mcnemar(wins, losses)) if both else (N, N)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    adjusted = dict(zip(pairs, holm([tests[pair][1] for pair in pairs]), strict=True))
    for i, row in enumerate(adapters):
        answered = [x for x in row if not math.isnan(x)]
        n, right = len(answered), answered.count(1)
        shares = [found[f"accuracy{end}"][i, 0] for end in ("", "_low", "_high", "_answered")]
        assert shares == pytest.approx([right / n, *wilson(right, n), n] if n else [N] * 4, nan_ok=True)
        assert found["mcnemar_base_p"][i, 0] == pytest.approx(tests[i, 4][1], nan_ok=True)
        assert found["mcnemar_base_p_holm"][i, 0] == pytest.approx(adjusted[i, 4], nan_ok=True)
        for j in set(range(4)) - {i}:
            assert found["mcnemar_wins"][i, j, 0] == pytest.approx(tests[i, j][0], nan_ok=True)
            assert found["mcnemar_p"][i, j, 0] == pytest.approx(tests[i, j][1], nan_ok=True)
            assert found["mcnemar_p_holm"][i, j, 0] == pytest.approx(adjusted[min(i, j), max(i, j)], nan_ok=True)
    assert sum(math.isnan(p) for _, p in tests.values()) == 2 * 5


def test_holm_runs_over_the_whole_table():
    """a solves all 8 and b none: p = 2/256 against b, and 2/256 against the base; three comparisons."""
    found = blocks(np.array([[1.0] * 8, [0.0] * 8]), np.zeros(8))
    assert found["mcnemar_p_holm", "global"][0, 1, 0] == pytest.approx(3 * 2 / 256)
    np.testing.assert_allclose(found["mcnemar_base_p_holm", "global"][:, 0], [3 * 2 / 256, 1.0])


def test_without_base_pairs_or_answers():
    found = blocks(np.array([[1.0, N]]), np.full(2, N))
    assert found["accuracy", "global"] == [[1.0]]
    for metric in ("accuracy_base", "mcnemar_base_p", "mcnemar_p", "mcnemar_p_holm"):
        assert np.isnan(found[metric, "global"]).all()
    nothing = blocks(np.full((2, 3), N), np.full(3, N))
    assert len(nothing) == sum(definition.probe == "accuracy" for definition in DEFINITIONS.values())
    assert all(np.isnan(values).all() for values in nothing.values())
    assert nothing["mcnemar_p", "global"].shape == (2, 2, 1)
