"""Sketches of adapters, and exact cosines of chosen pairs, against dense float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.adapters.model import Scale
from inspector.analysis import exact_pairs
from inspector.analysis.exact_pairs import exact_cosines
from inspector.analysis.sketching import sketch_of
from inspector.geometry.sketch import signs
from inspector.study.adapter_info import UNSCALED
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.sketches import SEED
from tests.memory import adapter

Q, K, V, HEAD = "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", ModuleId(None, "lm_head")
SHAPES = {Q: (24, 16), K: (24, 16), V: (8, 20), HEAD.path: (10, 16)}
SCALE = 2.0


def factors(ranks, seed=0, zero=()):
    """Random B and A of these ranks, with a direction in common; `zero` are B = 0."""
    rng = np.random.default_rng(seed)
    found = {}
    for module, r in ranks.items():
        d_out, d_in = SHAPES[module.path]
        B, A = (torch.from_numpy(rng.standard_normal(shape) + 0.3) for shape in ((d_out, r), (r, d_in)))
        found[module] = (0 * B if module in zero else B, A)
    return found


def dense(of):
    return {module: SCALE * (B @ A).numpy() for module, (B, A) in of.items()}


RANKS = {
    ModuleId(2, Q): 3, ModuleId(2, K): 3, ModuleId(2, V): 1, ModuleId(10, Q): 4, ModuleId(10, K): 4, ModuleId(11, V): 2,
    HEAD: 2,
}  # fmt: skip
DEAD = (ModuleId(10, K), ModuleId(11, V))
"""All of layer 11, and one of layer 10."""


@pytest.fixture(scope="module")
def sketched():
    of = factors(RANKS, zero=DEAD)
    found = adapter("one", of, SCALE)
    info = replace(found.info, base="x/base", origin=Origin("sft", a0="f", step=7))
    return sketch_of(replace(found, info=info)), dense(of)


def expected(W, kind, width):
    """S = PᵀXQ/width of each module whose update is not zero, with its signs."""
    found = {}
    for module, update in W.items():
        if not update.any():
            continue
        drawn = signs([str(module)], *update.shape, SEED)
        (P1, P2), (Q1, Q2) = (
            [side[:, :width].double().numpy() for side in of[:, 0]] for of in (drawn.outputs, drawn.inputs)
        )
        if kind == "update":
            S = P1.T @ update @ Q1
        elif kind == "outputs":
            S = P1.T @ (update @ update.T / np.linalg.norm(update @ update.T)) @ P2
        else:
            _, sigma, Vt = np.linalg.svd(update, full_matrices=False)
            rank = int((sigma > 1e-9 * sigma[0]).sum())
            S = Q1.T @ Vt[:rank].T @ Vt[:rank] @ Q2 / np.sqrt(rank)
        found[module] = S / width
    return found


def test_the_whole_is_the_sum_of_the_modules_at_unit_norm(sketched):
    sketch, W = sketched
    norm, alive = np.sqrt(sum((w**2).sum() for w in W.values())), 5
    for kind, length in (("update", norm), ("outputs", np.sqrt(alive)), ("rows", np.sqrt(alive))):
        found = expected(W, kind, 64)
        assert len(found) == alive
        np.testing.assert_allclose(
            getattr(sketch, kind), (sum(found.values()) / length).ravel(), atol=1e-6, err_msg=kind
        )


def test_layers_are_sketched_by_themselves(sketched):
    sketch, W = sketched
    assert sketch.layers == [2, 10, 11]
    norms = [np.sqrt(sum((w**2).sum() for m, w in W.items() if m.layer == layer)) for layer in sketch.layers]
    assert sketch.layer_norms == pytest.approx(norms)
    for kind, lengths in (("update", norms), ("outputs", np.sqrt([3, 1, 0]))):
        found, by_layer = expected(W, kind, 16), getattr(sketch, f"{kind}_by_layer").reshape(3, -1)
        for layer, of, length in zip(sketch.layers, by_layer, lengths, strict=True):
            whole = sum((S for module, S in found.items() if module.layer == layer), np.zeros((16, 16)))
            np.testing.assert_allclose(of, whole.ravel() / (length or 1), atol=1e-6, err_msg=f"{kind} {layer}")


def test_the_numbers_beside_a_sketch_are_exact(sketched):
    sketch, W = sketched
    sigmas = [np.linalg.svd(w, compute_uv=False) for m, w in W.items() if m not in DEAD]
    square, fourth, eighth = (np.array([(s**power).sum() for s in sigmas]) for power in (2, 4, 8))
    ranks, widths = np.array([3, 3, 1, 4, 2]), np.array([16, 16, 20, 16, 16])
    assert sketch.norm == pytest.approx(np.sqrt(square.sum()))
    assert sketch.update_spread == pytest.approx(np.sqrt(fourth.sum()) / square.sum())
    assert sketch.outputs_spread == pytest.approx(np.sqrt((eighth / fourth**2).sum()) / 5)
    assert sketch.rows_spread == pytest.approx(np.sqrt((1 / ranks).sum()) / 5)
    assert sketch.rows_chance == pytest.approx((ranks / widths).mean())
    assert sketch.modules == sorted(str(m) for m in RANKS if m not in DEAD)
    assert sketch.shapes == ["lm_head 10x16", f"{K} 24x16", f"{Q} 24x16", f"{V} 8x20"]
    assert (sketch.name, sketch.base, sketch.method, sketch.a0, sketch.step) == ("one", "x/base", "sft", "f", 7)
    assert sketch.scaled


def test_an_unknown_scale_leaves_the_directions():
    found = adapter("one", factors(RANKS), 1.0)
    modules = {m: replace(spec, scale=Scale(None, "unknown")) for m, spec in found.modules.items()}
    unscaled = sketch_of(replace(found, modules=modules, info=replace(found.info, scale=UNSCALED)))
    assert np.isnan(unscaled.norm)
    np.testing.assert_allclose(unscaled.update, sketch_of(found).update, atol=1e-6)


# Exact cosines of pairs

WHO = [
    {ModuleId(0, Q): 3, ModuleId(1, Q): 2},
    {ModuleId(1, Q): 2, ModuleId(2, Q): 1},
    {ModuleId(0, Q): 5, ModuleId(2, Q): 2},
    {ModuleId(0, Q): 1, ModuleId(1, Q): 4, ModuleId(2, Q): 3},
    {ModuleId(2, Q): 2, ModuleId(0, Q): 2},
    {ModuleId(0, Q): 2},
]
PAIRS = np.array([(0, 3), (4, 2), (3, 1), (3, 4), (1, 2), (0, 1), (2, 3), (3, 5), (1, 4)])


@pytest.mark.parametrize("size", [2, 3, 256])
@pytest.mark.parametrize("blocks", [[[4, 2, 3, 1, 0, 5]], [[5, 4, 2], [1, 3, 0]], [[3], [0], [5], [1], [4], [2]]])
def test_cosines_of_chosen_pairs(size, blocks, monkeypatch):
    """Ranks and modules differ; the last is zero, of the first the scale is not known."""
    monkeypatch.setattr(exact_pairs, "_BLOCK", size)
    all_of = [factors(ranks, seed, zero=ranks if seed == 5 else ()) for seed, ranks in enumerate(WHO)]
    adapters = [adapter(str(n), of, SCALE) for n, of in enumerate(all_of)]
    unscaled = {m: replace(spec, scale=Scale(None, "unknown")) for m, spec in adapters[0].modules.items()}
    adapters[0] = replace(adapters[0], modules=unscaled)
    W = [dense(of) for of in all_of]

    def cosine(i, j):
        inner = sum((W[i][m] * W[j][m]).sum() for m in W[i].keys() & W[j].keys())
        lengths = (np.sqrt(sum((w**2).sum() for w in W[n].values())) for n in (i, j))
        return inner / np.prod(list(lengths)) if all(W[n][m].any() for n in (i, j) for m in W[n]) else np.nan

    found = exact_cosines(adapters, PAIRS, blocks)
    assert np.isnan(found).sum() == 1
    assert (np.abs(found) > 1e-3).sum() == 8
    np.testing.assert_allclose(found, [cosine(i, j) for i, j in PAIRS.tolist()], atol=1e-12)


def test_modules_of_one_name_in_other_shapes_share_nothing():
    one = adapter("one", {ModuleId(0, Q): (torch.ones(4, 1).double(), torch.ones(1, 3).double())})
    other = adapter("other", {ModuleId(0, Q): (torch.ones(3, 1).double(), torch.ones(1, 4).double())})
    assert exact_cosines([one, other], np.array([(0, 1)]), [[0, 1]]).tolist() == [0.0]
