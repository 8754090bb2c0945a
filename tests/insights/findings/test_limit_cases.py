"""What cannot be said, and who stands for whom: at limits."""

# ruff: noqa: ISC004 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.insights.findings import findings_of
from inspector.insights.findings.finding import listed, span
from inspector.insights.findings.representatives import representatives
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo, Settings
from tests.insights.findings.published import marked, study, takeaways_of, texts

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
        (("", "org/y"), ""),
        (("x", "y", "x", "z", "v"), "x, y, z and v"),
        (("x", "y", "z", "v", "w"), "x, y, z and 2 more"),
    ],
)
def test_bases_by_name(bases, named):
    found = with_bases(quiet("abcde"[: len(bases)]), *bases)
    assert marked(found) == [
        f"! The adapters name different bases ({named}): they are compared within each base alone."
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
    findings = (HealthIssue(severity, "x"),) if severity else ()
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
        first = findings_of(found)[0]
        assert first.caution
        assert first.text.startswith(
            f"{len(runs)} adapters are runs of {len(chosen)} methods: {listed(f'r{n}' for n in chosen)} stand for them"
        )


def test_merging_needs_its_chance_level():
    found = study(AB, cosine={AB: -0.4}, energy_ratio={AB: 0.6}, subspace_overlap={AB: 0.5})
    assert marked(found, "merging") == []
    found = replace(found, blocks=found.blocks | {("subspace_overlap_chance", "global"): np.array([0.01])})
    (one,) = takeaways_of(found, "merging")
    assert [(n.metric, n.a, n.b, n.value) for n in one.numbers] == [("energy_ratio", "a", "b", 0.6)]
