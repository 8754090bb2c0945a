"""What cannot be said, who stands for whom, seeds and rates, starts: at limits and in either order."""

# ruff: noqa: E501, ISC004 - the sentences stand whole

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from inspector.names import ModuleId
from inspector.origin import Origin
from inspector.study import Finding, ProbeInfo, Settings
from inspector.takeaways import takeaways
from inspector.takeaways.representatives import representatives
from inspector.takeaways.takeaway import listed, span
from tests.takeaways.published import below, marked, study, takeaways_of, texts

NAN = np.nan
AB = ("a", "b")
ALL_RUN = tuple(ProbeInfo(name, "b") for name in ("lmc", "cka", "accuracy"))


def quiet(names, **more):
    """A study with nothing left to say of probes."""
    return replace(study(tuple(names), **more), probes=ALL_RUN)


@pytest.mark.parametrize(
    ("names", "most", "words"),
    [
        ("a", 6, "a"), ("ab", 6, "a and b"), ("abc", 6, "a, b and c"), ("abcdef", 6, "a, b, c, d, e and f"),
        ("abcdefg", 6, "a, b, c, d, e and 2 more"), ("abcdefghi", 6, "a, b, c, d, e and 4 more"),
        ("abcd", 4, "a, b, c and d"), ("abcde", 4, "a, b, c and 2 more"),
    ],
)  # fmt: skip
def test_names_in_words(names, most, words):
    assert listed(names, most) == words
    if most == 6:
        assert listed(names) == words


def test_spans_at_their_digits():
    assert (span([0.5]), span([0.95, 0.94, 0.98]), span([0.991, 0.989]), span([0.94, 0.96], 1)) == (
        "0.50",
        "0.94 to 0.98",
        "0.99",
        "0.9 to 1.0",
    )


def with_bases(found, *bases):
    return replace(found, adapters=tuple(replace(a, base=base) for a, base in zip(found.adapters, bases, strict=True)))


@pytest.mark.parametrize(
    ("bases", "named"),
    [
        (("org/x", "org/x"), ""),
        (("org/x", "mirror/X/"), ""),
        (("org/x", "org/y"), "org/x and org/y"),
        (("", "org/y"), "one that is not named and org/y"),
        (("x", "y", "x", "z", "v"), "x, y, z and v"),
        (("x", "y", "z", "v", "w"), "x, y, z and 2 more"),
    ],
)
def test_bases_by_name(bases, named):
    found = with_bases(quiet("abcde"[: len(bases)]), *bases)
    assert marked(found) == [
        f"! The adapters name different bases ({named}): they are told of one base after the other."
    ] * bool(named)


def test_findings_of_one_base_alone_are_said_once_and_limits_last():
    found = with_bases(
        study(tuple("abcd"), cosine={("a", "b"): 0.95, ("c", "d"): 0.95, ("a", "c"): 0.95}), "x", "x", "y", "y"
    )
    assert [text.partition(" ")[0] for text in texts(found)] == ["The", "a", "c", "Not"]
    one = study(AB, cosine={AB: 0.95})
    assert texts(one) == ["a and b are one direction: cosine 0.95.", texts(found)[-1]]


def of_health(severity="", excluded=()):
    found = quiet("abc")
    findings = (Finding(severity, "x"),) if severity else ()
    return replace(
        found,
        adapters=(
            found.adapters[0],
            replace(found.adapters[1], findings=findings, excluded=excluded),
            found.adapters[2],
        ),
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (of_health(), False), (of_health("info"), False), (of_health("warning"), False), (of_health("error"), True),
        (of_health(excluded=(ModuleId(0, "self_attn.q_proj"),)), True),
        (of_health("error", (ModuleId(0, "self_attn.q_proj"),)), True),
    ],
)  # fmt: skip
def test_modules_that_could_not_be_used(found, said):
    assert marked(found) == ["! b: some or all modules could not be used; `inspector check` says why."] * said


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([0.91, 0.5, 0.5, 0.5], True),  # a quarter of the modules
        ([0.91, 0.5, 0.5, 0.5, 0.5], False),
        ([0.9, 0.9, 0.9, 0.9], False),
        ([1.0, 1.0, 0.5, 0.5], True),
        ([0.91, NAN, NAN, NAN], True),
        ([0.5, 0.5, 0.5, 0.5], False),
    ],
)
def test_directions_that_are_ill_defined(ratios, said):
    """σ₂ beside σ₁ by module; a third value says nothing, nor does an adapter without modules."""
    found = quiet("ab", layers=len(ratios))
    sigma = np.zeros((2, len(ratios), 3))
    sigma[0], sigma[1, :, 0] = (2, 0.1, 2), NAN
    sigma[1] = np.array([[2, 2 * ratio, 2] for ratio in ratios])
    shapes = found.shapes.copy()
    with_sigma = replace(found, blocks={("singular_value", "module"): sigma})
    words = "! u₁ and v₁ of b are ill-defined in many modules: σ₂ nearly equals σ₁ there."
    assert marked(with_sigma) == [words] * said
    assert marked(replace(found, blocks={("singular_value", "module"): sigma[:, :, :1]})) == []
    assert marked(replace(found, blocks={("singular_value", "module"): sigma[:, :, :2]})) == [words] * said
    shapes[1] = 0
    assert marked(replace(with_sigma, shapes=shapes)) == []


