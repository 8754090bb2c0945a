"""Every number of a sum over any modules against dense float64, what cannot be added, and what is printed of it."""

# ruff: noqa: E501 - a case a line

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.common.errors import CancelledError
from inspector.merging.preview import Preview, addable, refused
from inspector.merging.spectra import parents, spectra, terms
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from inspector.tables.merging import print_preview
from inspector.tables.tables import significant
from tests.memory import adapter

Q, V = "self_attn.q_proj", "mlp.v_proj"
SHAPES = {Q: (9, 7), V: (6, 8)}
WEIGHTS = (0.5, -2.0, 0.0, 1.5)


def factors(seed, places, r, shapes=SHAPES):
    drawn = np.random.default_rng(seed)
    return {
        ModuleId(layer, path): tuple(torch.from_numpy(drawn.standard_normal(s)) for s in ((shapes[path][0], r), (r, shapes[path][1])))
        for layer, path in places
    }  # fmt: skip


@pytest.fixture(scope="module")
def four():
    """Three that count, of other ranks, scales and modules, and one of weight 0; the second leaves layer 2 alone."""
    everywhere = [(0, Q), (0, V), (2, Q), (2, V), (5, Q)]
    made = [
        adapter("a", factors(1, everywhere, 2), 2.0), adapter("b", factors(2, everywhere[:2], 3), 0.5),
        adapter("zero", factors(3, [(7, V)], 4), 1.0), adapter("c", factors(4, everywhere[1:], 1), -1.0),
    ]  # fmt: skip
    study = analyse(made, Settings(k=2, device="cpu"))
    return made, study, Preview(study, WEIGHTS, spectra(made, study, WEIGHTS, device="cpu"))


def dense(adapters, weights):
    """Each parent's w·ΔW by module, and their sum."""
    parts = []
    for one, w in zip(adapters, weights, strict=True):
        parts.append(
            {id_: w * one.modules[id_].scale.value * (B @ A).numpy() for id_ in one.modules for B, A in [one.load(id_)]}
        )
    whole = {}
    for part in parts:
        for id_, W in part.items():
            whole[id_] = whole.get(id_, 0) + W
    return parts, whole


def numbers(parts, whole, ids):
    """(norm, energy ratio, interference, cosines, mean rank, kept by k) over some modules, from the dense matrices."""
    inner = lambda one, other: sum(float((one[i] * other[i]).sum()) for i in ids if i in one and i in other)  # noqa: E731
    energy = sum(inner(part, part) for part in parts)
    conflict = -sum(
        min(0.0, 2 * float((one[i] * other[i]).sum()))
        for n, one in enumerate(parts) for other in parts[n + 1 :] for i in ids if i in one and i in other
    )  # fmt: skip
    square = inner(whole, whole)
    sigma = [np.linalg.svd(whole[i], compute_uv=False) for i in ids]
    kept = [sum(float((s[:k] ** 2).sum()) for s in sigma) / square for k in range(1, 7)]
    ranks = np.mean([(s > 1e-9 * s[0]).sum() if s[0] else 0 for s in sigma])
    return np.sqrt(square), square / energy, conflict / energy, ranks, kept


