"""Principal angles between the top-k singular subspaces of two updates.

cos θ_i = σ_i(UᵀU') [Björck & Golub 1973]. Near 0 the cosine loses half the digits, so small angles are
computed from vectors by their sines, sin θ_i = σ_i(U' − U UᵀU') [Knyazev & Argentati 2002].
"""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.geometry.directions import Crossings
from inspector.geometry.factorise import EPS, Factorised

_ACCURACY = 5e-9
"""Radians the cosine branch may be off (3e-7°); the published bound is 1e-6°."""


def principal_angles(f: Factorised, c: Crossings, side: str, k: int) -> Tensor:
    """Angles in degrees, ascending, (M, P, k); NaN beyond min of the two true ranks."""
    M = c.left if side == "left" else c.right
    m = torch.minimum(f.rank[:, c.i], f.rank[:, c.j]).clamp_max(k)
    angles = torch.arccos(torch.linalg.svdvals(M).clamp_max(1.0))
    rounding = torch.maximum(f.loss[:, c.i], f.loss[:, c.j]) + 10 * k * EPS
    small = (angles[..., 0] < rounding / (2 * _ACCURACY)) & (m > 0)
    for at, p in small.nonzero().tolist():
        exact = _from_vectors(_vectors(f, at, int(c.i[p]), side, k), _vectors(f, at, int(c.j[p]), side, k))
        angles[at, p, : exact.numel()] = exact
    width = angles.shape[-1]
    angles = torch.where(torch.arange(width, device=m.device) < m[..., None], torch.rad2deg(angles), torch.nan)
    return torch.nn.functional.pad(angles, (0, k - width), value=torch.nan)


def _vectors(f: Factorised, at: int, i: int, side: str, k: int) -> Tensor:
    """U_k (d_out, m) or V_k (d_in, m) of adapter i at one module, orthonormal to rounding."""
    m = min(int(f.rank[at, i]), k)
    B, A = f.stack.B[at, :, f.stack.columns(i)], f.stack.A[at, f.stack.columns(i)]
    basis, coordinates = (B, f.X[at, i]) if side == "left" else (A.mT, f.Y[at, i])
    Q: Tensor = torch.linalg.qr(basis @ coordinates[:, :m])[0]
    return Q


def _from_vectors(U: Tensor, W: Tensor) -> Tensor:
    """Angles in radians, ascending, between span U (d, m) and span W (d, m'): sine where cos² ≥ ½."""
    if U.shape[1] < W.shape[1]:
        U, W = W, U
    C = U.mT @ W
    cosines = torch.linalg.svdvals(C).clamp_max(1.0)
    sines = torch.linalg.svdvals(W - U @ C).flip(0).clamp_max(1.0)
    return torch.where(cosines.square() >= 0.5, torch.arcsin(sines), torch.arccos(cosines))
