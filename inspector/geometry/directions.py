"""Cross products of singular vectors between adapters: UᵀU' and VᵀV', and the top-1 directions in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised
from inspector.geometry.gram import Grams


@dataclass(frozen=True, slots=True)
class Crossings:
    """UᵢᵀUⱼ and VᵢᵀVⱼ of all N adapters at each module, (M, N, N, r, r), 0 beyond the ranks."""

    left: Tensor
    right: Tensor


def crossings(f: Factorised, g: Grams) -> Crossings:
    """UᵢᵀUⱼ = Xᵢᵀ G_B[i,j] Xⱼ and VᵢᵀVⱼ = Yᵢᵀ G_A[i,j] Yⱼ, from the Gram matrices of f's stack."""
    return Crossings(_turned(g.B, f.X), _turned(g.A, f.Y))


def _turned(G: Tensor, X: Tensor) -> Tensor:
    """Xᵢᵀ G[i,j] Xⱼ for all i, j: two products of wide matrices instead of two for each pair."""
    m, n, r, _ = X.shape
    rows = X.mT @ G.transpose(2, 3).reshape(m, n, r, n * r)
    columns = rows.view(m, n * r, n, r).transpose(1, 2) @ X
    return columns.view(m, n, n, r, r).transpose(1, 2)


def top_direction(M: Tensor, defined: Tensor) -> Tensor:
    """abs⟨u₁,u₁'⟩ in [0, 1], (M, P); NaN where an update is zero (`defined` (M, P) is False)."""
    return torch.where(defined, M[..., 0, 0].abs().clamp_max(1.0), torch.nan)
