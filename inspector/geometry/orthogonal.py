"""What of one update lies outside another: two fractions of different meaning, both named."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats


def fraction_global(cos: Floats) -> Floats:
    """√(1 − cos²): the part of a left after removing the best single multiple of b over the scope."""
    return np.sqrt(np.clip(1.0 - cos**2, 0.0, 1.0))


def residual_square(inner: Floats, square_a: Floats, square_b: Floats) -> Floats:
    """‖a_m − proj_b a_m‖² = ‖a_m‖² − ⟨a_m,b_m⟩²/‖b_m‖² per module; all of ‖a_m‖² where b_m is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(square_b > 0, inner**2 / square_b, 0.0)
    return np.clip(square_a - along, 0.0, None)


def fraction_module(residual: Floats, square_a: Floats) -> Floats:
    """√(Σ‖a_m − proj_b a_m‖² / Σ‖a_m‖²) from the scope's sums: a projection on b of its own per module; NaN of 0/0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(residual / square_a)
