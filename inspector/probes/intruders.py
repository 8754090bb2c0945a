"""An update against the singular vectors of the base: how much lies along the top ones, and what intrudes.

Intruder dimensions are top singular vectors of W₀+ΔW that resemble none of W₀ [Shuttleworth et al. 2024].
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.cache import Cache, cache_folder
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from torch import Tensor

TOP = 10
NEW = 0.5
MOST = 20
"""As many top vectors are looked at for the curve over k."""
EPSILONS = np.arange(1, 10) / 10
_SKETCH = 50
_STEPS = 30
_EXACT_ENOUGH = 1e-4


def base_vectors(W: Tensor, digest: str, module: ModuleId, cache: Cache) -> tuple[Tensor, Tensor]:
    """All left singular vectors of the base weight W (d_out, d_in), (d_out, m), and its top right ones, (d_in, TOP).

    float32; kept in the cache, whose entries are checked when they are read.
    """
    import torch

    paths = [cache_folder("svd") / digest[:32] / f"{module}{side}.npy" for side in ("", ".right")]
    stored = [cache.read(path) for path in paths]
    if all(data is not None for data in stored):
        left, right = (np.load(io.BytesIO(data or b""), allow_pickle=False) for data in stored)
        return torch.from_numpy(left).to(W.device), torch.from_numpy(right).to(W.device)
    U, _, Vh = torch.linalg.svd(W.float(), full_matrices=False)
    found = U, Vh[:TOP].T.contiguous()
    for path, vectors in zip(paths, found, strict=True):
        data = io.BytesIO()
        np.save(data, vectors.cpu().numpy(), allow_pickle=False)
        cache.write(path, data.getvalue())
    return found


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


def turned(U0: Tensor, W: Tensor, update: Tensor, k: int = TOP) -> tuple[Floats, Floats]:
    """Of the top left vectors u of W + update: max_j |⟨u, u_j(W)⟩| over all left vectors U0, and ‖U0[:, :k]ᵀu‖.

    As many u as the counts of k and those over k need: max(k, 20).
    """
    along = U0.T @ top_left(W.float() + update.float(), max(MOST, k))
    return along.abs().amax(0).cpu().double().numpy(), along[:k].norm(dim=0).cpu().double().numpy()


def intruders(similar: Floats, within: Floats, k: int = TOP, epsilon: float = NEW) -> tuple[int, int]:
    """(intruders, those outside the base's top subspace) among the top k: below ε of what `turned` gives."""
    return int((similar[:k] < epsilon).sum()), int((within[:k] < epsilon).sum())


def over_k(similar: Floats) -> Floats:
    """(20,) the intruders among the top k, for every k; NaN where the matrix has not so many."""
    found = np.full(MOST, np.nan)
    found[: len(similar)] = np.cumsum(similar[:MOST] < NEW)
    return found


def over_epsilon(similar: Floats) -> Floats:
    """(9,) how many of the top 10 have no similarity of ε = 0.1, 0.2 … 0.9."""
    return np.asarray((similar[:TOP, None] < EPSILONS).sum(0), dtype=float)


def shares(U0: Tensor, V0: Tensor, B: Tensor, A: Tensor) -> tuple[float, float]:
    """‖U₁₀ᵀBA‖²/‖BA‖² and ‖BAV₁₀‖²/‖BA‖², from r×r Gram matrices in float64; NaN of a zero update."""
    B, A = B.double(), A.double()
    rows, columns = A @ A.T, B.T @ B
    whole = float((rows * columns).sum())
    left, right = U0[:, :TOP].double().T @ B, A @ V0.double()
    if not whole > 0:
        return float("nan"), float("nan")
    return float(((left @ rows) * left).sum()) / whole, float(((columns @ right) * right).sum()) / whole
