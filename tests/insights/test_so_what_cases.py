"""The sentences that follow on the first page, and why adapters stand apart: every threshold from both sides."""

from dataclasses import replace
from itertools import combinations
from math import nan

import numpy as np
import pytest

from inspector.insights.overview import overview
from inspector.insights.overview.reasons import notes, variants
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import below, from_layer, study, with_layers

PAIR = ("a", "b")
APART = "No two hold one update"


def made(names="ab", *, cosine=0.9, probes=(), pairs=None, **more):
    """All pairs with one cosine but for those given."""
    cosines = dict.fromkeys(combinations(names, 2), cosine) | {
        tuple(pair): value for pair, value in (pairs or {}).items()
    }
    found = study(tuple(names), cosine=cosines, **more)
    return replace(found, probes=tuple(ProbeInfo(probe, "b", examples=100) for probe in probes))


def said(found):
    return [sentence.text for sentence in overview(found).so_what]


def one_with(words, found):
    return next((sentence for sentence in overview(found).so_what if words in sentence.text), None)


# Which to keep


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (1, "A holds 2 variants of one update: keep one, by accuracy."),
        (2, "A holds 2 variants of one update, B 2: keep one of each, by accuracy."),
        (4, "A holds 2 variants of one update, B 2, C 2, D 2: keep one of each, by accuracy."),
        (5, "A holds 2 variants of one update, B 2, C 2, D 2, …: keep one of each, by accuracy."),
    ],
)
def test_groups_without_a_measurement(groups, text):
    names = "abcdefghij"[: 2 * groups]
    found = made(names, cosine=0.0, pairs={names[n : n + 2]: 0.9 - n / 100 for n in range(0, 2 * groups, 2)})
    first = overview(found).so_what[0]
    assert first.text == text
    values = [number.value for number in first.numbers]
    assert values == sorted(values)
    assert len(values) == groups


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
    return replace(found, blocks=found.blocks | {(f"lmc_ends{suffix}_high", "global"): block})


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


def test_a_clear_loss_comes_before_an_accuracy_that_parts_nobody_and_after_one_that_does():
    pairs, clear = ("ab", "bc"), (-0.1, -0.1)
    assert said(with_losses(pairs, clear, accuracy=True))[0].startswith("Of A's 3 variants b has the lowest loss")
    assert "none solves the most" in said(with_losses(pairs, (0.1, 0.1), accuracy=True))[0]
    assert said(with_losses(("ab",), clear))[0].startswith("A holds 3 variants"), "c has no loss"


# Without a group


def test_without_a_group_the_largest_cosine_is_named():
    assert (
        said(made("abc", cosine=0.1, pairs={"bc": below(0.7)}))[0]
        == f"{APART}: the largest cosine is 0.70, of b and c."
    )
    assert not any(APART in text for text in said(made(cosine=nan)))
    assert said(study(("a",), norm={"a": 1.0})) == [
        "a stands alone here: open another adapter to compare it with.",
        "Weights only: loss, hidden states and accuracy are not measured.",
    ]


# Layers


def by_layer(*values, cosine=0.9, first=5, **more):
    found = from_layer(made(cosine=cosine, layers=len(values), **more), first)
    return with_layers(found, "cosine", {PAIR: list(values)})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1.0, 0.75, 1.0), "differ most in layer 6: cosine 0.75, elsewhere 1.00."),
        ((1.0, 0.95, 1.0), "differ most in layer 6: cosine 0.95, elsewhere 1.00."),
        ((1.0, 0.9501, 1.0), "differ alike in every layer: cosine 0.95 to 1.00."),
        ((nan, 0.5, 0.2, 0.5), "differ most in layer 7: cosine 0.20, elsewhere 0.50."),
        ((0.2, 0.5, 0.2, 0.5, 0.5), "differ most in layer 5: cosine 0.20, elsewhere 0.50."),
        ((0.5, 0.5, 0.5), "differ alike in every layer: cosine 0.50."),
    ],
)
def test_where_two_differ_most(values, text):
    assert one_with("differ", by_layer(*values)).text == f"The members of A {text}"


def test_layers_say_nothing_of_two_or_of_none_that_is_known():
    assert one_with("differ", by_layer(1.0, 0.2)) is None
    assert one_with("differ", by_layer(nan, nan, nan)) is None
    assert one_with("differ", made(layers=4)) is None


@pytest.mark.parametrize(("cosine", "there"), [(0.4, True), (below(0.4), False)])
def test_without_a_group_layers_are_those_of_the_nearest_two(cosine, there):
    found = one_with("differ", by_layer(0.5, 0.2, 0.5, cosine=cosine))
    assert (found is not None) is there
    assert not there or found.text == "a and b differ most in layer 6: cosine 0.20, elsewhere 0.50."


def test_the_layer_of_a_group_is_by_the_mean_of_its_pairs_and_the_lowest_pair_is_its_evidence():
    found = with_layers(
        from_layer(made("abc", layers=3), 5), "cosine",
        {PAIR: [0.9, 0.8, 0.9], ("a", "c"): [0.9, 0.2, 0.9], ("b", "c"): [0.3, 0.2, 0.9]},
    )  # fmt: skip
    found = one_with("differ", found)
    assert found.text == "The members of A differ most in layer 6: mean cosine 0.40, elsewhere 0.70."
    first, low, usual = found.numbers
    assert (first.a, first.b, first.layer, first.value) == ("a", "c", 6, 0.2)
    assert (low.value, low.layer, usual.value) == (pytest.approx(0.4), 6, pytest.approx(0.7))


# Loss, states, accuracy


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


# Seeds and sizes


