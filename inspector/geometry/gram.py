"""The two Gram matrices of every module: everything else follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.stack import Stack

_PANEL = 64


@dataclass(frozen=True, slots=True)
class Grams:
    """G_B = BsᵀBs and G_A = AsAsᵀ, as blocks (M, N, N, r, r): block [m, i, j] = B_iᵀB_j and A_iA_jᵀ.

    `finite` (M, N): where the factors hold neither NaN nor Inf. The blocks of those that do are zero, as of an update
    that is: they reach no other adapter.
    """

    B: Tensor
    A: Tensor
    finite: Tensor


def grams(stack: Stack) -> Grams:
    """Both Gram matrices in float64, half of each computed: they are symmetric."""
    B, A = stack.B.squeeze(0), stack.A.squeeze(0)  # of one module: a plain product is faster than a batch of one
    both = [_blocks(G, stack.n, stack.r) for G in (_symmetric(B.mT, B), _symmetric(A, A.mT))]
    finite = torch.stack([own(G).diagonal(dim1=-2, dim2=-1).isfinite().all(-1) for G in both]).all(0)
    broken = ~(finite[:, :, None] & finite[:, None, :])[..., None, None]
    return Grams(both[0].masked_fill_(broken, 0.0), both[1].masked_fill_(broken, 0.0), finite)


def own(G: Tensor) -> Tensor:
    """The blocks of every adapter with itself, (M, N, r, r)."""
    return G.diagonal(dim1=1, dim2=2).movedim(-1, 1)


def _symmetric(left: Tensor, right: Tensor) -> Tensor:
    """left·right for left = rightᵀ, ([M,] R, R): upper panels multiplied, lower ones mirrored."""
    size = left.shape[-2]
    out = left.new_empty(*left.shape[:-1], size)
    for at in range(0, size, _PANEL):
        end = min(at + _PANEL, size)
        torch.matmul(left[..., at:end, :], right[..., at:], out=out[..., at:end, at:])
        out[..., end:, at:end] = out[..., at:end, end:].mT
    return out


def _blocks(G: Tensor, n: int, r: int) -> Tensor:
    return G.view(-1, n, r, n, r).transpose(2, 3)
