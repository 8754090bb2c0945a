"""Who is in which group of the overview, in which order, and beside whom: every threshold, ties, what is not known."""

from dataclasses import replace
from itertools import combinations
from math import inf, nan, nextafter

import numpy as np
import pytest

from inspector.insights.order import blocks, similarity_order
from inspector.insights.overview import facts, in_blocks, measured, overview
from inspector.insights.overview.groups import comparable_cosines, groups, nearest_to
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from tests.insights.findings.published import below, study


def above(value):
    return nextafter(value, inf)


def of(text, least=0.0, **more):
    """A study of adapters a, b, …: `ab.9 ac.5`, all others with a cosine of `least`."""
    pairs = {(entry[0], entry[1]): float(entry[2:]) for entry in text.split()}
    names = sorted({name for pair in pairs for name in pair})
    return study(names, cosine=dict.fromkeys(combinations(names, 2), least) | pairs, **more)


def shape(found, who=None):
    """`ab~c -d`: groups with those partly like them, then those alone."""
    made, alone = groups(found, range(len(found.names)) if who is None else who, lambda _one, _other: ())
    parts = [
        "~".join("".join(found.names[e.index] for e in side) for side in (g.entries, g.partly) if side) for g in made
    ]
    return " ".join([*parts, "".join(["-" * bool(alone), *(found.names[entry.index] for entry in alone)])]).strip()


@pytest.mark.parametrize(
    ("cosines", "wanted"),
    [
        ("ab0.7", "ab"), (f"ab{below(0.7)!r}", "-ab"),
        ("ab.7 ac.4 bc.4", "ab~c"), (f"ab.7 ac.4 bc{below(0.4)!r}", "ab -c"), ("ab.7 ac.9 bc.6", "ac~b"),
        ("ab.7 ac.4 bcnan", "ab -c"), ("ab.7 ac.7 bcnan", "ac -b"),
        ("ab.9 cd.8 ac.1 bd.1", "ab cd"), ("cd.9 ab.8 ac.1", "ab cd"), ("bc.8 bd.8 cd.8 ae.99", "bcd ae"),
        ("ab.9 cd.8 ae.5 be.5 ce.6 de.6", "ab cd~e"), ("ab.9 cd.8 ae.5 be.5 ce.5 de.5", "ab~e cd"),
        ("ab.9 ac.5 bc.5 ad.6 bd.6 cd.1", "ab~dc"),
    ],
)  # fmt: skip
def test_who_belongs_together(cosines, wanted):
    assert shape(of(cosines)) == wanted


@pytest.mark.parametrize(("least", "tight"), [(0.9, True), (below(0.9), False)])
def test_a_group_is_tight_by_its_least_cosine(least, tight):
    (group,) = groups(of(f"ab.95 ac.97 bc{least!r}"), (0, 1, 2), lambda _one, _other: ())[0]
    assert (group.low, group.high, group.tight) == (least, 0.97, tight)


@pytest.mark.parametrize(
    ("norms", "order"),
    [((1.0, 2.0, 3.0), "cba"), ((1.0, 1.0, 1.0), "abc"), ((1.0, nan, 0.0), "acb"), ((nan, nan, nan), "abc")],
)
@pytest.mark.parametrize("cosine", [0.9, 0.0])
def test_those_that_moved_farthest_come_first(norms, order, cosine):
    found = of("ab.0 bc.0", norm=dict(zip("abc", norms, strict=True)))
    pairs = dict.fromkeys(combinations("abc", 2), cosine)
    assert shape(replace(found, blocks=found.blocks | study("abc", cosine=pairs).blocks)) == (
        "-" * (cosine < 0.7) + order
    )


@pytest.mark.parametrize(
    ("row", "nearest"),
    [
        ([nan, 0.3, 0.2], 1),
        ([nan, 0.2, 0.2], 1),
        ([nan, 0.05, -0.1], 1),
        ([nan, 0.5, -0.51], 1),
        ([nan, nan, -0.05], 2),
        ([nan, nan, nan], None),
        ([1.0, 0.1, nan], 1),
    ],
)
def test_the_nearest_has_the_highest_cosine(row, nearest):
    assert nearest_to(np.array([row, row, row]), 0) == nearest


