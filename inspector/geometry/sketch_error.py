"""How far an inner product of two sketches may be off. No torch."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats

WIDTH = 64
"""Signs on either side of the sketch of a whole adapter: WIDTH² numbers."""
BY_LAYER = 16
"""The same of the sketch of a layer."""


def standard_error(cosine: Floats, one: Floats | float, other: Floats | float, width: int = WIDTH) -> Floats:
    """The standard deviation of ⟨S,S'⟩ around a cosine of stacked X, X' of unit norm and spreads κ, κ', at most.

    κ = √(Σ_m Σσ_m⁴) / Σ_m Σσ_m² over the modules of X: 1 of one direction, small of many. With Gaussian P, Q of
    p = q = width columns a module alone has the variance (1−1/q)V_M/p + (1−1/p)V_N/q + V₀/(pq), M = XX'ᵀ, N = XᵀX',
    V_M = ‖M‖² + tr M², V₀ = 1 + c² + 2‖N‖² + 2V_M; signs have less (their fourth moment is 1, not 3). ‖M‖², ‖N‖² and
    tr M² are at most ‖XXᵀ‖‖X'X'ᵀ‖, whose sum over modules is at most κκ'. With the products of different modules 1 + c²
    is that of all of them: Var ≤ (1 + c²)/w² + κκ'(4/w + 6/w²).
    """
    both = np.asarray(one) * np.asarray(other)
    return np.asarray(np.sqrt((1 + np.square(cosine)) / width**2 + both * (4 / width + 6 / width**2)))
