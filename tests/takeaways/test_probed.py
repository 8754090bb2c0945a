"""What the probes say: losses, hidden states, accuracy: on the published numbers, and at limits."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.study import ProbeInfo
from tests.takeaways.published import LAYERS, barriers, study, texts, with_layers


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


def test_a_barrier_within_its_interval_is_none():
    path = (2.0, 3.0, 2.0)
    found = study(
        ("a", "b"), alphas=(0, 0.5, 1), lmc_loss={("a", "b"): np.array(path)},
        **{metric: {("a", "b"): value} for metric, value in barriers(path).items()},
        **{f"{metric}_low": {("a", "b"): -0.1} for metric in barriers(path)},
    )  # fmt: skip
    assert "no barrier by any definition" in texts(found, "loss")[0]


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
