"""Sketches against dense float64: no bias over seeds, and errors that hold what they say."""

import numpy as np
import pytest
import torch

from inspector.geometry.factorise import factorise
from inspector.geometry.gram import own_grams
from inspector.geometry.sketch import signs, sketch_modules
from inspector.geometry.sketch_error import BY_LAYER, WIDTH, standard_error
from inspector.geometry.stack import Workspace

D_OUT, D_IN, MODULES = 48, 40, 3
NAMES = [str(m) for m in range(MODULES)]


def factored(factors):
    """One adapter at all modules, as it is sketched."""
    stack = Workspace().stack([[(torch.as_tensor(B), torch.as_tensor(A), s)] for B, A, s in factors])
    return factorise(stack, own_grams(stack), 1)


def drawn(rng, r=3, like=None, far=0.0):
    found = []
    for m in range(MODULES):
        B, A = rng.standard_normal((D_OUT, r)), rng.standard_normal((r, D_IN))
        if like is not None:
            B, A = like[m][0] + far * B, like[m][1] + far * A
        found.append((B, A, 1.5))
    return found


def dense(factors, kind):
    """The stacked X of each module (M, ·, ·), and √Σ_mΣσ_m⁴ / Σσ² of them."""
    out = []
    for B, A, s in factors:
        W = s * B @ A
        _, sigma, Vt = np.linalg.svd(W, full_matrices=False)
        rank = int((sigma > 1e-9 * max(sigma[0], 1e-300)).sum())
        if kind == "outputs":
            W = W @ W.T / max(np.linalg.norm(W @ W.T), 1e-300)
        elif kind == "rows":
            W = Vt[:rank].T @ Vt[:rank] / np.sqrt(max(rank, 1))
        out.append(W)
    stacked = np.stack(out)
    fourth = sum((np.linalg.svd(W, compute_uv=False) ** 4).sum() for W in out)
    return stacked, np.sqrt(fourth) / (stacked**2).sum()


def estimates(one, other, kind, seeds):
    """The inner products of unit sketches, a seed each, and that of the layer's."""
    first, second = factored(one), factored(other)
    whole, small = [], []
    for seed in range(seeds):
        of = signs(NAMES, D_OUT, D_IN, seed)
        a, b = (sketch_modules(f, of) for f in (first, second))
        whole.append(float((getattr(a, kind).sum(0) * getattr(b, kind).sum(0)).sum()))
        if kind != "rows":
            small.append(float((getattr(a, f"{kind}_small").sum(0) * getattr(b, f"{kind}_small").sum(0)).sum()))
    return np.array(whole), np.array(small)


@pytest.mark.parametrize("kind", ["update", "outputs", "rows"])
@pytest.mark.parametrize("case", ["itself", "near", "unrelated", "orthogonal", "opposite", "one direction"])
def test_no_bias_and_an_error_that_covers(kind, case):
    rng = np.random.default_rng(7)
    one = drawn(rng, r=1 if case == "one direction" else 3)
    if case == "itself":
        other = one
    elif case == "near":
        other = drawn(rng, like=one, far=0.3)
    elif case == "opposite":
        other = [(B, A, -s) for B, A, s in one]
    elif case == "orthogonal":
        other = [(np.linalg.qr(B, mode="complete")[0][:, -3:], np.linalg.qr(A.T, mode="complete")[0][:, -3:].T, s)
                 for B, A, s in one]  # fmt: skip
    else:
        other = drawn(rng, r=1 if case == "one direction" else 3)
    (X, spread), (Y, of_other) = dense(one, kind), dense(other, kind)
    norms = np.linalg.norm(X) * np.linalg.norm(Y)
    exact = float((X * Y).sum() / norms)
    whole, small = estimates(one, other, kind, seeds=80)
    for found, width in ((whole / norms, WIDTH), (small / norms, BY_LAYER)):
        if not found.size:
            continue
        error = float(standard_error(np.float64(exact), spread, of_other, width))
        assert abs(found.mean() - exact) < 4 * error / np.sqrt(len(found)), "no bias"
        assert (np.abs(found - exact) <= 2 * error).mean() >= 0.9, "two errors cover 95 %, give or take 2 of 80 seeds"
        assert found.std() <= 1.1 * error
        assert found.std() > 0.8 / width, "products of different modules are noise, whatever the cosine"
        if case in {"itself", "near", "opposite"}:
            assert found.std() > error / 3, "and are not far too wide"
    if case == "orthogonal":
        assert exact == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("cosine", "spreads", "width", "variance"),
    [
        (0.5, (0.2, 0.5), 4, 1.25 / 16 + 0.1 * (1 + 6 / 16)),
        (-1.0, (1.0, 0.5), 3, 2 / 9 + 0.5 * (4 / 3 + 6 / 9)),
        (0.0, (0.0, 1.0), WIDTH, 1 / 64**2),
    ],
)
def test_the_error_by_its_formula(cosine, spreads, width, variance):
    assert standard_error(np.float64(cosine), *spreads, width) ** 2 == pytest.approx(variance, rel=1e-12)
    if width == WIDTH:
        assert standard_error(np.float64(cosine), *spreads) ** 2 == pytest.approx(variance, rel=1e-12)


def test_a_gauge_and_a_zero_update_change_nothing():
    rng = np.random.default_rng(1)
    a = drawn(rng)
    G = rng.standard_normal((3, 3)) * np.array([1, 1e-5, 1e5])
    turned = [(B @ G, np.linalg.solve(G, A), s) for B, A, s in a]
    of = signs(NAMES, D_OUT, D_IN, 3)
    one, other = sketch_modules(factored(a), of), sketch_modules(factored(turned), of)
    for kind in ("update", "outputs", "rows"):
        assert torch.allclose(getattr(one, kind), getattr(other, kind), atol=1e-5)
    none = sketch_modules(factored([(0 * B, A, s) for B, A, s in a]), of)
    assert not none.update.any()
    assert not none.outputs.any()
    assert not none.rows.any()


def test_signs_depend_on_name_shape_and_seed_alone():
    one = signs(["a", "b"], 8, 6, 0)
    assert one.outputs.shape == (2, 2, 8, WIDTH)
    assert set(one.inputs.unique().tolist()) == {-1, 1}
    again = signs(["b"], 8, 6, 0)
    assert torch.equal(one.outputs[:, 1:], again.outputs)
    assert torch.equal(one.inputs[:, 1:], again.inputs)
    for other in (signs(["b"], 8, 6, 1), signs(["c"], 8, 6, 0), signs(["b"], 8, 7, 0)):
        assert not torch.equal(other.outputs, again.outputs)
    assert not torch.equal(one.outputs[0], one.outputs[1]), "both sides of a product are independent"
    bits = [-1, -1, -1, -1, -1, 1, -1, 1, 1, -1, -1, -1, -1, 1, 1, 1]
    assert again.outputs[0, 0, 0, :16].tolist() == bits, "SHAKE-256 of `0 b 8x6 P1`: files of all machines compare"
