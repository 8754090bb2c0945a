"""Findings about more adapters than a reader can hold side by side."""

from itertools import combinations, product

import pytest

from inspector.insights.findings import findings_of
from inspector.insights.findings.representatives import representatives
from inspector.study.provenance import Origin
from inspector.study.study import Study
from tests.insights.findings.published import study, texts

RUNS = [(2e-4, 42), (2e-4, 7), (5e-5, 42), (2e-3, 42)]
METHODS = ("sft", "rft", "dpo", "online-grpo")
NAMES = tuple(f"{method}_lr{lr:g}_s{seed}" for method in METHODS for lr, seed in RUNS)
ORIGINS = [Origin(method, lr, seed, seed, f"start {seed}") for method in METHODS for lr, seed in RUNS]


def published(names=NAMES, origins=ORIGINS) -> Study:
    """Runs of one seed are alike, most of all those of one method; another seed is another direction."""
    at = dict(zip(names, origins, strict=True))
    cosine = {
        (a, b): 0.02 if at[a].seed != at[b].seed else 0.96 if at[a].method == at[b].method else 0.3
        for a, b in combinations(names, 2)
    }
    ones = dict.fromkeys(cosine, 0.6)
    return study(names, origins=origins, cosine=cosine, u1=ones, v1=ones, norm={name: at[name].lr for name in names})


def test_one_run_of_a_method_stands_for_the_others():
    found = findings_of(published())
    assert found[0].text == (
        "16 adapters are runs of 4 methods: sft_lr0.0002_s42, rft_lr0.0002_s42, dpo_lr0.0002_s42 and "
        "online-grpo_lr0.0002_s42 stand for them in what follows, with the learning rate and seed that most have; what "
        "seed and rate do is told after."
    )
    main = [t for t in found[1:] if t.kind in {"direction", "size", "chance", "merging"}]
    assert main
    told = {name for t in main for number in t.numbers for name in (number.a, number.b)} - {""}
    assert told <= {"sft_lr0.0002_s42", "rft_lr0.0002_s42", "dpo_lr0.0002_s42", "online-grpo_lr0.0002_s42"}
    assert len(found) < 16


def test_what_is_alike_of_seeds_and_rates_is_one_sentence():
    said = texts(published(), "runs")
    assert said[0] == (
        "Another seed of sft, rft, dpo and online-grpo (4 pairs): the same top output directions (u₁ 0.60) though the "
        "cosine is 0.02; v₁ 0.60 compares two random starts, not what was learned."
    )
    rates = [text for text in said if "times the learning rate" in text]
    assert [text.partition(" (")[0] for text in rates] == [
        f"{times} times the learning rate of sft, rft, dpo and online-grpo" for times in (10, 4, 40)
    ]
    assert all("(4 pairs) rescales the update: cosine 0.96" in text for text in rates)
    first = next(t for t in findings_of(published()) if t.text == said[0])
    assert len({(number.a, number.b) for number in first.numbers}) == 4


@pytest.mark.parametrize(
    ("names", "origins"),
    [
        (NAMES[:12], ORIGINS[:12]),  # few enough
        (NAMES, [Origin()] * 16),  # nothing tells the methods
        (NAMES, [Origin("sft", lr, seed) for lr, seed in product((1, 2, 3, 4), repeat=2)]),  # one method
        (NAMES, [Origin(), *ORIGINS[1:]]),  # the first may be of any method
        (NAMES, [Origin(o.method, o.lr, None if o.seed == 42 else o.seed) for o in ORIGINS]),  # or of the same seed
        (NAMES, [Origin(o.method, 1e-4, 42) for o in ORIGINS]),  # nothing tells the runs apart: checkpoints, say
    ],
)
def test_all_are_told_of_where_none_can_stand_in(names, origins):
    found = published(names, origins)
    assert representatives(found) == tuple(range(len(names)))
    assert not any("stand for them" in text for text in texts(found))


def test_paths_without_a_barrier_share_a_sentence():
    names = ("a", "b", "c", "d")
    pairs = list(combinations(names, 2))
    none = {f"barrier_{kind}": dict.fromkeys(pairs, 0.0) for kind in ("mean", "chord", "strict")}
    none["barrier_strict"] = {**none["barrier_strict"], ("c", "d"): 2.0}
    found = study(names, alphas=(0, 0.5, 1), lmc_loss=dict.fromkeys(pairs, (2.0, 2.0, 2.0)), **none)
    alone, shared = texts(found, "loss")
    assert "a barrier only above both endpoints" in alone
    assert shared == "No barrier by any definition on 5 paths: a-b, a-c, a-d, b-c and b-d."
