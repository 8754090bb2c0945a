"""What the probes say at limits: thresholds from both sides, either direction, gaps, ties, what is known how well."""

# ruff: noqa: E501 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.study.study import ProbeInfo
from tests.insights.findings.published import barriers, below, marked, study, takeaways_of, with_layers

NAN = np.nan
AB = ("a", "b")


def paths(curves, alphas=None, suffix=""):
    """A study with these losses by pair, and the barriers of their part between the adapters."""
    names = tuple(sorted({name for pair in curves for name in pair}))
    alphas = alphas or tuple(np.linspace(0, 1, len(next(iter(curves.values())))))
    inside = [n for n, alpha in enumerate(alphas) if 0 <= alpha <= 1]
    blocks = {f"lmc_loss{suffix}": {pair: np.array(curve, dtype=float) for pair, curve in curves.items()}}
    for pair, curve in curves.items():
        kept = np.array(curve, dtype=float)[inside]
        for metric, value in barriers(kept[np.isfinite(kept)] if np.isfinite(kept).any() else [NAN]).items():
            blocks.setdefault(f"{metric}{suffix}", {})[pair] = value
    return study(names, alphas=alphas, **blocks)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((2, 2, 2), "lie in one basin"),
        ((200, 202, 200), "lie in one basin"),  # 1 % of the larger end
        ((200, 201.7, 200), "lie in one basin"),
        ((200, 203, 200), "A barrier parts b and a by every definition: the loss goes from 200.00 (b) to 200.00 (a), 203.00 on the way."),
        ((100, 201.8, 150, 200), "! Between b and a the loss goes from 100.00 (b) to 200.00 (a)"),
        ((100, 120, 201.8, 200), "! Between b and a the loss goes from 100.00 (b) to 200.00 (a) monotonically"),
        ((200, 150, 201.8, 100), "! Between b and a the loss goes from 200.00 (b) to 100.00 (a)"),
        ((2, 3.9, 4), "! Between b and a the loss goes from 2.00 (b) to 4.00 (a) monotonically … above the endpoints' mean and above the chord"),
        ((4, 3.9, 2), "! Between b and a the loss goes from 4.00 (b) to 2.00 (a) monotonically … above the endpoints' mean and above the chord"),
        ((2, 1, 3.9, 4), "! Between b and a the loss goes from 2.00 (b) to 4.00 (a) … above the endpoints' mean and above the chord"),
        ((4, 3.9, 1, 2), "! Between b and a the loss goes from 4.00 (b) to 2.00 (a) … above the endpoints' mean and above the chord"),
        ((2, 1.97, 3.9, 4), "! Between b and a the loss goes from 2.00 (b) to 4.00 (a) monotonically"),  # a step back below 1 %
        ((4, 3.9, 1.97, 2), "! Between b and a the loss goes from 4.00 (b) to 2.00 (a) monotonically"),
        ((100, 150, 148, 200), "! Between b and a the loss goes from 100.00 (b) to 200.00 (a) monotonically"),  # by 1 %
        ((100, 150, 147.9, 200), "! Between b and a the loss goes from 100.00 (b) to 200.00 (a)"),
        ((200, 148, 150, 100), "! Between b and a the loss goes from 200.00 (b) to 100.00 (a) monotonically"),
        ((200, 147.9, 150, 100), "! Between b and a the loss goes from 200.00 (b) to 100.00 (a)"),
        ((2, NAN, 5, 2), "A barrier parts b and a by every definition: the loss goes from 2.00 (b) to 2.00 (a), 5.00 on the way."),
        ((NAN, 3, 2), ""),
        ((2, 3, NAN), ""),
        ((2, 1, 2), "lie in one basin"),
        ((2, 3, 4), "! Between b and a … from 2.00 (b) to 4.00 (a) monotonically … above the endpoints' mean"),
    ],
)  # fmt: skip
def test_one_path(path, words):
    said = marked(paths({AB: path}), "loss")
    assert len(said) == bool(words)
    for text in said:
        assert text.startswith("!") == words.startswith("!")
        assert ("monotonically" in text) == ("monotonically" in words)
        assert all(part in text for part in words.split(" … "))


