"""From Gram matrices to the singular value decomposition of every ΔW, in r×r work.

With G_B = L_B L_Bᵀ and G_A = L_A L_Aᵀ (Cholesky), ΔW = s·B·A has the singular values of the r×r core
s·L_BᵀL_A = Uc Σ Vcᵀ, and U = B·X with X = L_B⁻ᵀUc, V = Aᵀ·Y with Y = L_A⁻ᵀVc. U and V are kept as
their coordinates X and Y: UᵀU' = Xᵀ G_B[i,j] X' needs no vector of length d.

A Gram matrix squares the condition number. What that costs is known afterwards: rounding perturbs G_B
entrywise by ε|b_a||b_b|, so singular triplet j suffers ε·ρ_j², ρ_j = Σ_a |b_a||X_aj| (likewise for A),
which no diagonal scaling of the factors changes. Where that could reach `TOLERANCE`, the adapter's
factors are replaced by their Householder QR: B = Q_B R_B, core s·R_B R_Aᵀ, basis Q instead of B.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from inspector.geometry.gram import Own
from inspector.geometry.stack import Stack
from inspector.geometry.svd import svd

EPS = torch.finfo(torch.float64).eps
TOLERANCE = 1e-10
"""The relative error the Gram route may have; the published bound is 1e-9."""


@dataclass(frozen=True, slots=True)
class Factorised:
    """The thin SVDs of N updates at each of M modules, and the basis they are written in.

    sigma (M, N, r) descending, zero beyond `rank` (M, N); X, Y (M, N, r, r) coordinates of U in `stack.B` and
    of V in `stack.A`, zero beyond the rank; `loss` (M, N): the rounding ε·ρ² of the top-k coordinates;
    `orthonormal` (M, N): whether the basis of adapter i is a QR factor.
    """

    stack: Stack
    sigma: Tensor
    X: Tensor
    Y: Tensor
    rank: Tensor
    loss: Tensor
    orthonormal: Tensor
    by_qr: int = 0
    """How many of them are."""


def factorise(stack: Stack, own: Own, k: int) -> Factorised:
    """The exact SVD of every s_i·B_i·A_i; `k`: how many leading vectors must be accurate.

    Where it took the QR route (`by_qr`), its stack holds another basis, whose Gram matrices are not those of before.
    """
    found = _from_grams(stack, own, k)
    doubtful = (~(found.loss <= TOLERANCE)).nonzero()
    return _with_qr(found, *doubtful.mT) if len(doubtful) else found


def _from_grams(stack: Stack, own: Own, k: int) -> Factorised:
    """The Cholesky route for all at once; zero columns drop out. `loss` is inf where it failed."""
    G_B, G_A = own.B, own.A
    b, a = _lengths(G_B), _lengths(G_A)
    alive = (b > 0) & (a > 0)
    L_B, bad_B = _cholesky(G_B, alive)
    L_A, bad_A = _cholesky(G_A, alive)
    core = (L_B.mT @ L_A) * (alive[..., :, None] & alive[..., None, :])
    Uc, sigma, Vch = svd(core)
    X = torch.linalg.solve_triangular(L_B.mT, Uc, upper=True)
    Y = torch.linalg.solve_triangular(L_A.mT, Vch.mT, upper=True)
    loss = EPS * _amplification(b, a, X.abs(), Y.abs(), sigma, k)
    loss = torch.where(bad_B | bad_A, torch.inf, loss)
    return _trimmed(Factorised(stack, sigma, X, Y, sigma, loss, torch.zeros_like(own.finite)))


def _with_qr(found: Factorised, at: Tensor, i: Tensor) -> Factorised:
    """Replace the basis of adapters i at modules `at` by QR factors."""
    stack, r = found.stack, found.stack.r
    stack = replace(stack, B=stack.B.clone(), A=stack.A.clone())
    # Without |s| and its sign, which `_trimmed` applies once more.
    sigma, X = found.sigma / stack.scale.abs()[..., None], found.X.clone()
    Y = found.Y * torch.sign(stack.scale)[..., None, None]
    cores = []
    for each in (stack.outputs(), stack.inputs()):
        Q, R = torch.linalg.qr(each[at, i])
        each[at, i] = pad(Q, (0, r - Q.shape[-1]))
        cores.append(pad(R, (0, 0, 0, r - R.shape[-2])))
    Uc, sigma[at, i], Vch = svd(cores[0] @ cores[1].mT)
    X[at, i], Y[at, i] = Uc, Vch.mT
    loss, orthonormal = found.loss.clone(), found.orthonormal.clone()
    loss[at, i], orthonormal[at, i] = r * EPS, True
    return _trimmed(Factorised(stack, sigma, X, Y, sigma, loss, orthonormal, len(at)))


def _trimmed(found: Factorised) -> Factorised:
    """Apply |s| (and its sign, to V), and cut what is beyond the numerical rank."""
    stack, sigma = found.stack, found.sigma
    kept = sigma > stack.tolerance * sigma[..., :1]
    sigma = torch.where(kept, sigma * stack.scale.abs()[..., None], 0.0)
    kept &= sigma > 0
    sign = torch.sign(stack.scale)[..., None, None]
    X, Y = found.X * kept[..., None, :], found.Y * kept[..., None, :] * sign
    return replace(found, sigma=sigma, X=X, Y=Y, rank=kept.sum(-1))


def _lengths(G: Tensor) -> Tensor:
    return G.diagonal(dim1=-2, dim2=-1).sqrt()


def _cholesky(G: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
    """L (M, N, r, r) with dead columns replaced by unit vectors, and where it broke down (M, N)."""
    both = alive[..., :, None] & alive[..., None, :]
    L, info = torch.linalg.cholesky_ex(torch.where(both, G, 0.0) + torch.diag_embed((~alive).to(G.dtype)))
    failed = info > 0
    return torch.where(failed[..., None, None], torch.eye(G.shape[-1], dtype=G.dtype, device=G.device), L), failed


def _amplification(b: Tensor, a: Tensor, X: Tensor, Y: Tensor, sigma: Tensor, k: int) -> Tensor:
    """How far the Gram route multiplies ε, (M, N): the worst over σ, the top-k vectors and the norm."""
    rho_b, rho_a = (b[..., None, :] @ X)[..., 0, :], (a[..., None, :] @ Y)[..., 0, :]
    relative = sigma / sigma[..., :1].clamp_min(torch.finfo(torch.float64).tiny)
    real = relative > 0
    rho_b, rho_a = rho_b * real, rho_a * real
    top = torch.maximum(rho_b, rho_a)[..., :k].amax(-1).square()
    values = (relative * (rho_b.square() + rho_a.square()) / 2).amax(-1)
    total = (b * a).sum(-1) / sigma.norm(dim=-1).clamp_min(torch.finfo(torch.float64).tiny)
    return torch.where(sigma[..., 0] > 0, torch.stack((top, values, total.square())).amax(0), 0.0)
