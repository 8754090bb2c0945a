"""Exact factor pairs against the products written out in float64."""

import pytest
import torch

from inspector.adapters.updates import factors

generator = torch.Generator().manual_seed(0)


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def product(pair):
    B, A = pair
    return B.double() @ A.double()


def close(pair, dense, rank):
    assert pair[0].shape[1] == pair[1].shape[0] == rank
    torch.testing.assert_close(product(pair), dense, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("r", "rank"), [(2, 4), (4, 6)])
def test_hadamard(r, rank):
    """At r² above the shorter side the product itself is the cheaper factor."""
    one, other = (random(6, r), random(r, 9)), (random(6, r), random(r, 9))
    close(factors.hadamard(one, other), product(one) * product(other), rank)


@pytest.mark.parametrize(("r1", "r2", "rank"), [(1, 2, 2), (2, 3, 6), (2, 4, 8), (3, 3, 8)])
def test_kronecker(r1, r2, rank):
    """Of 8 rows and 15 columns: above that the product itself."""
    one, other = (random(2, r1), random(r1, 3)), (random(4, r2), random(r2, 5))
    close(factors.kronecker(one, other), torch.kron(product(one), product(other)), rank)


@pytest.mark.parametrize(
    ("rank", "stored", "larger"), [(2**20, 1, False), (2**20 + 1, 1, True), (2**20 + 1, 2**29 + 512, False)]
)
def test_a_pair_far_larger_than_its_file(rank, stored, larger):
    """Of 1,024 rows and columns together: 2³⁰ numbers at rank 2²⁰."""
    assert factors.unfolds(rank, 1000, 24, stored) == larger


def test_kronecker_of_whole_factors():
    one, other = random(3, 2), random(4, 5)
    close(factors.kronecker(factors.whole(one), factors.whole(other)), torch.kron(one, other), 8)


def test_tucker():
    t, out, into = random(2, 3, 3, 3), random(2, 7), random(3, 5)
    dense = torch.einsum("ijkl,io,jc->ockl", t, out, into).flatten(1)
    close(factors.tucker(t, out, into), dense, 2)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 3, 3)])
def test_whole(shape):
    W = random(*shape, dtype=torch.float32)
    pair = factors.whole(W)
    assert torch.equal(pair[0] @ pair[1], W.flatten(1))


def test_adalora():
    B, A, E = random(6, 3), random(3, 8), random(3, 1)
    close(factors.adalora(B, A, E), B @ torch.diag(E[:, 0]) @ A, 3)


def test_blocks_of_enabled_parts():
    """q and v of a fused qkv: two blocks, the rows of k zero."""
    B, A = random(8, 2, 1), random(4, 5)
    dense = torch.zeros(12, 5, dtype=torch.float64)
    dense[:4], dense[8:] = B[:4, :, 0] @ A[:2], B[4:, :, 0] @ A[2:]
    close(factors.blocks(B, A, [True, False, True]), dense, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_not_rounded_to_the_dtype_of_the_file(dtype):
    one, other = ((random(40, 2, dtype=dtype), random(2, 50, dtype=dtype)) for _ in range(2))
    close(factors.hadamard(one, other), product(one) * product(other), 4)
    close(factors.kronecker(one, other), torch.kron(product(one), product(other)), 4)
    B, A, E = random(6, 3, dtype=dtype), random(3, 8, dtype=dtype), random(3, 1, dtype=dtype)
    close(factors.adalora(B, A, E), B.double() @ torch.diag(E[:, 0].double()) @ A.double(), 3)


def test_what_is_written_anew_has_no_float64_that_the_file_had_not():
    pair = random(4, 2), random(2, 5)
    assert {f.dtype for f in factors.as_stored(pair, "BF16")} == {torch.float32}
    assert {f.dtype for f in factors.as_stored(pair, "F32/F64")} == {torch.float64}
    halves = random(4, 2, dtype=torch.bfloat16), random(2, 5, dtype=torch.bfloat16)
    assert {f.dtype for f in factors.as_stored(halves, "BF16")} == {torch.bfloat16}