def origins(*runs):
    return [Origin("sft", *run) for run in runs]


@pytest.mark.parametrize(
    ("u1", "cosine", "there"),
    [(0.5, below(0.5), True), (below(0.5), 0.1, False), (0.9, 0.5, False), (0.9, 0.1, True), (nan, 0.1, False)],
)
def test_another_seed_with_the_same_outputs(u1, cosine, there):
    found = made(cosine=cosine, u1={PAIR: u1}, origins=origins((1e-4, 1), (1e-4, 2)))
    text = f"b is another seed of a: same outputs (u₁ {u1:.2f}), cosine {cosine:.2f}."
    assert (text in said(found)) is there
    rates = made(cosine=cosine, u1={PAIR: u1}, origins=origins((1e-4, 1), (2e-4, 1)))
    assert not any("another seed" in text for text in said(rates))


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        ((1.0, 5.0), "b moved 5 times as far as a, which changes little in their sum."),
        ((5.0, 1.0), "a moved 5 times as far as b, which changes little in their sum."),
        ((1.0, below(5.0)), None),
        ((below(5.0), 1.0), None),
        ((0.0, 5.0), None),
        ((5.0, 0.0), None),
        ((nan, 5.0), None),
    ],
)
def test_who_changes_little_in_a_sum(norms, text):
    found = one_with("times as far", made(norm=dict(zip("ab", norms, strict=True))))
    assert (found and found.text) == text


def test_sizes_are_compared_within_a_group_and_with_those_partly_like_it():
    norm = {"a": 1.0, "b": 2.0, "c": 8.0}
    partly = made("abc", norm=norm, cosine=0.5, pairs={"ab": 0.9})
    assert one_with("times as far", partly).text.startswith("c moved 8 times as far as a")
    assert one_with("times as far", made("abc", norm=norm, cosine=0.1, pairs={"ab": 0.9})) is None
    two_partly = made("abcd", norm={"a": 2.0, "b": 2.0, "c": 8.0, "d": 0.5}, cosine=0.5, pairs={"ab": 0.9, "cd": 0.1})
    assert one_with("times as far", two_partly) is None, "c and d are no pair of the group"


# Why one stands apart


def why(found, i, nearest):
    return notes(found, found.names)(i, nearest)


@pytest.mark.parametrize(
    ("runs", "nearest", "reasons"),
    [
        (((1e-4, 1), (1e-4, 2), (1e-4, 1)), 0, ("other seed", "u₁ 0.30")),
        (((1e-4, 1), (1e-4, 2), (1e-4, 1)), 2, ("other seed of a", "u₁ 0.30")),
        (((1e-4, 1), (1e-3, 1), (1e-4, 1)), 0, ("10× rate",)),
        (((1e-4, 1), (2.5e-5, 1), (1e-4, 1)), 2, ("1/4 rate of a",)),
        (((1e-4, 1), (1e-3, 2), (1e-4, 1)), 0, ("other seed and rate",)),
        (((1e-4, 1), (1e-4, 1), (1e-4, 1)), 0, ()),
    ],
)
def test_another_run_of_a_method(runs, nearest, reasons):
    found = made("abc", cosine=0.1, u1={PAIR: 0.3, ("b", "c"): 0.3}, origins=origins(*runs))
    assert why(found, 1, nearest) == reasons
    assert why(found, 0, 2) == why(found, 2, 0) == ()


def test_a_run_that_differs_in_one_thing_comes_before_one_that_differs_in_two():
    found = made("abcde", cosine=0.1, origins=origins((1e-3, 2), (1e-4, 1), (1e-3, 1), *[(1e-4, 1)] * 2))
    assert {i: (v.change, {v.a, v.b} - {i}) for i, v in variants(found).items()} == {
        0: ("seed", {2}), 2: ("learning rate", {1}),
    }  # fmt: skip


def test_what_is_wrong_with_one_is_said_first():
    found = made("abc", cosine=0.1, norm={"a": 0.0, "b": 1.0, "c": nan})
    infos = (*found.adapters[:2], replace(found.adapters[2], scale="unknown"))
    found = replace(found, adapters=infos)
    assert why(found, 0, None) == ("ΔW is zero",)
    assert why(found, 1, None) == ("nothing to compare",)
    assert why(found, 2, None) == ("nothing to compare", "scale unknown")
    assert why(found, 2, 0) == ("scale unknown",)
    assert why(found, 1, 0) == ()
    assert why(study(("a",), norm={"a": 1.0}), 0, None) == ()


@pytest.mark.parametrize(
    ("starts", "reasons"), [("ffg", ((), (), ("other start of A",))), ("fgh", ((), (), ())), ("fff", ((), (), ()))]
)
def test_another_start_beside_a_group_of_one(starts, reasons):
    kin = [Origin(method, a0=start) for method, start in zip(("sft", "dpo", "kto"), starts, strict=True)]
    pairs = list(combinations("abc", 2))
    overlaps = {(a, b): 1.0 if starts["abc".index(a)] == starts["abc".index(b)] else 0.02 for a, b in pairs}
    found = made("abc", cosine=0.1, origins=kin, row_space_overlap=overlaps)
    assert tuple(why(found, i, (i + 1) % 3) for i in range(3)) == reasons
    assert why(found, 2, None) == ("nothing to compare",)


def test_of_two_runs_as_usual_the_later_is_the_other_one():
    found = made(cosine=0.1, origins=origins((1e-4, 1), (1e-4, 2)))
    assert list(variants(found)) == [1]
    assert list(variants(made(cosine=0.1, origins=origins((1e-4, 1), (1e-4, 1))))) == []