@pytest.mark.parametrize(
    ("cosines", "outputs", "nearest", "near"),
    [
        ("ab.2 ac.1", {"ab": 0.1, "ac": 0.9}, ("b", 0.2), True),
        ("ab.19 ac.1", {"ab": 0.1, "ac": 0.4}, ("c", 0.1), True),
        ("ab.19 ac.1", {"ab": 0.1, "ac": 0.39}, ("b", 0.19), False),
        ("ab.19 ac.1", {}, ("b", 0.19), False),
    ],
)
def test_of_those_apart_the_nearest_writes_to_the_same_outputs(cosines, outputs, nearest, near):
    """Another start of A makes cosines small; output similarity from 0.4 on tells whose run it is like."""
    pairs = {"output_similarity": {tuple(pair): value for pair, value in outputs.items()}} if outputs else {}
    found = of(cosines, norm=dict.fromkeys("abc", 1.0), **pairs)
    _, alone = groups(found, range(3), lambda _one, _other: ())
    (entry,) = (entry for entry in alone if entry.index == 0)
    assert (found.names[entry.nearest], entry.cosine, entry.near) == (*nearest, near)


def test_only_adapters_of_one_base_and_those_asked_for_are_compared():
    found = of("ab.9 ac.9 bc.9 ad.9 bd.9 cd.9")
    bases = ("x/one", "y/two", "z/One", "")
    found = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    assert np.argwhere(np.isfinite(comparable_cosines(found, range(4)))).tolist() == [[0, 2], [2, 0]]
    assert shape(found) == "ac -bd"
    assert shape(found, (0, 1)) == "-ab"
    bases = ("x/one", "x/one", "", "x/one")
    one = replace(found, adapters=tuple(replace(a, base=b) for a, b in zip(found.adapters, bases, strict=True)))
    assert shape(one, (0, 1, 2)) == "abc"


def test_letters_go_on_after_the_alphabet():
    names = [f"{n:02}{side}" for n in range(28) for side in "xy"]
    pairs = {pair: float(pair[0][:2] == pair[1][:2]) for pair in combinations(names, 2)}
    made, _ = groups(study(names, cosine=pairs), range(56), lambda _one, _other: ())
    assert [group.letter for group in made][::9] == ["A", "J", "S", "B2"]
    assert [made[n].letter for n in (25, 26)] == ["Z", "A2"]


def test_blocks_are_the_order_of_the_overview():
    found = of("ad.9 ab.5 bd.5 ce.0", norm=dict(zip("abcde", (1, 1, 1, 2, 3), strict=True)))
    assert blocks(found, range(5)) == (((3, 0, 1),), (4, 2))
    assert blocks(found, (0, 3)) == (((3, 0),), ())
    assert blocks(found, (2,)) == ((), (2,))
    assert overview(found).order == (3, 0, 1, 4, 2)
    assert in_blocks(found).names == ("d", "a", "b", "e", "c")
    mixed = of("ac.9 bc.9")
    infos = (replace(mixed.adapters[0], name="ref.x"), *mixed.adapters[1:])
    assert in_blocks(replace(mixed, adapters=infos)).names == ("b", "c", "ref.x")


@pytest.mark.parametrize(
    ("similarity", "order"),
    [
        ([], ()), ([[1]], (0,)), ([[1, 0], [0, 1]], (0, 1)),
        ([[1, 0, 0.9], [0, 1, 0.1], [0.9, 0.1, 1]], (0, 2, 1)),
        ([[1, nan, 0.9], [nan, 1, nan], [0.9, nan, 1]], (0, 2, 1)),
        ([[nan] * 3] * 3, (0, 1, 2)),
        ([[1, nan, -0.9], [nan, 1, nan], [-0.9, nan, 1]], (0, 2, 1)),
    ],
)  # fmt: skip
def test_order_by_similarity(similarity, order):
    assert similarity_order(np.array(similarity, dtype=float)) == order


