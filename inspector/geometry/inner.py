"""Frobenius inner products of weight updates, from the Gram blocks alone."""

from __future__ import annotations

from torch import Tensor

from inspector.geometry.factorise import Factorised


def inner_products(f: Factorised) -> Tensor:
    """⟨ΔW_i,ΔW_j⟩_F, (M, N, N), float64.

    From the factors: s_i s_j Σ (G_B[i,j] ∘ G_A[i,j]). Where a basis is a QR factor, its σ and
    coordinates take part instead: Σ_ab σ_a σ'_b (UᵀU')_ab (VᵀV')_ab.
    """
    out = (f.grams.B * f.grams.A).sum((-2, -1)) * f.stack.scale[:, :, None] * f.stack.scale[:, None, :]
    for m in f.orthonormal.any(-1).nonzero().flatten().tolist():
        sigma, X, Y = f.sigma[m], f.X[m], f.Y[m]
        for i in range(f.stack.n):
            UU = X[i].mT @ f.grams.B[m, i] @ X
            VV = Y[i].mT @ f.grams.A[m, i] @ Y
            out[m, i] = (sigma[i][:, None] * sigma[:, None, :] * UU * VV).sum((1, 2))
    return out
