"""The singular values of many small matrices at once, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inspector.geometry.threads import in_threads

_BATCHED = 32
"""The largest matrix that cuSOLVER takes in batches; larger ones, one by one, cost it 1.5 ms each."""


def svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, σ, Vᴴ of square matrices (…, n, n)."""
    if not _by_host(M):
        U, sigma, Vh = torch.linalg.svd(M)
        return U, sigma, Vh
    parts = zip(*in_threads(_few(M), torch.linalg.svd, torch.get_num_threads()), strict=True)
    U, sigma, Vh = (torch.cat(part).to(M.device) for part in parts)
    return U.view_as(M), sigma.view(M.shape[:-1]), Vh.view_as(M)


def svdvals(M: Tensor) -> Tensor:
    """σ of matrices (…, m, n), (…, min(m, n))."""
    if not _by_host(M):
        sigma: Tensor = torch.linalg.svdvals(M)
        return sigma
    found = torch.cat(list(in_threads(_few(M), torch.linalg.svdvals, torch.get_num_threads()))).to(M.device)
    return found.view(*M.shape[:-2], found.shape[-1])


def _by_host(M: Tensor) -> bool:
    return M.is_cuda and max(M.shape[-2:]) > _BATCHED


def _few(M: Tensor) -> Sequence[Tensor]:
    """A few of the matrices at a time, on the host."""
    return torch.split(M.cpu().flatten(0, -3), _BATCHED)
