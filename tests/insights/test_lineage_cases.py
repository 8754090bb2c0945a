"""Kinship and sensitivity of numbers as given: order, gaps, ties, thresholds."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from inspector.insights.lineage import Lineage, kinship, lineage
from inspector.insights.sensitivity import difference, spreads, variations
from inspector.study.provenance import Origin
from tests.insights.findings.published import study


def of_numbers(origins, norm=None, **pairs):
    names = tuple("abcd"[: len(origins)])
    adapters = {"norm": dict(zip(names, norm, strict=True))} if norm else {}
    by_pair = {metric: {tuple(pair): value for pair, value in of.items()} for metric, of in pairs.items()}
    return study(names, origins=origins, **adapters, **by_pair)


SLOW, FAST = Origin("sft", 1e-4, 1, 1, "f"), Origin("sft", 1e-3, 1, 1, "f")


@pytest.mark.parametrize(
    ("origins", "norm", "order", "ratio"),
    [
        ((SLOW, FAST), (3.0, 2.0), (0, 1), 2 / 3),
        ((FAST, SLOW), (3.0, 2.0), (1, 0), 1.5),
        ((SLOW, SLOW), (3.0, 2.0), (1, 0), 1.5),
        ((SLOW, SLOW), (2.0, 3.0), (0, 1), 1.5),
        ((SLOW, SLOW), (2.0, 2.0), (0, 1), 1.0),
        ((SLOW, SLOW), (0.02, 0.03), (0, 1), 1.5),
        ((SLOW, SLOW), (0.0, 2.0), (0, 1), np.nan),
        ((SLOW, SLOW), (0.0, 0.0), (0, 1), np.nan),
        ((SLOW, FAST), (np.nan, 2.0), (0, 1), np.nan),
    ],
)
def test_which_of_two_runs_comes_first(origins, norm, order, ratio):
    (found,) = variations(of_numbers(origins, norm, cosine={"ab": 0.5}))
    assert (found.a, found.b) == order
    assert found.norm_ratio == pytest.approx(ratio, nan_ok=True)


@pytest.mark.parametrize(
    ("angles", "ends"),
    [
        ((5.0, 20.0, 80.0), (5, 80)),
        ((5.0, 20.0, np.nan), (5, 20)),
        ((5.0, np.nan, np.nan), (5, 5)),
        ((np.nan,) * 3, (np.nan,) * 2),
    ],
)
def test_the_ends_of_the_angles_of_two_runs(angles, ends):
    (found,) = variations(of_numbers((SLOW, SLOW), (1.0, 2.0), principal_angle={"ab": np.array(angles)}))
    assert (found.angle, found.worst_angle) == pytest.approx(ends, nan_ok=True)


def test_numbers_of_two_runs_are_the_pairs_own():
    pairs = {"ab": 0.1, "ac": 0.2, "bc": 0.3}
    found = variations(of_numbers((SLOW, Origin("dpo"), FAST), (1.0, 1.0, 5.0), cosine=pairs, u1=pairs, v1=pairs))
    (one,) = found
    assert (one.method, one.a, one.b, one.cosine, one.u1, one.v1, one.norm_ratio) == ("sft", 0, 2, 0.2, 0.2, 0.2, 5.0)


def test_spreads_of_what_is_known():
    """A pair without a number counts in neither; a group of one has nothing within."""
    rates = [replace(SLOW, lr=lr) for lr in (1e-4, 1e-4, 1e-4, 2e-4)]
    given = {"ab": 0.2, "ac": np.nan, "bc": 0.6, "ad": -0.1, "bd": 0.3, "cd": np.nan}
    one, other = spreads(of_numbers(rates, cosine=given), "lr")
    assert (one.group, one.members, other.group, other.members) == ("lr 0.0001", (0, 1, 2), "lr 0.0002", (3,))
    assert (one.within, one.between) == (pytest.approx((0.4, 0.2, 0.6)), pytest.approx((0.1, -0.1, 0.3)))
    assert (len(other.within), other.between) == (3, pytest.approx((0.1, -0.1, 0.3)))
    assert np.isnan(other.within).all()


def test_a_run_and_its_own_checkpoint_are_no_pair():
    """Two of one source are: nothing tells that one is a step of the other."""
    given = {"ab": 0.9, "ac": 0.1, "ad": 0.2, "bc": 0.3, "bd": 0.4, "cd": 0.5}
    found = of_numbers([SLOW] * 4, cosine=given)
    sources = zip(found.adapters, ("out", "out/checkpoint-9", "org/repo", "org/repo"), strict=True)
    (one,) = spreads(replace(found, adapters=tuple(replace(info, source=source) for info, source in sources)), "method")
    assert one.within == pytest.approx((0.3, 0.1, 0.5))


def test_adapters_of_no_known_method_are_no_group():
    found = of_numbers((Origin(), Origin(), SLOW), cosine={"ab": 0.2})
    unknown, sft = spreads(found, "method")
    assert (unknown.group, unknown.members, sft.group) == ("?", (0, 1), "sft")
    assert np.isnan([*unknown.within, *unknown.between, *sft.between]).all()
    assert variations(found) == ()


@pytest.mark.parametrize(
    ("origins", "said"),
    [
        ((Origin("sft"), Origin("sft")), "same method"),
        ((Origin("sft"), Origin("dpo")), "other method"),
        ((Origin("sft"), Origin()), ""),
        ((Origin(), Origin("sft")), ""),
        ((Origin("sft", 1e-4, 1), Origin("sft", 1e-4, 2)), "same method, other seed"),
        ((Origin("sft", 1e-4, 1), Origin("sft", 1e-3, 1, a0="f")), "same method, other learning rate"),
        ((Origin("", 1e-4, 1, a0="f"), Origin("", 1e-3, 2, a0="f")), "other seed and learning rate, same start of A"),
        ((Origin("", a0="f"), Origin("", a0="g")), "other start of A"),
    ],
)
def test_what_is_known_to_tell_two_runs_apart(origins, said):
    assert difference(of_numbers(origins, cosine={"ab": 0.5}), 0, 1) == said


@pytest.mark.parametrize(
    ("overlap", "groups"),
    [
        ({"ad": 0.9, "bc": 0.9, "bd": 0.1}, ((0, 3), (1, 2))),
        ({"bc": 0.9, "cd": 0.9, "bd": 0.1}, ((1, 2, 3), (0,))),
        ({"cd": 0.8, "ab": 0.79}, ((2, 3), (0,), (1,))),
        ({"ab": np.nan, "cd": np.nan}, ((0,), (1,), (2,), (3,))),
    ],
)
def test_groups_of_a_start_are_in_order(overlap, groups):
    assert lineage(of_numbers([Origin()] * 4, row_space_overlap=overlap)).groups == groups


def test_the_chance_of_a_study_is_the_largest_of_its_pairs():
    levels = np.array([[np.nan, 0.1, 0.3], [0.1, np.nan, np.nan], [0.3, np.nan, np.nan]])
    found = Lineage(levels, levels, levels, ("",) * 3, ())
    assert (found.chance, found.by_chance) == (0.3, "0.10 to 0.30")


def test_groups_are_apart_if_every_pair_is():
    near = {"ab": 0.9, "cd": 0.9, "ac": 0.02, "ad": 0.02, "bc": 0.02, "bd": 0.5}
    found = lineage(of_numbers([Origin()] * 4, row_space_overlap=near))
    assert not found.apart((0, 1), (2, 3))
    assert found.apart((0, 1), (2,))
    assert found.apart((0,), (2, 3))


def test_the_members_of_a_group_are_in_order():
    """8 comes before 1 in a set of whole numbers."""
    names = tuple("abcdefghi")
    of_pairs = dict.fromkeys(combinations(names, 2), 0.02) | {("b", "i"): 0.9}
    assert lineage(study(names, row_space_overlap=of_pairs)).groups[0] == (1, 8)


def test_without_overlaps_there_is_no_lineage():
    assert lineage(of_numbers([Origin("x", a0="f")] * 2, cosine={"ab": 0.5})) is None
    known = of_numbers([Origin()] * 2, row_space_overlap={"ab": 0.9})
    assert lineage(known).kinship(0, 1) == "same start or run"
    without = {key: values for key, values in known.blocks.items() if key[0] != "row_space_overlap_chance"}
    found = lineage(replace(known, blocks=without))
    assert (found.by_chance, np.isnan(found.chance)) == ("n/a", True)
    assert found.kinship(0, 1) == "unclear"


@pytest.mark.parametrize(
    ("overlap", "chance", "said"),
    [
        (0.8, 0.02, "same start or run"),
        (0.79, 0.02, "unclear"),
        (0.9, 0.3, "unclear"),
        (0.9, 0.29, "same start or run"),
        (np.nan, 0.5, None),
    ],
)
def test_kinship_at_its_thresholds(overlap, chance, said):
    assert kinship(overlap, chance) == said


@pytest.mark.parametrize(
    ("starts", "overlap", "said"),
    [
        (("f", ""), 0.25, "unclear"),
        (("", "f"), 0.25, "unclear"),
        (("", ""), 0.25, "unclear"),
        (("f", "g"), 0.25, "different"),
        (("f", "f"), 0.25, "same start or run"),
        (("f", "g"), 0.9, "same start or run"),
        (("f", ""), 0.02, "different"),
    ],
)
def test_digests_decide_only_where_both_are_known(starts, overlap, said):
    found = lineage(of_numbers([Origin("m", a0=start) for start in starts], row_space_overlap={"ab": overlap}))
    assert found.kinship(0, 1) == found.kinship(1, 0) == said
