"""Which published adapters one's own is like, in words and in a table: thresholds from both sides, ties, gaps."""

# ruff: noqa: E501 - a case a line

from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from inspector.analysis.analyse import analyse
from inspector.insights.nearest import answer, comparable, nearest, own, told_subjects
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from inspector.tables.nearest import resemblance_table
from tests.claims.studies import Numbers
from tests.insights.findings.published import below
from tests.memory import adapter

NAN = np.nan


def beside(cosine, norms=(), layers=None, mine=1.0):
    """One's own beside as many published ones as there are cosines: `ref.a`, `ref.b` …"""
    names = tuple(f"ref.{letter}" for letter in "abcdef"[: len(cosine)])
    numbers = Numbers(names=("mine", *names), layers=5)
    for name, value in zip(names, cosine, strict=True):
        numbers.put("cosine", value, "mine", name)
    for name, value in zip(names, norms, strict=False):
        numbers.put("norm", value, name)
    if norms:
        numbers.put("norm", mine, "mine")
    if layers is not None:
        numbers.put("cosine", layers, "mine", names[0], scope="layer")
    return numbers.study()


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


def written_alike(outputs, cosine=(0.06, 0.05, 0.01), overlap=0.02, spread=0.0, chance=0.01):
    """One's own beside published ones of another start of A, by mean output similarities of eight modules each."""
    names = tuple(f"ref.{letter}" for letter in "abcdef"[: len(outputs)])
    numbers = Numbers(names=("mine", *names), layers=4)
    for name, value, of in zip(names, outputs, cosine, strict=False):
        numbers.put("cosine", of, "mine", name).put("row_space_overlap", overlap, "mine", name)
        numbers.put("output_similarity", value, "mine", name)
        numbers.put("output_similarity", value + spread * np.tile([-1, 1], 4), "mine", name, scope="module")
    study = numbers.study()
    levels = {
        (f"{metric}_chance", "global"): np.array([chance]) for metric in ("row_space_overlap", "output_similarity")
    }
    return replace(study, blocks=study.blocks | levels)


MADE_SMALL = "which another start of A makes small"


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ((0.3, 0.9, 0.5), f"writes to the same outputs as ref.b: output similarity 0.90 ± 0.00 (cosine 0.05, {MADE_SMALL})."),
        ((below(0.9), 0.5), f"writes mostly to the same outputs as ref.a: output similarity 0.90 ± 0.00 (cosine 0.06, {MADE_SMALL})."),
        ((0.2, below(0.7)), f"writes in part to the same outputs as ref.b: output similarity 0.70 ± 0.00 (cosine 0.05, {MADE_SMALL})."),
        ((below(0.4), 0.1), f"writes a little to the outputs of ref.a: output similarity 0.40 ± 0.00 (cosine 0.06, {MADE_SMALL})."),
        ((0.1, below(0.2)), "is close to none of them: the largest output similarity is 0.20, to ref.b, 0.01 by chance."),
        ((0.5, 0.9, 0.88), f"writes to the same outputs as ref.b and ref.c: output similarity 0.88 to 0.90 ± 0.00 (cosine 0.01 to 0.05, {MADE_SMALL})."),
    ],
)  # fmt: skip
def test_another_start_is_ranked_by_output_similarity(outputs, words):
    assert answer(written_alike(outputs), "mine") == f"mine {words}"


def test_little_more_than_chance_is_close_to_none():
    assert answer(written_alike((0.29, 0.1), chance=0.1), "mine").startswith("mine is close to none of them")
    assert answer(written_alike((0.31, 0.1), chance=0.1), "mine").startswith("mine writes a little to the outputs")


def test_chance_is_said_of_outputs_where_it_is_known():
    """Of a pair that shares its start, beside one that does not, the cosine is said, which has no chance level."""
    assert answer(written_alike((0.1, 0.15), chance=NAN), "mine").endswith("similarity is 0.15, to ref.b.")
    mixed = written_alike((0.15, 0.1), cosine=(0.1, 0.05), overlap=0.95)
    mixed.blocks["row_space_overlap", "global"][0, 2] = 0.02
    assert answer(mixed, "mine") == "mine is close to none of them: the largest cosine is 0.10, to ref.a."


