"""Frobenius inner products of weight updates, from the Gram blocks alone."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised


def inner_products(f: Factorised) -> Tensor:
    """⟨ΔW_i,ΔW_j⟩_F, (N, N), float64.

    From the factors: s_i s_j Σ (G_B[i,j] ∘ G_A[i,j]). Where a basis is a QR factor, its σ and
    coordinates take part instead: Σ_ab σ_a σ'_b (UᵀU')_ab (VᵀV')_ab.
    """
    if not bool(f.orthonormal.any()):
        return (f.grams.B * f.grams.A).sum((2, 3)) * f.stack.scale[:, None] * f.stack.scale
    out = torch.empty(f.stack.n, f.stack.n, dtype=torch.float64, device=f.sigma.device)
    for i in range(f.stack.n):
        UU = f.X[i].mT @ f.grams.B[i] @ f.X
        VV = f.Y[i].mT @ f.grams.A[i] @ f.Y
        out[i] = (f.sigma[i][:, None] * f.sigma[:, None, :] * UU * VV).sum((1, 2))
    return out