def test_every_scope_is_that_of_the_dense_sum(four):
    adapters, study, preview = four
    parts, whole = dense(adapters, WEIGHTS)
    found = preview.in_study()
    # The module that only the parent of weight 0 has counts, as a zero.
    counted = [m for m in study.modules if m.layer != 7]
    places = {
        "global": [counted],
        "layer": [[m for m in counted if m.layer == layer] for layer in study.layers],
        "module": [[m] if m.layer != 7 else [] for m in study.modules],
    }
    seen = 0
    for scope, groups in places.items():
        for at, ids in enumerate(groups):
            if not ids:
                continue
            norm, ratio, conflict, ranks, kept = numbers(parts, whole, ids)
            block = lambda metric: found.blocks[metric, scope][..., at]  # noqa: E731, B023
            assert block("sum_norm") == pytest.approx(norm)
            assert block("sum_energy_ratio") == pytest.approx(ratio)
            assert block("sum_interference") == pytest.approx(conflict)
            zeros = [m for m in study.modules if m.layer == 7] if scope == "global" else []
            assert block("sum_rank") == pytest.approx(ranks * len(ids) / (len(ids) + len(zeros)))
            assert found.blocks["sum_energy_kept", scope][at][:6] == pytest.approx(kept)
            own = np.array([[part.get(i, np.zeros(1)).ravel() for i in ids] for part in parts], dtype=object)
            for n, w in enumerate(WEIGHTS):
                if w:
                    size = np.sqrt(sum(float((x**2).sum()) for x in own[n]))
                    inner = sum(float((parts[n][i] * whole[i]).sum()) for i in ids if i in parts[n])
                    expected = np.sign(w) * inner / size / norm if size else np.nan
                    assert found.blocks["sum_cosine", scope][n, at] == pytest.approx(expected, nan_ok=True)
            seen += 1
    assert seen == 1 + 3 + 5
    assert found.blocks["merge_weight", "global"][:, 0].tolist() == list(WEIGHTS)
    for at, module in enumerate(study.modules):
        sigma = found.blocks["sum_singular_value", "module"][at]
        W = whole.get(module, np.zeros((1, 1)))
        assert sigma[: min(W.shape)] == pytest.approx(np.linalg.svd(W, compute_uv=False)[: len(sigma)], abs=1e-12)


def test_numbers_of_some_modules(four):
    adapters, study, preview = four
    parts, whole = dense(adapters, WEIGHTS)
    chosen = np.array([m.path == Q for m in study.modules])
    norm, ratio, *_, kept = numbers(parts, whole, [m for m in study.modules if m.path == Q])
    scope = preview.scope(chosen)
    assert scope.tolist() == chosen.astype(float).tolist()
    assert (float(preview.sums.norm(scope)), float(preview.sums.energy_ratio(scope))) == pytest.approx((norm, ratio))
    assert [float(preview.kept(scope, rank)) for rank in (1, 2, 3)] == pytest.approx(kept[:3])
    assert float(preview.kept(scope, 99)) == pytest.approx(1)
    by_projection = dict(zip(study.projections, preview.sums.norm(preview.by_projection()).tolist(), strict=True))
    assert by_projection["q_proj"] == pytest.approx(norm)
    assert preview.by_layer(chosen).sum(0).tolist() == [1, 1, 1, 0]
    assert (preview.largest_rank, preview.default_rank) == (6, 3)
    assert Preview(study, (0.0, 0.0, 1.0, 1.0)).default_rank == 4


def test_who_changes_a_module_and_by_how_much(four):
    adapters, study, _ = four
    module = ModuleId(0, V)
    assert [(a.info.name, w) for a, w in parents(adapters, WEIGHTS, module)] == [("a", 0.5), ("b", -2.0), ("c", 1.5)]
    assert [w for _, _, w in terms(adapters, WEIGHTS, module)] == [1.0, -1.0, -1.5]
    assert parents(adapters, WEIGHTS, ModuleId(7, V)) == []
    calls, asked = [], []
    sigma = spectra(adapters, study, WEIGHTS, device="cpu", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 6) for n in range(1, 7)]
    assert sigma.shape == (6, 6)
    assert not sigma[-1].any()

    def stop():
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(CancelledError, match="Cancelled"):
        spectra(adapters, study, WEIGHTS, cancelled=stop)
    assert len(asked) == 4


def of_shapes(*shapes, bad=()):
    """Adapters of these shapes at one module; those in `bad` hold NaN."""
    made = []
    for n, shape in enumerate(shapes):
        found = factors(n, [(0, Q)], 2, {Q: shape})
        if n in bad:
            found[ModuleId(0, Q)][0][0, 0] = np.nan
        made.append(adapter("abcdef"[n], found))
    return made, analyse(made, Settings(k=2, device="cpu"))


