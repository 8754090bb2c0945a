"""The named effective ranks of a spectrum. They differ by 3-5×: always say which."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats


def rank(sigma: Floats) -> Floats:
    """How many σ over the last axis are above 0."""
    return np.asarray(np.sum(np.nan_to_num(sigma) > 0, axis=-1), dtype=np.float64)


def effective_rank(sigma: Floats) -> Floats:
    """exp(H(p)), p = σ/Σσ, over the last axis [Roy & Vetterli 2007]; NaN for a zero spectrum."""
    return _entropy_rank(np.nan_to_num(sigma))


def effective_rank_share(sigma: Floats) -> Floats:
    """exp(H(p)) over the number of σ that are not NaN, at least 1."""
    return np.asarray(effective_rank(sigma) / np.maximum((~np.isnan(sigma)).sum(axis=-1), 1))


def effective_rank_energy(sigma: Floats) -> Floats:
    """exp(H(p)), p = σ²/Σσ², over the last axis."""
    return _entropy_rank(np.nan_to_num(sigma) ** 2)


def participation_ratio(sigma: Floats) -> Floats:
    """(Σσ²)² / Σσ⁴ over the last axis."""
    energy = _share(np.nan_to_num(sigma) ** 2)
    return _divide(np.ones(energy.shape[:-1]), np.sum(energy**2, axis=-1))


def stable_rank(sigma: Floats) -> Floats:
    """Σσ² / σ₁² over the last axis, σ descending [Rudelson & Vershynin 2007]."""
    sigma = np.nan_to_num(sigma)
    return np.asarray(np.sum(_divide(sigma, sigma[..., :1]) ** 2, axis=-1))


def rank_90(sigma: Floats) -> Floats:
    """The smallest m with Σ_{i≤m} σ_i² ≥ 0.9 Σσ², σ descending."""
    energy = _share(np.nan_to_num(sigma) ** 2)
    reached = np.cumsum(energy, axis=-1) >= 0.9 - 1e-12
    return np.where(np.isnan(energy[..., 0]), np.nan, np.argmax(reached, axis=-1) + 1.0)


def gaps(sigma: Floats) -> Floats:
    """σ_k − σ_(k+1), the last σ as it is; NaN where σ_k is."""
    following = np.pad(np.nan_to_num(sigma)[..., 1:], [(0, 0)] * (sigma.ndim - 1) + [(0, 1)])
    return np.asarray(sigma - following)


def _entropy_rank(weights: Floats) -> Floats:
    p = _share(weights)
    return np.asarray(np.exp(-np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)))


def _share(weights: Floats) -> Floats:
    return _divide(weights, weights.sum(axis=-1, keepdims=True))


def _divide(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
