"""What is measured together, spectra and gaps, and snapshots on the way."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from inspector.analysis import analyse as analysis
from inspector.analysis.analyse import analyse, chosen_modules
from inspector.analysis.collect import Table, bounded
from inspector.study.aggregate import aggregate
from inspector.study.study import Settings
from tests.geometry.scopes import ADAPTER, ANGLES, MEANS, STACKED, expected
from tests.geometry.test_scopes import LAYER, MODULES, broken, changed, made
from tests.memory import random_adapter

BOTH = Settings(k=3, sides=("left", "right"))
SMALL, LARGE = {"q": (6, 5)}, {"q": (3000, 2000)}


def table(*adapters):
    return Table(adapters, chosen_modules(adapters, ""), BOTH)


@pytest.mark.parametrize("kept", [(), ("norm",), ("u1",), ("norm", "cosine"), ("norm", "energy_left_out")])
def test_a_study_that_was_saved_in_part_is_aggregated_as_the_whole(kept):
    whole = analyse([random_adapter("a", 0), random_adapter("b", 1)], BOTH)
    part = {key: values for key, values in whole.blocks.items() if key[1] == "module" and key[0] in kept}
    found = aggregate(replace(whole, blocks=part))
    assert {metric for metric, scope in found.blocks if scope == "global"} >= {m for m, _ in part}
    for key, values in found.blocks.items():
        np.testing.assert_array_equal(values, whole.blocks[key], err_msg=str(key))


def wide(name, layers, shapes, r=2):
    return random_adapter(name, 1, layers=layers, shapes=shapes, r=r)


@pytest.mark.parametrize(
    ("adapters", "sizes"),
    [
        ((wide("a", 600, SMALL), wide("b", 600, SMALL)), [600]),
        ((wide("a", 300, {"q": (300, 200)}), wide("b", 300, {"q": (300, 200)}, r=7)), [18, 141, 141]),
        ((wide("a", 3, LARGE, r=100), wide("b", 3, LARGE, r=100)), [1, 1, 1]),
        ((wide("a", 5, SMALL), wide("b", 3, SMALL)), [2, 3]),
        ((wide("a", 5, SMALL), wide("b", 3, SMALL, r=3), wide("c", 2, {"q": (5, 6)})), [2, 2, 3]),
    ],
    ids=["all that fit", "as many as numbers fit", "one at least", "by who is there", "by shape"],
)
def test_batches_hold_every_update_once_and_stay_small(adapters, sizes):
    made_of = table(*adapters)
    batches = made_of.batches(2**20)
    assert sorted(len(batch.modules) for batch in batches) == sizes
    assert batches == sorted(batches)
    at = [(i, m) for batch in batches for i in batch.adapters for m in batch.modules]
    held = [(i, m) for i, a in enumerate(adapters) for m, id_ in enumerate(made_of.modules) if id_ in a.modules]
    assert sorted(at) == held


def test_the_largest_module_is_the_longest_side_beside_the_ranks_of_all_adapters():
    one, other = wide("a", 2, {"q": (6, 50), "v": (7, 3)}, r=4), wide("b", 1, {"q": (60, 5)}, r=7)
    assert table(one, other).largest() == (60, 4 + 7)


@pytest.mark.parametrize(
    ("r", "shape"), [(1024, (8, 6)), (1030, (8, 6)), (1030, (6, 8)), (1030, (6, 1040)), (1030, (1040, 6))]
)
def test_ranks_far_above_the_shape_are_multiplied_out(r, shape):
    one = wide("a", 1, {"q": shape}, r=r)
    (module,) = one.modules
    B, A = one.load(module)
    found = bounded(B, A)
    assert found[1].shape[0] == (r if r == 1024 else min(shape))
    assert torch.allclose(found[0] @ found[1], B @ A)
    if r > 1024:
        sigma = analyse([one], BOTH).block("singular_value", "module")[0, 0]
        np.testing.assert_allclose(sigma, 2 * np.linalg.svd(B.numpy() @ A.numpy(), compute_uv=False), rtol=1e-9)


def test_spectra_and_gaps_are_of_the_adapter_alone():
    """Of each its own min(r, d_out, d_in), whoever is beside it."""
    adapters = [made(1, "a", 2), made(2, "b", -0.3), wide("c", 3, {"self_attn.q_proj": (24, 16)}, r=30)]
    study = analyse(adapters, BOTH)
    sigma, gaps = study.block("singular_value", "module"), study.block("spectral_gap", "module")
    assert sigma.shape[2] == 16
    for i, one in enumerate(adapters):
        for m, module in enumerate(study.modules):
            values = np.full(16, np.nan)
            if (spec := one.modules.get(module)) is not None:
                B, A = (factor.numpy() for factor in one.load(module))
                known = abs(spec.scale.value) * np.linalg.svd(B @ A, compute_uv=False)[: min(spec.rank, 16)]
                values[: len(known)] = known
            np.testing.assert_allclose(sigma[i, m], values, rtol=0, atol=1e-9)
            np.testing.assert_allclose(gaps[i, m], (values - np.nan_to_num(np.append(values[1:], 0)))[:3], atol=1e-9)


def test_several_broken_adapters_of_one_batch_leave_what_is_whole():
    others = [module for module in MODULES if module.layer in {0, 1}]
    adapters = [
        changed(made(1, "a", 2), LAYER, broken), changed(made(1, "b", 1), others, broken),
        made(1, "c", -1), made(1, "d", 3),
    ]  # fmt: skip
    study = analyse(adapters, BOTH)
    assert [set(info.excluded) for info in study.adapters] == [set(LAYER), set(others), set(), set()]
    assert [info.health for info in study.adapters] == ["error", "error", "ok", "ok"]
    for key, values in expected(study, adapters).items():
        np.testing.assert_allclose(study.block(*key), values, rtol=1e-9, atol=1e-5, err_msg=str(key))


def test_snapshots_hold_what_is_measured_and_nothing_else(monkeypatch):
    """A clock of one second a look: due at once, then after four times what a snapshot takes."""
    clock = count()
    monkeypatch.setattr(analysis.time, "monotonic", lambda: float(next(clock)))
    adapters = [wide("a", 6, {f"p{n:02}": (4 + n, 5) for n in range(24)}), wide("b", 6, {"p01": (5, 5)}, r=3)]
    parts, steps = [], []
    whole = analyse(adapters, BOTH, progress=lambda done, total: steps.append((done, total)), partial=parts.append)
    assert steps == [(6 * done, 144) for done in range(1, 25)]
    held = [int(np.isfinite(part.block("norm", "module")[0]).sum()) for part in parts]
    assert held == [6 * batches for batches in (1, 8, 15, 22)]
    for part in parts:
        for metric in ("norm", "cosine", "u1", "principal_angle"):
            known, final = part.block(metric, "module"), whole.block(metric, "module")
            assert (np.isnan(known) | (known == final)).all()
    assert not any(info.digest for part in parts for info in part.adapters)
    assert all(info.digest for info in whole.adapters)


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")])
def test_the_metrics_of_an_analysis(sides):
    study = analyse([made(1, "a", 2), made(2, "b", 1)], Settings(k=2, sides=sides))
    angles = [metric for metric, side in zip(ANGLES, ("left", "right"), strict=True) if side in sides]
    known = {*ADAPTER, *STACKED, *MEANS, *angles, "singular_value", "spectral_gap", "effective_rank_share"}
    known |= {f"{metric}_chance" for metric in (*MEANS, *angles)}
    assert {metric for metric, scope in study.blocks if scope == "module"} == known
    assert all(study.block(metric, "module").shape[-1] == 2 for metric in angles)