def test_without_output_similarity_the_cosine_says_how_alike_they_are():
    found = answer(written_alike((0.6, NAN), cosine=(0.3, 0.5)), "mine")
    assert found == "mine goes part of the way with ref.b: cosine 0.50."


def test_beside_a_shared_start_no_other_start_is_named_as_near():
    """ref.b by its outputs, 0.59, would be as near as ref.a by its cosine of 0.50."""
    mixed = written_alike((0.6, 0.59), cosine=(0.5, 0.05), overlap=0.95)
    mixed.blocks["row_space_overlap", "global"][0, 2] = 0.02
    assert answer(mixed, "mine") == "mine goes part of the way with ref.a: cosine 0.50."


@pytest.mark.parametrize(
    ("layers", "best", "alike"),
    [
        ([NAN, NAN, NAN, -1.0, -1.0], ((3, -1.0), (4, -1.0)), True),
        ([0.0, 0.02, 0.0, 0.0, 0.0], ((1, 0.02), (0, 0.0), (2, 0.0)), True),
        ([0.0, 0.0201, 0.0, 0.0, 0.0], ((1, 0.0201), (0, 0.0), (2, 0.0)), False),
        ([NAN, NAN, 0.5, NAN, NAN], ((2, 0.5),), False),
        ([NAN] * 5, (), False),
    ],
)
def test_the_layers_most_alike(layers, best, alike):
    (found,) = nearest(beside((-1.0,), layers=layers), "mine")
    assert (found.layers, found.alike) == (best, alike)


def test_those_within_the_interval_are_named_with_the_nearest():
    """Eight modules at ±0.1 about the mean: s = 0.1·√(8/7), so that half the interval is 1.96·s/√8 = 0.0741."""
    study = written_alike((0.70, 0.63, 0.62), spread=0.1)
    assert nearest(study, "mine")[0].error == pytest.approx(1.96 * 0.1 / 7**0.5)
    assert "as ref.a and ref.b: output similarity 0.63 to 0.70 ± 0.07 " in answer(study, "mine")


@pytest.mark.parametrize(
    ("values", "error"), [([0.5, 0.7], 1.96 * 0.1), ([0.5, NAN, 0.7], 1.96 * 0.1), ([0.5], NAN), ([], NAN)]
)
def test_the_interval_needs_two_modules(values, error):
    """±0.1 about the mean: s = 0.1·√2, over √2."""
    study = written_alike((0.6,))
    study.blocks["output_similarity", "module"][0, 1] = [*values, *[NAN] * (8 - len(values))]
    assert nearest(study, "mine")[0].error == pytest.approx(error, nan_ok=True)


def test_without_numbers_of_modules_the_interval_is_not_known():
    study = written_alike((0.6,))
    study = replace(study, blocks={key: v for key, v in study.blocks.items() if key != ("output_similarity", "module")})
    assert np.isnan(nearest(study, "mine")[0].error)
    assert "output similarity 0.60 (cosine" in answer(study, "mine")


