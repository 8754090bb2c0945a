"""What only looks like a finding: on the published numbers, and at limits."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np

from tests.insights.findings.published import study, takeaways_of, texts


def test_the_worst_angle_of_the_study_says_nothing():
    def angles(smallest, largest):
        return np.linspace(smallest, largest, 10)

    found = study(
        ("sft", "rft", "dpo", "other"),
        principal_angle={
            ("sft", "rft"): angles(6.7, 36),
            ("sft", "dpo"): angles(54.6, 89.7),
            ("sft", "other"): angles(82, 89.8),
        },
    )
    chance = {("principal_angle_chance", "global"): angles(82.5, 89.6)[None]}
    assert texts(replace(found, blocks=found.blocks | chance), "chance") == [
        "sft-other: the top-k output subspaces are no nearer than random ones: smallest angle 82° where random subspaces "
        "have 82°.",
        "sft-dpo: the largest angle of the top-k output subspaces says nothing, random subspaces reach it too. The smallest, "
        "55°, is far from the 82° of chance: the subspaces come near each other in part.",
    ]


def test_one_update_twice_and_a_multiple_of_it():
    """Equal to rounding, with equal norms; a multiple points the same way, and a zero update nowhere."""
    one = {("a", "b"): 1 - 2e-16, ("a", "c"): 1.0, ("b", "c"): 1.0, ("a", "d"): 0.999999, ("b", "d"): 0.999999}
    norms = {"a": 1.5, "b": 1.5 + 1e-15, "c": 3.0, "d": 1.5, "zero": 0.0}
    (found,) = takeaways_of(study([*norms], cosine=one, norm=norms), "chance")
    assert found.text == "a and b hold the same update: one adapter opened twice, or a copy of it."
    assert found.caution
    assert [(n.metric, n.a, n.b) for n in found.numbers] == [("cosine", "a", "b"), ("norm", "a", ""), ("norm", "b", "")]


def test_input_directions_of_a_shared_start():
    found = study(("sft", "dpo"), cosine={("sft", "dpo"): 0.06}, u1={("sft", "dpo"): 0.11}, v1={("sft", "dpo"): 0.68})
    assert texts(found, "chance") == [
        "sft-dpo: the single top input direction agrees (v₁ 0.68), the single top output direction does not (u₁ 0.11): that is the "
        "start of A they share, not something both learned."
    ]
