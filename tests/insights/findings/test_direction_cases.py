"""Directions of small studies: every threshold from both sides, either sign, ties, gaps, and where cosines dip."""

# ruff: noqa: E501 - the sentences stand whole

import time
from itertools import combinations

import numpy as np
import pytest

from inspector.geometry.interference import classify
from inspector.insights.findings.directions import clusters
from tests.insights.findings.published import below, marked, study, takeaways_of, with_layers

NAN = np.nan


def cosines(names, default, **given):
    """Every pair's cosine: `ab=0.9` for a and b, the rest the default."""
    return {(a, b): given.get(a + b, default) for a, b in combinations(names, 2)}


def said(names, default=NAN, layers=None, **given):
    pairs = cosines(names, default, **given)
    found = study(tuple(names), cosine=pairs)
    if layers is not None:
        some = layers if isinstance(layers, dict) else dict.fromkeys(pairs, layers)
        count = len(next(iter(some.values())))
        found = with_layers(study(tuple(names), cosine=pairs, layers=count), "cosine", some)
    return marked(found, "direction")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.9, ["a and b are one direction"]),
        (below(0.9), ["a and b go mostly the same way"]),
        (0.7, ["a and b go mostly the same way"]),
        (below(0.7), ["a and b share part of their direction"]),
        (0.4, ["a and b share part of their direction"]),
        (below(0.4), []),
        (0.2, []),
        (below(0.2), ["a stands apart: its largest cosine is 0.20, to b"]),
        (0.0, ["a stands apart: its largest cosine is 0.00, to b"]),
        (-0.09, ["a stands apart: its cosine largest in size is −0.09, to b"]),
        (-0.1, ["a stands apart: its cosine largest in size is −0.10, to b", "a and b oppose each other in part"]),
        (-0.25, ["a and b oppose each other in part"]),
        (below(-0.9), ["a and b oppose each other"]),
        (-0.89, ["a and b oppose each other in part"]),
        (NAN, []),
    ],
)
def test_two_by_their_cosine(value, words):
    assert [text.removesuffix(".").partition(": cosine")[0] for text in said("ab", value)] == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.4, []),
        (below(0.4), ["a is close to none of the others: its largest cosine is 0.40, to b."]),
        (0.2, ["a is close to none of the others: its largest cosine is 0.20, to b."]),
        (below(0.2), ["a stands apart: its largest cosine is 0.20, to b."]),
        (-0.3, ["a is close to none of the others: its cosine largest in size is −0.30, to b."]),
        (-0.4, []),
    ],
)
def test_one_of_three_that_is_far_from_both(value, words):
    texts = said("abc", ab=value, ac=0.05, bc=0.5)
    assert [text for text in texts if text.startswith(("a stands", "a is"))] == words


@pytest.mark.parametrize(
    ("names", "given", "sentences"),
    [
        (  # two clusters within a looser one: nothing is said between them
            "abcd", {"default": 0.75, "ab": 0.95, "cd": 0.99},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.99.",
             "a, b, c and d go mostly the same way: cosine 0.75 to 0.99."],
        ),
        (  # a cluster within one of two looser ones
            "abcde", {"default": 0.3, "ab": 0.95, "ac": 0.8, "bc": 0.8, "de": 0.85},
            ["a and b are one direction: cosine 0.95.", "a, b and c go mostly the same way: cosine 0.80 to 0.95.",
             "d and e go mostly the same way: cosine 0.85.",
             "a, b and c are closer to each other than to d and e: cosine 0.30."],
        ),
        (  # members that join in another order than theirs
            "abcd", {"default": 0.95, "ad": 0.99, "bc": 0.98},
            ["a, b, c and d are one direction: cosine 0.95 to 0.99."],
        ),
        (  # apart means that both signs are small
            "abcd", {"default": -0.05, "ab": 0.95, "cd": 0.95, "ac": 0.19, "bd": -0.09},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95.",
             "a and b are apart from c and d: cosine −0.09 to 0.19."],
        ),
        (
            "abcd", {"default": 0.1, "ab": 0.95, "cd": 0.95, "ad": 0.2},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95.",
             "a and b are closer to each other than to c and d: cosine 0.10 to 0.20."],
        ),
        (
            "abcd", {"default": 0.6, "ab": 0.95, "cd": 0.95, "ad": 0.4},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95.",
             "a and b share part of their direction with c and d: cosine 0.40 to 0.60."],
        ),
        (
            "abcd", {"default": 0.6, "ab": 0.95, "cd": 0.95, "ad": below(0.4)},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95.",
             "a and b are closer to each other than to c and d: cosine 0.40 to 0.60."],
        ),
        (  # what was not measured between the first two says nothing, and hides nothing
            "abcdef", {"default": 0.5, "ab": 0.95, "cd": 0.95, "ef": 0.95, "ac": NAN, "ad": NAN, "bc": NAN, "bd": NAN, "ae": NAN},
            ["a and b are one direction: cosine 0.95.", "c and d are one direction: cosine 0.95.", "e and f are one direction: cosine 0.95.",
             "a and b share part of their direction with e and f: cosine 0.50.",
             "c and d share part of their direction with e and f: cosine 0.50."],
        ),
        (  # one that goes part of the way, with every member or not at all; of loners no pair beside a cluster
            "abcde", {"default": 0.1, "ab": 0.95, "ac": 0.4, "bc": 0.6, "ad": below(0.4), "bd": 0.6, "de": 0.5},
            ["a and b are one direction: cosine 0.95.", "c goes part of the way with a and b: cosine 0.40 to 0.60."],
        ),
        (
            "abc", {"default": 0.3, "ac": 0.5},
            ["a and c share part of their direction: cosine 0.50.",
             "b is close to none of the others: its largest cosine is 0.30, to a."],
        ),
    ],
)  # fmt: skip
def test_clusters_and_who_lies_how_to_them(names, given, sentences):
    assert said(names, **given) == sentences