def test_a_shared_start_is_ranked_by_the_cosine():
    """The cosine if every pair is known to share its start; one pair that does not decides for all."""
    near = written_alike((0.5, 0.6), cosine=(0.8, 0.7), overlap=0.95)
    assert [(one.metric, one.reference, one.value) for one in nearest(near, "mine")] == [
        ("cosine", "ref.a", 0.8), ("cosine", "ref.b", 0.7),
    ]  # fmt: skip
    assert np.isnan(nearest(near, "mine")[0].error)
    near.blocks["row_space_overlap", "global"][0, 2] = 0.5
    assert [(one.metric, one.reference, one.value) for one in nearest(near, "mine")] == [
        ("output_similarity", "ref.b", 0.6), ("output_similarity", "ref.a", 0.5),
    ]  # fmt: skip
    near.blocks["output_similarity", "global"][0, 1] = NAN
    assert nearest(near, "mine")[0].metric == "cosine", "it was not measured for all"
    near.blocks["cosine", "global"][0, 1] = NAN
    assert [one.reference for one in nearest(near, "mine")] == ["ref.b"]
    assert nearest(near, "mine")[0].metric == "output_similarity", "who has no cosine does not count"


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
    assert first.where == ", ".join(f"{layer} ({value:.2f})".replace("-", "−") for layer, value in where)
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
    study = beside((0.1, 0.4, NAN, -0.2, 0.3), (1.0, 4.0, 1.0, 1.0, 0.5), mine=2.0)
    found = nearest(study, "mine")
    assert [(one.reference, one.metric, one.value, one.cosine, one.norm_ratio) for one in found] == [
        ("ref.b", "cosine", 0.4, 0.4, 0.5), ("ref.e", "cosine", 0.3, 0.3, 4.0), ("ref.a", "cosine", 0.1, 0.1, 2.0),
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
    study = beside((0.123, 0.456, 0.3, 0.2), (2.0, 0.0), layers=[0.5, 0.25, NAN, NAN, NAN], mine=3.0)
    text = printed(study)
    rows = [line.split() for line in text.splitlines()]
    assert "nearest of toy" in text
    assert [row for row in rows if row and row[-1] in {"n/a", "1.5"}] == [
        ["mine", "ref.b", "0.46", "–", "n/a"], ["ref.c", "0.30", "–", "n/a"], ["ref.d", "0.20", "–", "n/a"],
    ]  # fmt: skip
    assert "by chance" not in text
    text = printed(beside((0.9, 0.8), (2.0, 1.0), layers=[0.5, 0.25, NAN, NAN, NAN], mine=3.0))
    assert "ref.a 0.90 – 0 (0.50), 1 (0.25) 1.5" in " ".join(text.split())
    assert text.startswith(
        "mine is one direction with ref.a: cosine 0.90, most alike in layers 0 and 1; it moved 1.5 times as far."
    )


def test_the_table_of_another_start():
    text = " ".join(printed(written_alike((0.70, 0.63), spread=0.1)).split())
    assert "mine ref.a 0.06 0.70 ± 0.07 n/a ref.b 0.05 0.63 ± 0.07 n/a" in text
    assert "not known to share one random start of A; by chance 0.01." in text


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


def trained(target, seed, steps=20, rate=1e-4):
    """B, A after gradient descent on ½‖B·A − T‖² from B = 0 and a random A of rank 16, a module each."""
    made = {}
    for n, of in enumerate(target):
        A = torch.randn(16, of.shape[1], generator=torch.Generator().manual_seed(10 * seed + n)) / 8
        B = torch.zeros(of.shape[0], 16)
        for _ in range(steps):
            error = B @ A - of
            B, A = B - rate * error @ A.T, A - rate * B.T @ error
        made[ModuleId(n, "self_attn.q_proj")] = (B, A)
    return made


def test_six_runs_find_their_own_method_from_another_start():
    """Three objectives with most of their gradient in common, each from two more starts of A."""
    drawn = torch.Generator().manual_seed(5)

    def of_rank_two():
        return torch.randn(64, 2, generator=drawn) @ torch.randn(2, 256, generator=drawn)

    common = [of_rank_two() for _ in range(6)]
    targets = {m: [of + 0.6 * of_rank_two() for of in common] for m in ("sft", "dpo", "rift")}
    published = [adapter(f"ref.{m}", trained(target, 1)) for m, target in targets.items()]
    own_runs = [adapter(f"{m}-{seed}", trained(target, seed)) for m, target in targets.items() for seed in (2, 3)]
    study = analyse([*published, *own_runs], Settings(device="cpu"))
    found = {one.info.name: nearest(study, one.info.name) for one in own_runs}
    assert {name: (rows[0].reference, rows[0].metric) for name, rows in found.items()} == {
        name: (f"ref.{name.split('-')[0]}", "output_similarity") for name in found
    }
    assert len(found) == 6
    assert all(abs(row.cosine) < 0.2 for rows in found.values() for row in rows), "the cosine cannot tell them apart"
