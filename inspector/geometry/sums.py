"""A weighted sum ΔW = Σ_i w_i·ΔW_i of N updates, from their inner products alone. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats

ROUNDING = 1e-13
"""A squared norm below this share of (Σ‖w_i·ΔW_i‖)² is what rounding leaves of a sum that cancels: zero."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The sum at each of M modules; numbers over any scope are sums over its modules first, then one division.

    square (M,) = ‖ΔW‖²; energy (M,) = Σ_i‖w_iΔW_i‖²; conflict (M,) = −Σ_{i<j} min(0, 2w_iw_j⟨ΔW_i,ΔW_j⟩);
    parents (N, M) = ⟨ΔW,ΔW_i⟩; own (N, M) = ‖ΔW_i‖². A `scope` is (M,) or (M, places), 1 where a module counts.
    """

    square: Floats
    energy: Floats
    conflict: Floats
    parents: Floats
    own: Floats

    def norm(self, scope: Floats) -> Floats:
        """‖ΔW‖_F."""
        return np.sqrt(self.square @ scope)

    def energy_ratio(self, scope: Floats) -> Floats:
        """‖Σ_i w_iΔW_i‖² / Σ_i‖w_iΔW_i‖²: 1 orthogonal, above 1 aligned, below 1 cancelling; NaN of nothing."""
        return _divided(self.square @ scope, self.energy @ scope)

    def interference(self, scope: Floats) -> Floats:
        """The energy that conflicting pairs cancel in each other, over that of the parts; NaN of nothing.

        Two updates conflict at a module where w_iw_j⟨ΔW_i,ΔW_j⟩ < 0, as gradients do [Yu et al. 2020, PCGrad]:
        Σ_m Σ_{i<j} max(0, −2w_iw_j⟨ΔW_i,ΔW_j⟩_m) / Σ_m Σ_i‖w_iΔW_i‖²_m. 0 where none conflict, 1 where equal parts
        cancel; several pairs can exceed 1. Unlike 1 − energy ratio, modules that agree do not hide others that cancel.
        """
        return _divided(self.conflict @ scope, self.energy @ scope)

    def cosines(self, scope: Floats) -> Floats:
        """(N,) or (N, places): ⟨ΔW,ΔW_i⟩ / (‖ΔW‖‖ΔW_i‖), stacked over the modules; NaN where a norm is zero."""
        norms = np.sqrt(self.own @ scope) * self.norm(scope)
        return np.clip(_divided(self.parents @ scope, norms), -1.0, 1.0)

    def own_norms(self, scope: Floats) -> Floats:
        """(N,) or (N, places): ‖ΔW_i‖_F, without the weight."""
        return np.sqrt(self.own @ scope)


def sums(inner: Floats, weights: Floats, square: Floats | None = None) -> Sums:
    """The sum's numbers from ⟨ΔW_i,ΔW_j⟩ (N, N, M) and w (N,).

    `square` (M,): Σσ² of the sum, where its spectrum is known; it stays exact where the parts nearly cancel.
    """
    weighted = inner * (weights[:, None] * weights[None, :])[..., None]
    energy = np.einsum("iim->m", weighted)
    pairs = 2 * weighted[np.triu_indices(len(weights), 1)]
    if square is None:
        most = (np.abs(weights) @ np.sqrt(np.einsum("iim->im", inner))) ** 2
        square = energy + pairs.sum(0)
        square = np.where(square > ROUNDING * most, square, 0.0)
    parents = np.einsum("j,ijm->im", weights, inner)
    return Sums(square, energy, np.maximum(-pairs, 0.0).sum(0), parents, np.einsum("iim->im", inner).copy())


def _divided(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
