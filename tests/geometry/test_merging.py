"""The weighted sum of updates against dense float64: spectrum, truncation, concatenation, and every number of it."""

import numpy as np
import pytest
import torch

from inspector.geometry.merging import concatenated, spectrum, truncated
from inspector.geometry.sums import sums
from tests.geometry.oracle import SIGMA, factors, gauge, near


def terms(parts, weights):
    return [(torch.as_tensor(B), torch.as_tensor(A), w * s) for (B, A, s), w in zip(parts, weights, strict=True)]


def dense(parts, weights):
    return sum(
        w * s * (B.astype(np.float64) @ A.astype(np.float64)) for (B, A, s), w in zip(parts, weights, strict=True)
    )


def largest(parts, weights):
    return max(np.linalg.norm(w * s * B @ A) for (B, A, s), w in zip(parts, weights, strict=True))


def cases():
    rng = np.random.default_rng(0)
    one, other = factors(rng, 40, 30, 4), factors(rng, 40, 30, 6, s=0.5)
    zero = (np.zeros((40, 2)), rng.standard_normal((2, 30)), 2.0)
    twice = (np.hstack([one[0], one[0]]), np.vstack([one[1], one[1]]), 1.0)
    return {
        "unequal ranks": ([one, other], [0.5, -0.3]),
        "alike to 1e-7": ([one, near(rng, one, 1e-7)], [1.0, 1.0]),
        "a difference of two alike": ([one, near(rng, one, 1e-5)], [1.0, -1.0]),
        "gauges": ([gauge(rng, one, 1e6), gauge(rng, other, 1e5)], [1.0, 2.0]),
        "the same": ([one, one], [0.5, 0.5]),
        "columns twice": ([twice, other], [1.0, 1.0]),
        "a zero": ([one, zero], [1.0, 1.0]),
        "more rank than rows": ([factors(rng, 8, 12, 4) for _ in range(5)], [1.0, 0.5, 0.25, -1.0, 2.0]),
        "more rank than columns": ([factors(rng, 12, 8, 4) for _ in range(5)], [1.0, 0.5, 0.25, -1.0, 2.0]),
        "one alone": ([one], [0.7]),
    }


@pytest.mark.parametrize("name", cases())
def test_spectrum_and_truncation_are_those_of_the_dense_sum(name):
    parts, weights = cases()[name]
    W, top = dense(parts, weights), largest(parts, weights)
    U, expected, Vh = np.linalg.svd(W, full_matrices=False)
    found = spectrum(terms(parts, weights), top).numpy()
    width = max(len(found), len(expected))
    padded = [np.pad(values, (0, width - len(values))) for values in (found, expected)]
    assert np.abs(padded[0] - padded[1]).max() <= SIGMA * top
    for rank in (1, 3, 100):
        B, A = truncated(terms(parts, weights), rank)
        assert B.shape[1] == A.shape[0] == min(rank, len(found), *W.shape)
        best = (U[:, :rank] * expected[:rank]) @ Vh[:rank]
        assert np.linalg.norm(B.numpy() @ A.numpy() - W) <= np.linalg.norm(best - W) + SIGMA * top


def test_rounding_a_zero_sum_costs_nothing():
    B, A = torch.zeros(4, 2, dtype=torch.float16), torch.ones(2, 3, dtype=torch.float16)
    for coefficient in (0.0, 0.3):
        found = concatenated([(B, A, coefficient)])
        assert found[3] == 0
        assert not found[0].any()


def test_what_cancels_has_no_rank():
    """A − A is zero, not the rounding of its products; A in another gauge too."""
    rng = np.random.default_rng(1)
    one = factors(rng, 40, 30, 4)
    for other in one, gauge(rng, one, 10):
        parts = [one, other]
        assert not spectrum(terms(parts, [1.0, -1.0]), largest(parts, [1.0, -1.0])).any()


