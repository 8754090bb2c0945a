"""A pair over the modules both adapt: the same alone and beside others, against dense vectors and closed forms."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from inspector.analysis.analyse import analyse
from inspector.geometry.chance import angle_chance, direction_chance
from inspector.insights.findings import findings_of
from inspector.insights.pairwise import added, pair_chance, pair_interference, shared, within_bases
from inspector.report.context import Context
from inspector.report.document import Bars
from inspector.report.sections import subspaces
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from inspector.tables.studies import print_study
from inspector.tui.state import AppState
from tests.geometry.oracle import Dense
from tests.geometry.scopes import updates
from tests.geometry.test_scopes import CASES, study_of
from tests.memory import adapter, random_adapter

Q, V = {"self_attn.q_proj": (24, 16)}, {"self_attn.q_proj": (24, 16), "self_attn.v_proj": (8, 16)}
SETTINGS = Settings(k=3, sides=("left", "right"))
METRICS = (
    "u1", "v1", "subspace_overlap", "subspace_overlap_right", "principal_angle", "principal_angle_right",
    "output_similarity", "input_similarity",
)  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_chance_of_a_pair_is_the_same_alone_and_beside_others(metric):
    pair = [random_adapter("a", 1, shapes=Q, r=2), random_adapter("b", 2, shapes=Q, r=2)]
    others = [
        random_adapter("c", 3, shapes=V),
        random_adapter("d", 4, shapes=V),
        *(random_adapter(f"e{n}", n, shapes={"self_attn.q_proj": (48, 32)}) for n in range(3)),
    ]
    alone, beside = analyse(pair, SETTINGS), analyse([*pair, *others], SETTINGS)
    expected = pair_chance(alone, metric, 0, 1)
    np.testing.assert_array_equal(pair_chance(beside, metric, 0, 1), expected)
    np.testing.assert_allclose(expected, np.atleast_1d(alone.block(f"{metric}_chance", "global")[0]), rtol=1e-14)


def test_a_module_that_one_did_not_move_has_no_chance():
    """v of b is zero: q alone counts, 3/24."""
    one, other = random_adapter("a", 1), random_adapter("b", 2)
    still = adapter(
        "b", {m: (B * (m.projection == "q_proj"), A) for m, (B, A) in ((m, other.load(m)) for m in other.modules)}
    )
    study = analyse([one, still], SETTINGS)
    assert pair_chance(study, "subspace_overlap", 0, 1) == pytest.approx(3 / 24)
    assert pair_chance(study, "u1", 0, 1) == pytest.approx(direction_chance(24))


def test_without_a_chance_level_there_is_one_number_that_is_not_known():
    study = analyse([random_adapter("a", 1), random_adapter("b", 2)], SETTINGS)
    found = pair_chance(study, "cosine", 0, 1)
    assert found.shape == (1,)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("bases", "known"),
    [(("x/a", "x/b", "x/b"), {(1, 2)}), (("x/a", "y/a", "x/b"), {(0, 1)}), (("x/a", "x/b", "x/c"), set()),
     (("x/a", "", "x/a"), {(0, 1), (0, 2), (1, 2)}), (("x/a", "", "x/b"), {(0, 1), (1, 2)})],
)  # fmt: skip
def test_no_number_counts_between_adapters_of_different_bases(bases, known):
    study = analyse([random_adapter(name, n) for n, name in enumerate("abc")], SETTINGS)
    infos = tuple(replace(info, base=base) for info, base in zip(study.adapters, bases, strict=True))
    found = within_bases(replace(study, adapters=infos))
    for metric in ("cosine", "u1", "energy_ratio"):
        block = found.block(metric, "global")[:, :, 0]
        assert {(i, j) for i, j in combinations(range(3), 2) if np.isfinite(block[i, j])} == known
    np.testing.assert_array_equal(found.block("norm", "global"), study.block("norm", "global"))


def test_a_sum_is_of_norms_and_cosines_of_modules():
    study = analyse([random_adapter("a", 1), random_adapter("b", 2)], SETTINGS)
    assert np.isfinite(added(study, 0, 1).to_a)
    for gone in ("norm", "cosine"):
        without = {key: values for key, values in study.blocks.items() if key != (gone, "module")}
        of = added(replace(study, blocks=without), 0, 1)
        assert np.isnan([of.to_a, of.to_b, of.cancelled]).all()


def test_chance_of_a_pair_in_closed_form():
    study = analyse([random_adapter("a", 1, r=2), random_adapter("b", 2), random_adapter("c", 3, shapes=Q)], SETTINGS)
    both = pair_chance(study, "subspace_overlap", 0, 1)
    assert both == pytest.approx((3 / 24 + 3 / 8) / 2), "k of the wider one, mean over q and v"
    assert pair_chance(study, "subspace_overlap", 0, 2) == pytest.approx(3 / 24)
    assert pair_chance(study, "u1", 1, 2) == pytest.approx(direction_chance(24))
    np.testing.assert_allclose(pair_chance(study, "principal_angle", 1, 2), angle_chance(24, 3, 3))
    unequal = pair_chance(study, "principal_angle", 0, 2)
    np.testing.assert_allclose(unequal[:2], angle_chance(24, 2, 3))
    assert np.isnan(unequal[2]), "two dimensions on one side: two angles"
    only_v = np.array([module.projection == "v_proj" for module in study.modules])
    assert pair_chance(study, "subspace_overlap", 0, 1, only_v) == pytest.approx(3 / 8)
    assert np.isnan(pair_chance(study, "subspace_overlap", 0, 2, only_v)).all()


def test_modules_of_one_side_do_not_make_outputs_shared():
    """Zeros take a cosine of 0.4 below 0.2: the class and the finding go by the modules both adapt."""
    rng = np.random.default_rng(5)

    def factors(own, of=None):
        A = torch.from_numpy(rng.standard_normal((4, 40)))
        return (of[0], 0.45 * of[1] + A) if of else (torch.from_numpy(rng.standard_normal((60, 4))), own * A)

    here, elsewhere = ModuleId(0, "q_proj"), [ModuleId(layer, "v_proj") for layer in range(3)]
    one = {here: factors(1)}
    two = {here: factors(1, one[here])} | {module: factors(1.5) for module in elsewhere}
    study = analyse([adapter("one", one), adapter("two", two)], Settings(k=4))
    dense = [(B @ A).numpy().ravel() for B, A in (one[here], two[here])]
    found = pair_interference(study, 0, 1)
    assert found.cosine == pytest.approx(np.dot(*dense) / np.prod([np.linalg.norm(x) for x in dense]))
    assert study.block("cosine", "global")[0, 1, 0] < 0.2 < found.cosine
    assert found.overlap == pytest.approx(1)
    assert found.kind == "aligned"
    assert "merging" not in {told.kind for told in findings_of(study)}


def test_adapters_without_a_common_module_are_told_so_in_one_line(capsys):
    foreign = random_adapter("c", 3, shapes={"attn.c_attn": (48, 16)})
    print_study(analyse([random_adapter("a", 1), foreign], SETTINGS))
    alone = capsys.readouterr().out
    assert "The two have no module of the same name and shape to compare." in alone
    assert "top-0" not in alone
    assert "energy ratio" not in alone
    assert "cosine" not in alone
    print_study(analyse([random_adapter("a", 1), random_adapter("b", 2), foreign], SETTINGS))
    assert "interference, all modules" in capsys.readouterr().out


def test_chance_of_a_pair_is_by_the_ranks_its_updates_have():
    """Columns of zeros, or twice the same, are not dimensions."""
    rng = torch.Generator().manual_seed(1)
    here = ModuleId(0, "q_proj")

    def made(r, zeros=0):
        B = torch.randn(60, r, generator=rng, dtype=torch.float64)
        A = torch.randn(r, 40, generator=rng, dtype=torch.float64)
        return {here: (torch.cat([B, torch.zeros(60, zeros, dtype=B.dtype)], 1), torch.cat([A, A[:zeros]]))}

    lean, padded, wide = made(2), made(2, zeros=2), made(4)
    study = analyse([adapter("lean", lean), adapter("padded", padded), adapter("wide", wide)], Settings(k=4))
    expected = np.array([*angle_chance(60, 2, 4), np.nan, np.nan])
    np.testing.assert_allclose(pair_chance(study, "principal_angle", 0, 2), expected)
    np.testing.assert_allclose(pair_chance(study, "principal_angle", 1, 2), expected)
    assert pair_chance(study, "row_space_overlap", 0, 1) == pytest.approx(2 / 40)
    two = analyse([adapter("padded", padded), adapter("wide", wide)], Settings(k=4))
    np.testing.assert_allclose(two.block("principal_angle_chance", "global")[0], expected)
    turned = analyse([adapter("wide", wide), adapter("lean", lean)], Settings(k=4))
    np.testing.assert_allclose(turned.block("principal_angle_chance", "global")[0], expected)
    levels = [*[angle_chance(60, 2, 4)] * 2, angle_chance(60, 2, 2)]
    np.testing.assert_allclose(study.block("principal_angle_chance", "global")[0, :2], np.median(levels, axis=0))


def mixed_ranks():
    """Two adapters of one module: rank 2 and rank 10, in 768 dimensions."""
    rng = torch.Generator().manual_seed(3)
    here = ModuleId(0, "q_proj")
    return [
        adapter(f"r{r}", {here: (torch.randn(768, r, generator=rng), torch.randn(r, 64, generator=rng))})
        for r in (2, 10)
    ]


def test_the_table_of_angles_has_the_chance_of_each_pair(capsys):
    print_study(analyse(mixed_ranks(), Settings()), ())
    shown = capsys.readouterr().out
    (random,) = [line.split() for line in shown.splitlines() if line.split()[:1] == ["random"]]
    assert [float(cell) for cell in random[2:]] == pytest.approx([82.5, 85.0], abs=0.2)
    third = random_of(4)
    print_study(analyse([*mixed_ranks(), third], Settings()), ())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert not [line for line in lines if line[:1] == ["random"]]
    (heads,) = [line for line in lines if line[:3] == ["a", "b", "smallest"]]
    assert heads.count("chance") == 2
    row = next(line for line in lines if {*line[:2]} == {"r2", "r10"} and "°" not in line and len(line) == 8)
    assert [float(row[4]), float(row[7])] == pytest.approx([82.5, 85.0], abs=0.2)


def random_of(r, *, outside=False):
    rng = torch.Generator().manual_seed(r)
    B, A = torch.randn(768, r, generator=rng), torch.randn(r, 64, generator=rng)
    return adapter(
        f"r{r}", {ModuleId(0, "q_proj"): (B, A)} | ({ModuleId(None, "head"): (B[:48], A)} if outside else {})
    )


def test_report_and_app_show_the_chance_of_unequal_ranks():
    study = analyse(mixed_ranks(), Settings())
    (angles,) = [part for part in subspaces.angles(Context.of(study)).parts if isinstance(part, Bars)]
    assert [level for _, level in angles.levels] == pytest.approx([82.5, 85.0], abs=0.2)
    state = AppState.of(study)
    assert state.pair_chance("principal_angle", (0, 1))[:2] == pytest.approx([82.5, 85.0], abs=0.2)
    assert state.chance_series("principal_angle", (0, 1)) == pytest.approx([82.5], abs=0.2)
    both = analyse([random_of(r, outside=True) for r in (2, 10)], Settings())
    assert both.block("principal_angle_chance", "global")[0, 0] < 80
    assert AppState.of(both).chance_series("principal_angle", (0, 1)) == pytest.approx([82.5], abs=0.2)
    assert study.block("effective_rank_share", "global")[:, 0] == pytest.approx(
        study.block("effective_rank", "global")[:, 0] / [2, 10]
    )
    three = analyse([*mixed_ranks(), random_of(4)], Settings())
    (angles,) = [part for part in subspaces.angles(Context.of(three)).parts if isinstance(part, Bars)]
    assert [name for name, _ in angles.levels] == [
        f"by chance, {which} ({end})" for which in ("smallest", "largest") for end in ("least", "most")
    ]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_interference_is_that_of_dense_vectors_over_the_modules_both_adapt(case, side):
    adapters, study = study_of(case, side)
    dense = updates(adapters, study.modules)
    for i, j in ((0, 1), (1, 0), (1, 2), (2, 0)):
        both = [
            isinstance(a, Dense) and isinstance(b, Dense) and a.W.shape == b.W.shape
            for a, b in zip(dense[i], dense[j], strict=True)
        ]
        for counted in (None, "q_proj", "lm_head"):
            chosen = np.array([counted in {None, module.projection} for module in study.modules])
            here = np.flatnonzero(both & chosen)
            found = pair_interference(study, i, j, None if counted is None else chosen)
            np.testing.assert_array_equal(np.flatnonzero(shared(study, i, j, chosen)), here)
            x, y = (np.concatenate([[0.0], *(dense[a][m].W.ravel() for m in here)]) for a in (i, j))
            sizes = np.linalg.norm(x) * np.linalg.norm(y)
            assert found.cosine == pytest.approx(x @ y / sizes if sizes else np.nan, nan_ok=True)
            overlaps = study.block("subspace_overlap", "module")[i, j, here]
            known = overlaps[~np.isnan(overlaps)]
            assert found.overlap == pytest.approx(known.mean() if len(known) else np.nan, nan_ok=True)


@pytest.mark.parametrize("gone", ["norm", "cosine", "subspace_overlap", "norm cosine subspace_overlap singular_value"])
def test_without_numbers_of_modules_a_pair_has_those_of_the_whole(gone):
    _, study = study_of("ordinary", 0)
    blocks = {key: values for key, values in study.blocks.items() if key[1] == "global" or key[0] not in gone.split()}
    whole = replace(study, blocks=blocks)
    for i, j in ((0, 1), (2, 1)):
        found = pair_interference(whole, i, j)
        for value, metric in ((found.cosine, "cosine"), (found.overlap, "subspace_overlap")):
            assert value == study.block(metric, "global")[i, j, 0]
        if "singular_value" in gone:
            assert found.chance == study.block("subspace_overlap_chance", "global")[0]
            np.testing.assert_array_equal(pair_chance(whole, "u1", i, j), study.block("u1_chance", "global"))
    without = {key: values for key, values in blocks.items() if key[0] not in {"cosine", "subspace_overlap"}}
    found = pair_interference(replace(study, blocks=without), 0, 1)
    assert np.isnan([found.cosine, found.overlap]).all()
    assert found.kind == "n/a"
    assert np.isnan(pair_chance(replace(study, blocks={}), "u1", 0, 1)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_chance_of_a_pair_is_the_mean_or_median_of_its_modules(metric):
    """Of the angles the median, of the rest the mean: over seven modules of four shapes, in which the two differ."""
    shapes = dict(zip("abcd", ((24, 16), (8, 30), (9, 7), (90, 64)), strict=True))
    pair = [random_adapter(name, n, layers=4 if name == "y" else 2, shapes=shapes) for n, name in enumerate("xy")]
    study = analyse([*pair, random_adapter("z", 9, shapes={"e": (5, 40)})], SETTINGS)
    use = np.array(
        [module.path in shapes and module.layer in {0, 1} and module != (1, "d") for module in study.modules]
    )
    assert use.sum() == 7
    alone = np.array([pair_chance(study, metric, 0, 1, np.eye(len(use), dtype=bool)[m]) for m in np.flatnonzero(use)])
    over = np.median if metric.startswith("principal_angle") else np.mean
    np.testing.assert_allclose(pair_chance(study, metric, 0, 1, use), over(alone, axis=0))
    assert len(np.unique(alone[:, 0])) > 2
    assert np.mean(alone[:, 0]) != pytest.approx(np.median(alone[:, 0]))
