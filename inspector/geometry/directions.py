"""Cross products of singular vectors between adapters: UᵀU', and the top-1 directions in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised


@dataclass(frozen=True, slots=True)
class Crossings:
    """For the pairs i < j of N adapters (P = N(N−1)/2) at each module: U_kᵀU_k' (M, P, k, k), 0 beyond the ranks."""

    i: Tensor
    j: Tensor
    left: Tensor
    right: Tensor


def crossings(f: Factorised, k: int) -> Crossings:
    """U_kᵀU_k' = Xᵀ G_B[i,j] X' and V_kᵀV_k' = Yᵀ G_A[i,j] Y' for all pairs."""
    i, j = torch.triu_indices(f.stack.n, f.stack.n, 1, device=f.sigma.device)
    X, Y = f.X[..., :k], f.Y[..., :k]
    return Crossings(i, j, X[:, i].mT @ f.grams.B[:, i, j] @ X[:, j], Y[:, i].mT @ f.grams.A[:, i, j] @ Y[:, j])


def top_direction(M: Tensor, defined: Tensor) -> Tensor:
    """abs⟨u₁,u₁'⟩ in [0, 1], (M, P); NaN where an update is zero (`defined` (M, P) is False)."""
    return torch.where(defined, M[..., 0, 0].abs().clamp_max(1.0), torch.nan)
