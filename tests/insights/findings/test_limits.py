"""Seeds, rates, sums, and what cannot be said."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.insights.findings import findings_of
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo
from tests.insights.findings.published import barriers, study, texts


def at_chance(found, level):
    """The study with this chance level of row-space overlaps."""
    return replace(found, blocks={**found.blocks, ("row_space_overlap_chance", "global"): np.array([level])})


def test_seeds_and_rates_of_the_study():
    origins = [Origin("sft", 5e-5, 42, 42, "f"), Origin("sft", 5e-5, 123, 123, "g"), Origin("sft", 5e-4, 42, 42, "f")]
    found = study(
        ("s42", "s123", "fast"), origins=origins,
        cosine={("s42", "s123"): 0.36, ("s42", "fast"): 0.55, ("s123", "fast"): 0.2},
        u1={("s42", "s123"): 0.99, ("s42", "fast"): 0.9, ("s123", "fast"): 0.9},
        v1={("s42", "s123"): 0.07, ("s42", "fast"): 0.9, ("s123", "fast"): 0.07},
        norm={"s42": 1.0, "s123": 1.0, "fast": 3.0},
    )  # fmt: skip
    assert texts(found, "runs") == [
        "Another seed of sft (s42, s123): the same top output directions (u₁ 0.99) though the cosine is 0.36; v₁ 0.07 "
        "compares two random starts, not what was learned.",
        "10 times the learning rate of sft (s42, fast) turns the update, it does not only rescale it: cosine 0.55, norm 3.0 "
        "times.",
    ]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (Origin(), Origin("b", 5e-5, 42), None),
        (Origin("b"), Origin("b", 5e-5, 42), None),
        (Origin("b", 5e-5), Origin("b", None, 42), None),
        (Origin("b", None, 7), Origin("b", None, 42),
         "Another seed of b (a, b): cosine 0.30; their learning rates are not both known, and may differ too."),
        (Origin("b", 5e-5), Origin("b", 5e-4),
         "10 times the learning rate of b (a, b): cosine 0.30; their seeds are not both known, and may differ too."),
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_compared(one, other, said):
    """Nor is what was not measured said: here only the cosine was."""
    found = study(("a", "b"), origins=[one, other], cosine={("a", "b"): 0.3})
    assert texts(found, "runs") == ([said] if said else [])
    assert "nan" not in " ".join(texts(found))
    assert all(np.isfinite(number.value) for told in findings_of(found) for number in told.numbers)


def test_an_adapter_of_no_known_base_is_not_of_another():
    found = study(("a", "b", "c"), cosine={("a", "b"): 0.95, ("a", "c"): 0.95, ("b", "c"): 0.95})
    one = replace(found, adapters=(*found.adapters[:2], replace(found.adapters[2], base="")))
    assert texts(one)[0] == "a, b and c are one direction: cosine 0.95."
    assert not [text for text in texts(one) if "bases" in text]
    two = replace(one, adapters=(one.adapters[0], replace(one.adapters[1], base="org/else"), one.adapters[2]))
    assert texts(two)[0] == (
        "The adapters name different bases (Qwen/Qwen3-4B and org/else): they are compared within each base alone. Not "
        "compared with them, since their base is not known: c."
    )


def test_a_merge_that_cancels_without_a_measured_energy_ratio():
    found = study(("a", "b"), cosine={("a", "b"): -0.4}, subspace_overlap={("a", "b"): 0.5})
    found = replace(found, blocks={**found.blocks, ("subspace_overlap_chance", "global"): np.array([0.01])})
    assert texts(found, "merging") == [
        "A sum of a + b cancels part of both, since they oppose each other: cosine −0.40."
    ]


def test_merges_that_cancel_of_which_one_has_an_energy_ratio():
    """Then the cosines are told, which all of them have."""
    found = study(
        ("a", "b", "c"), cosine={("a", "b"): -0.4, ("a", "c"): -0.5, ("b", "c"): 0.3}, energy_ratio={("a", "b"): 0.6},
        subspace_overlap={("a", "b"): 0.5, ("a", "c"): 0.2, ("b", "c"): 0.1},
    )  # fmt: skip
    found = replace(found, blocks={**found.blocks, ("subspace_overlap_chance", "global"): np.array([0.01])})
    assert texts(found, "merging") == [
        "A sum of a + b and a + c cancels part of both, since they oppose each other: cosine −0.50 to −0.40."
    ]
    (one,) = [told for told in findings_of(found) if told.kind == "merging"]
    assert {n.metric for n in one.numbers} == {"cosine", "subspace_overlap", "subspace_overlap_chance"}


def test_checkpoints_of_several_runs_are_pointed_out():
    names = ("checkpoint-1", "checkpoint-2", "checkpoint-3")
    overlap = {
        ("checkpoint-1", "checkpoint-2"): 0.98,
        ("checkpoint-1", "checkpoint-3"): 0.05,
        ("checkpoint-2", "checkpoint-3"): 0.05,
    }
    found = study(names, row_space_overlap=overlap)
    assert len(texts(at_chance(found, 0.001), "runs")) == 1  # 50 times chance is no other start for certain
    said = texts(at_chance(found, 0.02), "runs")
    assert said[-1] == (
        "The checkpoints of one folder come from 2 different starts, so more than one run wrote there: checkpoint-1 and "
        "checkpoint-2; checkpoint-3."
    )


def test_what_opposes_and_what_shares_outputs():
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    found = study(
        ("a", "b", "c"), cosine=dict(zip(pairs, (-0.4, 0.02, 0.02), strict=True)),
        subspace_overlap=dict(zip(pairs, (0.5, 0.3, 0.01), strict=True)),
        energy_ratio=dict(zip(pairs, (0.6, 1.02, 1.02), strict=True)),
    )  # fmt: skip
    found = replace(found, blocks={**found.blocks, ("subspace_overlap_chance", "global"): np.array([0.01])})
    assert texts(found, "merging") == [
        "A sum of a + b cancels part of both, since they oppose each other: energy ratio 0.60 (1 is no interaction).",
        "Different directions (cosine 0.02) yet overlapping outputs (0.30, 0.01 by chance): a + c; what their sum does, only "
        "the loss between them tells, and it is not measured.",
    ]


@pytest.mark.parametrize(
    ("path", "end"), [((2.0, 2.001, 2.0), "shows no barrier."), ((2.0, 3.0, 2.1), "shows a barrier.")]
)
def test_a_measured_loss_says_what_shared_outputs_do_not(path, end):
    pair = ("a", "b")
    losses = {metric: {pair: value} for metric, value in barriers(path).items()}
    found = study(
        pair, alphas=(0.0, 0.5, 1.0), lmc_loss={pair: np.array(path)}, cosine={pair: 0.02},
        subspace_overlap={pair: 0.3}, **losses,
    )  # fmt: skip
    found = replace(found, blocks={**found.blocks, ("subspace_overlap_chance", "global"): np.array([0.01])})
    (text,) = texts(found, "merging")
    assert text.endswith(f"a + b; the loss between them was measured and {end}")


def test_limits_are_said_and_weak_evidence_is_not():
    pair = study(("a", "b"), cosine={("a", "b"): 0.3}, norm={"a": 1.0, "b": 1.5}, effective_rank={"a": 4.0, "b": 4.5})
    assert [t.kind for t in findings_of(pair)] == ["limit"]
    assert texts(pair) == [
        "Not measured, so nothing is said of it: loss between adapters, hidden states and accuracy. The weights alone do not "
        "tell."
    ]
    other = replace(pair, adapters=(pair.adapters[0], replace(pair.adapters[1], base="org/else")))
    assert "different bases (Qwen/Qwen3-4B and org/else)" in texts(other)[0]
    everything = replace(pair, probes=tuple(ProbeInfo(name, "b") for name in ("lmc", "cka", "accuracy")))
    assert texts(everything) == []
    assert findings_of(study(("a",), norm={"a": 1.0})) == findings_of(study(("z",), norm={"z": 2.0}))


def test_adapters_of_other_bases_are_told_apart():
    names = ("a", "b", "c", "d")
    found = study(names, cosine={("a", "b"): 0.95, ("c", "d"): 0.95}, norm={"a": 1.0, "b": 1.0, "c": 50.0, "d": 50.0})
    bases = ("org/one", "mirror/One", "org/two", "org/two")
    found = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    said = texts(found)
    assert (
        said[0] == "The adapters name different bases (org/one and org/two): they are compared within each base alone."
    )
    assert said[1:3] == ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95."]
    assert not [text for text in said if "moved" in text]


def test_of_several_bases_each_sentence_names_its_adapters():
    names = ("a", "b", "c", "d", "e")
    kin = {("a", "b"): 0.98, ("c", "d"): 0.98}
    found = at_chance(study(names, cosine=dict.fromkeys(kin, 0.95), row_space_overlap=kin), 0.02)
    bases = ("org/one", "org/one", "org/two", "org/two", "org/three")
    found = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    assert texts(found, "runs") == [
        f"{pair} share one random start of A or come from one run, so that input directions (v₁) agree in part anyway."
        for pair in ("a and b", "c and d")
    ]
    assert not [told for told in findings_of(found)[1:] if told.kind != "limit" and "e" in told.text.split()]


def test_modules_of_one_side_are_counted_in_pairs_that_share_some():
    found = study(("a", "b", "c"), layers=6, cosine={("a", "b"): 0.3})
    shapes = found.shapes.copy()
    shapes[0, 4:] = shapes[1, 3:] = shapes[2, :4] = 0
    (said,) = [text for text in texts(replace(found, shapes=shapes)) if "--modules common" in text]
    assert said.startswith("Up to 1 of 4 modules are adapted by one of a pair only")
    shapes[1] = 0
    assert not [text for text in texts(replace(found, shapes=shapes)) if "--modules common" in text]