def test_a_larger_cluster_weighs_by_its_members():
    """c is at .5, .5 to a and b (mean .5) and d at .8, .1 (.45): joined by means of all pairs, c comes next, not d."""
    s = np.eye(4)
    for (i, j), value in {(0, 1): 0.9, (0, 2): 0.5, (1, 2): 0.5, (0, 3): 0.8, (1, 3): 0.1, (2, 3): 0.2}.items():
        s[i, j] = s[j, i] = value
    found = similarity_order(s)
    assert found == (2, 1, 0, 3)


def test_the_mean_of_a_joined_group_is_no_sum():
    """c is at .31 and .29 to a and b, and at .45 and .5 to d and e, which are joined first and then with c."""
    s = np.eye(5)
    for (i, j), value in {
        (0, 1): 0.9, (3, 4): 0.8, (0, 2): 0.31, (1, 2): 0.29, (2, 3): 0.45, (2, 4): 0.5, (0, 3): 0.35,
    }.items():  # fmt: skip
        s[i, j] = s[j, i] = value
    assert similarity_order(s) == (1, 0, 3, 4, 2)


# What they have in common


def test_facts():
    found = of("ab.9 bc.1", layers=2)
    assert facts(found, (0, 1, 2)) == ("3 adapters of Qwen3-4B", f"rank {found.adapters[0].rank}", "q", "all healthy")
    assert facts(found, (0,))[0] == "1 adapter of Qwen3-4B"

    def with_infos(**columns):
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return replace(found, adapters=tuple(replace(a, **row) for a, row in zip(found.adapters, rows, strict=True)))

    assert facts(with_infos(base=("x/one", "y/two", "")), (0, 1, 2))[0] == "3 adapters of 2 bases"
    assert facts(with_infos(base=("x/one", "", "")), (0, 1, 2))[0] == "3 adapters of one"
    assert facts(with_infos(base=("/local/one/", "/local/one", "")), (0, 1, 2))[0] == "3 adapters of one"
    assert facts(with_infos(base=("", "", "")), (0, 1, 2))[0] == "3 adapters"
    assert facts(with_infos(ranks=((8,), (8,), (8,))), (0, 1, 2))[1] == "rank 8"
    assert facts(with_infos(ranks=((8,), (16,), (8,))), (0, 1, 2))[1] == "several ranks"
    assert facts(with_infos(ranks=((8,), (16,), (8,))), (0, 2))[1] == "rank 8"
    ill = [(HealthIssue(kind, "x"),) for kind in ("warning", "error")]
    assert facts(with_infos(findings=((), *ill)), (0, 1, 2))[3] == "2 not healthy"
    assert facts(with_infos(findings=((), *ill)), (0, 1))[3] == "1 not healthy"


@pytest.mark.parametrize("count", [1, 7, 8])
def test_up_to_seven_projections_are_named(count):
    found = study(("a", "b"), layers=count, cosine={("a", "b"): 0.9})
    modules = tuple(ModuleId(0, f"self_attn.{'abcdefgh'[n]}_proj") for n in range(count))
    said = facts(replace(found, modules=modules), (0, 1))[2]
    assert said == (" ".join("abcdefg"[:count]) if count < 8 else "8 projections")


def test_modules_count_once_all_that_have_them_are_measured():
    found = study(("a", "b"), layers=4, cosine={("a", "b"): 0.9})
    assert measured(found) == (4, 4)
    norms = np.array([[1, nan, 1, nan], [1, 1, nan, nan]])
    found = replace(found, blocks=found.blocks | {("norm", "module"): norms})
    assert measured(found) == (1, 4)
    shapes = found.shapes.copy()
    shapes[0, 1] = 0
    found = replace(found, shapes=shapes)
    infos = (found.adapters[0], replace(found.adapters[1], excluded=(found.modules[2],)))
    assert measured(replace(found, adapters=infos)) == (3, 4)
    done = tuple(replace(info, digest="d") for info in found.adapters)
    assert measured(replace(found, adapters=done)) == (4, 4)
    assert measured(replace(found, adapters=(done[0], found.adapters[1]))) == (2, 4)
