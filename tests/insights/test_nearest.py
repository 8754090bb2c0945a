"""Which published adapters one's own is like, in words and in a table: thresholds from both sides, ties, gaps."""

# ruff: noqa: E501 - a case a line

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from inspector.insights.nearest import answer, comparable, nearest, own, told_subjects
from inspector.tables.nearest import resemblance_table
from tests.claims.studies import Numbers
from tests.insights.findings.published import below

NAN = np.nan


def beside(cosine, u1=(), norms=(), layers=None, mine=1.0):
    """One's own beside as many published ones as there are cosines: `ref.a`, `ref.b` …"""
    names = tuple(f"ref.{letter}" for letter in "abcdef"[: len(cosine)])
    numbers = Numbers(names=("mine", *names), layers=5)
    for name, value in zip(names, cosine, strict=True):
        numbers.put("cosine", value, "mine", name)
    for name, value in zip(names, u1, strict=False):
        numbers.put("u1", value, "mine", name)
    for name, value in zip(names, norms, strict=False):
        numbers.put("norm", value, name)
    if norms:
        numbers.put("norm", mine, "mine")
    if layers is not None:
        numbers.put("cosine", layers, "mine", names[0], scope="layer")
    study = numbers.study()
    return replace(study, blocks=study.blocks | {("u1_chance", "global"): np.array([0.0625])})


@pytest.mark.parametrize(
    ("cosine", "words"),
    [
        (0.9, "is one direction with ref.a: cosine 0.90."),
        (below(0.9), "goes mostly the same way as ref.a: cosine 0.90."),
        (0.7, "goes mostly the same way as ref.a: cosine 0.70."),
        (below(0.7), "goes part of the way with ref.a: cosine 0.70."),
        (0.4, "goes part of the way with ref.a: cosine 0.40."),
        (below(0.4), "is close to none of them: the largest cosine is 0.40, to ref.a."),
        (-0.9, "is close to none of them: the largest cosine is −0.90, to ref.a."),
        (NAN, "has nothing in common with them that could be compared."),
    ],
)
def test_how_like_by_the_largest_cosine(cosine, words):
    assert answer(beside((cosine,)), "mine") == f"mine {words}"


@pytest.mark.parametrize(
    ("cosine", "named"),
    [
        ((0.75, 0.73, 0.5), "ref.a and ref.b: cosine 0.73 to 0.75."),
        ((0.75, 0.729), "ref.a: cosine 0.75."),
        ((0.5, 0.95, 0.94, 0.935), "ref.b, ref.c and ref.d: cosine 0.94 to 0.95."),
        ((0.9, 0.9, 0.9, 0.9), "ref.a, ref.b, ref.c and ref.d: cosine 0.90."),
        ((NAN, 0.5), "ref.b: cosine 0.50."),
    ],
)
def test_those_as_near_are_named_with_it(cosine, named):
    assert answer(beside(cosine), "mine").endswith(named)


@pytest.mark.parametrize(
    ("u1", "words"),
    [
        ((0.5, 0.3), " Yet it writes to the top directions of ref.a (u₁ 0.50, 0.062 by chance), as another random start of A would."),
        ((below(0.5), 0.3), ""),
        ((0.6, 0.585, 0.57), " Yet it writes to the top directions of ref.a and ref.b (u₁ 0.58 to 0.60, 0.062 by chance), as another random start of A would."),
        ((0.2, NAN, 0.9), " Yet it writes to the top directions of ref.c (u₁ 0.90, 0.062 by chance), as another random start of A would."),
        ((0.51, 0.495, 0.1), " Yet it writes to the top directions of ref.a (u₁ 0.51, 0.062 by chance), as another random start of A would."),
        ((), ""),
    ],
)  # fmt: skip
def test_output_directions_that_agree_all_the_same(u1, words):
    assert (
        answer(beside((0.1, 0.05, 0.02), u1), "mine")
        == f"mine is close to none of them: the largest cosine is 0.10, to ref.a.{words}"
    )


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ((2.0,), "; it moved 0.5 times as far."), ((1.0,), "; it moved as far."), ((0.998,), "; it moved as far."), ((0.0,), "."), ((NAN,), "."),
        ((0.0123,), "; it moved 81 times as far."), ((), "."),
    ],
)  # fmt: skip
def test_how_far_it_moved(norms, words):
    assert answer(beside((0.95,), norms=norms), "mine") == f"mine is one direction with ref.a: cosine 0.95{words}"


def test_how_far_beside_several():
    assert answer(beside((0.95, 0.95), norms=(2.0, 0.25)), "mine").endswith("; it moved 0.5 to 4 times as far.")
    assert answer(beside((0.95, 0.95), norms=(2.0, 2.0)), "mine").endswith("; it moved 0.5 times as far.")
    assert answer(beside((0.95, 0.95, 0.95), norms=(2.0, 0.0, 0.5)), "mine").endswith(
        "; it moved 0.5 to 2 times as far."
    )


