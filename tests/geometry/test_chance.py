"""Chance levels against random subspaces drawn in full."""

import numpy as np
import pytest
import scipy.linalg

from inspector.geometry.chance import angle_chance, angle_chances, direction_chance, overlap_chance


def drawn(d, p, q, draws=200):
    """Principal angles (draws, min(p, q)) in degrees, ascending, and overlaps of random p- and q-subspaces of ℝᵈ."""
    rng = np.random.default_rng(1)
    bases = [[np.linalg.qr(rng.standard_normal((d, k)))[0] for k in (p, q)] for _ in range(draws)]
    angles = np.array([np.sort(np.degrees(scipy.linalg.subspace_angles(U, W))) for U, W in bases])
    return angles, np.array([np.linalg.norm(U.T @ W) ** 2 / min(p, q) for U, W in bases])


@pytest.mark.parametrize(
    ("d", "p", "q"), [(200, 10, 10), (30, 4, 4), (12, 6, 6), (50, 1, 1), (200, 2, 10), (40, 1, 30), (60, 8, 3)]
)
def test_angles(d, p, q):
    angles, _ = drawn(d, p, q)
    spread = 4 * angles.std(axis=0) / np.sqrt(len(angles)) * 1.3 + 0.05
    assert angle_chance(d, p, q) == angle_chance(d, q, p)
    assert (np.abs(np.median(angles, axis=0) - angle_chance(d, p, q)) < spread).all()


def test_each_side_keeps_its_own_dimension():
    """The published example: at d = 768, rank 2 against 10 gives 82.5° and 85.0°, and 10 against 10 another number."""
    assert angle_chance(768, 2, 10) == pytest.approx((82.5, 85.0), abs=0.2)
    assert angle_chance(768, 10, 10)[:2] == pytest.approx((78.3, 80.3), abs=0.3)


@pytest.mark.parametrize(("d", "p", "q"), [(8, 6, 6), (5, 5, 5), (7, 4, 4), (9, 7, 3), (6, 6, 2), (10, 3, 8)])
def test_subspaces_that_must_meet(d, p, q):
    angles, _ = drawn(d, p, q)
    chance = np.array(angle_chance(d, p, q))
    assert chance.shape == (min(p, q),)
    assert (chance[: p + q - d] == 0).all()
    assert (chance[max(p + q - d, 0) :] > 0).all()
    assert np.abs(np.median(angles, axis=0) - chance).max() < 6


def test_a_subspace_as_large_as_the_whole_holds_every_other():
    assert overlap_chance(4, 4, 2) == overlap_chance(4, 6, 2) == 1
    assert overlap_chance(8, 2, 6) == 0.75


def test_angles_of_several_pairs_stand_beside_those_that_have_fewer():
    found = angle_chances(20, np.array([2.0, 4.0, 2.0, 3.0]), np.array([3.0, 3.0, 3.0, 1.0]))
    assert found.shape == (4, 3)
    for row, (p, q) in zip(found, ((2, 3), (4, 3), (2, 3), (3, 1)), strict=True):
        assert tuple(row[: min(p, q)]) == angle_chance(20, p, q)
        assert np.isnan(row[min(p, q) :]).all()


def test_in_high_dimension_the_worst_of_ten_is_near_90_by_chance():
    """The published figures: worst 89.5-89.8°, best 80-85° for k = 10 in thousands of dimensions."""
    for d in (1024, 2560, 4096):
        chance = angle_chance(d, 10, 10)
        assert 89.4 < chance[-1] < 89.9
        assert 79 < chance[0] < 86


def test_overlap_and_direction():
    for p, q in ((5, 5), (2, 8)):
        _, overlaps = drawn(40, p, q)
        assert overlaps.mean() == pytest.approx(overlap_chance(40, p, q), abs=0.01)
    rng = np.random.default_rng(2)
    u = rng.standard_normal((20000, 30))
    assert np.mean(np.abs(u[:, 0]) / np.linalg.norm(u, axis=1)) == pytest.approx(direction_chance(30), rel=0.03)
    assert direction_chance(4096) == pytest.approx(np.sqrt(2 / np.pi / 4096), rel=1e-3)


def test_the_same_every_time():
    angle_chance.cache_clear()
    first = angle_chance(576, 8, 8)
    angle_chance.cache_clear()
    assert angle_chance(576, 8, 8) == first
