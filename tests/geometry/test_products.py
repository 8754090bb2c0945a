"""Inner products without the Gram matrices of all: the same numbers, from panels."""

import numpy as np
import pytest
import torch

from inspector.geometry import gram
from inspector.geometry.module import measure, measure_products
from inspector.geometry.stack import Workspace


def factors(rng, d_out, d_in, r):
    return rng.standard_normal((d_out, r)), rng.standard_normal((r, d_in)), float(rng.uniform(0.5, 2))


def tensors(modules):
    return [[(torch.as_tensor(B), torch.as_tensor(A), s) for B, A, s in module] for module in modules]


@pytest.fixture
def modules():
    """Well-behaved; another gauge of one; duplicated columns; rank above the dimensions; zero; a negative scale."""
    rng = np.random.default_rng(0)
    a, b, c = (factors(rng, 30, 20, 6) for _ in range(3))
    G = rng.standard_normal((6, 6)) @ np.diag(np.logspace(0, -6, 6))
    gauge = a[0] @ G, np.linalg.solve(G, a[1]), a[2]
    twice = np.concatenate([b[0], b[0]], 1)[:, :6], np.concatenate([b[1], b[1]], 0)[:6], b[2]
    wide = factors(rng, 30, 20, 25)
    zero = 0 * c[0], c[1], c[2]
    return [[a, b, gauge, twice, wide, zero], [b, (c[0], c[1], -1.0), a, gauge, wide, twice]]


@pytest.mark.parametrize("widest", [1, 2**21], ids=["an adapter a panel", "one panel"])
def test_products_are_those_of_dense_float64(modules, widest, monkeypatch):
    monkeypatch.setattr(gram, "_WIDEST", widest)
    found = measure_products(tensors(modules), 3, Workspace())
    assert found.by_qr > 0, "the gauge takes the QR route"
    for at, module in enumerate(modules):
        dense = np.stack([(s * B @ A).ravel() for B, A, s in module])
        norms = np.linalg.norm(dense, axis=1)
        scale = np.maximum(np.outer(norms, norms), 1e-300)
        assert (np.abs(found.inner[at].numpy() - dense @ dense.T) / scale).max() < 1e-9
        for i, (B, A, s) in enumerate(module):
            sigma = np.linalg.svd(s * B @ A, compute_uv=False)
            np.testing.assert_allclose(found.sigma[at, i, :20], sigma, rtol=1e-9, atol=1e-9)


def test_they_are_those_beside_everything_else(modules):
    alone = measure_products(tensors(modules), 3, Workspace())
    whole = measure(tensors(modules), 3, ("left",), Workspace())
    assert torch.equal(alone.rank, whole.rank)
    assert torch.allclose(alone.inner, whole.inner, rtol=1e-9, atol=1e-9)
    assert torch.allclose(alone.sigma, whole.sigma, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(alone.cosines, whole.cosines, atol=1e-9)


def test_factors_that_are_not_finite_reach_no_other_adapter(modules):
    (a, b, *_), _ = modules
    bad = (np.where(np.arange(6) == 2, np.inf, b[0]), *b[1:])
    found = measure_products(tensors([[a, bad, b]]), 3, Workspace())
    assert found.finite.tolist() == [[True, False, True]]
    assert found.inner[0, 1].isnan().all()
    expected = np.vdot(a[2] * a[0] @ a[1], b[2] * b[0] @ b[1])
    assert found.inner[0, 0, 2].item() == pytest.approx(expected, rel=1e-9)
