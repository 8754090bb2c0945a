"""How far each moved, and what looks like a finding: thresholds from both sides, ties, zeros, what is not known."""

# ruff: noqa: E501 - the sentences stand whole

from dataclasses import replace

import numpy as np
import pytest

from inspector.study.provenance import Origin
from tests.insights.findings.published import below, marked, study, takeaways_of

NAN = np.nan
ABOVE = float(np.nextafter(1 / 3, 1))


@pytest.mark.parametrize(
    ("norms", "sentences"),
    [
        ((1, 1, 3), ["c moved 3.0 times as far as the others' median: norm 3 against 1."]),
        ((1, 1, below(3)), []),
        ((3, 3, 1), ["c moved 3.0 times less far than the others' median: norm 1 against 3."]),
        ((1, 1, ABOVE), []),
        ((1, 2, 12, 1), ["c moved 12.0 times as far as the others' median: norm 12 against 1."]),
        ((1, 2, 3, 100, 1.5), ["d moved 57.1 times as far as the others' median: norm 100 against 1.75."]),
        ((0, 1, 1, 4, 0), ["d moved 4.0 times as far as the others' median: norm 4 against 1.", "ΔW of a and e is zero: the base is as it was."]),
        ((NAN, 1, 1, 4), ["d moved 4.0 times as far as the others' median: norm 4 against 1."]),
        ((3, 1), ["b moved 3.0 times less far than the others' median: norm 1 against 3."]),
        ((1, 5), ["a moved 5.0 times less far than the others' median: norm 1 against 5."]),
        ((1, 1), []),
        ((0, 1), ["ΔW of a is zero: the base is as it was."]),
        ((2,), []),
    ],
)  # fmt: skip
def test_how_far_beside_the_others(norms, sentences):
    names = tuple("abcde"[: len(norms)])
    found = study(names, norm=dict(zip(names, map(float, norms), strict=True)))
    assert marked(found, "size") == sentences
    for one in takeaways_of(found, "size"):
        if len(one.numbers) == 2 and one.numbers[1].a == "median of the others":
            own, median = one.numbers
            others = [float(norm) for name, norm in zip(names, norms, strict=True) if name != own.a and norm > 0]
            assert (own.value, median.value) == (norms[names.index(own.a)], np.median(others))
        else:
            assert [(n.metric, n.value) for n in one.numbers] == [("norm", 0)] * len(one.numbers)


def test_over_how_many_directions():
    ranks = {"a": 16.0, "b": 16.0, "c": 16.0, "d": 10.0, "e": 24.0, "f": 15.0}
    assert [text.partition(":")[0] for text in marked(study(tuple(ranks), effective_rank=ranks), "size")] == [
        "d spreads over fewer directions", "e spreads over more directions",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rates", "clause"),
    [
        ((1.0, 1.0, 3.0), "its learning rate is 3 times that of the 2 whose rate is known, which alone may explain it"),
        ((1.0, 1.0, below(3.0)), ""),
        (
            (1e-3, 1e-3, 1e-4),
            "its learning rate is 1/10 of that of the 2 whose rate is known, which alone may explain it",
        ),
        ((3.0, 3.0, 1.0), "its learning rate is 1/3 of that of the 2 whose rate is known, which alone may explain it"),
        ((1.0, 1.0, ABOVE), ""),
        (
            (1e-4, None, 1e-3),
            "its learning rate is 10 times that of the only one whose rate is known, which alone may explain it",
        ),
        ((1e-4, 1e-4, None), ""),
        ((None, None, 1e-4), ""),
        (
            (1e-4, 1e-4, 1e-2, 1e-3),
            "its learning rate is 10 times that of the 3 whose rate is known, which alone may explain it",
        ),
        ((1e-4, 1e-4, 1e-4, 1e-4), ""),
    ],
)
def test_what_the_rate_alone_may_explain(rates, clause):
    """The rate of the last beside the median of the others' that are known; two more have no known rate."""
    rates = (None, None, *rates)
    names = tuple("abcdef"[: len(rates)])
    norms = dict.fromkeys(names, 1.0) | {names[-1]: 10.0}
    (text,) = marked(study(names, origins=[Origin("m", rate) for rate in rates], norm=norms), "size")
    assert text.rstrip(".").partition("; ")[2] == clause


def test_where_every_rate_is_known_it_is_beside_theirs():
    origins = [Origin("m", rate) for rate in (1e-4, 1e-4, 1e-3)]
    *_, text = marked(study(("a", "b", "c"), origins=origins, norm={"a": 1.0, "b": 1.0, "c": 10.0}), "size")
    assert text.endswith("; its learning rate is 10 times theirs, which alone may explain it.")


