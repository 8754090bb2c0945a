"""What seeds and rates did, who shares a start: thresholds from both sides, either order, what is not known."""
# ruff: noqa: E501 - the sentences stand whole

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from inspector.study.provenance import Origin
from tests.insights.findings.published import below, marked, study, takeaways_of, texts

NAN = np.nan


def two_runs(one, other, **metrics):
    names = ("one", "other")
    pairs = {metric: {names: value} for metric, value in metrics.items() if metric != "norm"}
    return study(
        names, origins=[one, other], norm=dict(zip(names, metrics.get("norm", (1.0, 2.0)), strict=True)), **pairs
    )


SEED_A, SEED_B = Origin("sft", 1e-4, 1, 1, "f"), Origin("sft", 1e-4, 2, 2, "g")


@pytest.mark.parametrize(
    ("u1", "cosine", "words"),
    [
        (0.5, 0.3, "the same top output directions (u₁ 0.50) though the cosine is 0.30"),
        (below(0.5), 0.3, "cosine 0.30, u₁ 0.50"),
        (0.9, 0.9, "cosine 0.90, u₁ 0.90"),
        (0.9, below(0.9), "the same top output directions (u₁ 0.90) though the cosine is 0.90"),
        (0.1, 0.95, "cosine 0.95, u₁ 0.10"),
        (0.9, NAN, ""),
    ],
)
def test_another_seed(u1, cosine, words):
    found = two_runs(SEED_A, SEED_B, u1=u1, cosine=cosine, v1=0.2)
    said = takeaways_of(found, "runs")
    assert len(said) == bool(words)
    for one in said:
        assert words in one.text
        assert "sft (one, other)" in one.text
        assert [(n.metric, n.a, n.b, n.value) for n in one.numbers] == [
            ("cosine", "one", "other", cosine),
            ("u1", "one", "other", u1),
            ("v1", "one", "other", 0.2),
        ]


@pytest.mark.parametrize(
    ("one", "other", "overlap", "words"),
    [
        ("f", "f", NAN, "from one start"), ("f", "g", NAN, "two random starts"), ("", "", NAN, "nothing tells"),
        ("", "g", NAN, "nothing tells"), ("f", "", NAN, "nothing tells"),
        ("", "", 0.85, "from one start"), ("f", "", 0.85, "from one start"), ("", "", 0.5, "nothing tells"), ("f", "g", 0.9, "two random starts"),
    ],
)  # fmt: skip
def test_whether_two_seeds_share_a_start(one, other, overlap, words):
    found = two_runs(
        replace(SEED_A, a0=one), replace(SEED_B, a0=other), u1=0.9, cosine=0.3, v1=0.2, row_space_overlap=overlap
    )
    found = replace(found, blocks=found.blocks | {("row_space_overlap_chance", "global"): np.array([0.01])})
    (text,) = [text for text in texts(found, "runs") if "seed" in text]
    assert words in text


@pytest.mark.parametrize(
    ("rates", "cosine", "norms", "words"),
    [
        ((1e-4, 1e-3), 0.9, (1.0, 4.0), "10 times the learning rate of sft (one, other) rescales the update: cosine 0.90, norm 4.0 times."),
        ((1e-3, 1e-4), 0.5, (1.0, 4.0), "10 times the learning rate of sft (other, one) turns the update, it does not only rescale it: cosine 0.50, norm 0.2 times."),
        ((1e-4, 2e-4), below(0.9), (1.0, 4.0), "2 times the learning rate of sft (one, other) turns the update, it does not only rescale it: cosine 0.90, norm 4.0 times."),
        ((1e-4, 2e-4), NAN, (1.0, 4.0), ""),
    ],
)  # fmt: skip
def test_another_rate(rates, cosine, norms, words):
    found = two_runs(replace(SEED_A, lr=rates[0]), replace(SEED_A, lr=rates[1]), cosine=cosine, norm=norms)
    assert texts(found, "runs") == [words] * bool(words)
    for one in takeaways_of(found, "runs"):
        assert sorted((n.metric, n.a, n.value) for n in one.numbers if n.metric == "norm") == [
            ("norm", "one", norms[0]),
            ("norm", "other", norms[1]),
        ]


