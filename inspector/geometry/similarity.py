"""How alike what two updates write, or read, is: a cosine of ΔWΔWᵀ, or of ΔWᵀΔW."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised


def similarity(f: Factorised, i: Tensor, j: Tensor, side: str) -> Tensor:
    """⟨P,P'⟩_F / (‖P‖_F ‖P'‖_F) in [0, 1], (M, P), of the pairs i, j; P = ΔWΔWᵀ on the left, ΔWᵀΔW on the right.

    With ΔW = UΣVᵀ that is Σ_ab σ_a²σ_b'²⟨u_a,u_b'⟩² / √(Σσ⁴ Σσ'⁴), in r×r work. Neither a gauge (BG, G⁻¹A) nor
    another random start of A changes ΔWΔWᵀ much. NaN where an update is zero.
    """
    X, G = (f.X, f.grams.B) if side == "left" else (f.Y, f.grams.A)
    crossed = (X[:, i].mT @ G[:, i, j] @ X[:, j]).square()
    energy = (f.sigma / f.sigma[..., :1].clamp_min(torch.finfo(torch.float64).tiny)).square()
    weights = energy / energy.norm(dim=-1, keepdim=True)
    found = (weights[:, i, :, None] * crossed * weights[:, j, None, :]).sum((-2, -1))
    return torch.where(torch.minimum(f.rank[:, i], f.rank[:, j]) > 0, found.clamp_max(1.0), torch.nan)
