"""The two Gram matrices of every module: everything else follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.stack import Stack

_PANEL = 64


@dataclass(frozen=True, slots=True)
class Grams:
    """G_B = BsᵀBs and G_A = AsAsᵀ, as blocks (M, N, N, r, r): block [m, i, j] = B_iᵀB_j and A_iA_jᵀ."""

    B: Tensor
    A: Tensor


def grams(stack: Stack) -> Grams:
    """Both Gram matrices in float64, half of each computed: they are symmetric."""
    B, A = stack.B.squeeze(0), stack.A.squeeze(0)  # of one module: a plain product is faster than a batch of one
    return Grams(_blocks(_symmetric(B.mT, B), stack.n, stack.r), _blocks(_symmetric(A, A.mT), stack.n, stack.r))


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
