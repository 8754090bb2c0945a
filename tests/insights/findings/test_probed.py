"""What the probes say: losses, hidden states, accuracy: on the published numbers, and at limits."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.common.numbers import fixed
from inspector.insights.findings import findings_of
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import LAYERS, barriers, study, texts, with_layers


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            (2.06, 2.4, 3.0, 3.9, 4.93),
            "Between b and a the loss goes from 2.06 (b) to 4.93 (a) monotonically: a barrier only above the endpoints' mean, "
            "which unequal endpoints alone can give.",
        ),
        (
            (2.0, 2.0, 2.004, 2.0, 2.0),
            "b and a lie in one basin: the loss goes from 2.00 (b) to 2.00 (a), no barrier by any definition.",
        ),
        (
            (2.0, 3.0, 4.0, 3.0, 2.1),
            "A barrier parts b and a by every definition: the loss goes from 2.00 (b) to 2.10 (a), 4.00 on the way.",
        ),
        (
            (2.25, 3.82, 5.4, 7.06, 8.64),
            "Between b and a the loss goes from 2.25 (b) to 8.64 (a) monotonically: a barrier only above the endpoints' mean, "
            "which unequal endpoints alone can give.",
        ),
    ],
)
def test_basins(path, said):
    found = study(
        ("a", "b"), alphas=tuple(np.linspace(0, 1, len(path))), lmc_loss={("a", "b"): np.array(path)},
        **{metric: {("a", "b"): value} for metric, value in barriers(path).items()},
    )  # fmt: skip
    assert texts(found, "loss") == [said]


def of_path(path, **more):
    return study(
        ("a", "b"), alphas=tuple(np.linspace(0, 1, len(path))), lmc_loss={("a", "b"): np.array(path)},
        **{metric: {("a", "b"): value} for metric, value in barriers(path).items()},
        **{metric: {("a", "b"): value} for metric, value in more.items()},
    )  # fmt: skip


@pytest.mark.parametrize("low", [-0.1, 0.1])
def test_a_lower_end_is_shown_and_is_not_a_test(low):
    lows = {f"{metric}_low": low for metric in barriers((0,))}
    highs = {f"{metric}_high": 1.3 for metric in barriers((0,))}
    found = of_path((2.0, 3.0, 2.0), **lows, **highs)
    assert texts(found, "loss") == [
        "A barrier parts b and a by every definition: the loss goes from 2.00 (b) to 2.00 (a), 3.00 on the way, "
        f"1.00 (95 % interval {fixed(low)} to 1.30) above both endpoints.",
    ]
    (one,) = [told for told in findings_of(found) if told.kind == "loss"]
    assert [n.value for n in one.numbers if n.metric.startswith("barrier_strict")] == [1.0, low, 1.3], "each once"
    flat = of_path((2.0, 2.001, 2.0), **lows, **highs)
    assert "no barrier by any definition" in texts(flat, "loss")[0], "nor does an interval make a barrier"


def test_a_rise_above_the_chord_is_not_what_unequal_ends_give():
    """Up to the higher end, and there early: 2.0 above the chord at 0.25, 2.0 above the mean, 0 above both."""
    bulge = (1.0, 4.0, 4.5, 4.8, 5.0)
    assert texts(of_path(bulge), "loss") == [
        "Between b and a the loss goes from 1.00 (b) to 5.00 (a) monotonically: a barrier only above the endpoints' mean "
        "and above the chord. The loss lies above the straight line between its ends, which unequal endpoints alone do "
        "not give.",
    ]
    known = of_path(bulge, barrier_chord_low=1.25, barrier_chord_high=2.75)
    assert "and above the chord, the chord by 2.00 (95 % interval 1.25 to 2.75). The loss" in texts(known, "loss")[0]


def test_a_rise_above_the_chord_alone():
    found = of_path((2.0, 2.035, 2.037, 2.039, 2.04))
    assert "a barrier only above the chord. The loss lies above" in texts(found, "loss")[0]
    assert "unequal endpoints alone can give" not in texts(found, "loss")[0]


def test_the_difference_of_the_ends_stands_beside_the_barrier_it_gives():
    found = of_path((2.0, 3.5, 5.0), lmc_ends=3.0, lmc_ends_low=2.55, lmc_ends_high=3.45)
    assert texts(found, "loss")[0].endswith(
        "a barrier only above the endpoints' mean, which unequal endpoints alone can give; they differ by 3.00 "
        "(95 % interval 2.55 to 3.45)."
    )


def test_states_of_the_study():
    parted = np.full(LAYERS, 0.93)
    parted[25:] = np.linspace(0.8, 0.45, LAYERS - 25)
    found = with_layers(study(("sft", "rift", "dpo")), "cka_debiased", {("sft", "rift"): 0.99, ("sft", "dpo"): parted})
    assert texts(found, "states") == [
        "sft-rift: hidden states stay alike in every layer (debiased CKA at least 0.99).",
        "The hidden states of sft and dpo part from layer 25 on: debiased CKA falls to 0.45 in layer 35.",
    ]


def test_answers_of_the_study():
    accuracy = {"sft": 0.876, "rft": 0.882, "dpo": 0.935}
    bounds = {f"accuracy{b}": {n: a + d for n, a in accuracy.items()} for b, d in (("_low", -0.018), ("_high", 0.018))}
    p = {("sft", "rft"): 0.6, ("sft", "dpo"): 1e-9, ("rft", "dpo"): 3e-9}
    assert texts(study(("sft", "rft", "dpo"), accuracy=accuracy, mcnemar_p_holm=p, **bounds), "accuracy") == [
        "dpo solves more than sft: 93.5 % against 87.6 % (McNemar p = 1e-09 after Holm).",
        "dpo solves more than rft: 93.5 % against 88.2 % (McNemar p = 3e-09 after Holm).",
    ]
    bounds = {metric: {n: v for n, v in values.items() if n != "dpo"} for metric, values in bounds.items()}
    same = study(("sft", "rft"), accuracy={"sft": 0.876, "rft": 0.882}, mcnemar_p_holm={("sft", "rft"): 0.6}, **bounds)
    assert texts(same, "accuracy")[0].endswith("each is known to ±1.8 points only.")


def test_few_prompts_say_nothing():
    info = ProbeInfo("cka", "b", examples=4)
    noisy = with_layers(study(("a", "b")), "cka_debiased", {("a", "b"): np.linspace(1, -1, LAYERS)})
    noisy = replace(noisy, probes=(info, ProbeInfo("lmc", "b", examples=64), ProbeInfo("accuracy", "b")))
    assert texts(noisy) == ["Nothing is said of hidden states: 4 prompts are too few, 20 at least."]
