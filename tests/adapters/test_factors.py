"""Exact factor pairs against the products written out in float64."""

import pytest
import torch

from inspector.adapters import factors

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


@pytest.mark.parametrize(("r1", "r2"), [(1, 2), (2, 3)])
def test_kronecker(r1, r2):
    one, other = (random(2, r1), random(r1, 3)), (random(4, r2), random(r2, 5))
    close(factors.kronecker(one, other), torch.kron(product(one), product(other)), r1 * r2)


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


def test_products_of_bfloat16_are_not_rounded_to_it():
    one, other = ((random(40, 2, dtype=torch.bfloat16), random(2, 50, dtype=torch.bfloat16)) for _ in range(2))
    dense = product(one) * product(other)
    pair = factors.hadamard(one, other)
    assert float((product(pair) - dense).norm() / dense.norm()) < 1e-7
