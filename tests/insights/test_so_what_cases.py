"""The sentences that follow from the weights on the first page: every threshold from both sides."""

from math import nan

import pytest

from inspector.insights.overview import overview
from tests.insights.findings.published import below, from_layer, study, with_layers
from tests.insights.overviews import PAIR, made, one_with, origins, said

APART = "No two hold one update"


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (1, "A holds 2 variants of one update: keep one, by accuracy."),
        (2, "A holds 2 variants of one update, B 2: keep one of each, by accuracy."),
        (4, "A holds 2 variants of one update, B 2, C 2, D 2: keep one of each, by accuracy."),
        (5, "A holds 2 variants of one update, B 2, C 2, D 2, …: keep one of each, by accuracy."),
    ],
)
def test_groups_without_a_measurement(groups, text):
    names = "abcdefghij"[: 2 * groups]
    found = made(names, cosine=0.0, pairs={names[n : n + 2]: 0.9 - n / 100 for n in range(0, 2 * groups, 2)})
    first = overview(found).so_what[0]
    assert first.text == text
    values = [number.value for number in first.numbers]
    assert values == sorted(values)
    assert len(values) == groups


def test_without_a_group_the_largest_cosine_is_named():
    assert (
        said(made("abc", cosine=0.1, pairs={"bc": below(0.7)}))[0]
        == f"{APART}: the largest cosine is 0.70, of b and c."
    )
    assert not any(APART in text for text in said(made(cosine=nan)))
    assert said(study(("a",), norm={"a": 1.0})) == [
        "a stands alone here: open another adapter to compare it with.",
        "Weights only: loss, hidden states and accuracy are not measured.",
    ]


def by_layer(*values, cosine=0.9, first=5, **more):
    found = from_layer(made(cosine=cosine, layers=len(values), **more), first)
    return with_layers(found, "cosine", {PAIR: list(values)})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1.0, 0.75, 1.0), "differ most in layer 6: cosine 0.75, elsewhere 1.00."),
        ((1.0, 0.95, 1.0), "differ most in layer 6: cosine 0.95, elsewhere 1.00."),
        ((1.0, 0.9501, 1.0), "differ alike in every layer: cosine 0.95 to 1.00."),
        ((nan, 0.5, 0.2, 0.5), "differ most in layer 7: cosine 0.20, elsewhere 0.50."),
        ((0.2, 0.5, 0.2, 0.5, 0.5), "differ most in layer 5: cosine 0.20, elsewhere 0.50."),
        ((0.5, 0.5, 0.5), "differ alike in every layer: cosine 0.50."),
    ],
)
def test_where_two_differ_most(values, text):
    assert one_with("differ", by_layer(*values)).text == f"The members of A {text}"


def test_layers_say_nothing_of_two_or_of_none_that_is_known():
    assert one_with("differ", by_layer(1.0, 0.2)) is None
    assert one_with("differ", by_layer(nan, nan, nan)) is None
    assert one_with("differ", made(layers=4)) is None


@pytest.mark.parametrize(("cosine", "there"), [(0.4, True), (below(0.4), False)])
def test_without_a_group_layers_are_those_of_the_nearest_two(cosine, there):
    found = one_with("differ", by_layer(0.5, 0.2, 0.5, cosine=cosine))
    assert (found is not None) is there
    assert not there or found.text == "a and b differ most in layer 6: cosine 0.20, elsewhere 0.50."


def test_of_several_pairs_without_a_group_the_nearest_is_told():
    layers = {PAIR: [0.1, 0.9, 0.9], ("a", "c"): [0.9, 0.9, 0.3], ("b", "c"): [0.9, 0.2, 0.9]}
    found = made("abc", cosine=0.5, pairs={"ac": 0.6}, layers=3)
    found = one_with("differ", with_layers(found, "cosine", layers))
    assert found.text == "a and c differ most in layer 2: cosine 0.30, elsewhere 0.90."


def test_the_layer_of_a_group_is_by_the_mean_of_its_pairs_and_the_lowest_pair_is_its_evidence():
    found = with_layers(
        from_layer(made("abc", layers=3), 5), "cosine",
        {PAIR: [0.9, 0.8, 0.9], ("a", "c"): [0.9, 0.2, 0.9], ("b", "c"): [0.3, 0.2, 0.9]},
    )  # fmt: skip
    found = one_with("differ", found)
    assert found.text == "The members of A differ most in layer 6: mean cosine 0.40, elsewhere 0.70."
    first, low, usual = found.numbers
    assert (first.a, first.b, first.layer, first.value) == ("a", "c", 6, 0.2)
    assert (low.value, low.layer, usual.value) == (pytest.approx(0.4), 6, pytest.approx(0.7))


@pytest.mark.parametrize(
    ("u1", "cosine", "there"),
    [(0.5, below(0.5), True), (below(0.5), 0.1, False), (0.9, 0.5, False), (0.9, 0.1, True), (nan, 0.1, False)],
)
def test_another_seed_with_the_same_outputs(u1, cosine, there):
    found = made(cosine=cosine, u1={PAIR: u1}, origins=origins((1e-4, 1), (1e-4, 2)))
    text = f"b is another seed of a: same outputs (u₁ {u1:.2f}), cosine {cosine:.2f}."
    assert (text in said(found)) is there
    rates = made(cosine=cosine, u1={PAIR: u1}, origins=origins((1e-4, 1), (2e-4, 1)))
    assert not any("another seed" in text for text in said(rates))


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        ((1.0, 5.0), "b moved 5 times as far as a, which changes little in their sum."),
        ((5.0, 1.0), "a moved 5 times as far as b, which changes little in their sum."),
        ((1.0, below(5.0)), None),
        ((below(5.0), 1.0), None),
        ((0.1, 0.5), "b moved 5 times as far as a, which changes little in their sum."),
        ((0.5, 0.1), "a moved 5 times as far as b, which changes little in their sum."),
        ((0.0, 5.0), None),
        ((5.0, 0.0), None),
        ((nan, 5.0), None),
    ],
)
def test_who_changes_little_in_a_sum(norms, text):
    found = one_with("times as far", made(norm=dict(zip("ab", norms, strict=True))))
    assert (found and found.text) == text


def test_sizes_are_compared_within_a_group_and_with_those_partly_like_it():
    norm = {"a": 1.0, "b": 2.0, "c": 8.0}
    partly = made("abc", norm=norm, cosine=0.5, pairs={"ab": 0.9})
    assert one_with("times as far", partly).text.startswith("c moved 8 times as far as a")
    assert one_with("times as far", made("abc", norm=norm, cosine=0.1, pairs={"ab": 0.9})) is None
    two_partly = made("abcd", norm={"a": 2.0, "b": 2.0, "c": 8.0, "d": 0.5}, cosine=0.5, pairs={"ab": 0.9, "cd": 0.1})
    assert one_with("times as far", two_partly) is None, "c and d are not a pair of the group"
