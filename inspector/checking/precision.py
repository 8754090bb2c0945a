"""What is left of ΔW when it is merged into the base in bfloat16, measured on the tensors themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.model import Adapter
from inspector.checking.fit import Fit
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 1024
"""Rows of a weight at a time: an embedding is never whole in float32."""
_ENOUGH = 0.9
"""A cosine to the intended update below this is a warning."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Sums over a weight, or over several: what a merge in bfloat16 does instead of adding ΔW."""

    base: float = 0.0
    """‖W₀‖²_F of the base as bfloat16 holds it."""
    meant: float = 0.0
    """‖ΔW‖²_F."""
    done: float = 0.0
    """‖D‖²_F of D = bf16(W₀ + ΔW) − W₀."""
    both: float = 0.0
    """⟨ΔW, D⟩_F."""

    def __add__(self, other: Merged) -> Merged:
        return Merged(self.base + other.base, self.meant + other.meant, self.done + other.done, self.both + other.both)

    @property
    def cosine(self) -> float:
        """Of what is done to ΔW; 0 where everything is rounded away, n/a where ΔW is zero."""
        if not self.meant:
            return nan
        return self.both / sqrt(self.meant * self.done) if self.done else 0.0

    @property
    def energy_lost(self) -> float:
        """‖D − ΔW‖²_F / ‖ΔW‖²_F: above 1 the rounding outweighs the update."""
        return max(0.0, self.done - 2 * self.both + self.meant) / self.meant if self.meant else nan

    @property
    def norm_ratio(self) -> float:
        """‖ΔW‖_F / ‖W₀‖_F."""
        return sqrt(self.meant / self.base) if self.base else nan


@dataclass(frozen=True, slots=True)
class Precision:
    """Of every module that fits the base, and of all together."""

    modules: Mapping[ModuleId, Merged]

    @property
    def whole(self) -> Merged:
        return sum(self.modules.values(), Merged())

    def findings(self) -> tuple[HealthIssue, ...]:
        """A merge that would lose much of the update is a warning."""
        whole = self.whole
        if not whole.cosine < _ENOUGH:
            return ()
        lost = f"its cosine to ΔW is {whole.cosine:.2f}, its rounding error {whole.energy_lost:.0%} of ΔW's energy"
        return (
            HealthIssue("warning", f"merged in bfloat16 the update is not the one trained: {lost}; run it unmerged"),
        )


def precision(
    adapter: Adapter, base: BaseWeights, fit: Fit, *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Precision:
    """Merge every module that fits, row block by row block, and compare. W₀ is first rounded to bfloat16 itself."""
    modules = {}
    for n, (id_, weight) in enumerate(fit.weights.items()):
        B, A = adapter.load(id_)
        W = weight.read(base)
        scale = adapter.modules[id_].scale.known
        modules[id_] = merged(W.T if id_ in fit.turned else W, B, A, scale)
        progress(n + 1, len(fit.weights))
    return Precision({id_: found for id_, found in modules.items() if found is not None})


def merged(W: Tensor, B: Tensor, A: Tensor, scale: float) -> Merged | None:
    """W (d_out, d_in), B (d_out, r), A (r, d_in); None where ΔW holds NaN or Inf."""
    import torch

    B, A = B.float() * scale, A.float()
    total = Merged()
    for top in range(0, W.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        held = W[rows].to(torch.bfloat16).float()
        meant = B[rows] @ A
        if not bool(torch.isfinite(meant).all()):
            return None
        done = (held + meant).to(torch.bfloat16).float() - held
        total += Merged(_dot(held, held), _dot(meant, meant), _dot(done, done), _dot(meant, done))
    return total


def _dot(x: Tensor, y: Tensor) -> float:
    """Σ x∘y, summed in float64."""
    import torch

    return float((x * y).sum(dtype=torch.float64))
