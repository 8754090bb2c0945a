"""What the first page says of measured answers, losses and hidden states, and whom to keep by them."""

from dataclasses import replace
from itertools import combinations
from math import nan

import numpy as np
import pytest

from inspector.insights.overview import overview
from tests.insights.findings.published import below, from_layer, with_layers
from tests.insights.overviews import PAIR, made, one_with, said


@pytest.mark.parametrize(
    ("accuracy", "p", "text"),
    [
        (
            (0.2, 0.4, 0.3),
            {"ab": 0.01, "bc": 0.01},
            "b solves the most (20 to 40 %), beyond chance more than c and a: keep it.",
        ),
        (
            (0.2, 0.4, 0.3),
            {"ab": below(0.05), "bc": 0.05},
            "b solves the most (20 to 40 %), beyond chance more than a: keep it.",
        ),
        ((0.2, 0.4, 0.3), {"ab": 0.05}, "none solves the most beyond chance (accuracy 20 to 40 %)."),
        ((0.2, 0.4, 0.3), {"ac": 0.01}, "none solves the most beyond chance (accuracy 20 to 40 %)."),
        ((0.3, 0.3, 0.3), {}, "none solves the most beyond chance (accuracy 30 to 30 %)."),
    ],
)
def test_the_variant_to_keep_by_accuracy(accuracy, p, text):
    found = made(
        "abc", accuracy=dict(zip("abc", accuracy, strict=True)), probes=("accuracy",),
        mcnemar_p_holm={tuple(pair): p.get(pair, 0.9) for pair in ("ab", "ac", "bc")},
    )  # fmt: skip
    assert said(found)[0] == f"Of A's 3 variants {text}"


def test_accuracy_of_all_members_is_needed():
    found = made("abc", accuracy={"a": 0.1, "b": 0.9}, probes=("accuracy",), mcnemar_p_holm={PAIR: 0.0})
    assert said(found)[0] == "A holds 3 variants of one update: keep one, by accuracy."


MEASURED = {"accuracy", "mcnemar_p_holm"}
LOSSES = {"a": 1.5, "b": 1.3, "c": 1.4}


def with_losses(pairs, high, *, accuracy=False, suffix=""):
    """Paths between a, b and c, the loss at α = 1 that of the first; `high`: of b's difference to each other."""
    ends = {tuple(pair): np.array([LOSSES[pair[1]], LOSSES[pair[0]]]) for pair in pairs}
    more = {"accuracy": dict.fromkeys("abc", 0.3)} if accuracy else {}
    found = made(
        "abc", alphas=(0.0, 1.0), probes=("lmc", "accuracy"), **more,
        **{f"lmc_loss{suffix}": ends, f"barrier_strict{suffix}": dict.fromkeys(ends, 0.0)},
    )  # fmt: skip
    block = np.full((3, 3, 1), nan)
    block[1, 0, 0], block[1, 2, 0] = high
    block[0, 1, 0], block[2, 1, 0] = 9.0, 9.0  # the other way round: not b's own difference
    return replace(found, blocks=found.blocks | {(f"lmc_ends_high{suffix}", "global"): block})


@pytest.mark.parametrize("suffix", ["", "_rollouts"])
@pytest.mark.parametrize(
    ("high", "end"),
    [((-0.1, -1e-9), ": keep it."), ((-0.1, 0.0), "; no difference shown to c."),
     ((0.0, -0.1), "; no difference shown to a."), ((nan, 0.1), "; no difference shown to c and a.")],
)  # fmt: skip
def test_the_variant_to_keep_by_loss(high, end, suffix):
    first = overview(with_losses(("ab", "ac", "bc"), high, suffix=suffix)).so_what[0]
    assert first.text == f"Of A's 3 variants b has the lowest loss (1.30, next 1.40){end}"
    assert [(number.metric, number.a, number.b) for number in first.numbers] == [
        (f"lmc_ends{suffix}", "b", "c"), (f"lmc_ends{suffix}", "b", "a"),
    ]  # fmt: skip


def test_a_clear_loss_comes_before_an_accuracy_that_parts_nobody():
    pairs, clear = ("ab", "bc"), (-0.1, -0.1)
    wanted = "b has the lowest loss (1.30, next 1.40), accuracy tells none apart: keep b by loss."
    assert said(with_losses(pairs, clear, accuracy=True))[0] == f"Of A's 3 variants {wanted}"
    assert "none solves the most" in said(with_losses(pairs, (0.1, 0.1), accuracy=True))[0]
    assert said(with_losses(("ab",), clear))[0].startswith("A holds 3 variants"), "c has no loss"


@pytest.mark.parametrize(
    ("accuracy", "high", "text"),
    [
        ((0.2, 0.4, 0.3), (-0.1, -0.1),
         ("b solves the most (20 to 40 %), beyond chance more than a, b has the lowest loss (1.30, next 1.40): "
          "keep it.")),
        ((0.4, 0.2, 0.3), (-0.1, -0.1),
         ("a solves the most (20 to 40 %), beyond chance more than b, b has the lowest loss (1.30, next 1.40): "
         "keep a by accuracy or b by loss.")),
        ((0.4, 0.2, 0.3), (-0.1, 0.1),
         ("a solves the most (20 to 40 %), beyond chance more than b, the lowest loss is not clear: "
         "keep a by accuracy.")),
    ],
)  # fmt: skip
def test_accuracy_and_loss_stand_in_one_sentence(accuracy, high, text):
    tested = made("abc", accuracy=dict(zip("abc", accuracy, strict=True)), mcnemar_p_holm={PAIR: 0.01})
    found = with_losses(("ab", "ac", "bc"), high, accuracy=True)
    found = replace(found, blocks=found.blocks | {k: v for k, v in tested.blocks.items() if k[0] in MEASURED})
    first, *rest = overview(found).so_what
    assert first.text == f"Of A's 3 variants {text}"
    assert not any("keep" in one.text for one in rest)


