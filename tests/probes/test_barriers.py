"""Barriers by hand, and intervals that do what a bootstrap must."""

import numpy as np
import pytest

from inspector.probes.barriers import barriers, curve, difference

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ONE = np.ones(4)


def constant(values: list[float]) -> np.ndarray:
    """Every example has the curve's loss."""
    return np.tile(np.array(values)[:, None], (1, 4))


def test_a_hump_by_hand() -> None:
    """L = 1, 2, 5, 2, 3: mean 5 − 2; chord 5 − 2; strict 5 − 3, all at ½."""
    found = barriers(ALPHAS, constant([1, 2, 5, 2, 3]), ONE)
    assert {kind: (b.value, b.at) for kind, b in found.items()} == {
        "mean": (3.0, 0.5),
        "chord": (3.0, 0.5),
        "strict": (2.0, 0.5),
    }


def test_a_monotone_path_is_a_barrier_by_the_first_definition_only() -> None:
    """A straight line from 2 to 5: ½·3 above the mean, at its higher end; 0 by the other two."""
    found = barriers(ALPHAS, constant([2, 2.75, 3.5, 4.25, 5]), ONE)
    assert found["mean"].value == pytest.approx(1.5)
    assert found["mean"].at == 1.0
    assert found["chord"].value == pytest.approx(0)
    assert found["strict"].value == pytest.approx(0)


def test_a_monotone_bulge_has_its_maximum_above_the_chord_elsewhere() -> None:
    found = barriers(ALPHAS, constant([0, 3, 3.5, 3.8, 4]), ONE)
    assert found["chord"].value == pytest.approx(2.0)
    assert found["chord"].at == 0.25
    assert found["mean"].at == 1.0


def test_points_outside_the_segment_do_not_count() -> None:
    alphas = (-1.0, 0.0, 0.5, 1.0, 2.0)
    assert barriers(alphas, constant([99, 1, 2, 1, 99]), ONE)["strict"].value == 1.0


def test_the_loss_is_a_mean_over_tokens_not_over_examples() -> None:
    """(10 + 1)/(1 + 9), not (10/1 + 1/9)/2."""
    assert curve(np.array([[10.0, 1.0]]), np.array([1.0, 9.0]))[0] == pytest.approx(1.1)


def test_equal_examples_leave_no_interval() -> None:
    found = barriers(ALPHAS, constant([1, 2, 5, 2, 3]), ONE)["mean"]
    assert found.low == pytest.approx(3.0)
    assert found.high == pytest.approx(3.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Examples scatter by a common offset, which pairing cancels, and by a little noise at ½."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        offset, noise = rng.normal(0, 5, 60), rng.normal(0, 0.5, 60)
        losses = np.stack([offset, offset + 1 + noise, offset])
        found = barriers((0.0, 0.5, 1.0), losses, np.ones(60))["chord"]
        covered += found.low <= 1.0 <= found.high
    assert 88 <= covered <= 100


def test_without_a_barrier_the_interval_contains_0() -> None:
    """Ends that differ by nothing but noise: half their difference, and a maximum, are never negative in a resample."""
    rng = np.random.default_rng(0)
    above = 0
    for _ in range(100):
        losses = rng.normal(0, 1, (2, 60))
        found = barriers((0.0, 1.0), losses, np.ones(60))
        assert found["mean"].value > 0
        above += found["mean"].low > 0
    assert above < 15, "in 100 of 100 with a maximum in every resample"


def test_the_interval_is_of_the_signed_height_at_the_maximum_of_the_data() -> None:
    """At ¼, where the maximum is, the difference to the ends is resampled with its sign; the maximum at ¾ is not."""
    rng = np.random.default_rng(1)
    losses = np.stack([np.zeros(50), rng.normal(0.1, 1, 50), np.zeros(50), rng.normal(0, 9, 50), np.zeros(50)])
    losses[1] += 0.1 - losses[1].mean()
    losses[3] += 0.05 - losses[3].mean()
    found = barriers(ALPHAS, losses, np.ones(50))
    for kind in ("mean", "chord", "strict"):
        assert found[kind].at == 0.25
        assert found[kind].value == pytest.approx(0.1)
        assert -0.5 < found[kind].low < 0 < found[kind].high < 0.6


def test_unequal_ends_alone_are_nothing_above_the_chord() -> None:
    rng = np.random.default_rng(2)
    zero, step = rng.normal(2, 1, 40), rng.normal(3, 1, 40)
    losses = np.stack([zero + alpha * step for alpha in ALPHAS])
    found = barriers(ALPHAS, losses, np.ones(40))
    assert found["mean"].value == pytest.approx(step.mean() / 2)
    assert found["mean"].low > 1, "a lower end above 0 without any rise between the ends: it is not a test"
    chord = found["chord"]
    assert (chord.value, chord.low, chord.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_the_difference_of_the_ends_has_its_sign_and_is_paired() -> None:
    """Examples differ by far more than the ends do: pairing cancels it. 0.2 ± 1.96·0.3/√80."""
    rng = np.random.default_rng(3)
    zero = rng.normal(0, 50, 80)
    one = zero + rng.normal(0.2, 0.3, 80)
    forth, back = difference(one, zero, np.ones(80)), difference(zero, one, np.ones(80))
    assert forth.value == pytest.approx((one - zero).mean())
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert forth.high - forth.low == pytest.approx(2 * 1.96 * 0.3 / 80**0.5, rel=0.3)


def test_intervals_weigh_examples_by_their_tokens() -> None:
    tokens = np.array([1.0, 99.0])
    found = difference(np.array([10.0, 99.0]), np.zeros(2), tokens)
    assert found.value == pytest.approx(109 / 100)
    assert (found.low, found.high) == pytest.approx((1.0, 10.0)), "of one example drawn twice: 99/99 or 10/1"


def test_the_same_losses_give_the_same_interval() -> None:
    losses = np.random.default_rng(1).random((5, 30))
    assert barriers(ALPHAS, losses, np.ones(30)) == barriers(ALPHAS, losses, np.ones(30))


def test_a_path_without_its_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in list"):
        barriers((0.25, 0.5), constant([1, 2])[:2], ONE)
