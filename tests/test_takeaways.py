"""The sentences made from a study's numbers: on the numbers the study "Weight-Space Geometry" publishes, and at limits.

Its figures are those of its text, in the set each was reported for; what it does not report is left out of the study.
"""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.names import ModuleId
from inspector.origin import Origin
from inspector.study import AdapterInfo, ProbeInfo, Settings, Study
from inspector.takeaways import takeaways
from inspector.takeaways.directions import clusters

LAYERS = 36


def study(names, *, origins=(), layers=LAYERS, alphas=(), probes=(), **pairs):
    """A study with these global numbers: `metric={("a", "b"): value}` for pairs, `metric={"a": value}` for adapters."""
    n = len(names)
    infos = [AdapterInfo(name, f"/x/{name}", "PEFT LoRA", base="Qwen/Qwen3-4B") for name in names]
    infos = [replace(i, origin=o) for i, o in zip(infos, origins or [Origin()] * n, strict=True)]
    modules = tuple(ModuleId(layer, "self_attn.q_proj") for layer in range(layers))
    blocks = {}
    for metric, values in pairs.items():
        first = next(iter(values))
        sample = np.asarray(next(iter(values.values())), dtype=float)
        places = sample.shape or ()
        if isinstance(first, tuple):
            block = np.full((n, n, 1, *places), np.nan)
            for (a, b), value in values.items():
                i, j = names.index(a), names.index(b)
                block[i, j, 0] = value
                block[j, i, 0] = np.asarray(value)[::-1] if metric == "lmc_loss" else value
        else:
            block = np.full((n, 1, *places), np.nan)
            for a, value in values.items():
                block[names.index(a), 0] = value
        blocks[metric, "global"] = block
    shapes = np.full((n, layers, 2), 64)
    infos_of = tuple(ProbeInfo(probe, "b") for probe in probes)
    return Study(tuple(infos), modules, shapes, Settings(), blocks, infos_of, alphas)


def with_layers(found, metric, values):
    """The study with a pair metric's numbers by layer."""
    n = len(found.names)
    block = np.full((n, n, len(found.layers)), np.nan)
    for (a, b), value in values.items():
        i, j = found.index(a), found.index(b)
        block[i, j] = block[j, i] = value
    return replace(found, blocks={**found.blocks, (metric, "layer"): block})


def takeaways_of(found, kind=""):
    return [t for t in takeaways(found) if kind in {"", t.kind}]


def texts(found, kind=""):
    return [t.text for t in takeaways_of(found, kind)]


EIGHT = ("sft", "rft", "rift", "dft", "offline-grpo", "dpo", "online-grpo", "online-dapo")
COSINE = {
    ("sft", "rft"): 0.977, ("sft", "rift"): 0.967, ("rft", "rift"): 0.969,
    ("dft", "sft"): 0.572, ("dft", "rift"): 0.536, ("dft", "rft"): 0.55, ("dft", "offline-grpo"): 0.45,
    ("offline-grpo", "sft"): 0.74, ("offline-grpo", "rft"): 0.74, ("offline-grpo", "rift"): 0.74,
    ("dpo", "sft"): 0.057, ("dpo", "rft"): 0.06, ("dpo", "rift"): 0.065, ("dpo", "dft"): 0.13,
    ("dpo", "offline-grpo"): 0.13, ("dpo", "online-grpo"): 0.02, ("dpo", "online-dapo"): 0.02,
    ("online-grpo", "sft"): 0.025, ("online-grpo", "rft"): 0.024, ("online-grpo", "rift"): 0.02,
    ("online-grpo", "dft"): 0.02, ("online-grpo", "offline-grpo"): 0.02, ("online-grpo", "online-dapo"): -0.16,
    ("online-dapo", "sft"): 0.02, ("online-dapo", "rft"): 0.02, ("online-dapo", "rift"): 0.02,
    ("online-dapo", "dft"): 0.02, ("online-dapo", "offline-grpo"): 0.02,
}  # fmt: skip
"""Its figures; .02 and .45 where its text gives no more than "near zero" and nothing."""


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


def barriers(path):
    path = np.array(path)
    alphas = np.linspace(0, 1, len(path))
    ends = path[0], path[-1]
    return {
        "barrier_mean": path.max() - sum(ends) / 2,
        "barrier_chord": (path - ((1 - alphas) * ends[0] + alphas * ends[1])).max(),
        "barrier_strict": path.max() - max(ends),
    }


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


def test_checkpoints_of_several_runs_are_pointed_out():
    names = ("checkpoint-1", "checkpoint-2", "checkpoint-3")
    overlap = {
        ("checkpoint-1", "checkpoint-2"): 0.98,
        ("checkpoint-1", "checkpoint-3"): 0.05,
        ("checkpoint-2", "checkpoint-3"): 0.05,
    }
    said = texts(study(names, row_space_overlap=overlap), "runs")
    assert said[-1] == (
        "The checkpoints of one folder come from 2 different starts, so more than one run wrote there: checkpoint-1 and "
        "checkpoint-2; checkpoint-3."
    )


