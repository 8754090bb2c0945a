"""Cosine and norm over any scope: sums first, then one division."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats


def cosine(inner: Floats, square_a: Floats, square_b: Floats) -> Floats:
    """Σ⟨a_m,b_m⟩ / √(Σ‖a_m‖² Σ‖b_m‖²): the cosine of the stacked vectors, from the scope's sums.

    Never the mean of module cosines. NaN where a norm is zero.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = inner / (np.sqrt(square_a) * np.sqrt(square_b))
    return np.where((square_a > 0) & (square_b > 0), np.clip(value, -1.0, 1.0), np.nan)


def norm(square: Floats) -> Floats:
    """‖ΔW‖_F = √Σ‖ΔW_m‖² from the scope's sum of squares."""
    return np.sqrt(square)