@pytest.mark.parametrize(
    ("names", "given", "sentences"),
    [
        (  # what is one direction opposes as one
            "abcd", {"default": -1, "ab": 1, "cd": 0.95},
            ["a and b are one direction: cosine 1.00.", "c and d are one direction: cosine 0.95.",
             "a and b oppose c and d: cosine −1.00."],
        ),
        (
            "abc", {"default": -0.95, "ab": 1, "bc": -0.5},
            ["a and b are one direction: cosine 1.00.", "a and b oppose c in part: cosine −0.95 to −0.50."],
        ),
        (
            "abc", {"default": -1, "bc": 1},
            ["b and c are one direction: cosine 1.00.", "a opposes b and c: cosine −1.00."],
        ),
        (  # where not every pair of the groups does, each that does by itself
            "abc", {"ab": 1, "ac": -0.1, "bc": -0.09},
            ["a and b are one direction: cosine 1.00.",
             "c stands apart: its cosine largest in size is −0.10, to a.",
             "a and c oppose each other in part: cosine −0.10."],
        ),
    ],
)  # fmt: skip
def test_opposites_are_told_together(names, given, sentences):
    assert said(names, **given) == sentences


@pytest.mark.parametrize(("pairs", "told", "last"), [(5, 5, "i and j oppose each other: cosine −1.00."), (
    6, 5, "2 other pairs oppose each other, at least in part: cosine −1.00: i-j, k-l."
)])  # fmt: skip
def test_of_many_opposites_the_last_share_a_sentence(pairs, told, last):
    names = "abcdefghijkl"[: 2 * pairs]
    texts = said(names, default=0.3, **{names[at : at + 2]: -1 for at in range(0, len(names), 2)})
    assert sum("oppose" in text for text in texts) == told
    assert texts[-1] == last


def test_nobody_stands_apart_from_one_it_reinforces():
    """`apart` ends where the class of the pair's interference begins."""
    for value in (below(0.2), 0.2):
        apart = any("stands apart" in text for text in said("ab", value))
        assert apart is (classify(value, overlap=0.01, chance=0.01) == "independent")


def test_the_closest_join_first():
    cosine = np.array([[1, 0.92, 0.85], [0.92, 1, 0.99], [0.85, 0.99, 1]])
    assert clusters(cosine, 0.9) == [(1, 2)]
    assert clusters(cosine[::-1, ::-1], 0.9) == [(0, 1)]
    assert clusters(cosine, 0.85) == [(0, 1, 2)]


