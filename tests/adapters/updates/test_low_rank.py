"""The best low-rank part of a dense update against the dense float64 SVD."""

import math

import pytest
import torch

from inspector.adapters.updates.low_rank import Dense, lowrank


def falling(rows, columns, power, seed=0, dtype=torch.float64):
    """Δ with singular values i^-power, and those values."""
    generator = torch.Generator().manual_seed(seed)
    k = min(rows, columns)
    sigma = torch.arange(1, k + 1, dtype=torch.float64) ** -power
    U, V = (torch.linalg.qr(torch.randn(d, k, generator=generator, dtype=torch.float64)).Q for d in (rows, columns))
    return ((U * sigma) @ V.T).to(dtype), sigma


def left(delta, B, A):
    double = delta.double()
    return float(torch.linalg.norm(double - B.double() @ A.double()) ** 2 / torch.linalg.norm(double) ** 2)


@pytest.mark.parametrize(("rows", "columns"), [(40, 60), (60, 40)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_exact_for_small_matrices(rows, columns, dtype):
    delta, sigma = falling(rows, columns, 0.5, dtype=dtype)
    B, A, left_out = lowrank(delta, 7)
    assert (B.shape, A.shape, B.dtype) == ((rows, 7), (7, columns), dtype)
    best = float((sigma[7:] ** 2).sum() / (sigma**2).sum())
    tight = 1e-12 if dtype == torch.float64 else 1e-6
    assert left_out == pytest.approx(best, abs=tight)
    assert left(delta, B, A) == pytest.approx(left_out, abs=tight)
    torch.testing.assert_close(torch.linalg.svdvals(B @ A)[:7].double(), sigma[:7], rtol=10 * tight, atol=0)


@pytest.mark.parametrize(("power", "short"), [(0.25, 3e-3), (0.5, 2e-4), (1.0, 1e-6)])
def test_randomised_above(power, short):
    delta, sigma = falling(620, 700, power, dtype=torch.float32)
    B, A, left_out = lowrank(delta, 16)
    best = float((sigma[:16] ** 2).sum() / (sigma**2).sum())
    assert best * (1 - short) <= 1 - left_out <= best + 1e-6
    assert left(delta, B, A) == pytest.approx(left_out, abs=1e-6)


def test_of_low_rank_nothing_is_left_out():
    generator = torch.Generator().manual_seed(0)
    delta = torch.randn(600, 5, generator=generator) @ torch.randn(5, 800, generator=generator)
    B, A, left_out = lowrank(delta, 8)
    assert left_out < 1e-6
    torch.testing.assert_close(B @ A, delta, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(4, 9), (9, 4)])
def test_full_rank_is_the_matrix_itself(rows, columns):
    delta = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    B, A, left_out = lowrank(delta, 64)
    assert (B.shape, A.shape, left_out) == ((rows, 4), (4, columns), 0.0)
    assert torch.equal(B @ A, delta)


def test_the_same_numbers_each_time():
    delta, _ = falling(600, 600, 0.5, dtype=torch.float32)
    first = lowrank(delta, 4)
    torch.manual_seed(7)
    again = lowrank(delta, 4)
    assert torch.equal(first[0], again[0])
    assert first[2] == again[2]


def test_zero_and_nan():
    B, A, left_out = lowrank(torch.zeros(20, 30), 4)
    assert (float((B @ A).norm()), left_out) == (0.0, 0.0)
    B, A, left_out = lowrank(torch.full((20, 30), torch.nan), 4)
    assert (B.shape, A.shape, math.isnan(left_out)) == ((20, 4), (4, 30), True)
    assert (B @ A).isnan().all()


def test_dense_asks_for_the_matrix_only_when_loaded():
    asked = []
    delta, sigma = falling(10, 12, 1.0)

    def load():
        asked.append(1)
        return delta

    update = Dense(load, 3)
    assert asked == []
    B, A = update()
    assert update.left_out() == pytest.approx(float((sigma[3:] ** 2).sum() / (sigma**2).sum()))
    assert (asked, B.shape, A.shape) == ([1], (10, 3), (3, 12))
    assert Dense(load, 3).left_out() == update.left_out()