@pytest.mark.parametrize(
    ("layers", "where", "words"),
    [
        ([0.7, 0.1, 0.3, 0.8, 0.9], ((4, 0.9), (3, 0.8), (0, 0.7)), "layers 0, 3 and 4"),
        ([NAN, 0.1, NAN, -0.9, NAN], ((1, 0.1), (3, -0.9)), "layers 1 and 3"),
        ([NAN] * 5, (), ""),
        (None, (), ""),
    ],
)
def test_the_layers_in_which_it_is_most_alike(layers, where, words):
    study = beside((0.95,), layers=layers)
    (first,) = nearest(study, "mine")
    assert first.layers == where
    assert first.where == ", ".join(f"{layer} ({value:.2f})" for layer, value in where)
    assert (
        answer(study, "mine")
        == f"mine is one direction with ref.a: cosine 0.95{f', most alike in {words}' if words else ''}."
    )


@pytest.mark.parametrize(("lowest", "alike"), [(1.0, True), (0.981, True), (0.97, False)])
def test_layers_that_are_all_alike_are_not_told_apart(lowest, alike):
    """An adapter against itself is alike everywhere, not most in the first three layers."""
    study = beside((1.0,), layers=[1.0, 1.0, NAN, 1.0, lowest])
    (first,) = nearest(study, "mine")
    assert first.where == ("all (1.00)" if alike else "0 (1.00), 1 (1.00), 3 (1.00)")
    most = "alike in all layers" if alike else "most alike in layers 0, 1 and 3"
    assert answer(study, "mine") == f"mine is one direction with ref.a: cosine 1.00, {most}."


def test_the_nearest_come_first_and_three_of_them():
    study = beside((0.1, 0.4, NAN, -0.2, 0.3), (0.5, 0.6, 0.7, 0.8, 0.9), (1.0, 4.0, 1.0, 1.0, 0.5), mine=2.0)
    found = nearest(study, "mine")
    assert [(one.reference, one.cosine, one.u1, one.norm_ratio, one.u1_chance) for one in found] == [
        ("ref.b", 0.4, 0.6, 0.5, 0.0625), ("ref.e", 0.3, 0.9, 4.0, 0.0625), ("ref.a", 0.1, 0.5, 2.0, 0.0625),
    ]  # fmt: skip
    assert len(nearest(study, "mine", 9)) == 4
    assert (own(study), comparable(study)) == ([0], True)
    nothing = beside((NAN, NAN))
    assert (nearest(nothing, "mine"), comparable(nothing)) == ([], False)
    two = Numbers(names=("mine", "other", "ref.a")).put("cosine", 0.5, "other", "ref.a").study()
    assert comparable(two)
    assert comparable(Numbers(names=("mine", "other")).put("cosine", 0.5, "mine", "other").study()) is False
    apart = Numbers(names=("mine", "ref.a", "ref.b")).put("cosine", 0.5, "ref.a", "ref.b").study()
    assert not comparable(apart), "that two published ones can be compared is not of one's own"
    assert nearest(Numbers(names=("mine", "ref.a")).put("norm", 1, "mine").study(), "mine") == []


def printed(study):
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        for part in resemblance_table(study, "toy"):
            console.print(part)
    return captured.get()


def test_the_table_of_the_nearest():
    study = beside((0.123, 0.456, 0.3, 0.2), (0.5, 0.6), (2.0, 0.0), layers=[0.5, 0.25, NAN, NAN, NAN], mine=3.0)
    text = printed(study)
    rows = [line.split() for line in text.splitlines()]
    assert "nearest of toy" in text
    assert [row for row in rows if row and row[-1] in {"n/a", "1.5"}] == [
        ["mine", "ref.b", "0.456", "0.600", "n/a"], ["ref.c", "0.300", "n/a", "n/a"], ["ref.d", "0.200", "n/a", "n/a"],
    ]  # fmt: skip
    assert "u₁ by chance: 0.062;" in " ".join(text.split())
    text = printed(beside((0.9, 0.8), (0.7, 0.6), (2.0, 1.0), layers=[0.5, 0.25, NAN, NAN, NAN], mine=3.0))
    assert "ref.a 0.900 0.700 0 (0.50), 1 (0.25) 1.5" in " ".join(text.split())
    assert text.startswith(
        "mine is one direction with ref.a: cosine 0.90, most alike in layers 0 and 1; it moved 1.5 times as far."
    )


def test_without_anything_to_compare_there_is_no_table():
    assert printed(Numbers(names=("a", "b")).put("cosine", 0.5, "a", "b").study()) == ""
    assert printed(Numbers(names=("mine", "ref.a")).put("norm", 1, "mine").study()) == ""
    assert printed(beside((NAN,))) == "mine has nothing in common with them that could be compared.\n"


def test_pairs_of_published_ones_are_not_told_beside_ones_own():
    study = beside((0.5, 0.5))
    assert {(a, b) for a, b, _ in told_subjects(study, "pair")} == {("mine", "ref.a"), ("mine", "ref.b")}
    assert {a for a, _, _ in told_subjects(study, "adapter")} == {"mine", "ref.a", "ref.b"}
    published = Numbers(names=("ref.a", "ref.b")).study()
    assert [(a, b) for a, b, _ in told_subjects(published, "pair")] == [("ref.a", "ref.b")]