def test_the_numbers_of_a_path_are_those_of_its_study():
    (one,) = takeaways_of(paths({AB: (2, 3, 4, 3, 2.1)}), "loss")
    assert [(n.metric, n.a, n.b, round(n.value, 9)) for n in one.numbers] == [
        ("barrier_mean", "a", "b", 1.95), ("barrier_chord", "a", "b", 1.95), ("barrier_strict", "a", "b", 1.9),
        ("lmc_loss", "b", "", 2), ("lmc_loss", "a", "", 2.1), ("lmc_loss", "a", "b", 4),
    ]  # fmt: skip
    (one,) = takeaways_of(paths({AB: (2, 3.9, 4)}), "loss")
    assert len(one.numbers) == 5


def test_what_lies_outside_the_two_is_no_part_of_the_path():
    alphas = (-1.0, 0.0, 0.5, 1.0, 2.0)
    assert marked(paths({AB: (9, 2, 2, 2, 9)}, alphas), "loss") == [
        "b and a lie in one basin: the loss goes from 2.00 (b) to 2.00 (a), no barrier by any definition."
    ]


def test_losses_of_rollouts_and_of_few_prompts():
    (text,) = marked(paths({AB: (2, 2, 2)}, suffix="_rollouts"), "loss")
    assert "lie in one basin" in text
    both = paths({AB: (2, 2, 2)})
    both = replace(both, blocks=both.blocks | paths({AB: (2, 5, 2)}, suffix="_rollouts").blocks)
    for examples, cautions in ((0, 0), (1, 1), (19, 1), (20, 0)):
        few = replace(both, probes=(ProbeInfo("lmc", "b", examples=examples),))
        kinds = [t.kind for t in takeaways_of(few) if "Not measured" not in t.text]
        assert kinds == ["limit"] * cautions + ["loss"] * (2 - cautions)
        said = [text for text in marked(few, "limit") if "prompts" in text]
        assert (
            said
            == [f"! Nothing is said of the losses between adapters: {examples} prompts are too few, 20 at least."]
            * cautions
        )


@pytest.mark.parametrize(
    ("path", "text", "metric"),
    [
        ((2, 2, 2), "No barrier by any definition on 2 paths: a-b and b-c.", "barrier_mean"),
        (
            (1, 1.5, 2),
            (
                "! On 2 paths a barrier only above the endpoints' mean, which unequal endpoints alone can give: a-b and "
                "b-c; the highest 0.50 between b and a."
            ),
            "barrier_mean",
        ),
        (
            (1, 1.9, 2),
            (
                "! On 2 paths a barrier only above the endpoints' mean and above the chord, so that the loss lies above "
                "the straight line between its ends: a-b and b-c; the highest 0.40 between b and a."
            ),
            "barrier_chord",
        ),
        (
            (2, 4, 2),
            (
                "On 2 paths a barrier by every definition: a-b and b-c; the highest 2.00 between b and a, above both "
                "endpoints."
            ),
            "barrier_strict",
        ),
    ],
)
def test_paths_alike_share_a_sentence(path, text, metric):
    lower = tuple(1 + (x - 1) * 0.9 for x in path)
    found = paths({AB: path, ("b", "c"): path if len(set(path)) == 1 else lower})
    assert marked(found, "loss") == [text]
    (one,) = takeaways_of(found, "loss")
    assert [(n.metric, n.a, n.b) for n in one.numbers] == [(metric, "a", "b"), (metric, "b", "c")]


@pytest.mark.parametrize(
    ("curve", "sentences"),
    [
        ((0.99, 0.95, 1), ["a-b: hidden states stay alike in every layer (debiased CKA at least 0.95)."]),
        ((0.99, below(0.95), 1), []),
        ((0.99, 0.7, 1), []),
        ((0.99, below(0.7), 1), ["The hidden states of a and b part from layer 1 on: debiased CKA falls to 0.70 in layer 1."]),
        ((0.83, 0.82, 0.3), ["The hidden states of a and b part from layer 1 on: debiased CKA falls to 0.30 in layer 2."]),
        ((0.9, 0.4, 0.5), ["The hidden states of a and b part from layer 1 on: debiased CKA falls to 0.40 in layer 1."]),
        ((0.9, 0.95 - (0.95 - 0.7) / 2, 0.5), ["The hidden states of a and b part from layer 2 on: debiased CKA falls to 0.50 in layer 2."]),
        ((NAN, 0.96, 0.97), ["a-b: hidden states stay alike in every layer (debiased CKA at least 0.96)."]),
        ((NAN, NAN, NAN), []),
    ],
)  # fmt: skip
def test_hidden_states(curve, sentences):
    found = with_layers(study(AB, layers=3), "cka_debiased", {AB: curve})
    assert marked(found, "states") == sentences
    plain = with_layers(study(AB, layers=3), "cka", {AB: curve})
    assert marked(plain, "states") == [
        text.replace("debiased CKA", "CKA (biased upwards with few prompts)") for text in sentences
    ]
    for one in takeaways_of(found, "states"):
        assert one.numbers
        assert {(n.a, n.b) for n in one.numbers} == {AB}
        assert all(n.value == curve[n.layer] for n in one.numbers)
        assert one.numbers[0].value == np.nanmin(curve)


