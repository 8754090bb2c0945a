"""Intervals and tests against values worked by hand and against scipy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from inspector.probes.accuracy.statistics import holm, mcnemar, wilson


def test_wilson_by_hand():
    """n = 10, 5 right, z² = 3.8415: centre ½, half = z·√(0.25/10 + 3.8415/400)/(1.38415) = 0.2634."""
    low, high = wilson(5, 10)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_wilson_at_the_ends():
    """0 of n: the upper end is z²/(n + z²)."""
    assert wilson(0, 20) == (0.0, pytest.approx(3.841458820694124 / (20 + 3.841458820694124), rel=1e-12))
    assert wilson(20, 20)[1] == 1.0
    assert all(math.isnan(x) for x in wilson(0, 0))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(case):
    successes, n = case
    theirs = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 · ½
        (5, 0, 2 / 32),
        (0, 6, 2 / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 3, 1.0),  # 2 · P[X ≤ 3] is above 1
    ],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_sign_test_and_symmetric(only_a, only_b):
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)
    if only_a + only_b:
        assert mcnemar(only_a, only_b) == pytest.approx(binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1: 0.04, 0.06, 0.06 (not below the one before), 0.5."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == [pytest.approx(x) for x in (0.06, 0.04, 0.5, 0.06)]


def test_holm_caps_at_one_and_leaves_nan_out():
    adjusted = holm([0.6, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.6)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)
    assert holm([0.7, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    for raw, new in zip(p, adjusted, strict=True):
        assert raw <= new <= min(1, raw * len(p)) + 1e-15
    ranked = [x for _, x in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)
