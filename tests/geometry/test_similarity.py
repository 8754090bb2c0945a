"""Output and input similarity in closed form, whatever gauge or random start, and their chance level by simulation."""

import numpy as np
import pytest

from inspector.geometry.chance import similarity_chance
from tests.geometry.oracle import assert_exact, factors, gauge, measured, similarity


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def similar(found, p=0):
    return found.similar_left[p].item(), found.similar_right[p].item()


def basis(rng, d, r):
    return np.linalg.qr(rng.standard_normal((d, r)))[0]


def test_two_and_three_directions_by_hand(rng):
    """σ² = (4, 1) beside (9, 0, 1), one output shared: 4·9 / √17·√82; no input shared."""
    U, V = basis(rng, 40, 4), basis(rng, 30, 5)
    one = (U[:, :2] * [2, 1], V[:, :2].T, 1.0)
    two = (U[:, [0, 3, 2]] * [3, 0, 1], V[:, 2:].T, 1.0)
    left, right = similar(measured([one, two]))
    assert left == pytest.approx(36 / np.sqrt(17 * 82), rel=1e-12)
    assert right == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("condition", [1.0, 1e4])
def test_neither_scale_nor_sign_nor_gauge_nor_start_counts(rng, condition):
    """Of one B and another orthonormal A of the same size, outputs are the same, inputs and the cosine are not."""
    B, A, _ = factors(rng, 50, 400, 6)
    A, other = basis(rng, 400, 6).T, basis(rng, 400, 6).T
    found = measured([(B, A, 3.0), gauge(rng, (B, other, -1e-5), condition), (B, A, -0.2)])
    assert similar(found, 0)[0] == pytest.approx(1, abs=1e-9)
    assert similar(found, 0)[1] < 0.1
    assert similar(found, 1) == pytest.approx((1, 1), abs=1e-9)


def test_rank_deficient_and_tiny_updates(rng):
    """Twice a column, a zero column, and updates whose σ⁴ no float64 holds."""
    B, A, s = factors(rng, 60, 50, 4)
    twice = (np.hstack([B, B[:, :1]]), np.vstack([A, A[:1]]), s)
    padded = (np.hstack([B, np.zeros((60, 2))]), np.vstack([A, A[:2]]), s)
    assert_exact([twice, padded, (1e-60 * B, 1e-60 * A, s), factors(rng, 60, 50, 9)], [4, 4, 4, 9])


@pytest.mark.parametrize("falls", [(1.0, 1.0), (0.3, 0.05), (0.02, 1.0)])
def test_chance_is_the_mean_over_random_updates(rng, falls):
    d, ranks = 24, (3, 5)
    sigma = [np.geomspace(1, fall, r) for fall, r in zip(falls, ranks, strict=True)]
    found = [similarity(*(basis(rng, d, r) * s for r, s in zip(ranks, sigma, strict=True))) for _ in range(3000)]
    p, q = (np.array([np.sum(s**2) ** 2 / np.sum(s**4)]) for s in sigma)
    error = 4 * np.std(found) / np.sqrt(len(found))
    assert similarity_chance(d, p, q).item() == pytest.approx(np.mean(found), abs=error)