def test_what_differs_between_pairs_has_a_sentence_each():
    """Three seeds: u₁ agrees, or says nothing beside the cosine, in some pairs; three rates: two pairs are rescaled."""
    names = tuple("abc")
    pairs = list(combinations(names, 2))
    seeds = [replace(SEED_A, seed=n, init_seed=n, a0=f"{n}") for n in range(3)]
    for cosine, u1, heads in (
        ((0.3, 0.3, 0.3), (0.9, 0.5, 0.2), ["(2 pairs): the same top output directions (u₁ 0.50 to 0.90)", "(b, c): cosine 0.30, u₁ 0.20"]),
        ((0.3, 0.9, 0.95), (0.9, 0.9, 0.9), ["(a, b): the same top output directions (u₁ 0.90)", "(2 pairs): cosine 0.90 to 0.95, u₁ 0.90"]),
    ):  # fmt: skip
        of_pairs = {
            metric: dict(zip(pairs, values, strict=True))
            for metric, values in (("cosine", cosine), ("u1", u1), ("v1", u1))
        }
        found = study(names, origins=seeds, norm=dict.fromkeys(names, 1.0), **of_pairs)
        said = texts(found, "runs")
        assert len(said) == len(heads)
        assert all(text.startswith(f"Another seed of sft {head}") for text, head in zip(said, heads, strict=True))
    rates = [replace(SEED_A, lr=lr) for lr in (1.0, 2.0, 4.0)]
    found = study(
        names,
        origins=rates,
        cosine=dict(zip(pairs, (0.95, 0.5, 0.9), strict=True)),
        norm=dict(zip(names, (1.0, 2.0, 3.0), strict=True)),
    )
    assert [text.partition(":")[0] for text in texts(found, "runs")] == [
        "2 times the learning rate of sft (2 pairs) rescales the update", "4 times the learning rate of sft (a, c) turns the update, it does not only rescale it",
    ]  # fmt: skip
    both = takeaways_of(found, "runs")[0]
    assert [(n.metric, n.a, n.b) for n in both.numbers] == [
        ("cosine", "a", "b"),
        ("cosine", "b", "c"),
        ("norm", "a", ""),
        ("norm", "b", ""),
        ("norm", "c", ""),
    ]


def test_output_similarity_is_told_where_it_is_known_of_all():
    names, pairs = tuple("abc"), list(combinations("abc", 2))
    seeds = [replace(SEED_A, seed=n, init_seed=n, a0=f"{n}") for n in range(3)]
    alike = {metric: dict.fromkeys(pairs, 0.9) for metric in ("cosine", "u1", "v1")}
    for outputs, told in (((0.5, 0.6, 0.7), True), ((0.5, NAN, 0.7), False)):
        of = dict(zip(pairs, outputs, strict=True))
        found = study(names, origins=seeds, norm=dict.fromkeys(names, 1.0), **alike, output_similarity=of)
        (text,) = texts(found, "runs")
        assert ("output similarity" in text) is told
        assert not told or ", output similarity 0.50 to 0.70;" in text


def kin(names, groups, sources=None):
    """A study in which the members of each group share a start and nobody else does."""
    of = {name: group for group in groups for name in group}
    near = {(a, b): 0.95 if of.get(a, a) == of.get(b, b) else 0.02 for a, b in combinations(names, 2)}
    found = study(tuple(names), row_space_overlap=near)
    if sources:
        found = replace(
            found, adapters=tuple(replace(a, source=s) for a, s in zip(found.adapters, sources, strict=True))
        )
    return found


