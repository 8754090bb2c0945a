"""How alike what two updates write, or read, is: a cosine of ΔWΔWᵀ, or of ΔWᵀΔW."""

from __future__ import annotations

import torch
from torch import Tensor


def similarity(M: Tensor, sigma: Tensor, other: Tensor) -> Tensor:
    """⟨P,P'⟩_F / (‖P‖_F ‖P'‖_F) in [0, 1], (M, P), from σ and σ' (M, P, r) and UᵀU' of P = ΔWΔWᵀ (M, P, r, r).

    With ΔW = UΣVᵀ that is Σ_ab σ_a²σ_b'²⟨u_a,u_b'⟩² / √(Σσ⁴ Σσ'⁴); VᵀV' gives that of P = ΔWᵀΔW. NaN where an update
    is zero.
    """
    found = (_weights(sigma)[..., None] * M.square() * _weights(other)[..., None, :]).sum((-2, -1))
    return torch.where((sigma[..., 0] > 0) & (other[..., 0] > 0), found.clamp_max(1.0), torch.nan)


def _weights(sigma: Tensor) -> Tensor:
    """σ² / √Σσ⁴, of updates of any size."""
    energy = (sigma / sigma[..., :1].clamp_min(torch.finfo(sigma.dtype).tiny)).square()
    weights: Tensor = energy / energy.norm(dim=-1, keepdim=True)
    return weights
