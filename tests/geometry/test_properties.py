"""What must not change the answer: gauge, α folded into B, zero-padded rank, order, scale."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.geometry.oracle import Factors, factors, gauge, measured

_shapes = st.tuples(st.integers(4, 40), st.integers(4, 40), st.integers(1, 12))
_cases = st.tuples(_shapes, st.integers(0, 2**31))


def _pair(case) -> tuple[np.random.Generator, Factors, Factors]:
    (d_out, d_in, r), seed = case
    rng = np.random.default_rng(seed)
    return rng, factors(rng, d_out, d_in, r), factors(rng, d_out, d_in, r)


def _assert_same(one, other, *, atol: float = 1e-9):
    """Same inner products, spectra, directions and angles; random subspaces always have their gaps."""
    scale = one.inner.diagonal().max()
    assert torch.allclose(one.inner / scale, other.inner / scale, rtol=0, atol=atol)
    r = min(one.sigma.shape[1], other.sigma.shape[1])
    assert torch.allclose(one.sigma[:, :r], other.sigma[:, :r], rtol=0, atol=atol * float(one.sigma.max()))
    assert torch.equal(one.rank, other.rank)
    for name in ("overlap_left", "overlap_right"):
        assert torch.allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(_cases, st.sampled_from([1.0, 1e2, 1e5]))
def test_gauge(case, condition):
    rng, a, b = _pair(case)
    d_out, d_in, r = case[0]
    if r <= min(d_out, d_in):
        _assert_same(measured([a, b]), measured([gauge(rng, a, condition), b]))


@settings(max_examples=40, deadline=None)
@given(_cases, st.floats(0.01, 100))
def test_scale_folded_into_a_factor(case, alpha):
    _, (B, A, s), b = _pair(case)
    _assert_same(measured([(B, A, s * alpha), b]), measured([(B * alpha, A, s), b]))


@settings(max_examples=40, deadline=None)
@given(_cases, st.integers(1, 6))
def test_zero_padded_rank(case, extra):
    _, (B, A, s), b = _pair(case)
    padded = (np.pad(B, ((0, 0), (0, extra))), np.pad(A, ((0, extra), (0, 0))), s)
    _assert_same(measured([(B, A, s), b]), measured([padded, b]))


@settings(max_examples=40, deadline=None)
@given(_cases)
def test_permuted_adapters(case):
    rng, a, b = _pair(case)
    c = factors(rng, *case[0][:2], 3)
    order = [2, 0, 1]
    one, other = measured([a, b, c]), measured([c, a, b])
    assert torch.allclose(one.inner[order][:, order], other.inner, rtol=1e-12, atol=1e-9 * float(one.inner.abs().max()))
    assert torch.allclose(one.sigma[order], other.sigma, rtol=0, atol=1e-12 * float(one.sigma.max()))
    pairs = [(0, 1), (0, 2), (1, 2)]
    moved = [pairs.index((order.index(0), order.index(1))), pairs.index((0, 1)), pairs.index((0, 2))]
    assert torch.allclose(one.angles["left"], other.angles["left"][moved], atol=1e-5, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(_cases, st.floats(1e-6, 1e6))
def test_a_scaled_adapter_keeps_its_directions(case, factor):
    _, (B, A, s), b = _pair(case)
    one, other = measured([(B, A, s), b]), measured([(B * factor, A, s), b])
    assert torch.allclose(one.u1, other.u1, atol=1e-7)
    assert torch.allclose(one.angles["left"], other.angles["left"], atol=1e-5, equal_nan=True)
    assert torch.allclose(one.sigma[0] * factor, other.sigma[0], rtol=1e-9, atol=1e-12 * float(other.sigma[0, 0]))