@pytest.mark.parametrize(
    ("names", "groups", "sentences", "pairs"),
    [
        ("ab", ["ab"], ["! a and b share one random start of A or come from one run, so that input directions (v₁) agree in part anyway."], ["ab"]),
        ("ab", [], [], []),
        ("abc", ["abc"], ["! a, b and c share one random start of A or come from one run, so that input directions (v₁) agree in part anyway."], ["ab", "ac"]),
        ("abc", ["bc"], ["! These share a start of A or a run: b and c. Compare input directions (v₁) within them only."], ["bc"]),
        ("abcde", ["ad", "bce"], ["! These share a start of A or a run: b, c and e; a and d. Compare input directions (v₁) within them only."], ["bc", "be", "ad"]),
        ("abcd", ["ad", "bc"], ["! These share a start of A or a run: a and d; b and c. Compare input directions (v₁) within them only."], ["ad", "bc"]),
    ],
)  # fmt: skip
def test_who_shares_a_start(names, groups, sentences, pairs):
    found = kin(names, groups)
    assert marked(found, "runs") == sentences
    assert [n.a + n.b for one in takeaways_of(found, "runs") for n in one.numbers] == pairs
    assert all(n.value == 0.95 for one in takeaways_of(found, "runs") for n in one.numbers)


@pytest.mark.parametrize(
    ("sources", "groups", "told"),
    [
        (["/x/checkpoint-1", "/x/checkpoint-2", "/x/checkpoint-3"], ["ab"], "2 different starts, so more than one run wrote there: a and b; c."),
        (["/x/checkpoint-1", "/x/checkpoint-2", "/x/checkpoint-3"], ["abc"], ""),
        (["/x/checkpoint-1", "/y/checkpoint-2", "/x/checkpoint-3"], ["ab"], ""),
        (["/x/checkpoint-1", "/x/checkpoint-2", "/x/final"], ["ab"], ""),
        ([f"/x/checkpoint-{n}" for n in range(6)], [], "6 different starts, so more than one run wrote there: a; b; c; d."),
        (["/x/checkpoint-1", "/x/checkpoint-2"], [], "2 different starts, so more than one run wrote there: a; b."),
    ],
)  # fmt: skip
def test_checkpoints_of_one_folder(sources, groups, told):
    names = "abcdef"[: len(sources)]
    found = [one for one in takeaways_of(kin(names, groups, sources), "runs") if "checkpoints" in one.text]
    assert [one.text for one in found] == [f"The checkpoints of one folder come from {told}"] * bool(told)
    for one in found:
        assert one.caution
        assert {n.value for n in one.numbers} == {0.02}
        assert {n.a for n in one.numbers} == {"a"}
        assert len(one.numbers) == int(told[0]) - 1


@pytest.mark.parametrize(
    ("outputs", "whence"),
    [
        ((0.1, 0.1, 0.1), "so more than one run wrote there"),
        ((0.1, 0.5, 0.1), "yet write to like outputs: more than one run wrote there, or one was merged or factored anew between them"),
    ],
)  # fmt: skip
def test_starts_that_write_to_like_outputs_may_be_of_one_run(outputs, whence):
    pairs = list(combinations("abc", 2))
    found = kin("abc", [], [f"/x/checkpoint-{n}" for n in range(3)])
    alike = study(tuple("abc"), output_similarity=dict(zip(pairs, outputs, strict=True)))
    (text,) = texts(replace(found, blocks=found.blocks | alike.blocks), "runs")
    assert text == f"The checkpoints of one folder come from 3 different starts, {whence}: a; b; c."


def test_a_chain_of_runs_is_one_group_in_the_order_of_the_study():
    names = "abcdef"
    chain = "cafbde"
    near = dict.fromkeys(combinations(names, 2), 0.02) | {tuple(sorted(pair)): 0.9 for pair in pairwise(chain)}
    (text,) = texts(study(tuple(names), row_space_overlap=near), "runs")
    assert text.startswith("a, b, c, d, e and f share one random start")