def test_what_would_collide_or_cancel():
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    found = study(
        ("a", "b", "c"), cosine=dict(zip(pairs, (-0.4, 0.02, 0.02), strict=True)),
        subspace_overlap=dict(zip(pairs, (0.5, 0.3, 0.01), strict=True)),
        energy_ratio=dict(zip(pairs, (0.6, 1.02, 1.02), strict=True)),
    )  # fmt: skip
    found = replace(found, blocks={**found.blocks, ("subspace_overlap_chance", "global"): np.array([0.01])})
    assert texts(found, "merging") == [
        "Merging a + b would cancel part of both: energy ratio 0.60 (1 is no interaction).",
        "Merging a + c would collide: their top-k output subspaces overlap (0.30, 0.01 by chance) though the updates do not "
        "point the same way (cosine 0.02).",
    ]


def test_limits_are_said_and_weak_evidence_is_not():
    pair = study(("a", "b"), cosine={("a", "b"): 0.3}, norm={"a": 1.0, "b": 1.5}, effective_rank={"a": 4.0, "b": 4.5})
    assert [t.kind for t in takeaways(pair)] == ["limit"]
    assert texts(pair) == [
        "Not measured, so nothing is said of it: loss between adapters, hidden states and accuracy. The weights alone do not "
        "tell."
    ]
    other = replace(pair, adapters=(pair.adapters[0], replace(pair.adapters[1], base="org/else")))
    assert "different bases (Qwen/Qwen3-4B and org/else)" in texts(other)[0]
    everything = replace(pair, probes=tuple(ProbeInfo(name, "b") for name in ("lmc", "cka", "accuracy")))
    assert texts(everything) == []
    assert takeaways(study(("a",), norm={"a": 1.0})) == takeaways(study(("z",), norm={"z": 2.0}))


def test_adapters_of_other_bases_are_told_apart():
    names = ("a", "b", "c", "d")
    found = study(names, cosine={("a", "b"): 0.95, ("c", "d"): 0.95}, norm={"a": 1.0, "b": 1.0, "c": 50.0, "d": 50.0})
    bases = ("org/one", "mirror/One", "org/two", "org/two")
    found = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    said = texts(found)
    assert (
        said[0] == "The adapters name different bases (org/one and org/two): they are told of one base after the other."
    )
    assert said[1:3] == ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95."]
    assert not [text for text in said if "moved" in text]


def test_of_several_bases_each_sentence_names_its_adapters():
    names = ("a", "b", "c", "d", "e")
    kin = {("a", "b"): 0.98, ("c", "d"): 0.98}
    found = study(names, cosine=dict.fromkeys(kin, 0.95), row_space_overlap=kin)
    bases = ("org/one", "org/one", "org/two", "org/two", "org/three")
    found = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    assert texts(found, "runs") == [
        f"{pair} share one random start of A or come from one run, so that input directions (v₁) agree in part anyway."
        for pair in ("a and b", "c and d")
    ]
    assert not [told for told in takeaways(found)[1:] if told.kind != "limit" and "e" in told.text.split()]


def test_modules_of_one_side_are_counted_in_pairs_that_share_some():
    found = study(("a", "b", "c"), layers=6, cosine={("a", "b"): 0.3})
    shapes = found.shapes.copy()
    shapes[0, 4:] = shapes[1, 3:] = shapes[2, :4] = 0
    (said,) = [text for text in texts(replace(found, shapes=shapes)) if "--modules common" in text]
    assert said.startswith("Up to 1 of 4 modules are adapted by one of a pair only")
    shapes[1] = 0
    assert not [text for text in texts(replace(found, shapes=shapes)) if "--modules common" in text]


def test_clusters_and_loners_between_them():
    pairs = {("a", "b"): 0.95, ("c", "d"): 0.95, ("a", "c"): 0.3, ("a", "d"): 0.31, ("b", "c"): 0.32, ("b", "d"): 0.33}
    loner = {(n, "e"): 0.26 for n in "abcd"}
    assert texts(study(("a", "b", "c", "d", "e"), cosine=pairs | loner), "direction")[2:] == [
        "a and b are closer to each other than to c and d: cosine 0.30 to 0.33.",
        "e is far from all others: its largest cosine is 0.26, to a.",
    ]


def test_few_prompts_say_nothing():
    info = ProbeInfo("cka", "b", examples=4)
    noisy = with_layers(study(("a", "b")), "cka_debiased", {("a", "b"): np.linspace(1, -1, LAYERS)})
    noisy = replace(noisy, probes=(info, ProbeInfo("lmc", "b", examples=64), ProbeInfo("accuracy", "b")))
    assert texts(noisy) == ["Nothing is said of hidden states: 4 prompts are too few, 20 at least."]


def test_clusters_are_complete():
    cosine = np.array([[1, 0.95, 0.85], [0.95, 1, 0.95], [0.85, 0.95, 1]])
    assert clusters(cosine, 0.9) in ([(0, 1)], [(1, 2)])
    assert clusters(cosine, 0.8) == [(0, 1, 2)]
