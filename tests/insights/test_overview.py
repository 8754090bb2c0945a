"""The overview: groups of one update, who stands alone and why, and what follows, each from stated numbers."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from inspector.insights.findings.limits import NOT_RUN
from inspector.insights.overview import overview
from inspector.insights.overview.so_what import MOST
from inspector.study.aggregate import aggregate
from inspector.study.metrics import DEFINITIONS
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import COSINE, EIGHT, barriers, study, with_layers
from tests.report.studies import full_study

NORMS = dict(zip(EIGHT, (1.4, 1.7, 1.3, 1.9, 1.1, 0.1, 0.5, 0.6), strict=True))


def names(found, entries):
    return [found.names(99)[entry.index] for entry in entries]


def said(found):
    return [sentence.text for sentence in found.so_what]


def measured_by(found, *probes):
    """The study with these probes on record, over enough prompts."""
    return replace(found, probes=tuple(ProbeInfo(probe, "b", examples=100) for probe in probes))


def test_groups_hold_one_update_and_the_others_stand_alone():
    found = overview(study(EIGHT, cosine=COSINE, norm=NORMS))
    (group,) = found.groups
    assert (group.letter, names(found, group.entries)) == ("A", ["rft", "sft", "rift", "offline-grpo"])
    assert (group.low, group.high, group.title) == (0.74, 0.977, "mostly one direction")
    assert names(found, group.partly) == ["dft"]
    assert names(found, found.alone) == ["online-dapo", "online-grpo", "dpo"]
    assert sorted(found.order) == list(range(8))


def test_an_entry_has_its_size_and_its_nearest():
    found = overview(study(EIGHT, cosine=COSINE, norm=NORMS, effective_rank=dict.fromkeys(EIGHT, 6.1)))
    rft = found.groups[0].entries[0]
    assert (rft.norm, rft.rank, found.names(99)[rft.nearest], rft.cosine) == (1.7, 6.1, "sft", 0.977)


def test_the_nearest_is_never_the_most_opposed():
    found = overview(study(("a", "b", "c"), cosine={("a", "b"): -0.5, ("a", "c"): 0.1, ("b", "c"): 0.0}))
    a = next(entry for entry in found.entries if entry.index == 0)
    assert (a.nearest, a.cosine) == (2, 0.1)


@pytest.mark.parametrize(("least", "title"), [(0.9, "one direction"), (0.89, "mostly one direction")])
def test_one_direction_from_nine_tenths_on(least, title):
    (group,) = overview(study(("a", "b"), cosine={("a", "b"): least})).groups
    assert group.title == title


def test_adapters_of_other_bases_are_in_no_group_together():
    made = study(("a", "b"), cosine={("a", "b"): 0.95})
    other = replace(made, adapters=(made.adapters[0], replace(made.adapters[1], base="meta/Llama-3")))
    found = overview(other)
    assert found.groups == ()
    assert all(entry.nearest is None for entry in found.alone)
    assert found.so_what[0].caution
    assert found.so_what[0].text.startswith("The adapters name different bases")


def test_why_one_stands_alone():
    origins = [Origin("sft", 2e-4, 42, 42, "f"), Origin("sft", 2e-4, 123, 123, "g"), Origin("sft", 2e-3, 42, 42, "f")]
    made = study(
        ("sft", "sft_s123", "fast"), origins=origins,
        cosine={("sft", "sft_s123"): 0.06, ("sft", "fast"): 0.67, ("sft_s123", "fast"): 0.02},
        u1={("sft", "sft_s123"): 0.81, ("sft", "fast"): 0.9, ("sft_s123", "fast"): 0.7},
        norm={"sft": 1.4, "sft_s123": 0.0, "fast": 7.9},
    )  # fmt: skip
    found = overview(made)
    notes = {found.names(99)[entry.index]: entry.why for entry in found.entries}
    assert notes == {"sft": (), "sft_s123": ("ΔW is zero", "other seed", "u₁ 0.81"), "fast": ("10× rate",)}
    assert "sft_s123 is another seed of sft: same outputs (u₁ 0.81), cosine 0.06." in said(found)


def test_a_smaller_rate_is_a_part_of_the_usual_one():
    origins = [Origin("dpo", 2e-5, 1), Origin("dpo", 2e-4, 1), Origin("sft", 2e-4, 1)]
    pairs = dict.fromkeys(combinations("abc", 2), 0.0)
    notes = {entry.index: entry.why for entry in overview(study("abc", origins=origins, cosine=pairs)).entries}
    assert notes[0] == ("1/10 rate",)


def test_whose_seed_is_said_if_another_is_nearest():
    origins = [Origin("sft", 1e-4, 1), Origin("sft", 1e-4, 2), Origin("dpo", 1e-4, 1)]
    made = study("abc", origins=origins, cosine={("a", "b"): 0.1, ("a", "c"): 0.2, ("b", "c"): 0.3})
    assert next(entry.why for entry in overview(made).entries if entry.index == 1) == ("other seed of a",)


def test_where_the_members_differ_most():
    made = with_layers(
        study(("a", "b"), layers=4, cosine={("a", "b"): 0.9}), "cosine", {("a", "b"): [0.9, 0.9, 0.5, 0.9]}
    )
    found = next(sentence for sentence in overview(made).so_what if "layer" in sentence.text)
    assert found.text == "The members of A differ most in layer 2: cosine 0.50, elsewhere 0.90."
    assert (found.numbers[0].layer, found.numbers[0].value) == (2, 0.5)


def test_layers_that_are_alike_are_said_to_be():
    made = with_layers(study(("a", "b"), layers=3, cosine={("a", "b"): 0.9}), "cosine", {("a", "b"): [0.91, 0.9, 0.89]})
    assert "The members of A differ alike in every layer: cosine 0.89 to 0.91." in said(overview(made))


def test_without_a_group_the_nearest_two_are_named():
    found = overview(study(("a", "b", "c"), cosine={("a", "b"): 0.5, ("a", "c"): 0.1, ("b", "c"): 0.2}))
    assert said(found)[0] == "No two hold one update: the largest cosine is 0.50, of a and b."


@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        (0.01, "Of A's 2 variants b solves the most (20 to 40 %), beyond chance more than a: keep it."),
        (0.5, "Of A's 2 variants none solves the most beyond chance (accuracy 20 to 40 %)."),
    ],
)  # fmt: skip
def test_measured_accuracy_decides_which_to_keep(p, sentence):
    made = study(("a", "b"), cosine={("a", "b"): 0.9}, accuracy={"a": 0.2, "b": 0.4}, mcnemar_p_holm={("a", "b"): p})
    first = overview(measured_by(made, "accuracy")).so_what[0]
    assert first.text == sentence
    assert first.numbers[0].metric == "accuracy"


@pytest.mark.parametrize(
    ("high", "sentence"),
    [
        (-0.1, ("a has the lowest loss (1.30, 95 % interval 0.10 to 0.30 below the next), accuracy tells none apart: "
               "keep a by loss.")),
        (0.1, "none solves the most beyond chance (accuracy 30 to 30 %)."),
    ],
)  # fmt: skip
def test_without_a_difference_in_accuracy_the_lowest_loss_decides(high, sentence):
    path = [1.5, 1.4, 1.3]
    of = {name: {("a", "b"): value} for name, value in barriers(path).items()}
    made = study(
        ("a", "b"), alphas=(0.0, 0.5, 1.0), cosine={("a", "b"): 0.9}, lmc_loss={("a", "b"): path},
        lmc_ends={("a", "b"): -0.2}, lmc_ends_low={("a", "b"): -0.3}, lmc_ends_high={("a", "b"): high},
        accuracy={"a": 0.3, "b": 0.3}, mcnemar_p_holm={("a", "b"): 1.0}, **of,
    )  # fmt: skip
    first = overview(measured_by(made, "lmc", "accuracy")).so_what[0]
    assert first.text == f"Of A's 2 variants {sentence}"


def test_a_loss_whose_difference_may_be_chance_keeps_none():
    path = [1.5, 1.4, 1.3]
    of = {name: {("a", "b"): value} for name, value in barriers(path).items()}
    made = study(
        ("a", "b"), alphas=(0.0, 0.5, 1.0), cosine={("a", "b"): 0.9}, lmc_loss={("a", "b"): path},
        lmc_ends={("a", "b"): -0.2}, lmc_ends_high={("a", "b"): 0.1}, **of,
    )  # fmt: skip
    wanted = "Of A's 2 variants a has the lowest loss (1.30, next 1.50); no difference shown to b."
    assert overview(measured_by(made, "lmc")).so_what[0].text == wanted


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ([1.0, 1.0, 1.2], "Averaging a and b: the loss does not rise above both ends."),
        ([1.0, 2.0, 1.2], "Averaging a and b: the loss rises above both ends (+0.80)."),
    ],
)  # fmt: skip
def test_a_measured_loss_says_what_averaging_does(path, sentence):
    of = {name: {("a", "b"): value} for name, value in barriers(path).items()}
    made = study(("a", "b"), alphas=(0.0, 0.5, 1.0), cosine={("a", "b"): 0.1}, lmc_loss={("a", "b"): path}, **of)
    assert sentence in said(overview(measured_by(made, "lmc")))


def test_few_prompts_say_nothing():
    of = {name: {("a", "b"): value} for name, value in barriers([1.0, 2.0, 1.2]).items()}
    made = study(("a", "b"), alphas=(0.0, 0.5, 1.0), lmc_loss={("a", "b"): [1.0, 2.0, 1.2]}, **of)
    made = replace(made, probes=(ProbeInfo("lmc", "b", examples=3),))
    assert not any("the loss" in text for text in said(overview(made)))


@pytest.mark.parametrize(
    ("least", "sentence"),
    [
        (0.6, "a and b: hidden states part from layer 2 on (CKA 0.60 in layer 2)."),
        (0.96, "a and b: hidden states alike in every layer (CKA at least 0.96)."),
    ],
)
def test_hidden_states_of_two(least, sentence):
    made = with_layers(study(("a", "b"), layers=3, cosine={("a", "b"): 0.1}), "cka", {("a", "b"): [1.0, 0.97, least]})
    assert sentence in said(overview(measured_by(made, "cka")))


def test_of_many_paths_and_states_the_worst_is_named():
    made = study(
        ("a", "b", "c"), alphas=(0.0, 1.0), cosine={("a", "b"): 0.1},
        lmc_loss={("a", "b"): [1, 1], ("a", "c"): [1, 1]}, barrier_strict={("a", "b"): 0.0, ("a", "c"): 0.5},
    )  # fmt: skip
    made = with_layers(made, "cka_debiased", {("a", "b"): [0.99] * 36, ("b", "c"): [0.99] * 35 + [0.4]})
    found = said(overview(measured_by(made, "lmc", "cka", "accuracy")))
    assert "On 1 of 2 paths the loss rises above both ends, most between a and c (+0.50)." in found
    states = "Hidden states are alike in 1 of 2 pairs (CKA ≥ 0.95); the least is 0.40."
    assert states in found
    number = next(told for told in overview(made).so_what if told.text == states).numbers[0]
    assert (number.a, number.b, number.layer) == ("b", "c", 35)


def test_weights_alone_are_said_to_be_all():
    last = overview(study(EIGHT, cosine=COSINE)).so_what[-1]
    assert last.caution
    assert last.text == "Weights only: loss, hidden states and accuracy are not measured."
    found = overview(measured_by(study(EIGHT, cosine=COSINE), "lmc", "cka"))
    assert found.so_what[-1].text == "Not measured: accuracy."
    assert not any(
        "Not measured" in text for text in said(overview(measured_by(study(EIGHT, cosine=COSINE), *NOT_RUN)))
    )


def test_one_adapter_is_told_to_want_another():
    found = overview(study(("sft",), norm={"sft": 1.4}))
    assert names(found, found.alone) == ["sft"]
    assert "open another adapter" in said(found)[0]


def test_sentences_leave_out_what_all_names_share_and_numbers_keep_it():
    long = [f"run1-qwen3-4b-lora-r32-math-{name}" for name in ("sft", "rft", "dpo")]
    made = study(
        long, cosine=dict(zip(combinations(long, 2), (0.95, 0.1, 0.1), strict=True)), norm=dict.fromkeys(long, 1.0)
    )
    found = overview(made)
    assert found.labels.shared == "run1-qwen3-4b-lora-r32-math-…"
    assert not any("run1" in text for text in said(found))
    assert found.so_what[0].numbers[0].a in long


def test_a_study_half_measured_says_so_and_shows_what_is_known():
    whole = full_study(("a", "b", "c"), 4, probes=(), k=2, rank=2)
    half = len(whole.modules) // 2
    blocks = {key: values.copy() for key, values in whole.blocks.items() if key[1] == "module"}
    for (metric, _), values in blocks.items():
        places = {"none": 0, "adapter": 1}.get(DEFINITIONS[metric].subject, 2)
        np.moveaxis(values, places, 0)[half:] = np.nan
    infos = tuple(replace(info, digest="") for info in whole.adapters)
    found = overview(aggregate(replace(whole, blocks=blocks, adapters=infos)))
    assert (found.known, found.total, found.whole) == (half, len(whole.modules), False)
    assert all(np.isfinite(entry.norm) for entry in found.entries)
    assert overview(whole).whole


def test_at_most_five_sentences_of_anything():
    found = overview(full_study(tuple(f"run{n}" for n in range(16)), 6, k=2, rank=2))
    assert 3 <= len(found.so_what) <= MOST
    assert all("nan" not in text for text in said(found))
    assert {entry.index for entry in found.entries} == set(range(16))


def test_published_adapters_beside_ones_own_are_not_in_it():
    made = study(("mine", "ref.tina", "ref.open"), cosine={("mine", "ref.tina"): 0.9, ("ref.tina", "ref.open"): 0.9})
    assert [entry.index for entry in overview(made).entries] == [0]