@pytest.mark.parametrize(
    ("shapes", "bad", "weights", "reason"),
    [
        ([(9, 7), (9, 7)], (), (1, 1), ""),
        ([(9, 7), (6, 8)], (), (1, 1), "9×7 in a, 6×8 in b"),
        ([(9, 7), (6, 8)], (), (0, 1), ""),
        ([(6, 8), (9, 7), (9, 7)], (), (1, 1, 1), "9×7 in 2 adapters, 6×8 in a"),
        ([(6, 8), (9, 7), (9, 7), (6, 8), (9, 7)], (), (1, 1, 1, 1, 1), "9×7 in 3 adapters, 6×8 in 2 (a, …)"),
        ([(6, 8), (9, 7), (9, 7)], (), (1, 0, 1), "6×8 in a, 9×7 in c"),
        ([(9, 7), (9, 7)], (1,), (1, 1), "not finite in b"),
        ([(9, 7), (9, 7)], (1,), (1, 0), ""),
        ([(9, 7), (6, 8)], (1,), (1, 1), "not finite in b"),
    ],
)
def test_what_cannot_be_added_and_why(shapes, bad, weights, reason):
    made, study = of_shapes(*shapes, bad=bad)
    assert [text for _, text in refused(study, weights)] == [reason] * bool(reason)
    assert addable(study, weights).tolist() == [not reason]
    found = Preview(study, weights, spectra(made, study, weights, device="cpu"))
    assert np.isnan(found.in_study().blocks["sum_norm", "global"]).all() == bool(reason)
    assert found.spectra.any() == (not reason)


def test_a_module_that_could_not_be_read_is_not_measured():
    _, study = of_shapes((9, 7), (9, 7), bad=(1,))
    shapes = study.shapes.copy()
    shapes[1] = 0
    assert [text for _, text in refused(replace(study, shapes=shapes), (1, 1))] == ["not measured in b"]


def test_long_names_are_cut_where_they_are_quoted():
    """At 40 characters each; of a name that is shorter nothing."""
    for length, shown in ((40, "x" * 40), (41, "x" * 39 + "…")):
        made, study = of_shapes((9, 7), (6, 8))
        named = study.renamed("b", "x" * length)
        assert [text for _, text in refused(named, (1, 1))] == [f"9×7 in a, 6×8 in {shown}"]
        _, broken = of_shapes((9, 7), (9, 7), bad=(1,))
        assert [text for _, text in refused(broken.renamed("b", "x" * length), (1, 1))] == [f"not finite in {shown}"]
    assert len(made) == 2


def test_names_are_printed_without_control_characters(four, capsys):
    _, study, preview = four
    print_preview(replace(preview, study=study.renamed("b", "od\x1bd")), 2)
    assert "\nodd " in capsys.readouterr().out.replace("\n ", "\n")


def test_the_tables_say_the_numbers(four, capsys):
    adapters, study, preview = four
    parts, whole = dense(adapters, WEIGHTS)
    norm, ratio, conflict, _, kept = numbers(parts, whole, [m for m in study.modules if m.layer != 7])
    print_preview(preview, 2, ("projection", "layer"))
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert "Σ w·ΔW of 3 adapters, 6 modules" in out
    rows = {
        line[0]: line[1:]
        for line in lines
        if line and line[0] in {"a", "b", "zero", "c", "q_proj", "v_proj", "0", "2", "5", "7"}
    }
    assert [rows[name][:2] for name in ("a", "b", "zero", "c")] == [["0.5", "2"], ["-2", "3"], ["0", "4"], ["1.5", "1"]]
    own = np.sqrt(sum((W**2).sum() for W in parts[1].values()))
    assert rows["b"][2:4] == [significant(own / 2), significant(own)]
    assert float(rows["b"][4].replace("−", "-")) == pytest.approx(
        float(preview.sums.cosines(preview.scope())[1]), abs=6e-3
    )
    assert f"norm of the sum   {significant(norm)}\n" in out
    assert f"energy ratio      {ratio:.2f} (" in out
    assert f"interference      {conflict:.2f} (" in out
    assert f"rank of the sum   {float(preview.ranks(preview.scope())):.1f} on average, at most 6\n" in out
    assert f"energy kept       {100 * kept[1]:.1f} % at rank 2\n" in out
    steps = ", ".join(f"{k}: {100 * kept[k - 1]:.1f} %" for k in (1, 2, 4, 6))
    assert f"    by rank       {steps}\n" in out
    layer, *_, of_layer = numbers(parts, whole, [m for m in study.modules if m.layer == 2])
    assert rows["2"][:2] == ["2", significant(layer)]
    assert rows["2"][-2] == f"{100 * of_layer[1]:.1f}"
    assert rows["7"] == ["1", "0", "n/a", "n/a", "n/a"]
    assert rows["q_proj"][0] == "3"


