"""The words of a verdict at every threshold, from both sides and for both orders of the pair: studies of numbers."""

from dataclasses import replace
from math import inf, nan, nextafter

import numpy as np
import pytest

from inspector.common.numbers import fixed
from inspector.insights.verdict import verdict
from inspector.study.provenance import Origin
from inspector.study.study import Settings
from tests.insights.findings.published import below, study

PAIR = ("a", "b")


def above(value):
    return nextafter(value, inf)


def made(cosine, *, chances=(), norms=None, modules=None, **pairs):
    """Two adapters of one module; `modules`: their norms and cosine there, for what their sum holds."""
    own = {} if norms is None else {"norm": dict(zip(PAIR, norms, strict=True))}
    found = study(PAIR, layers=1, cosine={PAIR: cosine}, **{k: {PAIR: v} for k, v in pairs.items()}, **own)
    blocks = found.blocks | {
        (f"{metric}_chance", "global"): np.array([level]) for metric, level in dict(chances).items()
    }
    if modules is not None:
        one, other, inner = modules
        blocks["norm", "module"] = np.array([[one], [other]], dtype=float)
        blocks["cosine", "module"] = np.array([[1, inner], [inner, 1]], dtype=float)[:, :, None]
    return replace(found, blocks=blocks)


def weights(found, i=0, j=1):
    return verdict(found, i, j).weights


@pytest.mark.parametrize(
    ("cosine", "words"),
    [
        (-1.0, "opposed"), (-0.9, "opposed"), (above(-0.9), "opposed in part"), (-0.1, "opposed in part"),
        (above(-0.1), "different directions"), (0.0, "different directions"), (below(0.2), "different directions"),
        (0.2, "a little alike"), (below(0.4), "a little alike"), (0.4, "part of the way together"),
        (below(0.7), "part of the way together"), (0.7, "mostly one direction"), (below(0.9), "mostly one direction"),
        (0.9, "one direction"),
    ],
)  # fmt: skip
def test_words_for_a_direction(cosine, words):
    for i, j in ((0, 1), (1, 0)):
        assert weights(made(cosine), i, j) == f"{words} (cosine {fixed(cosine)})."


@pytest.mark.parametrize(
    ("cosine", "u1", "chance", "words"),
    [
        (0.0, 0.5, nan, " yet the same outputs (u₁ 0.50)"),
        (0.0, below(0.5), nan, ""),
        (0.0, 0.75, 0.25, " yet the same outputs (u₁ 0.75, 0.25 by chance)"),
        (0.0, below(0.75), 0.25, ""),
        (0.0, 0.5, 0.05, " yet the same outputs (u₁ 0.50, 0.05 by chance)"),
        (0.0, nan, 0.05, ""),
        (below(0.2), 0.5, nan, " yet the same outputs (u₁ 0.50)"),
        (0.2, 0.5, nan, " and the same outputs (u₁ 0.50)"),
        (-0.2, 0.5, nan, " and the same outputs (u₁ 0.50)"),
        (above(-0.2), 0.5, nan, " yet the same outputs (u₁ 0.50)"),
        (below(0.4), 0.5, nan, " and the same outputs (u₁ 0.50)"),
        (0.4, 0.5, nan, ""),
        (-0.4, 0.5, nan, ""),
    ],
)
def test_the_same_outputs(cosine, u1, chance, words):
    assert f"(cosine {fixed(cosine)}){words}." in weights(made(cosine, u1=u1, chances={"u1": chance}))


@pytest.mark.parametrize(
    ("cosine", "overlap", "chance", "words"),
    [
        (0.0, 0.1, 0.01, " yet overlapping outputs (0.10, 0.01 by chance)"),
        (0.0, below(0.1), 0.01, ""),
        (0.0, 0.375, 0.125, " yet overlapping outputs (0.38, 0.12 by chance)"),
        (0.0, below(0.375), 0.125, ""),
        (0.2, 0.375, 0.125, ""),
        (0.0, 0.375, nan, ""),
    ],
)
def test_overlapping_outputs(cosine, overlap, chance, words):
    found = made(cosine, subspace_overlap=overlap, chances={"subspace_overlap": chance})
    assert f"(cosine {fixed(cosine)}){words}." in weights(found)


@pytest.mark.parametrize(
    ("cosine", "inner", "words"),
    [
        (below(0.9), 0.0, "; nothing cancels in a sum"),
        (0.9, -0.5, ""),
        (0.0, 0.5, "; nothing cancels in a sum"),
        (0.0, -0.0049, "; nothing cancels in a sum"),
        (0.0, -0.005, "; nothing cancels in a sum"),
        (0.0, -0.0051, "; opposed modules cancel 1 % of their energy in a sum"),
        (0.0, -0.5, "; opposed modules cancel 50 % of their energy in a sum"),
        (0.0, nan, "; nothing cancels in a sum"),
    ],
)
def test_what_cancels(cosine, inner, words):
    assert weights(made(cosine, modules=(1, 1, inner))).endswith(f"(cosine {fixed(cosine)}){words}.")


