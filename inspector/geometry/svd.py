"""The singular values of many small matrices at once, wherever they are."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.threads import in_threads

_BATCHED = 32
"""The largest matrix that cuSOLVER takes in batches; larger ones, one by one, cost it 1.5 ms each."""


def svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, σ, Vᴴ of square matrices (…, n, n)."""
    if not M.is_cuda or M.shape[-1] <= _BATCHED:
        U, sigma, Vh = torch.linalg.svd(M)
        return U, sigma, Vh
    chunks = torch.split(M.cpu().flatten(0, -3), _BATCHED)
    parts = zip(*in_threads(chunks, torch.linalg.svd, torch.get_num_threads()), strict=True)
    U, sigma, Vh = (torch.cat(part).to(M.device) for part in parts)
    return U.view_as(M), sigma.view(M.shape[:-1]), Vh.view_as(M)


def svdvals(M: Tensor) -> Tensor:
    """σ of square matrices (…, n, n)."""
    if not M.is_cuda or M.shape[-1] <= _BATCHED:
        sigma: Tensor = torch.linalg.svdvals(M)
        return sigma
    return svd(M)[1]