@pytest.mark.parametrize(
    ("sigma", "steps", "kept"),
    [
        ([1.0, 0, 0, 0, 0], "1: 100.0 %", "100.0 %"),
        ([1.0, 0.02, 0, 0, 0], "1: > 99.9 %", "> 99.9 %"),
        ([1.0, 0.03, 0, 0, 0], "1: 99.9 %, 2: 100.0 %", "99.9 %"),
        ([1.0, 1, 1, 0, 0], "1: 33.3 %, 2: 66.7 %, 3: 100.0 %", "33.3 %"),
        ([1.0, 1, 1, 1, 1e-3], "1: 25.0 %, 2: 50.0 %, 4: > 99.9 %", "25.0 %"),
        ([0.0, 0, 0, 0, 0], "", "n/a"),
    ],
)
def test_ranks_worth_naming(four, capsys, sigma, steps, kept):
    """1, 2, 4 … to where nearly all is held; never 100 % of what is not all."""
    study = analyse(four[0][:1], Settings(k=2, device="cpu"))
    print_preview(Preview(study, (1.0,), np.array([sigma] * len(study.modules))), 1)
    out = capsys.readouterr().out
    assert f"energy kept       {kept} at rank 1\n" in out
    assert ("    by rank" in out) == bool(steps)
    assert f"by rank       {steps}\n" in out or not steps


def test_the_numbers_without_a_pass_over_the_weights(four):
    """From the inner products of the study alone, but for the spectrum; with it also where the parts nearly cancel."""
    adapters, study, preview = four
    bare = Preview(study, WEIGHTS)
    assert float(bare.sums.norm(bare.scope())) == pytest.approx(float(preview.sums.norm(preview.scope())))
    assert {metric for metric, _ in bare.in_study().blocks} & {
        "sum_rank",
        "sum_energy_kept",
        "sum_singular_value",
    } == set()
    assert preview.sums.square == pytest.approx((preview.spectra**2).sum(1), rel=0, abs=0)
    near = replace(
        adapters[0],
        info=replace(adapters[0].info, name="near"),
        load=lambda m: tuple(x * (1 + 1e-9 * (x is not None)) for x in adapters[0].load(m)),
    )
    both = analyse([adapters[0], near], Settings(k=2, device="cpu"))
    found = Preview(both, (1.0, -1.0), spectra([adapters[0], near], both, (1.0, -1.0), device="cpu"))
    whole = np.sqrt(sum((W**2).sum() for W in dense(adapters[:1], (1.0,))[1].values()))
    assert float(found.sums.norm(found.scope())) == pytest.approx(2e-9 * whole, rel=1e-5)


def test_modules_outside_of_layers_and_adapters_without_a_rank():
    outside = adapter(
        "head", {**factors(9, [(0, Q)], 2), ModuleId(None, "head"): factors(8, [(0, Q)], 2)[ModuleId(0, Q)]}
    )
    study = analyse([outside], Settings(k=2, device="cpu"))
    found = Preview(study, (1.0,), spectra([outside], study, (1.0,), device="cpu"))
    assert found.by_layer().sum() == 1
    unknown = replace(study, adapters=(replace(study.adapters[0], ranks=()),))
    assert (found.default_rank, Preview(unknown, (1.0,)).default_rank, Preview(study, (0.0,)).default_rank) == (2, 1, 1)
