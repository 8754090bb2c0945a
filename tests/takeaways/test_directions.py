"""Who is one direction with whom, and how far each moved: on the published numbers, and at limits."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

import numpy as np

from inspector.origin import Origin
from tests.takeaways.published import COSINE, EIGHT, LAYERS, study, texts, with_layers


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
        "online-grpo stands apart: its cosine largest in size is -0.16, to online-dapo.",
        "online-dapo stands apart: its cosine largest in size is -0.16, to online-grpo.",
        "online-grpo and online-dapo oppose each other in part: cosine -0.16.",
    ]


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


def test_a_rate_that_may_explain_a_norm_is_said():
    origins = [Origin("sft", 2e-4), Origin("rft", 2e-4), Origin("dpo", 2e-5)]
    said = texts(study(("sft", "rft", "dpo"), origins=origins, norm={"sft": 2.0, "rft": 2.0, "dpo": 0.2}), "size")
    assert said == [
        "dpo moved 10.0 times less far than the others' median: norm 0.2 against 2; its learning rate is 1/10 of theirs, "
        "which alone may explain it."
    ]