SIZES = [
    ((1.0, 1.0), ""),
    ((1.0, below(3.0)), ""),
    ((1.0, 3.0), "; b moved 3.0 times as far"),
    ((1.0, below(10.0)), "; b moved 10.0 times as far"),
    ((1.0, 10.0), "; a moved 10 times less far: adding it changes next to nothing of b (cosine of the sum to it 1.00)"),
    ((1.0, nan), ""),
    ((nan, 1.0), ""),
]


@pytest.mark.parametrize(("norms", "words"), SIZES)
def test_who_moved_how_far(norms, words):
    found = made(0.95, norms=norms, modules=(1, 1, 0.95) if np.isnan(sum(norms)) else (*norms, 0.0))
    for i, j in ((0, 1), (1, 0)):
        assert weights(found, i, j) == f"one direction (cosine 0.95){words}."
    turned = made(0.95, norms=norms[::-1], modules=(*norms[::-1], 0.0))
    assert ("; b moved" in weights(turned)) == ("; a moved" in weights(found))
    assert ("; a moved" in weights(turned)) == ("; b moved" in weights(found))


def test_a_small_partner_is_next_to_nothing_only_if_their_sum_is_known_to_show_it():
    """Norms over all modules; the sum over those that both can use."""
    assert weights(made(0.95, norms=(1, 12))).endswith("; b moved 12.0 times as far.")
    elsewhere = made(0.95, norms=(1, 12), modules=(1, 1, 0.95))
    assert weights(elsewhere).endswith("; b moved 12.0 times as far.")


@pytest.mark.parametrize(
    ("cosine", "norms", "twice"),
    [
        (1.0, (1.0, 1.0), True), (1 - 1e-13, (1.0, 1.0), True), (1 - 1e-11, (1.0, 1.0), False),
        (1.0, (1.0, 1 + 1e-10), True), (1.0, (1.0, 1 + 1e-8), False), (1.0, (1 + 1e-8, 1.0), False),
        (1.0, (1.0, nan), False), (1 - 9e-13, (1.0, 1.0), True), (1 - 1.5e-12, (1.0, 1.0), False),
        (1.0, (1.0, 1 + 9e-10), True), (1.0, (1.0, 1 + 1.5e-9), False),
    ],
)  # fmt: skip
def test_the_same_update_twice(cosine, norms, twice):
    assert (
        weights(made(cosine, norms=norms)) == f"{'the same update twice' if twice else 'one direction (cosine 1.00)'}."
    )


def rows(found):
    return [(row.what, row.value, row.chance, row.metric, row.note) for row in verdict(found, 0, 1).evidence]


def test_evidence_has_a_row_for_each_number_that_is_measured():
    assert rows(made(-0.001)) == [("direction", "cosine 0.00", "0.00", "cosine", "")]
    chances = {"u1": 0.05, "subspace_overlap": nan, "output_similarity": 0.0, "v1": 0.2}
    found = made(0.3, u1=0.5, subspace_overlap=0.4, output_similarity=0.3, v1=0.2, norms=(2.0, 0.5), chances=chances,
                 modules=(2.0, 0.5, -0.1))  # fmt: skip
    starts = tuple(replace(info, origin=Origin("sft", a0=of)) for info, of in zip(found.adapters, "fg", strict=True))
    assert rows(replace(found, adapters=starts)) == [
        ("direction", "cosine 0.30", "0.00", "cosine", ""),
        ("writes to", "u₁ 0.50", "0.05", "u1", ""),
        ("", "subspace 0.40", "", "subspace_overlap", ""),
        ("", "similarity 0.30", "0.00", "output_similarity", ""),
        ("reads from", "v₁ 0.20", "0.20", "v1", "other start of A"),
        ("size", "‖ΔW‖ 2.00 : 0.500", "", "norm", "4 times"),
        ("opposed", "4.7 % of the energy", "", "energy_ratio", ""),
    ]


@pytest.mark.parametrize("gone", ["u1", "subspace_overlap", "output_similarity", "v1"])
def test_a_number_that_is_not_known_has_no_row(gone):
    numbers = dict.fromkeys(("u1", "subspace_overlap", "output_similarity", "v1"), 0.3)
    metrics = [row[3] for row in rows(made(0.3, **numbers | {gone: nan}))]
    assert metrics == ["cosine", *(metric for metric in numbers if metric != gone)]


@pytest.mark.parametrize(
    ("norms", "value", "note"),
    [((1.0, 3.0), "‖ΔW‖ 1.00 : 3.00", "3 times"), ((below(3.0), 1.0), "‖ΔW‖ 3.00 : 1.00", ""),
     ((123.0, 1.0), "‖ΔW‖ 123 : 1.00", "123 times")],
)  # fmt: skip
def test_the_row_of_sizes(norms, value, note):
    (row,) = [row for row in rows(made(0.3, norms=norms)) if row[0] == "size"]
    assert (row[1], row[4]) == (value, note)
    assert not [row for row in rows(made(0.3, norms=(norms[0], nan))) if row[0] == "size"]


@pytest.mark.parametrize(("modules", "note"), [("union", "counted as zeros"), ("common", "left out")])
def test_modules_of_one_side(modules, note):
    found = replace(study(PAIR, layers=4, cosine={PAIR: 0.3}), settings=Settings(modules=modules))
    found.shapes[1, 1:] = 0
    assert rows(found)[-1] == ("modules", "1 in both, 3 in one", "", "cosine", note)