def test_what_of_one_is_orthogonal_to_the_nearest():
    pairs = cosines("abc", 0.95, ac=0.45, bc=0.55)
    found = study(("a", "b", "c"), cosine=pairs, orthogonal_fraction_global={("a", "c"): 0.89, ("b", "c"): 0.84})
    one = takeaways_of(found, "direction")[1]
    assert (
        one.text == "c goes part of the way with a and b: cosine 0.45 to 0.55; 0.84 of its length is orthogonal to b."
    )
    assert [(n.metric, n.a, n.b, n.value) for n in one.numbers] == [
        ("cosine", "c", "a", 0.45), ("cosine", "c", "b", 0.55), ("orthogonal_fraction_global", "c", "b", 0.84),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([0.96, 0.9, 0.96], "They part most in layer 1: mean cosine 0.90 in layer 1, 0.96 in the median layer."),
        ([0.96, 0.9], ""),  # of two layers none is usual
        ([0.95, 0.95, 0.95 - 0.05], ""),
        ([0.95, 0.95, below(0.95 - 0.05)], "They part most in layer 2: mean cosine 0.90 in layer 2, 0.95 in the median layer."),
        ([0.95] * 4 + [0.8, 0.7], "They part most in layers 4 and 5: mean cosine 0.70 in layer 5, 0.95 in the median layer."),
        ([0.95] * 3 + [0.8, 0.7], ""),  # more than a third of the layers is not a dip
        ([0.95, 0.95, 0.95], ""),
        ([0.95, 0.95, 0.95, 0.95, 0.95, 0.6, 0.8], "They part most in layers 5 and 6: mean cosine 0.60 in layer 5, 0.95 in the median layer."),
        ([NAN, 0.95, 0.95, 0.95, 0.5], "They part most in layer 4: mean cosine 0.50 in layer 4, 0.95 in the median layer."),
    ],
)  # fmt: skip
def test_where_a_cluster_parts(layers, sentence):
    assert said("ab", 0.95, layers)[1:] == ([sentence] if sentence else [])


def test_a_dip_is_of_the_mean_and_names_the_pair_that_parts_most():
    by_layer = {("a", "b"): [0.9, 0.9, 0.9, 0.8], ("a", "c"): [0.9, 0.9, 0.9, 0.2], ("b", "c"): [0.9, 0.9, 0.9, 0.5]}
    found = with_layers(study(tuple("abc"), cosine=cosines("abc", 0.95), layers=4), "cosine", by_layer)
    dip = takeaways_of(found, "direction")[1]
    assert dip.text.endswith("mean cosine 0.50 in layer 3, 0.90 in the median layer.")
    assert [(n.value, n.a, n.b, n.layer) for n in dip.numbers] == [
        (0.2, "a", "c", 3), (pytest.approx(0.5), "mean of their pairs", "", 3),
        (pytest.approx(0.9), "that mean, median layer", "", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "where"),
    [
        ([0.1, -0.3, 0.2], " (−0.30 in layer 1)."),
        ([0.1, 0.2, -0.1], " (0.20 in layer 1)."),
        ([0.1, -0.2, 0.1], " (−0.20 in layer 1)."),
        ([0.1, below(0.2), 0.0], ", and below 0.20 in every layer."),
        ([NAN, -0.1, 0.3], " (0.30 in layer 2)."),
        ([NAN, NAN, NAN], "."),
    ],
)
def test_the_layer_in_which_two_that_are_apart_come_nearest(layers, where):
    assert said("ab", 0.05, layers) == [f"a stands apart: its largest cosine is 0.05, to b{where}"]


def by_definition(cosine, least):
    """Complete linkage, every link of every step worked out anew; of equal links the last."""
    groups = [(i,) for i in range(len(cosine))]
    while True:
        links = [(cosine[np.ix_(g, h)].min(), g, h) for g, h in combinations(groups, 2)]
        near = [link for link in links if link[0] >= least]
        if not near:
            return [group for group in groups if len(group) > 1]
        _, g, h = max(near)
        groups = sorted([*(group for group in groups if group not in {g, h}), tuple(sorted(g + h))])


@pytest.mark.parametrize("seed", range(20))
def test_clusters_are_those_of_the_definition(seed):
    """Also among equal cosines, where some are not known, and where one half differs from the other by rounding."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(11, 3))
    cosine = vectors @ vectors.T / 4
    cosine = np.round(cosine, 1) if seed % 2 else cosine
    unknown = np.triu(rng.random(cosine.shape) < 0.1)
    cosine[unknown | unknown.T] = np.nan
    known = np.where(np.isnan(cosine), -np.inf, cosine)
    rounded = cosine * (1 - 1e-15 * np.tril(rng.random(cosine.shape) < 0.5))  # as sums taken the other way round
    for least in (0.0, 0.3, 0.7):
        assert clusters(cosine, least) == by_definition(known, least)
        assert clusters(rounded, least - 1e-9) == by_definition(known, least - 1e-9) or seed % 2


def test_clusters_of_a_thousand_take_no_time():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 64)).repeat(20, 0) + 0.3 * rng.normal(size=(1000, 64))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    started = time.process_time()
    assert [len(group) for group in clusters(vectors @ vectors.T, 0.7)] == [20] * 50
    assert time.process_time() - started < 2
