"""Lineage and sensitivity, on updates whose kinship is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.insights.lineage import Lineage, kinship, lineage
from inspector.insights.sensitivity import compared_by, spreads, variations
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.study import Settings
from tests.memory import adapter

D = 256


def factors(A, seed, layers=(0, 1)):
    made = torch.Generator().manual_seed(seed)
    return {ModuleId(n, "self_attn.q_proj"): (torch.randn(D, 4, generator=made), A) for n in layers}


def start(seed):
    return torch.randn(4, D, generator=torch.Generator().manual_seed(seed))


def measured(origins, updates):
    adapters = [adapter(name, update) for name, update in updates.items()]
    adapters = [replace(a, info=replace(a.info, origin=origin)) for a, origin in zip(adapters, origins, strict=True)]
    return analyse(adapters, Settings(k=3, device="cpu"))


def test_lineage_tells_starts_apart_whatever_was_learned():
    one, other = start(1), start(2)
    near = one + 0.05 * start(3)
    study = measured(
        [Origin()] * 4, {"a": factors(one, 1), "b": factors(near, 2), "c": factors(other, 3), "d": factors(other, 4)}
    )
    found = lineage(study)
    assert found.groups == ((0, 1), (2, 3))
    assert found.kinship(0, 1) == found.kinship(2, 3) == "same start or run"
    assert found.kinship(0, 2) == "different"
    assert abs(study.blocks["cosine", "global"][2, 3, 0]) < 0.1
    assert found.chance == pytest.approx(4 / D)
    Q, R = (np.linalg.qr(x.double().numpy().T)[0] for x in (one, near))
    assert found.overlap[0, 1] == pytest.approx(np.linalg.norm(Q.T @ R) ** 2 / 4, abs=1e-9)


def test_chance_is_of_the_modules_a_pair_shares_whoever_is_beside_it():
    """max(r, r')/d_in of whole row spaces: a rank near d_in makes that pair unclear, and no other."""
    q, v = (ModuleId(0, f"self_attn.{p}") for p in ("q_proj", "v_proj"))

    def made(r, *modules, seed):
        drawn = torch.Generator().manual_seed(seed)
        return {m: (torch.randn(64, r, generator=drawn), torch.randn(r, d, generator=drawn)) for m, d in modules}

    one, two = made(4, (q, 64), seed=1), made(8, (q, 64), seed=2)
    wide, other = made(4, (v, 16), seed=3), made(6, (v, 16), seed=4)
    study = measured([Origin()] * 4, {"one": one, "two": two, "wide": wide, "other": other})
    found = lineage(study)
    assert found.levels[0, 1] == found.levels[1, 0] == pytest.approx(8 / 64)
    assert found.levels[2, 3] == pytest.approx(6 / 16)
    assert np.isnan(found.levels[0, 2])
    assert (found.kinship(0, 1), found.kinship(2, 3), found.kinship(0, 2)) == ("different", "unclear", None)
    assert found.by_chance == "0.12 to 0.38"
    alone = lineage(measured([Origin()] * 2, {"one": one, "two": two}))
    assert (alone.levels[0, 1], alone.by_chance) == (found.levels[0, 1], "0.12")
    assert alone.overlap[0, 1] == found.overlap[0, 1]


def test_the_start_of_two_seeds_is_told_by_the_chance_of_their_own_modules():
    """Beside many modules in which chance says nothing, a pair's start is told all the same."""
    mine = [factors(start(n), n) for n in (1, 2)]
    drawn = torch.Generator().manual_seed(9)
    narrow = {
        ModuleId(n, "self_attn.v_proj"): (torch.randn(32, 4, generator=drawn), torch.randn(4, 8, generator=drawn))
        for n in range(9)
    }
    origins = [Origin("sft", 1e-4, 1), Origin("sft", 1e-4, 2), Origin("dpo"), Origin("dft")]
    study = measured(origins, {"a": mine[0], "b": mine[1], "c": narrow, "d": narrow})
    assert study.blocks["row_space_overlap_chance", "global"][0] > 0.3
    (found,) = variations(study)
    assert found.start == "different"


def test_equal_digests_of_the_start_join_groups():
    study = measured(
        [Origin("x", a0="f"), Origin("y", a0="f"), Origin("z")], {n: factors(start(i), i) for i, n in enumerate("abc")}
    )
    assert lineage(study).groups == ((0, 1), (2,))


@pytest.mark.parametrize(
    ("overlap", "chance", "said"),
    [
        (0.9, 0.02, "same start or run"),
        (0.5, 0.02, "unclear"),
        (0.1, 0.02, "different"),
        (0.02, 0.02, "different"),
        (0.29, 0.004, "unclear"),
        (0.032, 0.004, "unclear"),
        (0.3, 0.29, "different"),
        (0.31, 0.29, "unclear"),
        (0.9, np.nan, "unclear"),
        (0.05, np.nan, "unclear"),
        (0.9, 0.5, "unclear"),
        (np.nan, 0.1, None),
    ],
)
def test_kinship(overlap, chance, said):
    assert kinship(overlap, chance) == said


def test_digests_decide_what_row_spaces_leave_unclear():
    overlap = np.array([[1.0, 0.5], [0.5, 1.0]])
    told = [
        Lineage(overlap, np.full((2, 2), 0.01), np.full((2, 2), 0.9), starts, ()).kinship(0, 1)
        for starts in (("f", "f"), ("f", "g"), ("f", ""), ("", ""))
    ]
    assert told == ["same start or run", "different", "unclear", "unclear"]


@pytest.mark.parametrize(("alike", "said"), [(0.31, "unclear"), (0.3, "different"), (np.nan, "different")])
def test_outputs_kept_with_other_row_spaces_are_unclear(alike, said):
    """A run that was merged, or factored anew, and continued; unless digests tell that its start was another."""
    overlap, chance, outputs = np.array([[1.0, 0.01], [0.01, 1.0]]), np.full((2, 2), 0.01), np.full((2, 2), alike)
    assert Lineage(overlap, chance, outputs, ("", "g"), ()).kinship(0, 1) == said
    assert Lineage(overlap, chance, outputs, ("f", "g"), ()).kinship(0, 1) == "different"


def test_a_run_continued_on_another_factorisation():
    """The same outputs from a new A: output similarity is high, and no word of another run; strangers are different."""
    B = {
        n: torch.randn(D, 4, generator=torch.Generator().manual_seed(n)) * torch.tensor([9.0, 3, 2, 1]) for n in (0, 1)
    }
    again = {ModuleId(n, "self_attn.q_proj"): (B[n] + 0.05 * start(n).T, start(9)) for n in B}
    first = {ModuleId(n, "self_attn.q_proj"): (B[n], start(8)) for n in B}
    found = lineage(measured([Origin()] * 3, {"a": first, "b": again, "c": factors(start(7), 6)}))
    assert found.outputs[0, 1] > 0.9
    assert [found.kinship(*pair) for pair in ((0, 1), (0, 2), (1, 2))] == ["unclear", "different", "different"]


def test_spreads_are_of_what_fits_the_pairs():
    """Cosines of runs from one start; output similarities once one has another."""
    updates = {"a": factors(start(1), 1), "b": factors(start(1), 2), "c": factors(start(2), 1)}
    study = measured([Origin("sft"), Origin("dpo"), Origin("sft")], updates)
    sft, dpo = spreads(study, "method")
    outputs = study.blocks["output_similarity", "global"][:, :, 0]
    assert compared_by(study) == "output_similarity"
    assert sft.within == pytest.approx([outputs[0, 2]] * 3)
    assert dpo.between == pytest.approx([outputs[1, [0, 2]].mean(), outputs[1, [0, 2]].min(), outputs[1, [0, 2]].max()])
    assert [v.output_similarity for v in variations(study)] == [outputs[0, 2]]
    near = measured([Origin("sft"), Origin("dpo")], {name: updates[name] for name in "ab"})
    assert compared_by(near) == "cosine"
    assert spreads(near, "method")[0].between == pytest.approx([near.blocks["cosine", "global"][0, 1, 0]] * 3)


@pytest.mark.parametrize(
    ("one", "other", "change", "unknown", "differs"),
    [
        (Origin("m", 1e-4, 1), Origin("m", 1e-4, 2), "seed", (), "seed"),
        (Origin("m", 1e-4, 1), Origin("m", 1e-4, 1), "nothing told", (), "nothing told"),
        (Origin("m", 1e-4, 1), Origin("m", 2e-4, 1), "learning rate", (), "learning rate"),
        (Origin("m", None, 1), Origin("m", None, 2), "seed", ("learning rate",), "seed; learning rate not known"),
        (Origin("m", 1e-4, 1), Origin("m", None, 2), "seed", ("learning rate",), "seed; learning rate not known"),
        (Origin("m", 1e-4, None), Origin("m", 1e-4, 2), "nothing told", ("seed",), "seed not known"),
        (Origin("m", 1e-4, None), Origin("m", 2e-4, 1), "learning rate", ("seed",), "learning rate; seed not known"),
        (Origin("m"), Origin("m", 2e-4, 1), "nothing told", ("seed", "learning rate"),
         "seed and learning rate not known"),
        (Origin("m", 1e-4, 1, 5), Origin("m", 1e-4, 1, 6), "seed", (), "seed"),
        (Origin("m", 1e-4, 5, 5), Origin("m", 1e-4, 5), "nothing told", (), "nothing told"),
        (Origin("m", 1e-4, None, 5), Origin("m", 1e-4, None, 6), "seed", (), "seed"),
        (Origin("m", 1e-4, None, 5), Origin("m", 1e-4, None, 5), "nothing told", ("seed",), "seed not known"),
    ],
)  # fmt: skip
def test_what_one_side_does_not_say_does_not_differ(one, other, change, unknown, differs):
    for origins in ([one, other], [other, one]):
        (found,) = variations(measured(origins, {"a": factors(start(1), 1), "b": factors(start(1), 2)}))
        assert (found.change, found.unknown, found.differs) == (change, unknown, differs)


def test_an_adapter_by_the_name_of_a_method_is_not_known_to_be_of_it():
    study = measured(
        [Origin(), Origin("sft", 2e-4, 42), Origin("dpo", 2e-4, None)],
        {"sft": factors(start(1), 1), "b": factors(start(2), 2), "c": factors(start(3), 3)},
    )
    assert variations(study) == ()
    assert [(s.group, s.members, np.isnan(s.between[0])) for s in spreads(study, "method")] == [
        ("?", (0,), True), ("sft", (1,), False), ("dpo", (2,), False)
    ]  # fmt: skip
    sft = spreads(study, "method")[1]
    assert sft.between == pytest.approx([study.blocks["output_similarity", "global"][1, 2, 0]] * 3)
    assert [(s.group, s.members, np.isnan(s.within[0]), np.isnan(s.between[0])) for s in spreads(study, "seed")] == [
        ("?", (0, 2), True, True), ("seed 42", (1,), True, True)
    ]  # fmt: skip


def test_what_seed_and_rate_do():
    A, B = start(1), start(2)
    base = factors(A, 1)
    triple = {id_: (3 * b, a) for id_, (b, a) in base.items()}
    origins = [
        Origin("sft", 2e-3, 42, 42, "f"),
        Origin("sft", 2e-4, 42, 42, "f"),
        Origin("sft", 2e-4, 7, 7, "g"),
        Origin("dpo", 2e-4, 7, 7, "g"),
    ]
    study = measured(origins, {"fast": triple, "sft": base, "seed": factors(B, 5), "dpo": factors(B, 6)})
    found = variations(study)
    assert [(v.change, study.names[v.a], study.names[v.b]) for v in found] == [
        ("seed", "sft", "seed")
        if study.blocks["norm", "global"][1, 0] <= study.blocks["norm", "global"][2, 0]
        else ("seed", "seed", "sft"),
        ("learning rate", "sft", "fast"),
        ("seed and learning rate", "seed", "fast"),
    ]
    rate = found[1]
    assert rate.norm_ratio == pytest.approx(3)
    assert rate.cosine == pytest.approx(1)
    assert (rate.start, found[0].start) == ("same", "different")
    assert (rate.u1, rate.v1, rate.angle) == pytest.approx((1, 1, 0), abs=1e-5)
    sft, dpo = spreads(study, "method")
    outputs = study.blocks["output_similarity", "global"][:, :, 0]
    assert sft.within == pytest.approx(
        (np.mean([1, outputs[0, 2], outputs[1, 2]]), min(outputs[0, 2], outputs[1, 2]), 1)
    )
    assert dpo.members == (3,)
    assert np.isnan(dpo.within[0])
    assert dpo.between == pytest.approx((outputs[3, :3].mean(), outputs[3, :3].min(), outputs[3, :3].max()))
    assert [s.group for s in spreads(study, "seed")] == ["seed 42", "seed 7"]