def test_rank_of_the_sum():
    """Ranks add for updates in general position; what is shared counts once."""
    rng = np.random.default_rng(2)
    one, other = factors(rng, 40, 30, 4), factors(rng, 40, 30, 6)
    for parts, rank in (([one, other], 10), ([one, one], 4), ([one, (one[0], other[1][:4], 1.0)], 4)):
        assert (spectrum(terms(parts, [1.0, 1.0]), largest(parts, [1.0, 1.0])) > 0).sum() == rank


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_concatenation_keeps_bits_where_one_scale_serves_all(dtype):
    """c = 1, −2, ½: signs and powers of two cost nothing in any float type."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.float16 if dtype == torch.float8_e4m3fn else dtype
    parts = [
        (torch.randn(12, r, generator=generator).to(dtype), torch.randn(r, 9, generator=generator).to(dtype), c)
        for r, c in ((2, 1.0), (3, -2.0), (1, 1.0), (2, 0.5))
    ]
    B, A, s, cost = concatenated(parts)
    assert (s, cost, B.dtype, A.dtype) == (1.0, 0.0, wide, wide)
    expected = sum(c * b.double() @ a.double() for b, a, c in parts)
    torch.testing.assert_close(s * B.double() @ A.double(), expected, rtol=1e-14, atol=1e-14)


def test_the_scale_of_a_concatenation_is_positive_whatever_the_signs():
    generator = torch.Generator().manual_seed(0)
    parts = [
        (torch.randn(5, 2, generator=generator), torch.randn(2, 4, generator=generator), c) for c in (-0.5, 2, -0.5)
    ]
    B, A, s, cost = concatenated(parts)
    assert (s, cost) == (0.5, 0.0)
    assert torch.equal(B[:, 4:], -parts[2][0])
    torch.testing.assert_close(s * B @ A, sum(c * b @ a for b, a, c in parts))


def test_terms_of_coefficient_zero_are_left_out_of_a_concatenation():
    generator = torch.Generator().manual_seed(0)
    parts = [(torch.randn(5, 2, generator=generator), torch.randn(2, 4, generator=generator), c) for c in (0, 0.5, 0)]
    B, A, s, cost = concatenated(parts)
    assert (s, cost, B.shape) == (0.5, 0.0, (5, 2))
    torch.testing.assert_close(s * B @ A, 0.5 * parts[1][0] @ parts[1][1])
    B, A, s, cost = concatenated(parts[::2])
    assert (s, cost, B.shape, float(B.norm())) == (1.0, 0.0, (5, 2), 0.0)
    assert torch.equal(A, parts[0][1])


def test_concatenation_of_other_weights_rounds_once_into_float32_and_says_so():
    generator = torch.Generator().manual_seed(0)
    parts = [
        (torch.randn(12, 3, generator=generator).bfloat16(), torch.randn(3, 9, generator=generator).bfloat16(), c)
        for c in (0.3, 0.7)
    ]
    B, A, s, cost = concatenated(parts)
    assert (s, B.dtype, A.dtype) == (0.3, torch.float32, torch.bfloat16)
    exact = torch.cat([b.double() * (c / s) for b, _, c in parts], 1)
    assert cost == pytest.approx(float((B.double() - exact).norm() / exact.norm()))
    assert 0 < cost < 2**-24
    expected = sum(c * b.double() @ a.double() for b, a, c in parts)
    assert float((s * B.double() @ A.double() - expected).norm() / expected.norm()) < 1e-7


def test_the_numbers_of_a_sum_are_those_of_the_dense_one():
    rng = np.random.default_rng(3)
    weights = np.array([0.5, -0.3, 0.0, 1.2])
    updates = rng.standard_normal((4, 7, 24)) + rng.standard_normal((1, 7, 24))
    found = sums(np.einsum("imx,jmx->ijm", updates, updates), weights)
    for chosen in np.ones(7), np.eye(7)[:, 2], np.arange(7) % 2.0:
        part = updates * chosen[None, :, None]
        whole = np.einsum("i,imx->mx", weights, part)
        energy = sum((w * u) ** 2 for w, u in zip(weights, part, strict=True)).sum()
        assert found.norm(chosen) == pytest.approx(np.linalg.norm(whole))
        assert found.energy_ratio(chosen) == pytest.approx((whole**2).sum() / energy)
        products = [
            2 * weights[i] * weights[j] * (part[i, m] * part[j, m]).sum()
            for m in range(7) for i in range(4) for j in range(i + 1, 4)
        ]  # fmt: skip
        assert found.interference(chosen) == pytest.approx(-sum(p for p in products if p < 0) / energy)
        cosines = [(whole * u).sum() / np.linalg.norm(whole) / np.linalg.norm(u) for u in part]
        assert found.cosines(chosen) == pytest.approx(cosines)
        assert found.own_norms(chosen) == pytest.approx([np.linalg.norm(u) for u in part])


@pytest.mark.parametrize(
    ("gram", "weights", "norm", "ratio", "interference", "cosines"),
    [
        ([[1, 0], [0, 1]], [1, 1], 2**0.5, 1, 0, [0.5**0.5, 0.5**0.5]),
        ([[4, 4], [4, 4]], [0.5, 0.5], 2, 2, 0, [1, 1]),
        ([[4, 4], [4, 4]], [1, -1], 0, 0, 1, [np.nan, np.nan]),
        ([[4, -2], [-2, 1]], [1, 1], 1, 0.2, 0.8, [1, -1]),
        ([[1, 0], [0, 0]], [1, 1], 1, 1, 0, [1, np.nan]),
        ([[0, 0], [0, 0]], [1, 1], 0, np.nan, np.nan, [np.nan, np.nan]),
        ([[4, 4 - 1e-9], [4 - 1e-9, 4]], [1, -1], 2e-9**0.5, 2.5e-10, 1, [2e-9**0.5 / 4, -(2e-9**0.5) / 4]),
        ([[4, 4 - 1e-13], [4 - 1e-13, 4]], [1, -1], 0, 0, 1, [np.nan, np.nan]),
    ],
    ids=["orthogonal", "equal", "opposite", "collinear and opposed", "one is zero", "nothing", "nearly", "rounding"],
)
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_closed_forms(gram, weights, norm, ratio, interference, cosines, unit):
    found, whole = sums(np.array(gram)[..., None] * unit**2, np.array(weights, dtype=float)), np.ones(1)
    assert found.norm(whole) == pytest.approx(norm * unit, rel=1e-6)
    assert found.energy_ratio(whole) == pytest.approx(ratio, nan_ok=True)
    assert found.interference(whole) == pytest.approx(interference, nan_ok=True)
    assert found.cosines(whole) == pytest.approx(cosines, nan_ok=True)


def test_agreement_in_one_module_does_not_hide_cancelling_in_another():
    """a + b in module 1, a − b in module 2, equal norms: the energy ratio is 1, the interference ½."""
    found = sums(np.array([[[1.0, 1.0], [1.0, -1.0]], [[1.0, -1.0], [1.0, 1.0]]]), np.ones(2))
    assert found.energy_ratio(np.ones(2)) == pytest.approx(1)
    assert found.interference(np.ones(2)) == pytest.approx(0.5)
