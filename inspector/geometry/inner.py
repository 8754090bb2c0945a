"""Frobenius inner products of weight updates, from the Gram blocks alone."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.directions import Crossings
from inspector.geometry.factorise import Factorised


def inner_products(f: Factorised, c: Crossings) -> Tensor:
    """⟨ΔW_i,ΔW_j⟩_F, (M, N, N), float64.

    From the factors: s_i s_j Σ (G_B[i,j] ∘ G_A[i,j]). At modules where a basis is a QR factor, the σ and coordinates
    take part instead: Σ_ab σ_a σ'_b (UᵀU')_ab (VᵀV')_ab.
    """
    out = (f.grams.B * f.grams.A).sum((-2, -1)) * f.stack.scale[:, :, None] * f.stack.scale[:, None, :]
    if not f.by_qr:
        return out
    products = f.sigma[:, :, None, :, None] * f.sigma[:, None, :, None, :] * c.left * c.right
    return torch.where(f.orthonormal.any(-1)[:, None, None], products.sum((-2, -1)), out)
