"""Intruder dimensions: top singular vectors of W₀+ΔW that resemble none of W₀ [Shuttleworth et al. 2024]."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from inspector.common.cache import Cache, cache_folder
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from torch import Tensor

TOP = 10
NEW = 0.5
_SKETCH = 50
_STEPS = 30
_EXACT_ENOUGH = 1e-4


def left_vectors(W: Tensor, digest: str, module: ModuleId, cache: Cache) -> Tensor:
    """(d_out, m) all left singular vectors of the base weight W (d_out, d_in), float32; kept in the cache."""
    import numpy as np
    import torch

    path = cache_folder("svd") / digest[:32] / f"{module}.npy"
    if (stored := cache.read(path)) is not None:
        return torch.from_numpy(np.load(io.BytesIO(stored), allow_pickle=False)).to(W.device)
    U: Tensor = torch.linalg.svd(W.float(), full_matrices=False).U
    data = io.BytesIO()
    np.save(data, U.cpu().numpy(), allow_pickle=False)
    cache.write(path, data.getvalue())
    return U


def top_left(W: Tensor, k: int = TOP) -> Tensor:
    """(d_out, k) the top left singular vectors of W, float32.

    Randomised subspace iteration [Halko et al. 2011], checked by its residual ‖Wv − σu‖ ≤ 1e-4 σ₁;
    the full decomposition where the check fails or the matrix is small.
    """
    import torch

    W, sketch = W.float(), max(_SKETCH, 2 * k)
    if min(W.shape) > 4 * sketch:
        with torch.random.fork_rng(devices=[W.device] if W.is_cuda else []):
            torch.manual_seed(0)
            U, S, V = torch.svd_lowrank(W, q=sketch, niter=_STEPS)
        residual = (W @ V[:, :k] - U[:, :k] * S[:k]).norm(dim=0).max()
        crosswise = (W.T @ U[:, :k] - V[:, :k] * S[:k]).norm(dim=0).max()
        if float(torch.maximum(residual, crosswise)) <= _EXACT_ENOUGH * float(S[0]):
            return U[:, :k]
    full: Tensor = torch.linalg.svd(W, full_matrices=False).U
    return full[:, :k]


def intruders(U0: Tensor, W: Tensor, update: Tensor, k: int = TOP, epsilon: float = NEW) -> tuple[int, int]:
    """(intruders, those outside the base's top subspace) among the top k left vectors u of W + update.

    The first: max_j |⟨u, u_j(W)⟩| < ε over all left vectors U0 of W. The second: ‖U0[:, :k]ᵀu‖ < ε.
    """
    u = top_left(W.float() + update.float(), k)
    along = U0.T @ u
    return int((along.abs().amax(0) < epsilon).sum()), int((along[:k].norm(dim=0) < epsilon).sum())
