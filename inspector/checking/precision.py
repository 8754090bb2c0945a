"""What is left of ΔW when it is merged into the base and rounded, or served beside it, measured on the tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.model import Adapter
from inspector.checking.fit import Fit
from inspector.checking.rounding import BF16, Rule, largest_of
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_ROWS = 1024
"""Rows of a weight at a time: an embedding is never whole in float32."""
_ENOUGH = 0.9
"""A cosine to the intended update below this is a warning."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Sums over a weight, or over several: what a merge does when it rounds, instead of adding ΔW."""

    base: float = 0.0
    """‖Q(W₀)‖²_F: of the base as it is served."""
    meant: float = 0.0
    """‖ΔW‖²_F."""
    done: float = 0.0
    """‖D‖²_F of D = Q(W₀ + ΔW) − Q(W₀)."""
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
    def strength(self) -> float:
        """⟨ΔW, D⟩/‖ΔW‖²: how much of ΔW is there, whatever else is."""
        return self.both / self.meant if self.meant else nan

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
    """Merge every module that fits in bfloat16, row block by row block, and compare."""
    return served(adapter, base, fit, (BF16,), progress=progress)[BF16.name]


def served(
    adapter: Adapter,
    base: BaseWeights,
    fit: Fit,
    rules: Sequence[Rule],
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Precision]:
    """The merge by each rule, by its name: a module at a time, so that one matrix of the base is in memory."""
    found: dict[str, dict[ModuleId, Merged]] = {rule.name: {} for rule in rules}
    for n, (id_, weight) in enumerate(fit.weights.items()):
        B, A = adapter.load(id_)
        W = weight.read(base)
        one = merged(W.T if id_ in fit.turned else W, B, A, adapter.modules[id_].scale.known, rules)
        for name, sums in (one or {}).items():
            found[name][id_] = sums
        progress(n + 1, len(fit.weights))
    return {name: Precision(modules) for name, modules in found.items()}


def merged(W: Tensor, B: Tensor, A: Tensor, scale: float, rules: Sequence[Rule] = (BF16,)) -> dict[str, Merged] | None:
    """W (d_out, d_in), B (d_out, r), A (r, d_in), by each rule; None where ΔW holds NaN or Inf."""
    import torch

    B, A = B.float() * scale, A.float()
    largest = [(0.0, 0.0)]
    for held, meant in _blocks(W, B, A):
        if not bool(torch.isfinite(meant).all()):
            return None
        largest.append((largest_of(held), largest_of(held + meant)))
    before, after = map(max, zip(*largest, strict=True))
    total = {rule.name: Merged() for rule in rules}
    for W0, meant in _blocks(W, B, A):
        for rule in rules:
            was = rule.rounded(W0, before)
            done = rule.rounded((was if rule.held else W0) + meant, after) - was
            total[rule.name] += Merged(_dot(was, was), _dot(meant, meant), _dot(done, done), _dot(meant, done))
    return total


def _blocks(W: Tensor, B: Tensor, A: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of W₀ and of ΔW, in float32; so many at a time that blocks of a quantiser are never cut."""
    for top in range(0, W.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        yield W[rows].float(), B[rows] @ A


def beside(adapter: Adapter, kind: torch.dtype) -> Precision:
    """The adapter unmerged, its factors rounded to this type: s·Q(B)·Q(A) beside a base that is served as it may be.

    From the Gram matrices of the factors alone, in float64: ⟨BA, B′A′⟩ = Σ (BᵀB′)∘(AA′ᵀ).
    """
    modules = {}
    for id_, module in adapter.modules.items():
        B, A = adapter.load(id_)
        held = module.scale.known * B.to(kind).double(), A.to(kind).double()
        B, A = module.scale.known * B.double(), A.double()
        both = ((B.T @ held[0]) * (A @ held[1].T)).sum()
        meant, done = (((b.T @ b) * (a @ a.T)).sum() for b, a in ((B, A), held))
        modules[id_] = Merged(0.0, *(float(x) for x in (meant, done, both)))
    return Precision(modules)


def _dot(x: Tensor, y: Tensor) -> float:
    """Σ x∘y, summed in float64."""
    import torch

    return float((x * y).sum(dtype=torch.float64))
