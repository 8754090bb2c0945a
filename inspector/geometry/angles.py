"""Principal angles between the top-k singular subspaces of two updates.

cos θ_i = σ_i(UᵀU') [Björck & Golub 1973]. Near 0 the cosine loses half the digits, so small angles are
computed from vectors by their sines, sin θ_i = σ_i(U' − U UᵀU') [Knyazev & Argentati 2002].
"""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.factorise import EPS, Factorised
from inspector.geometry.svd import svdvals

_ACCURACY = 5e-9
"""Radians the cosine branch may be off (3e-7°); the published bound is 1e-6°."""
_AT_ONCE = 2**26
"""Numbers of the vectors of one side that are gathered at once."""


def principal_angles(f: Factorised, M: Tensor, i: Tensor, j: Tensor, side: str, k: int) -> Tensor:
    """Angles in degrees, ascending, (M, P, k), of the pairs (i, j), from their UᵀU' or VᵀV' (M, P, ≤k, ≤k).

    NaN beyond min of the two true ranks.
    """
    width = M.shape[-1]
    m = torch.minimum(f.rank[:, i], f.rank[:, j]).clamp_max(k)
    angles = torch.arccos(svdvals(M).clamp_max(1.0))
    rounding = torch.maximum(f.loss[:, i], f.loss[:, j]) + 10 * k * EPS
    small = ((angles[..., 0] < rounding / (2 * _ACCURACY)) & (m > 0)).nonzero()
    for few in torch.split(small, max(1, _AT_ONCE // (_length(f, side) * width))) if len(small) else ():
        at, p = few.mT
        angles[at, p] = _exact(f, at, i[p], j[p], side, width)
    angles = torch.where(torch.arange(width, device=m.device) < m[..., None], torch.rad2deg(angles), torch.nan)
    return torch.nn.functional.pad(angles, (0, k - width), value=torch.nan)


def _length(f: Factorised, side: str) -> int:
    return f.stack.B.shape[1] if side == "left" else f.stack.A.shape[2]


def _exact(f: Factorised, at: Tensor, i: Tensor, j: Tensor, side: str, k: int) -> Tensor:
    """Angles in radians, ascending, (q, k), of q pairs at modules `at`: sine where cos² ≥ ½; anything beyond m."""
    fewer = f.rank[at, i] < f.rank[at, j]
    i, j = torch.where(fewer, j, i), torch.where(fewer, i, j)
    U, W = _vectors(f, at, i, side, k), _vectors(f, at, j, side, k)
    C = U.mT @ W
    cosines = svdvals(C).clamp_max(1.0)
    R: Tensor = torch.linalg.qr(W - U @ C, mode="r")[1]
    # W has m columns, and zeros: the m largest are its sines.
    order = f.rank[at, j].clamp_max(k)[:, None] - 1 - torch.arange(k, device=at.device)
    sines = svdvals(R).gather(1, order.clamp_min(0)).clamp_max(1.0)
    return torch.where(cosines.square() >= 0.5, torch.arcsin(sines), torch.arccos(cosines))


def _vectors(f: Factorised, at: Tensor, i: Tensor, side: str, k: int) -> Tensor:
    """U_k (q, d_out, k) or V_k (q, d_in, k) of adapters i at modules `at`, orthonormal to rounding, 0 beyond the rank.

    They are orthonormal but for the rounding of their coordinates: Cholesky of a Gram matrix near I takes that out.
    """
    basis, X = (f.stack.outputs(), f.X) if side == "left" else (f.stack.inputs(), f.Y)
    U = basis[at, i] @ X[at, i, :, :k]
    beyond = torch.arange(k, device=at.device) >= f.rank[at, i][:, None]
    L = torch.linalg.cholesky_ex(U.mT @ U + torch.diag_embed(beyond.to(U.dtype)))[0]
    orthonormal: Tensor = torch.linalg.solve_triangular(L.mT, U, upper=True, left=False)
    return orthonormal
