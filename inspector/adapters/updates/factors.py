"""Exact factor pairs of updates that are not plain B·A: Hadamard and Kronecker products, Tucker cores, AdaLoRA.

Every function gives B (d_out, r), A (r, d_in) with BA the update without its scale, in float64; the kernel of a
convolution is flattened into d_in = in·k·k. Where r would pass the shorter side, BA is multiplied out and one of the
two is the identity: r is never above min(d_out, d_in).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple["Tensor", "Tensor"]
_LARGEST = 2**30
"""Numbers of a pair: twice what a LoKr of full rank has at the output head of a large model."""


def unfolds(rank: int, d_out: int, d_in: int, stored: int) -> bool:
    """Whether a pair of this size would be far larger than the `stored` numbers of its file: no memory holds it."""
    return rank * (d_out + d_in) > max(_LARGEST, 2 * stored)


def whole(matrix: Tensor) -> Pair:
    """A matrix as a pair of full rank, unrounded: (W, I) or (I, W), whichever is smaller. Kernels are flattened."""
    import torch

    W = matrix.flatten(1)
    rows, columns = W.shape
    I = torch.eye(min(rows, columns), dtype=W.dtype)  # noqa: E741 - the identity
    return (I, W) if rows <= columns else (W, I)


def wide(tensor: Tensor) -> Tensor:
    """In float32 at least."""
    import torch

    return tensor if tensor.dtype in {torch.float32, torch.float64} else tensor.float()


def as_stored(pair: Pair, dtype: str) -> Pair:
    """A pair as it is written anew: formed in float64, in float32 unless the file, of this `dtype`, holds float64."""
    import torch

    B, A = (f.float() if f.dtype == torch.float64 and "F64" not in dtype else f for f in pair)
    return B, A


def adalora(B: Tensor, A: Tensor, E: Tensor) -> Pair:
    """B·(A∘E), E (r, 1): the singular values AdaLoRA keeps apart [peft.tuners.adalora.layer]."""
    return B.double(), A.double() * E.double()


def tucker(t: Tensor, out: Tensor, into: Tensor) -> Pair:
    """Σ_ij t[i,j,k,l]·out[i,o]·into[j,c]: the core t (r, r, k, l) of a convolution, out (r, d_out), into (r, in)."""
    import torch

    return out.double().T.contiguous(), torch.einsum("ijkl,jc->ickl", t.double(), into.double()).flatten(1)


def hadamard(one: Pair, other: Pair) -> Pair:
    """(B₁A₁)∘(B₂A₂), of rank r₁·r₂: the rows of B₁ and B₂, and the columns of A₁ and A₂, multiplied all with all."""
    (B1, A1), (B2, A2) = (tuple(factor.double() for factor in pair) for pair in (one, other))
    if product_rank(B1.shape[1], B2.shape[1], B1.shape[0], A1.shape[1]) < B1.shape[1] * B2.shape[1]:
        return whole((B1 @ A1) * (B2 @ A2))
    B = (B1[:, :, None] * B2[:, None, :]).flatten(1)
    return B, (A1[:, None, :] * A2[None, :, :]).flatten(0, 1)


def product_rank(r1: int, r2: int, d_out: int, d_in: int) -> int:
    """The rank of the pair `hadamard` and `kronecker` give for factors of these ranks."""
    return min(r1 * r2, d_out, d_in)


def kronecker(one: Pair, other: Pair) -> Pair:
    """(B₁A₁)⊗(B₂A₂) = (B₁⊗B₂)(A₁⊗A₂), of rank r₁·r₂."""
    (B1, A1), (B2, A2) = (tuple(factor.double() for factor in pair) for pair in (one, other))
    d_out, d_in, rank = B1.shape[0] * B2.shape[0], A1.shape[1] * A2.shape[1], B1.shape[1] * B2.shape[1]
    if product_rank(B1.shape[1], B2.shape[1], d_out, d_in) < rank:
        return whole(_kron(B1 @ A1, B2 @ A2))
    return _kron(B1, B2), _kron(A1, A2)


def _kron(one: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product of two matrices; torch.kron refuses some strides of axes of size 1."""
    rows, columns = one.shape[0] * other.shape[0], one.shape[1] * other.shape[1]
    return (one[:, None, :, None] * other[None, :, None, :]).reshape(rows, columns)


def blocks(B: Tensor, A: Tensor, enabled: list[bool]) -> Pair:
    """Old PEFT's MergedLinear (`enable_lora`): one LoRA for each enabled n-th of the output rows.

    A (g·r, d_in) and B (g·o, r[, 1]) hold g = Σ enabled groups one after the other; the update has n·o rows, zero
    where a part is not enabled, and rank g·r.
    """
    import torch

    groups, r = sum(enabled), B.shape[1]
    one = B.shape[0] // groups
    out = torch.zeros(one * len(enabled), groups * r, dtype=B.dtype)
    for g, part in enumerate(at for at, on in enumerate(enabled) if on):
        out[part * one : (part + 1) * one, g * r : (g + 1) * r] = B[g * one : (g + 1) * one].flatten(1)
    return out, A
