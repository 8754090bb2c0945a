"""What random subspaces would give: the level every alignment must be read against."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from inspector.common.arrays import Floats

_DRAWS = 400


def direction_chance(d: int) -> float:
    """E abs⟨u,u'⟩ of random unit vectors in ℝᵈ: √(2/πd) for large d, exactly Γ(d/2)/(√π Γ((d+1)/2))."""
    return math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)


def overlap_chance(d: int, p: Floats, q: Floats) -> Floats:
    """E ‖UᵀU'‖²_F / min(p, q) of random subspaces of ℝᵈ of p and q dimensions: max(p, q)/d."""
    return np.minimum(1.0, np.maximum(p, q) / d)


def similarity_chance(d: int, p: Floats, q: Floats) -> Floats:
    """E ⟨P,P'⟩_F / (‖P‖_F‖P'‖_F) of positive semidefinite P, P' (d, d) turned at random: √(pq)/d, p = (tr P)²/‖P‖²_F.

    Exact, for E[Q P Qᵀ] = tr(P)/d·I; p is the participation ratio of the squared singular values of ΔW.
    """
    return np.sqrt(p * q) / d


def angle_chances(d: int, p: Floats, q: Floats) -> Floats:
    """(P, k): `angle_chance` of P pairs, NaN beyond the smaller of p and q."""
    kinds, at = np.unique(np.stack([p, q], axis=1).astype(int), axis=0, return_inverse=True)
    levels = np.full((len(kinds), int(kinds.min(1).max(initial=0))), np.nan)
    for row, (one, other) in zip(levels, kinds.tolist(), strict=True):
        row[: min(one, other)] = angle_chance(d, one, other)
    return levels[at]


@lru_cache(maxsize=1024)
def angle_chance(d: int, p: int, q: int) -> tuple[float, ...]:
    """Median of each principal angle (degrees, ascending) between random subspaces of ℝᵈ of p and q dimensions.

    There are min(p, q). With q the smaller, the squared cosines are the eigenvalues of S(S+T)⁻¹ with independent
    Wishart S ~ W_q(p) and T ~ W_q(d−p), drawn as q×q triangles (Bartlett 1933): no vector of length d. 400 draws,
    fixed seed; standard error of the median below 0.3° for the smallest angle at p = q = 10.
    """
    q, p = sorted((min(p, d), min(q, d)))
    if d < p + q:
        # The subspaces must meet in p + q − d directions; the other angles are those of their complements.
        return (0.0,) * (p + q - d) + (angle_chance(d, d - p, d - q) if d > p else ())
    rng = np.random.default_rng(0)
    S, T = _wishart_factor(rng, q, p), _wishart_factor(rng, q, d - p)
    # S(S+T)⁻¹ with S = LLᵀ, T = KKᵀ has eigenvalues 1/(1+μ²), μ the singular values of L⁻¹K.
    mu = np.linalg.svd(np.linalg.solve(S, T), compute_uv=False)[:, ::-1]
    return tuple(np.degrees(np.arctan(np.median(mu, axis=0))).tolist())


def _wishart_factor(rng: np.random.Generator, k: int, freedom: int) -> np.ndarray:
    """Lower triangular L (draws, k, k) with LLᵀ ~ Wishart_k(freedom): Bartlett's decomposition."""
    L = np.tril(rng.standard_normal((_DRAWS, k, k)), -1)
    diagonal = np.sqrt(rng.chisquare(freedom - np.arange(k), size=(_DRAWS, k)))
    L[:, np.arange(k), np.arange(k)] = diagonal
    return L
