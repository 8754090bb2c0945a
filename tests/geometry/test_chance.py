"""Chance levels against random subspaces drawn in full."""

import numpy as np
import pytest
import scipy.linalg

from inspector.geometry.chance import angle_chance, direction_chance, overlap_chance


def drawn(d, k, draws=200):
    """Principal angles (draws, k) in degrees, ascending, and overlaps of random k-subspaces of ℝᵈ."""
    rng = np.random.default_rng(1)
    bases = [[np.linalg.qr(rng.standard_normal((d, k)))[0] for _ in range(2)] for _ in range(draws)]
    angles = np.array([np.sort(np.degrees(scipy.linalg.subspace_angles(U, W))) for U, W in bases])
    return angles, np.array([np.linalg.norm(U.T @ W) ** 2 / k for U, W in bases])


@pytest.mark.parametrize(("d", "k"), [(200, 10), (30, 4), (12, 6), (50, 1)])
def test_angles(d, k):
    angles, _ = drawn(d, k)
    spread = 4 * angles.std(axis=0) / np.sqrt(len(angles)) * 1.3 + 0.05
    assert (np.abs(np.median(angles, axis=0) - angle_chance(d, k)) < spread).all()


@pytest.mark.parametrize(("d", "k"), [(8, 6), (5, 5), (7, 4)])
def test_subspaces_that_must_meet(d, k):
    angles, _ = drawn(d, k)
    chance = np.array(angle_chance(d, k))
    assert chance.shape == (k,)
    assert (chance[: 2 * k - d] == 0).all()
    assert np.abs(np.median(angles, axis=0) - chance).max() < 6


def test_in_high_dimension_the_worst_of_ten_is_near_90_by_chance():
    """The published figures: worst 89.5-89.8°, best 80-85° for k = 10 in thousands of dimensions."""
    for d in (1024, 2560, 4096):
        chance = angle_chance(d, 10)
        assert 89.4 < chance[-1] < 89.9
        assert 79 < chance[0] < 86


def test_overlap_and_direction():
    _, overlaps = drawn(40, 5)
    assert overlaps.mean() == pytest.approx(overlap_chance(40, 5), abs=0.01)
    rng = np.random.default_rng(2)
    u = rng.standard_normal((20000, 30))
    assert np.mean(np.abs(u[:, 0]) / np.linalg.norm(u, axis=1)) == pytest.approx(direction_chance(30), rel=0.03)
    assert direction_chance(4096) == pytest.approx(np.sqrt(2 / np.pi / 4096), rel=1e-3)


def test_the_same_every_time():
    angle_chance.cache_clear()
    first = angle_chance(576, 8)
    angle_chance.cache_clear()
    assert angle_chance(576, 8) == first
