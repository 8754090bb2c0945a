"""The two Gram matrices of one module: everything else follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.stack import Stack

_PANEL = 64


@dataclass(frozen=True, slots=True)
class Grams:
    """G_B = BsᵀBs and G_A = AsAsᵀ, as blocks (N, N, r, r): block [i, j] = B_iᵀB_j and A_iA_jᵀ."""

    B: Tensor
    A: Tensor


def grams(stack: Stack) -> Grams:
    """Both Gram matrices in float64, half of each computed: they are symmetric."""
    return Grams(
        _blocks(_symmetric(stack.B.mT, stack.B), stack.n, stack.r),
        _blocks(_symmetric(stack.A, stack.A.mT), stack.n, stack.r),
    )


def _symmetric(left: Tensor, right: Tensor) -> Tensor:
    """left·right for left = rightᵀ, (R, R): upper panels multiplied, lower ones mirrored."""
    size = left.shape[0]
    out = torch.empty(size, size, dtype=left.dtype, device=left.device)
    for at in range(0, size, _PANEL):
        end = min(at + _PANEL, size)
        torch.matmul(left[at:end], right[:, at:], out=out[at:end, at:])
        out[end:, at:end] = out[at:end, end:].mT
    return out


def _blocks(G: Tensor, n: int, r: int) -> Tensor:
    return G.view(n, r, n, r).permute(0, 2, 1, 3)
