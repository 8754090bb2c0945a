"""Closed forms of the effective ranks: a flat spectrum of m counts m, a single value counts 1, zero is n/a."""

import numpy as np
import pytest

from inspector.geometry import ranks

ALL = [
    ranks.effective_rank,
    ranks.effective_rank_energy,
    ranks.participation_ratio,
    ranks.stable_rank,
]


@pytest.mark.parametrize("rank", ALL)
@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_flat_spectrum_counts_its_values(rank, m, unit):
    sigma = np.zeros(9)
    sigma[:m] = unit
    assert rank(sigma) == pytest.approx(m)


@pytest.mark.parametrize("rank", [*ALL, ranks.rank_90])
def test_zero_and_missing_are_not_available(rank):
    assert np.isnan(rank(np.zeros(4)))
    assert np.isnan(rank(np.full(4, np.nan)))
    values = rank(np.array([[1.0, 1.0, np.nan], [0.0, 0.0, 0.0]]))
    assert values[0] == pytest.approx(2)
    assert np.isnan(values[1])


def test_two_values_by_hand():
    """σ = (3, 1): p = (¾, ¼) gives exp(0.5623) = 1.7548; σ² = (9, 1): exp(0.3251) = 1.3842; 100/82; 10/9."""
    sigma = np.array([3.0, 1.0])
    assert ranks.effective_rank(sigma) == pytest.approx(1.75477, abs=1e-5)
    assert ranks.effective_rank_energy(sigma) == pytest.approx(1.38415, abs=1e-5)
    assert ranks.participation_ratio(sigma) == pytest.approx(100 / 82)
    assert ranks.stable_rank(sigma) == pytest.approx(10 / 9)


def test_the_share_is_of_the_values_there_are():
    """Three values, one of them 0, and a place beyond the rank; of none, n/a."""
    found = ranks.effective_rank_share(np.array([[3.0, 1.0, 0.0, np.nan], [1.0, 1.0, 1.0, 1.0], [np.nan] * 4]))
    np.testing.assert_allclose(found, [ranks.effective_rank(np.array([3.0, 1.0])) / 3, 1.0, np.nan])


@pytest.mark.parametrize(("sigma", "expected"), [([3, 1], 1), ([2, 1, 1], 3), ([1] * 10, 9), ([10, 0, 0], 1), ([3], 1)])
def test_rank_90(sigma, expected):
    """(9, 1)/10 reaches 90 % at once; (4, 1, 1)/6 only with all three; ten equal values with nine."""
    assert ranks.rank_90(np.array(sigma, dtype=float)) == expected
