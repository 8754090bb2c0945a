"""Energy ratio and class: closed forms, and adapters made to be each class."""

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.geometry.interference import classify, energy_ratio, energy_ratio_of_sum
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.memory import adapter


@pytest.mark.parametrize(("inner", "expected"), [(1.0, 2.0), (-1.0, 0.0), (0.0, 1.0)])
def test_energy_ratio_of_equal_norms(inner, expected):
    assert energy_ratio(np.array(inner), np.array(1.0), np.array(1.0)) == expected


def test_energy_ratio_of_a_sum():
    """N equal updates give N, orthogonal ones 1; a zero update changes nothing."""
    assert energy_ratio_of_sum(np.ones((4, 4)), np.full(4, 3.0)) == pytest.approx(4)
    assert energy_ratio_of_sum(np.eye(3), np.array([1.0, 2.0, 3.0])) == pytest.approx(1)
    with_zero = np.array([[1, 1, np.nan], [1, 1, np.nan], [np.nan] * 3])
    assert energy_ratio_of_sum(with_zero, np.array([1.0, 1.0, 0.0])) == pytest.approx(2)


def test_energy_ratios_have_no_unit():
    """Updates of a norm far below 1, as a run of few steps has, give what large ones give."""
    inner, square = np.array(-1.5e-12), np.array([1e-12, 4e-12])
    assert energy_ratio(inner, *square) == pytest.approx(0.4)
    assert energy_ratio_of_sum(np.array([[1, -0.75], [-0.75, 1]]), np.sqrt(square)) == pytest.approx(0.4)


def test_energy_ratio_of_nothing_is_not_available():
    for one, other in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        assert np.isnan(energy_ratio(np.array(0.0), np.array(one), np.array(other)))
    assert np.isnan(energy_ratio_of_sum(np.full((2, 2), np.nan), np.zeros(2)))


@pytest.mark.parametrize(
    ("cosine", "overlap", "chance", "expected"),
    [
        (0.9, 0.9, 0.01, "aligned"),
        (-0.3, 0.9, 0.01, "opposed"),
        (0.05, 0.5, 0.01, "shared outputs"),
        (0.05, 0.05, 0.01, "independent"),
        (0.05, 0.5, 0.4, "independent"),
        (float("nan"), 0.5, 0.01, "n/a"),
        (0.05, float("nan"), 0.01, "n/a"),
        (0.05, 0.5, float("nan"), "n/a"),
        (0.9, float("nan"), float("nan"), "aligned"),
        (0.2, 0.9, 0.01, "aligned"),
        (-0.2, 0.9, 0.01, "opposed"),
        (0.199, 0.1, 0.01, "shared outputs"),
        (-0.199, 0.099, 0.01, "independent"),
        (0.0, 0.375, 0.125, "shared outputs"),
        (0.0, 0.374, 0.125, "independent"),
    ],
)
def test_classes(cosine, overlap, chance, expected):
    assert classify(cosine, overlap, chance) == expected


def test_the_class_of_real_factors():
    """Equal: aligned; its negative: opposed; the same outputs from other inputs: shared; random: independent."""
    rng = np.random.default_rng(0)

    def random(*shape):
        return torch.from_numpy(rng.standard_normal(shape))

    module = ModuleId(0, "q_proj")
    B, A = random(300, 4), random(4, 200)
    made = {
        "x": (B, A),
        "same": (B, A),
        "minus": (-B, A),
        "shares": (B, random(4, 200)),
        "other": (random(300, 4), random(4, 200)),
    }
    study = analyse([adapter(name, {module: factors}) for name, factors in made.items()], Settings(k=4))
    chance = float(study.blocks["subspace_overlap_chance", "global"][0])
    classes = [
        classify(
            float(study.blocks["cosine", "global"][0, j, 0]),
            float(study.blocks["subspace_overlap", "global"][0, j, 0]),
            chance,
        )
        for j in range(1, 5)
    ]
    assert classes == ["aligned", "opposed", "shared outputs", "independent"]