def with_paths(strict, names="abc"):
    pairs = dict(zip(combinations(names, 2), strict, strict=True))
    curves = {pair: np.array([1.0, 1.0]) for pair, value in pairs.items() if value is not None}
    rises = {pair: value for pair, value in pairs.items() if value is not None}
    return made(names, cosine=0.1, alphas=(0.0, 1.0), probes=("lmc",), lmc_loss=curves, barrier_strict=rises)


@pytest.mark.parametrize(
    ("strict", "text"),
    [
        ((0.01, 0.0, -0.1), "On none of 3 measured paths does the loss rise above both ends."),
        ((0.011, 0.5, 0.2), "On 3 of 3 paths the loss rises above both ends, most between a and c (+0.50)."),
        ((0.0, 0.2, None), "On 1 of 2 paths the loss rises above both ends, most between a and c (+0.20)."),
        ((None, None, 0.01), "Averaging b and c: the loss does not rise above both ends."),
        ((None, None, 0.011), "Averaging b and c: the loss rises above both ends (+0.01)."),
    ],
)
def test_what_the_loss_says_of_averaging(strict, text):
    found = one_with("above both ends", with_paths(strict))
    assert found.text == text
    assert found.numbers[0].value == max(value for value in strict if value is not None)
    assert len(found.numbers) == sum(value is not None for value in strict)


def test_what_is_flat_by_its_own_ends_is_not_the_steepest():
    """+0.09 between losses of 10 is below their hundredth, +0.02 between losses of 1 is not."""
    pairs = {("a", "b"): (10.0, 0.09), ("a", "c"): (1.0, 0.02), ("b", "c"): (1.0, 0.0)}
    found = made(
        "abc", cosine=0.1, alphas=(0.0, 1.0), probes=("lmc",),
        lmc_loss={pair: np.array([loss, loss]) for pair, (loss, _) in pairs.items()},
        barrier_strict={pair: rise for pair, (_, rise) in pairs.items()},
    )  # fmt: skip
    text = one_with("above both ends", found).text
    assert text == "On 1 of 3 paths the loss rises above both ends, most between a and c (+0.02)."


@pytest.mark.parametrize(
    ("least", "text"),
    [
        ((0.95, 0.96, 0.97), "Hidden states are alike in all 3 pairs (CKA ≥ 0.95); the least is 0.95."),
        ((0.96, below(0.95), 0.97), "Hidden states are alike in 2 of 3 pairs (CKA ≥ 0.95); the least is 0.95."),
        ((0.5, 0.5, 0.4), "Hidden states are alike in none of 3 pairs (CKA ≥ 0.95); the least is 0.40."),
        ((nan, nan, 0.9), "b and c: hidden states differ somewhat (CKA 0.90 in layer 6)."),
    ],
)
def test_what_hidden_states_say(least, text):
    pairs = zip(combinations("abc", 2), least, strict=True)
    found = from_layer(made("abc", cosine=0.1, layers=3, probes=("cka",)), 5)
    found = one_with("idden states", with_layers(found, "cka", {pair: [low + 0.01, low, nan] for pair, low in pairs}))
    assert found.text == text
    assert found.numbers[0].value == np.nanmin(least)


@pytest.mark.parametrize("kinds", [("cka", "cka_debiased"), ("cka_debiased",)])
def test_the_debiased_of_two_kinds_counts(kinds):
    found = made("ab", layers=3, probes=("cka",))
    for kind in kinds:
        found = with_layers(found, kind, {PAIR: [0.9, 0.8 if kind == "cka" else 0.75, 0.9]})
    found = one_with("idden states", found)
    assert found.text == "a and b: hidden states differ somewhat (debiased CKA 0.75 in layer 1)."
    assert (found.numbers[0].metric, found.numbers[0].value) == ("cka_debiased", 0.75)


@pytest.mark.parametrize(
    ("accuracy", "p", "text"),
    [
        ({"a": 0.2, "b": 0.4, "c": 0.3}, 0.05, "Accuracy 20 to 40 %: no two differ beyond chance."),
        (
            {"a": 0.2, "b": 0.4, "c": 0.3},
            below(0.05),
            "Accuracy 20 to 40 %: b solves the most; 1 pair differs beyond chance.",
        ),
        ({"a": 0.2, "c": 0.3}, 0.01, "Accuracy 20 to 30 %: no two differ beyond chance."),
        ({"b": 0.2}, 0.01, None),
    ],
)
def test_what_accuracy_says(accuracy, p, text):
    found = made("abc", cosine=0.1, probes=("accuracy",), accuracy=accuracy, mcnemar_p_holm={PAIR: p})
    found = one_with("Accuracy", found)
    assert (found and found.text) == text
    assert not found or found.caution == ("no two" in text)