def angles(*pairs):
    """A study of k angles a pair, beside a chance of 80° for the smallest and 89° for the largest."""
    width = len(pairs[0])
    names = tuple("abcd"[: 2 if len(pairs) == 1 else 3])
    places = [("a", "b"), ("a", "c"), ("b", "c")]
    found = study(names, principal_angle={place: np.array(a) for place, a in zip(places, pairs, strict=False)})
    chance = np.linspace(80, 89, width)[None]
    return replace(found, blocks=found.blocks | {("principal_angle_chance", "global"): chance})


@pytest.mark.parametrize(
    ("of_pair", "kind"),
    [
        ((78.5, 85, 89), "no nearer"),
        ((below(78.5), 85, 89), ""),
        ((70, 80, 87.5), "! says nothing"),
        ((70, 80, below(87.5)), ""),
        ((float(np.nextafter(70, 90)), 80, 89), ""),
        ((10, 20, 60), ""),
        ((78.5, 10, NAN), "no nearer"),  # a pair of rank 2: its own largest angle
        ((60, 84.5, NAN), "! says nothing"),
        ((60, NAN, NAN), ""),
        ((80, NAN, NAN), ""),  # one angle is both ends
        ((NAN, NAN, NAN), ""),
    ],
)
def test_the_ends_of_the_angles_beside_chance(of_pair, kind):
    found = takeaways_of(angles(of_pair), "chance")
    words = {True: "! says nothing", False: "no nearer"}
    assert [words[one.caution] for one in found] == [kind] * bool(kind)
    for one in found:
        assert words[one.caution].removeprefix("! ") in one.text
        known = [angle for angle in of_pair if not np.isnan(angle)]
        largest = np.linspace(80, 89, 3)[len(known) - 1]
        ends = [
            ("principal_angle", known[0]),
            ("principal_angle_chance", 80.0),
            ("principal_angle", known[-1]),
            ("principal_angle_chance", largest),
        ]
        assert [(n.metric, n.value) for n in one.numbers] == ends[: 4 if one.caution else 2]
        assert {(n.a, n.b) for n in one.numbers} == {("a", "b")}


def test_a_pair_without_angles_hides_no_other():
    assert [text.partition(":")[0] for text in marked(angles((NAN,) * 3, (79, 85, 89), (80, 86, 89)), "chance")] == [
        "a-c and b-c"
    ]
    one, other = (np.array(values) for values in ((79.0, 85.0, 89.0), (1.0, 2.0)))
    found = angles(one, one)
    assert not marked(
        replace(found, blocks=found.blocks | {("principal_angle_chance", "global"): other[None]}), "chance"
    )


@pytest.mark.parametrize(
    ("cosine", "norm", "same"),
    [
        (1.0, 1.0, True),
        (1 - 9e-13, 1.0, True),
        (1 - 1.5e-12, 1.0, False),
        (1.0, 1 + 9e-10, True),
        (1.0, 1 - 9e-10, True),
        (1.0, 1 + 1.5e-9, False),
        (1.0, 1 - 1.5e-9, False),
        (-1.0, 1.0, False),
        (NAN, NAN, False),
    ],
)
def test_one_update_twice(cosine, norm, same):
    found = study(("a", "b", "c"), cosine={("b", "c"): cosine}, norm={"a": 1.0, "b": 1.0, "c": norm})
    assert (
        marked(found, "chance") == ["! b and c hold the same update: one adapter opened twice, or a copy of it."] * same
    )


@pytest.mark.parametrize(
    ("v1", "u1", "cosine", "told"),
    [
        (0.6, 0.3, 0.3, True),
        (0.6, 0.3, -0.3, True),
        (below(0.6), 0.3, 0.3, False),
        (0.6, 0.31, 0.3, False),
        (0.6, 0.3, 0.31, False),
        (0.6, 0.3, -0.31, False),
        (NAN, 0.3, 0.3, False),
    ],
)
def test_input_directions_alone(v1, u1, cosine, told):
    at = ("a", "b")
    found = study(at, cosine={at: cosine}, u1={at: u1}, v1={at: v1})
    assert [one.caution for one in takeaways_of(found, "chance")] == [True] * told
    if told:
        (one,) = takeaways_of(found, "chance")
        assert f"(v₁ {v1:.2f})" in one.text
        assert [(n.metric, n.value) for n in one.numbers] == [("v1", v1), ("u1", u1)]
