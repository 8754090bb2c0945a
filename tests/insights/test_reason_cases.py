"""Why an adapter stands apart: other seeds, rates and starts, and what is wrong with it."""

from dataclasses import replace
from itertools import combinations
from math import nan

import pytest

from inspector.insights.overview.reasons import notes, variants
from inspector.study.provenance import Origin
from tests.insights.findings.published import study
from tests.insights.overviews import PAIR, made, origins


def why(found, i, nearest):
    return notes(found, found.names)(i, nearest)


@pytest.mark.parametrize(
    ("runs", "nearest", "reasons"),
    [
        (((1e-4, 1), (1e-4, 2), (1e-4, 1)), 0, ("other seed", "u₁ 0.30")),
        (((1e-4, 1), (1e-4, 2), (1e-4, 1)), 2, ("other seed of a", "u₁ 0.30")),
        (((1e-4, 1), (1e-3, 1), (1e-4, 1)), 0, ("10× rate",)),
        (((1e-4, 1), (2.5e-5, 1), (1e-4, 1)), 2, ("1/4 rate of a",)),
        (((1e-4, 1), (1e-3, 2), (1e-4, 1)), 0, ("other seed and rate",)),
        (((1e-4, 1), (1e-4, 1), (1e-4, 1)), 0, ()),
    ],
)
def test_another_run_of_a_method(runs, nearest, reasons):
    found = made("abc", cosine=0.1, u1={PAIR: 0.3, ("b", "c"): 0.3}, origins=origins(*runs))
    assert why(found, 1, nearest) == reasons
    assert why(found, 0, 2) == why(found, 2, 0) == ()


def test_a_run_that_differs_in_one_thing_comes_before_one_that_differs_in_two():
    found = made("abcde", cosine=0.1, origins=origins((1e-3, 2), (1e-4, 1), (1e-3, 1), *[(1e-4, 1)] * 2))
    assert {i: (v.change, {v.a, v.b} - {i}) for i, v in variants(found).items()} == {
        0: ("seed", {2}), 2: ("learning rate", {1}),
    }  # fmt: skip


def test_what_is_wrong_with_one_is_said_first():
    found = made("abc", cosine=0.1, norm={"a": 0.0, "b": 1.0, "c": nan})
    infos = (*found.adapters[:2], replace(found.adapters[2], scale="unknown"))
    found = replace(found, adapters=infos)
    assert why(found, 0, None) == ("ΔW is zero",)
    assert why(found, 1, None) == ("nothing to compare",)
    assert why(found, 2, None) == ("nothing to compare", "scale unknown")
    assert why(found, 2, 0) == ("scale unknown",)
    assert why(found, 1, 0) == ()
    assert why(study(("a",), norm={"a": 1.0}), 0, None) == ()
    assert why(made(cosine=nan), 0, None) == ("nothing to compare",)


@pytest.mark.parametrize(
    ("starts", "reasons"), [("ffg", ((), (), ("other start of A",))), ("fgh", ((), (), ())), ("fff", ((), (), ()))]
)
def test_another_start_beside_a_group_of_one(starts, reasons):
    kin = [Origin(method, a0=start) for method, start in zip(("sft", "dpo", "kto"), starts, strict=True)]
    pairs = list(combinations("abc", 2))
    overlaps = {(a, b): 1.0 if starts["abc".index(a)] == starts["abc".index(b)] else 0.02 for a, b in pairs}
    found = made("abc", cosine=0.1, origins=kin, row_space_overlap=overlaps)
    assert tuple(why(found, i, (i + 1) % 3) for i in range(3)) == reasons
    assert why(found, 2, None) == ("nothing to compare",)


def test_of_two_runs_as_usual_the_later_is_the_other_one():
    found = made(cosine=0.1, origins=origins((1e-4, 1), (1e-4, 2)))
    assert list(variants(found)) == [1]
    assert list(variants(made(cosine=0.1, origins=origins((1e-4, 1), (1e-4, 1))))) == []
