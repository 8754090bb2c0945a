"""How two updates lie to each other, and what of their energy a sum has: what people ask before merging."""

from __future__ import annotations

import math

import numpy as np

from inspector.common.arrays import Floats

ALIGNED = 0.2
CHANCE_RATIO = 3.0
SHARED = 0.1


def energy_ratio(inner: Floats, square_a: Floats, square_b: Floats) -> Floats:
    """‖a + b‖² / (‖a‖² + ‖b‖²) from the scope's sums: 1 without interaction, 2 for equal updates, 0 for opposite.

    NaN where one of the two is zero: there is nothing it could interact with.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 1.0 + 2.0 * inner / (square_a + square_b)
    return np.where((square_a > 0) & (square_b > 0), value, np.nan)


def energy_ratio_of_sum(cosine: Floats, norm: Floats) -> float:
    """‖Σ_i ΔW_i‖² / Σ_i ‖ΔW_i‖² of N updates from their cosines (N, N) and norms (N,), all over the same modules."""
    inner = np.nan_to_num(cosine) * np.outer(norm, norm)
    np.fill_diagonal(inner, norm**2)
    total = float(np.sum(norm**2))
    return float(inner.sum()) / total if total > 0 else math.nan


def classify(cosine: float, overlap: float, chance: float) -> str:
    """Name how two updates lie to each other.

    aligned: cosine ≥ 0.2; opposed: cosine ≤ −0.2; shared outputs: |cosine| < 0.2 while the top-k output subspaces
    overlap by at least 3× chance and at least 0.1; independent: none of these; n/a: a zero update, or a cosine near 0
    without an overlap and its chance.
    """
    if math.isnan(cosine):
        return "n/a"
    if abs(cosine) >= ALIGNED:
        return "aligned" if cosine > 0 else "opposed"
    if math.isnan(overlap) or math.isnan(chance):
        return "n/a"
    return "shared outputs" if overlap >= max(CHANCE_RATIO * chance, SHARED) else "independent"