def test_pairs_that_were_not_run_hide_no_others():
    curves = {("a", "b"): [NAN] * 3, ("a", "c"): [0.99, 0.97, 0.98], ("b", "c"): [0.96, 0.99, 0.99]}
    found = with_layers(study(("a", "b", "c"), layers=3), "cka_debiased", curves)
    assert marked(found, "states") == [
        "a-c and b-c: hidden states stay alike in every layer (debiased CKA at least 0.96 to 0.97)."
    ]


def graded(accuracy, p=None, bounds=None):
    """Shares by name, each known to `bounds` below and above."""
    names = tuple(accuracy)
    low, high = (
        {n: a + side * bounds[n][side == 1] for n, a in accuracy.items() if n in bounds} if bounds else {}
        for side in (-1, 1)
    )
    known = {"accuracy_low": low, "accuracy_high": high} if bounds else {}
    return study(names, accuracy=accuracy, **known, **({"mcnemar_p_holm": p} if p else {}))


@pytest.mark.parametrize(
    ("p", "sentences"),
    [
        (0.04, ["b solves more than a: 80.0 % against 62.5 % (McNemar p = 0.04 after Holm)."]),
        (0.05, []),
        (NAN, []),
    ],
)
def test_differences_beyond_chance(p, sentences):
    found = graded({"a": 0.625, "b": 0.8}, {AB: p})
    assert marked(found, "accuracy") == sentences
    turned = graded({"b": 0.8, "a": 0.625}, {("b", "a"): p})
    assert marked(turned, "accuracy") == sentences
    for one in takeaways_of(found, "accuracy"):
        assert [(n.metric, n.a, n.value) for n in one.numbers] == [
            ("accuracy", "b", 0.8),
            ("accuracy", "a", 0.625),
            ("mcnemar_p_holm", "a", p),
        ]


def test_accuracies_known_to_different_precision():
    """The widest interval counts, whoever has it; ends that are not known count nothing."""
    bounds = {"a": (0.02, 0.01), "b": (0.05, 0.07), "c": (0.01, 0.01)}
    share = {"a": 0.5, "b": 0.52, "c": 0.53, "d": NAN}
    p = {("a", "b"): 0.9, ("a", "c"): 0.3, ("b", "c"): 0.6}
    found = graded(share, p, bounds)
    assert marked(found, "accuracy") == [
        "! No two of a, b and c differ in accuracy beyond chance (50.0 to 53.0 %); each is known to ±6.0 points only."
    ]
    (one,) = takeaways_of(found, "accuracy")
    assert [(n.metric, n.a, n.b) for n in one.numbers] == [
        ("accuracy", "a", ""), ("accuracy", "b", ""), ("accuracy", "c", ""),
        ("accuracy_low", "b", ""), ("accuracy_high", "b", ""), ("mcnemar_p_holm", "a", "c"),
    ]  # fmt: skip
    assert [n.value for n in one.numbers] == pytest.approx([0.5, 0.52, 0.53, 0.47, 0.59, 0.3])
    (one,) = takeaways_of(graded(share, bounds=bounds), "accuracy")
    assert one.numbers[-1].metric == "accuracy_high"


@pytest.mark.parametrize(
    ("share", "bounds", "sentences"),
    [
        ({"a": 0.5, "b": 0.5}, None, []),
        ({"a": 0.5}, {"a": (0.1, 0.1)}, []),
        ({"a": NAN, "b": NAN}, {"a": (0.1, 0.1)}, []),
        ({"a": 1.0, "b": 1.0}, {"a": (0, 0), "b": (0, 0)}, ["! No two of a and b differ in accuracy beyond chance (100.0 %); each is known to ±0.0 points only."]),
        ({"a": 0.5, "b": 0.6}, {"b": (0.1, 0.1)}, ["! No two of a and b differ in accuracy beyond chance (50.0 to 60.0 %); each is known to ±10.0 points only."]),
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart(share, bounds, sentences):
    assert marked(graded(share, bounds=bounds), "accuracy") == sentences