def test_modules_of_one_side_are_those_of_the_worst_pair():
    """a has 4 modules, b 3 of them, c 1 of them and 1 more: a-c differ in 4 of 5."""
    found = quiet("abc", layers=6)
    shapes = found.shapes.copy()
    shapes[0, 4:] = shapes[1, 3:] = shapes[2, 1:4] = shapes[2, 5] = 0
    found = replace(found, shapes=shapes)
    assert marked(found) == [
        "! Up to 4 of 5 modules are adapted by one of a pair only and count as zeros there, which lowers cosines; "
        "--modules common leaves them out."
    ]
    assert marked(replace(found, settings=Settings(modules="common"))) == []
    shapes[1] = shapes[2] = shapes[0]
    assert marked(replace(found, shapes=shapes)) == []


def test_probes_that_were_not_run():
    bare = study(AB)
    for known, missing in (
        ((), "loss between adapters, hidden states and accuracy"),
        (("cka", "lmc"), "accuracy"),
        (("accuracy",), "loss between adapters and hidden states"),
    ):
        probed = replace(bare, probes=tuple(ProbeInfo(name, "b") for name in known))
        assert marked(probed) == [
            f"! Not measured, so nothing is said of it: {missing}. The weights alone do not tell."
        ]


def made(*runs):
    """Adapters by (method, rate, seed), each named by its number."""
    return study(tuple(f"r{n}" for n in range(len(runs))), origins=[Origin(*run) for run in runs])


def grid(methods, count):
    return [(method, rate, 1) for rate in range(1, 1 + count // methods) for method in "wxyz"[:methods]][:count]


@pytest.mark.parametrize(
    ("runs", "chosen"),
    [
        (grid(2, 12), range(12)),
        ([*grid(2, 12), ("x", 1, 2)], (0, 1)),  # the run that most have: rate 1, seed 1
        ([*grid(2, 12), ("w", 7, 1)], (0, 1)),
        ([("w", n, 1) for n in range(13)], range(13)),  # one method
        ([(f"m{n}", 1, 1) for n in range(13)], range(13)),  # every method once
        ([*grid(2, 12), ("x", 1, 1)], range(13)),  # two alike
        ([("w", 1, 1)] * 2 + [("x", n, 1) for n in range(11)], range(13)),
        # A rate of most, and of two seeds with it the one that most have.
        ([("w", 1, 2), ("w", 1, 1), ("x", 1, 2), ("x", 1, 1), *[("x", n, 1) for n in range(2, 11)]], (1, 3)),
        # The order is that of the study, not of the methods.
        ([("w", 9, 9), ("x", 5, 5), ("w", 5, 5), *[("x", n, 3) for n in range(10, 20)]], (1, 2)),
    ],
)  # fmt: skip
def test_who_stands_for_the_runs_of_a_method(runs, chosen):
    found = made(*runs)
    assert representatives(found) == tuple(chosen)
    if len(chosen) < len(runs):
        first = takeaways(found)[0]
        assert first.caution
        assert first.text.startswith(
            f"{len(runs)} adapters are runs of {len(chosen)} methods: {listed(f'r{n}' for n in chosen)} stand for them"
        )


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


def test_a_chain_of_runs_is_one_group_in_the_order_of_the_study():
    names = "abcdef"
    chain = "cafbde"
    near = dict.fromkeys(combinations(names, 2), 0.02) | {tuple(sorted(pair)): 0.9 for pair in pairwise(chain)}
    (text,) = texts(study(tuple(names), row_space_overlap=near), "runs")
    assert text.startswith("a, b, c, d, e and f share one random start")


def test_merging_needs_its_chance_level():
    found = study(AB, cosine={AB: -0.4}, energy_ratio={AB: 0.6}, subspace_overlap={AB: 0.5})
    assert marked(found, "merging") == []
    found = replace(found, blocks=found.blocks | {("subspace_overlap_chance", "global"): np.array([0.01])})
    (one,) = takeaways_of(found, "merging")
    assert [(n.metric, n.a, n.b, n.value) for n in one.numbers] == [("energy_ratio", "a", "b", 0.6)]
