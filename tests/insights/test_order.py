"""The order of adapters by what they are like, and the pairs that are shown first of many: closed forms."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from inspector.insights.first_pairs import centre, first_pairs, with_paths
from inspector.insights.order import similarity_order
from tests.insights.findings.published import study

PLACES = (0.0, 1.0, 2.5, 6.0, 7.2)


@pytest.mark.parametrize("places", permutations(PLACES))
def test_points_on_a_line_are_in_its_order(places):
    """Similarity falls with distance: whichever way clusters have to be turned round, neighbours stay side by side."""
    at = np.array(places)
    order = similarity_order(1 - np.abs(at[:, None] - at[None, :]) / 10)
    found = at[list(order)].tolist()
    assert found in (sorted(PLACES), sorted(PLACES, reverse=True))
    assert order[0] < order[-1]


COSINES = {"ab": 0.1, "ac": 0.9, "ad": 0.2, "bc": 0.5, "bd": np.nan, "cd": 0.7}


def of(cosines=COSINES, **more):
    found = study(tuple("abcd"), cosine={tuple(pair): value for pair, value in cosines.items()}, **more)
    block = found.blocks["cosine", "global"].copy()
    block[np.arange(4), np.arange(4)] = 1
    return replace(found, blocks=found.blocks | {("cosine", "global"): block})


def test_the_centre_comes_with_each_other_the_nearest_first():
    found = of()
    assert centre(found) == 2
    assert first_pairs(found) == [(0, 2), (2, 3), (1, 2)]
    assert first_pairs(found, 2) == [(0, 2), (1, 2)], "of more than fit the ends"
    assert first_pairs(of({"ab": 0.9, "cd": 0.8, "ac": np.nan, "ad": np.nan, "bc": np.nan, "bd": np.nan})) == [(0, 1)]


def test_pairs_whose_paths_were_measured_come_before():
    paths = {("a", "b"): [1.0, 2.0], ("b", "d"): [np.nan, 1.0]}
    found = of(lmc_loss=paths, alphas=(0.0, 1.0))
    assert with_paths(found) == [(0, 1), (1, 3)]
    assert first_pairs(found) == [(0, 1), (1, 3), (0, 2), (2, 3), (1, 2)]
    assert first_pairs(found, 1) == [(0, 1)]


@pytest.mark.parametrize(
    ("measured", "first"), [(7, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7)]), (8, [])]
)
def test_paths_of_more_than_a_chart_shows_were_asked_of_many(measured, first):
    names = tuple("abcdefghi")
    paths = {("a", other): [1.0, 1.0] for other in names[1 : measured + 1]}
    found = study(names, lmc_loss=paths, alphas=(0.0, 1.0))
    assert with_paths(found) == first
    assert first_pairs(found)[:7] == first or not first


def test_of_more_than_fit_they_are_spread_from_the_nearest_to_the_farthest():
    names = tuple("abcdefghi")
    cosines = {("a", other): 0.9 - n / 10 for n, other in enumerate(names[1:])}
    found = study(names, cosine=cosines)
    assert centre(found) == 0
    assert first_pairs(found) == [(0, j) for j in (1, 2, 3, 5, 6, 7, 8)]
    assert first_pairs(found, 1) == [(0, 1)]
    assert first_pairs(found, 0) == []
    assert first_pairs(found, 8) == [(0, j) for j in range(1, 9)]


def test_without_cosines_all_are_pairs_with_the_first():
    assert first_pairs(study(tuple("abc"), norm={"a": 1.0})) == [(0, 1), (0, 2)]
    assert with_paths(study(tuple("abc"), norm={"a": 1.0})) == []


def test_two_directions_of_a_similarity_count_alike():
    """a ↔ c has .9 one way and .1 the other: .5 in the mean, less than b ↔ c with .6."""
    assert similarity_order(np.array([[1, 0.2, 0.9], [0.2, 1, 0.6], [0.1, 0.6, 1]])) == (0, 2, 1)
    assert similarity_order(np.array([[1, 0.55, 0.9], [0.55, 1, 0.6], [0.1, 0.6, 1]])) == (0, 1, 2)
