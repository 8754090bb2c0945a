"""The weighted sum of LoRA updates as one update: its factors side by side, its spectrum, its best of lower rank.

ΔW = Σ_i c_i·B_i·A_i = [c_1B_1 … c_NB_N]·[A_1; …; A_N] is itself a product of rank at most R = Σr_i, so that
`factorise` gives its exact SVD in R×R work: by Cholesky of the two Gram matrices, by QR where their condition asks
for it, as it does for parents that are nearly alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inspector.geometry.factorise import Factorised, factorise
from inspector.geometry.gram import grams
from inspector.geometry.stack import Stack

Terms = Sequence[tuple[Tensor, Tensor, float]]
"""(B_i (d_out, r_i), A_i (r_i, d_in), c_i), with c_i = w_i·s_i the weight and the scale; of one shape, finite."""


def spectrum(terms: Terms, largest: float, device: str = "cpu") -> Tensor:
    """The singular values of Σ c_iB_iA_i, (R,) float64, descending.

    `largest`: the largest ‖c_iB_iA_i‖_F. What rounding leaves where the terms cancel, relative to it, is zero.
    """
    f = _factorised(terms, 1, device)
    sigma = f.sigma[0, 0]
    return torch.where(sigma > f.stack.tolerance * largest, sigma, 0.0)


def truncated(terms: Terms, rank: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """The best approximation of Σ c_iB_iA_i of this rank in Frobenius norm [Eckart & Young 1936].

    B (d_out, k) = U_k√Σ_k and A (k, d_in) = √Σ_kV_kᵀ, float64, with k the rank or the most the shapes allow: ΔW = B·A.
    """
    f = _factorised(terms, rank, device)
    k = min(rank, f.stack.r, f.stack.B.shape[1], f.stack.A.shape[2])
    root = f.sigma[0, 0, :k].sqrt()
    return (f.stack.B[0] @ f.X[0, 0, :, :k]) * root, (f.stack.A[0].mT @ f.Y[0, 0, :, :k] * root).mT


def _factorised(terms: Terms, k: int, device: str) -> Factorised:
    B = torch.cat([B.to(device, torch.float64) * c for B, _, c in terms], 1)
    A = torch.cat([A.to(device, torch.float64) for _, A, _ in terms])
    one = torch.ones(1, 1, dtype=torch.float64, device=B.device)
    stack = Stack(B[None], A[None], one, B.shape[1])
    return factorise(stack, grams(stack).own(), k)


def concatenated(terms: Terms) -> tuple[Tensor, Tensor, float, float]:
    """Σ c_iB_iA_i = s·B·A with B (d_out, R) and A (R, d_in): B, A, s, and what rounding B cost, relative to ‖B‖_F.

    Terms of coefficient 0 add nothing and are left out. s is the commonest |c_i|; a term with another coefficient has
    c_i/s in its columns of B. Where that is exact in the parents' own dtype, as ± and powers of two are, that is kept
    and the cost is 0; else B is float32, or float64 where a parent is.
    """
    if not (some := [term for term in terms if term[2]]):
        B, A, _ = terms[0]
        return torch.zeros_like(B), A, 1.0, 0.0
    terms, sizes = some, [abs(c) for _, _, c in some]
    s = max(sizes, key=sizes.count)
    exact = torch.cat([B.to(torch.float64) * (c / s) for B, _, c in terms], 1)
    A = torch.cat([A.to(_joint([A for _, A, _ in terms])) for _, A, _ in terms])
    joint = _joint([B for B, _, _ in terms])
    B = exact.to(joint)
    if not torch.equal(B.to(torch.float64), exact):
        B = exact.to(torch.promote_types(joint, torch.float32))
    size = float(exact.norm())
    return B, A, s, float((B.to(torch.float64) - exact).norm()) / size if size > 0 else 0.0


def _joint(tensors: Sequence[Tensor]) -> torch.dtype:
    """The dtype that holds all of them."""
    joint = torch.float16 if tensors[0].element_size() < 2 else tensors[0].dtype  # float8 promotes to nothing
    for tensor in tensors:
        joint = torch.promote_types(joint, torch.float16 if tensor.element_size() < 2 else tensor.dtype)
    return joint
