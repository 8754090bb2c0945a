"""Who is one direction with whom, and how far each moved: on the published numbers, and at limits."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np

from inspector.insights.findings.directions import clusters
from inspector.study.provenance import Origin
from tests.insights.findings.published import COSINE, EIGHT, LAYERS, study, texts, with_layers


def test_directions_of_the_study():
    found = study(EIGHT, cosine=COSINE, orthogonal_fraction_global={("offline-grpo", "sft"): 0.67})
    by_layer = np.full(LAYERS, 0.96)
    by_layer[33:36] = 0.90
    found = with_layers(found, "cosine", {pair: by_layer for pair in COSINE if {*pair} <= {"sft", "rft", "rift"}})
    assert texts(found, "direction") == [
        "sft, rft and rift are one direction: cosine 0.97 to 0.98.",
        "They part most in layers 33, 34 and 35: mean cosine 0.90 in layer 33, 0.96 in the median layer.",
        "sft, rft, rift and offline-grpo go mostly the same way: cosine 0.74 to 0.98.",
        "dft goes part of the way with sft, rft, rift and offline-grpo: cosine 0.45 to 0.57.",
        "dpo stands apart: its largest cosine is 0.13, to dft.",
        "online-grpo stands apart: its cosine largest in size is −0.16, to online-dapo.",
        "online-dapo stands apart: its cosine largest in size is −0.16, to online-grpo.",
        "online-grpo and online-dapo oppose each other in part: cosine −0.16.",
    ]


def test_a_zero_update_is_said_to_be_zero_not_to_have_stood_still():
    """With α = 0 the factors moved, and ΔW is zero all the same."""
    found = study(("a", "b", "c"), norm={"a": 0.0, "b": 1.0, "c": 1.0})
    assert texts(found, "size") == ["ΔW of a is zero: the base is as it was."]


def test_sizes_of_the_study():
    norms = {
        "sft": 2.84,
        "rft": 2.82,
        "rift": 3.04,
        "dft": 2.9,
        "offline-grpo": 2.9,
        "dpo": 2.84 / 13,
        "online-grpo": 0.3,
    }
    ranks = {"sft": 16, "rft": 16, "rift": 16, "dft": 16, "offline-grpo": 14.8, "dpo": 24.5}
    assert texts(study(EIGHT, norm=norms, effective_rank=ranks), "size") == [
        "dpo moved 13.1 times less far than the others' median: norm 0.218 against 2.87.",
        "online-grpo moved 9.6 times less far than the others' median: norm 0.3 against 2.87.",
        "dpo spreads over more directions: effective rank (of σ, Roy & Vetterli) 24.5 against the others' median of 16.0.",
    ]


def test_a_cosine_that_is_not_known_joins_no_cluster():
    cosine = np.array([[1, 0.95, np.nan], [0.95, 1, 0.95], [np.nan, 0.95, 1]])
    assert clusters(cosine, 0.9) in ([(0, 1)], [(1, 2)])
    pairs = {("a", "b"): 0.95, ("b", "c"): 0.5, ("b", "d"): 0.1, ("a", "d"): 0.1}
    assert not [text for text in texts(study(("a", "b", "c", "d"), cosine=pairs)) if "nan" in text]


def test_effective_ranks_of_other_ranks_are_compared_as_shares():
    """1.3 of 2 and 2.6 of 4 are one share; 1.3 of 4 is half of it."""
    ranks, shares = {"a": 1.3, "b": 2.6, "c": 2.6}, {"a": 0.65, "b": 0.65, "c": 0.65}

    def of(*sizes, **pairs):
        found = study(("a", "b", "c"), **pairs)
        infos = (replace(info, ranks=(r,)) for info, r in zip(found.adapters, sizes, strict=True))
        return texts(replace(found, adapters=tuple(infos)), "size")

    assert of(2, 4, 4, effective_rank=ranks, effective_rank_share=shares) == []
    assert of(2, 4, 4, effective_rank=ranks) == [], "no shares, nothing to compare"
    assert of(4, 4, 4, effective_rank=ranks) == [
        "a spreads over fewer directions: effective rank (of σ, Roy & Vetterli) 1.3 against the others' median of 2.6.",
        "b spreads over more directions: effective rank (of σ, Roy & Vetterli) 2.6 against the others' median of 2.0.",
        "c spreads over more directions: effective rank (of σ, Roy & Vetterli) 2.6 against the others' median of 2.0.",
    ]
    assert of(2, 4, 8, effective_rank=ranks, effective_rank_share=shares | {"c": 0.3})[-1] == (
        "c spreads over fewer of its directions: effective rank (of σ, Roy & Vetterli) 2.6 of rank 8, a share of 0.30 "
        "against the others' median of 0.65."
    )


def test_a_rate_is_compared_with_those_that_are_known():
    origins = [Origin("sft", 2e-4), Origin("rft"), Origin("dpo", 2e-5)]
    (said,) = texts(study(("sft", "rft", "dpo"), origins=origins, norm={"sft": 2.0, "rft": 2.0, "dpo": 0.2}), "size")
    assert said.endswith(
        "; its learning rate is 1/10 of that of the only one whose rate is known, which alone may explain it."
    )


def test_a_rate_that_may_explain_a_norm_is_said():
    origins = [Origin("sft", 2e-4), Origin("rft", 2e-4), Origin("dpo", 2e-5)]
    said = texts(study(("sft", "rft", "dpo"), origins=origins, norm={"sft": 2.0, "rft": 2.0, "dpo": 0.2}), "size")
    assert said == [
        "dpo moved 10.0 times less far than the others' median: norm 0.2 against 2; its learning rate is 1/10 of theirs, "
        "which alone may explain it."
    ]
