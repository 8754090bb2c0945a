"""The two Gram matrices of every module: everything else follows from them.

Of many adapters they are large, (N·r)² numbers: where only inner products are asked for, their panels are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.stack import Stack

_PANEL = 64
_WIDEST = 2**21
"""Numbers of a panel of either Gram matrix when it is not kept: both fit a core's cache."""


@dataclass(frozen=True, slots=True)
class Grams:
    """G_B = BsᵀBs and G_A = AsAsᵀ, as blocks (M, N, N, r, r): block [m, i, j] = B_iᵀB_j and A_iA_jᵀ.

    The blocks of adapters whose factors hold NaN or Inf are zero, as of an update that is: they reach no other adapter.
    """

    B: Tensor
    A: Tensor
    finite: Tensor

    def own(self) -> Own:
        """The blocks of every adapter with itself."""
        return Own(_own(self.B), _own(self.A), self.finite)


@dataclass(frozen=True, slots=True)
class Own:
    """B_iᵀB_i and A_iA_iᵀ, (M, N, r, r); `finite` (M, N): where the factors hold neither NaN nor Inf."""

    B: Tensor
    A: Tensor
    finite: Tensor


def grams(stack: Stack) -> Grams:
    """Both Gram matrices in float64, half of each computed: they are symmetric."""
    B, A = stack.B.squeeze(0), stack.A.squeeze(0)  # of one module: a plain product is faster than a batch of one
    both = [_blocks(G, stack.n, stack.r) for G in (_symmetric(B.mT, B), _symmetric(A, A.mT))]
    finite = _finite(_own(both[0]), _own(both[1]))
    broken = ~(finite[:, :, None] & finite[:, None, :])[..., None, None]
    return Grams(both[0].masked_fill_(broken, 0.0), both[1].masked_fill_(broken, 0.0), finite)


def own_grams(stack: Stack) -> Own:
    """The blocks of every adapter with itself alone; factors that hold NaN or Inf become zero in the stack."""
    G_B, G_A = (each.mT @ each for each in (stack.outputs(), stack.inputs()))
    broken = ~(finite := _finite(G_B, G_A))
    if broken.any():
        at, i = broken.nonzero().mT
        for each in (stack.outputs(), stack.inputs()):
            each[at, i] = 0
    everywhere = broken[..., None, None]
    return Own(G_B.masked_fill_(everywhere, 0.0), G_A.masked_fill_(everywhere, 0.0), finite)


def products_in_panels(stack: Stack) -> Tensor:
    """s_i s_j Σ (G_B[i,j] ∘ G_A[i,j]), (M, N, N): a few adapters against those from them on at a time."""
    n, r = stack.n, stack.r
    out = stack.B.new_empty(len(stack.B), n, n)
    step = max(1, _WIDEST // (len(stack.B) * n * r * r))
    for at in range(0, n, step):
        end = min(at + step, n)
        rows, rest = slice(at * r, end * r), slice(at * r, None)
        G = stack.B[..., rows].mT @ stack.B[..., rest]
        G *= stack.A[:, rows] @ stack.A[:, rest].mT
        found = G.view(-1, end - at, r, n - at, r).sum((2, 4))
        out[:, at:end, at:], out[:, at:, at:end] = found, found.mT
    return out * stack.scale[:, :, None] * stack.scale[:, None, :]


def _symmetric(left: Tensor, right: Tensor) -> Tensor:
    """left·right for left = rightᵀ, ([M,] R, R): upper panels multiplied, lower ones mirrored."""
    size = left.shape[-2]
    out = left.new_empty(*left.shape[:-1], size)
    for at in range(0, size, _PANEL):
        end = min(at + _PANEL, size)
        torch.matmul(left[..., at:end, :], right[..., at:], out=out[..., at:end, at:])
        out[..., end:, at:end] = out[..., at:end, end:].mT
    return out


def _finite(own_B: Tensor, own_A: Tensor) -> Tensor:
    """(M, N): whether the squared lengths of the columns of B and the rows of A are finite."""
    lengths = torch.stack([G.diagonal(dim1=-2, dim2=-1) for G in (own_B, own_A)])
    return lengths.isfinite().all(-1).all(0)


def _own(G: Tensor) -> Tensor:
    return G.diagonal(dim1=1, dim2=2).movedim(-1, 1)


def _blocks(G: Tensor, n: int, r: int) -> Tensor:
    return G.view(-1, n, r, n, r).transpose(2, 3)
