"""What a verdict says of two that cannot be compared, or not yet, and what it begins with: studies of numbers."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from inspector.insights.verdict import verdict, verdicts
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import barriers, study, with_layers
from tests.insights.test_verdict_cases import PAIR, made, weights


@pytest.mark.parametrize(
    ("bases", "comparable"),
    [
        (("x/one", "y/two"), False),
        (("x/one", "z/One"), True),
        (("", "y/two"), True),
        (("x/one", ""), True),
        (("", ""), True),
    ],
)
def test_two_bases_only_if_both_are_named(bases, comparable):
    found = made(0.95)
    infos = tuple(replace(info, base=base) for info, base in zip(found.adapters, bases, strict=True))
    said = verdict(replace(found, adapters=infos), 0, 1)
    assert said.comparable is comparable
    assert said.headline.startswith(
        "Weights only: one direction" if comparable else "Different bases (x/one and y/two)"
    )


def test_the_adapter_without_a_module_is_named_before_other_bases():
    found = made(0.95)
    found.shapes[1] = 0
    infos = (found.adapters[0], replace(found.adapters[1], base="y/two"))
    for i, j in ((0, 1), (1, 0)):
        said = verdict(replace(found, adapters=infos), i, j)
        assert said.headline == "b has no usable module: inspector check says why."


def in_weights(found):
    return [weights(found, 0, 1), weights(found, 1, 0)]


def test_why_weights_have_no_cosine():
    unlike = made(0.95)
    unlike.shapes[1] = 32
    assert (
        in_weights(unlike)
        == ["none of their common modules can be used in both, or has one shape: they cannot be compared or added."] * 2
    )
    zero = "ΔW of a is zero: it has no direction, and adding it changes nothing."
    assert in_weights(made(nan, norms=(0.0, 1.0))) == [zero] * 2
    assert in_weights(made(nan, norms=(1.0, 0.0))) == [zero.replace("of a", "of b")] * 2
    assert in_weights(made(nan, norms=(1.0, 2.0))) == ["their updates are not compared yet."] * 2
    open_ = made(nan)
    infos = (replace(open_.adapters[0], scale="unknown"), open_.adapters[1])
    assert (
        in_weights(replace(open_, adapters=infos))
        == ["the scales of the modules of a are unknown, so no cosine (--alpha gives them)."] * 2
    )
    infos = tuple(replace(info, scale="unknown") for info in open_.adapters)
    assert weights(replace(open_, adapters=infos), 1, 0).startswith("the scales of the modules of b and a are unknown")


@pytest.mark.parametrize(
    ("norms", "gone", "words"),
    [
        ([[1, 1, 1], [1, 1, 1]], (), ""),
        ([[1, nan, 1], [1, 1, 1]], (), "so far (2 of 3 modules) "),
        ([[1, nan, 1], [nan, 1, 1]], (), "so far (1 of 3 modules) "),
        ([[1, nan, 1], [1, nan, 1]], (), "so far (2 of 3 modules) "),
        ([[1, nan, 1], [1, 1, 1]], ((0, 1),), ""),
        ([[1, nan, 1], [1, nan, 1]], ((0, 1), (1, 1)), ""),
        ([[nan, nan, 1], [1, nan, 1]], ((0, 1), (1, 1)), "so far (1 of 2 modules) "),
    ],
)
def test_how_much_is_measured_so_far(norms, gone, words):
    found = study(PAIR, layers=3, cosine={PAIR: 0.95})
    found.blocks["norm", "module"] = np.array(norms, dtype=float)
    for place in gone:
        found.shapes[place] = 0
    assert weights(found) == f"{words}one direction (cosine 0.95)."


@pytest.mark.parametrize(
    ("excluded", "words"), [((), "1 of 3"), ((0,), "1 of 2"), ((1,), "2 of 3"), ((0, 1), "2 of 2")]
)
def test_excluded_modules_are_not_awaited(excluded, words):
    found = study(PAIR, layers=3, cosine={PAIR: 0.95})
    found.blocks["norm", "module"] = np.array([[nan, nan, 1], [nan, 1, 1]])
    found.shapes[1, 0] = 0
    infos = (replace(found.adapters[0], excluded=tuple(found.modules[m] for m in excluded)), found.adapters[1])
    said = "" if words == "2 of 2" else f"so far ({words} modules) "
    assert weights(replace(found, adapters=infos)) == f"{said}one direction (cosine 0.95)."


@pytest.mark.parametrize("probe", ["lmc", "lmc_rollouts", "cka"])
def test_few_prompts_of_any_probe_are_said(probe):
    found = replace(made(0.95), probes=(ProbeInfo(probe, "b", examples=19),))
    assert verdict(found, 0, 1).headline == (
        "Weights only (19 prompts are too few to say more): one direction (cosine 0.95)."
    )
    enough = replace(found, probes=(ProbeInfo(probe, "b", examples=20),))
    assert verdict(enough, 0, 1).headline == "Weights only: one direction (cosine 0.95)."


def test_all_that_was_measured_is_said_in_one_order():
    curve = (1.0, 1.0, 1.0)
    of = {metric: {PAIR: value} for metric, value in barriers(curve).items()}
    found = study(
        PAIR, layers=3, alphas=(0.0, 0.5, 1.0), cosine={PAIR: 0.95}, lmc_loss={PAIR: np.array(curve)},
        accuracy={"a": 0.1, "b": 0.1}, **of,
    )  # fmt: skip
    said = verdict(with_layers(found, "cka", {PAIR: [1.0, 0.99, 1.0]}), 0, 1)
    assert said.headline == (
        "Accuracy does not tell them apart (10.0 and 10.0 %, no common problems); no barrier (loss 1.00 and 1.00, 1.00 "
        "averaged); hidden states alike in every layer (CKA at least 0.99). In weights: one direction (cosine 0.95)."
    )
    assert [row.metric for row in said.evidence] == ["accuracy", "lmc_loss", "cka", "cosine"]


def test_parts_of_a_sum_are_told_by_the_most_and_the_least_alike():
    cosines = {("a", "b"): 0.5, ("a", "c"): 0.95, ("b", "c"): -0.5}
    found = study(("a", "b", "c"), cosine=cosines)
    assert [text.partition(":")[0] for text in verdicts(found, (0, 1, 2))] == ["a ↔ c", "b ↔ c"]
    assert verdicts(found, (1, 2)) == ["b ↔ c: Weights only: opposed in part (cosine −0.50)."]
    one = study(("a", "b", "c"), cosine={("a", "b"): 0.5})
    assert [text.partition(":")[0] for text in verdicts(one, (0, 1, 2))] == ["a ↔ b"], "the only one that is known"
    assert verdicts(study(("a", "b", "c")), (0, 1, 2)) == []
    assert verdicts(study(("a", "b", "c")), (0, 2)) == ["a ↔ c: Weights only: their updates are not compared yet."]
