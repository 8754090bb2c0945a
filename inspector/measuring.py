"""The study while it grows: what is measured together, and the numbers in their blocks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector._version import __version__
from inspector.adapters.health import with_value_findings
from inspector.adapters.model import Adapter, LoraModule, one_factor
from inspector.adapters.opening import identity
from inspector.aggregate import aggregate
from inspector.geometry import ranks
from inspector.names import ModuleId
from inspector.shared import module_chance
from inspector.study import Floats, Scope, Settings, Study, fill_diagonals

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.geometry.module import ModuleGeometry
    from inspector.geometry.stack import Factors

_LARGEST_RANK = 1024
"""Ranks beyond are taken apart by their product where that is smaller."""


Kind = tuple[int, int, int, int]
"""(d_out, d_in, p, q) of two updates of the ranks p ≤ q."""


class Batch(NamedTuple):
    """Modules at which the same adapters have updates of the same shape and ranks, by their indices."""

    modules: list[int]
    adapters: list[int]


class Table:
    """The study while it grows: module blocks filled in place, one batch of modules at a time."""

    def __init__(self, adapters: Sequence[Adapter], modules: tuple[ModuleId, ...], settings: Settings) -> None:
        self.adapters, self.modules = adapters, modules
        self.settings = replace(settings, version=__version__)
        n, count, k = len(adapters), len(modules), settings.k
        self.tried, self.nonfinite = np.zeros(count, dtype=bool), np.zeros((n, count), dtype=bool)
        self.shapes = np.zeros((n, count, 2), dtype=np.int64)
        for i, adapter in enumerate(adapters):
            for m, module in enumerate(modules):
                if (spec := adapter.modules.get(module)) is not None:
                    self.shapes[i, m] = spec.d_out, spec.d_in
        r = max((_values(spec) for a in adapters for spec in a.modules.values()), default=1)
        self.blocks: dict[tuple[str, Scope], Floats] = {}
        self._add((n, count), "norm", "energy_left_out")
        self._add((n, count, r), "singular_value")
        self._add((n, count, k), "spectral_gap")
        self._add(
            (n, n, count), "cosine", "u1", "v1", "subspace_overlap", "subspace_overlap_right", "row_space_overlap"
        )
        self._add((count,), "u1_chance", "v1_chance", "subspace_overlap_chance", "subspace_overlap_right_chance")
        self._add((count,), "row_space_overlap_chance")
        for side in settings.sides:
            self._add((n, n, count, k), angle_metric(side))
            self._add((count, k), f"{angle_metric(side)}_chance")
        self._enter_chance(np.array([[_rank_of(a, m) for m in modules] for a in adapters]).reshape(n, count))

    def largest(self) -> tuple[int, int]:
        """The longest side d of a module, and the ranks of all adapters together."""
        return int(self.shapes.max(initial=0)), sum(
            max((s.rank for s in a.modules.values()), default=0) for a in self.adapters
        )

    def _add(self, shape: tuple[int, ...], *metrics: str) -> None:
        for metric in metrics:
            self.blocks[metric, "module"] = np.full(shape, np.nan)

    def _at(self, metric: str) -> Floats:
        return self.blocks[metric, "module"]

    def batches(self, numbers: int) -> list[Batch]:
        """All there is to measure, in the modules' order as far as they are not measured together.

        As many modules of one shape and its ranks are as their factors and Gram matrices fit in so many numbers.
        """
        alike: dict[tuple[tuple[int, int], tuple[tuple[int, int], ...]], list[int]] = defaultdict(list)
        for m, module in enumerate(self.modules):
            those: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
            for i, adapter in enumerate(self.adapters):
                if (spec := adapter.modules.get(module)) is not None:
                    those[spec.d_out, spec.d_in].append((i, spec.rank))
            for shape, with_ranks in those.items():
                alike[shape, tuple(with_ranks)].append(m)
        found = []
        for ((d_out, d_in), having), modules in alike.items():
            width = len(having) * max(rank for _, rank in having)
            size = max(1, numbers // (width * (d_out + d_in + 2 * width)))
            here = [i for i, _ in having]
            found += [Batch(modules[at : at + size], here) for at in range(0, len(modules), size)]
        return sorted(found)

    def measured(self) -> int:
        """At how many modules something was measured, or tried."""
        return int(self.tried.sum())

    def factors(self, batch: Batch) -> list[Factors]:
        """The factors of a batch, module by module."""
        return [[self._factors(i, self.modules[m]) for i in batch.adapters] for m in batch.modules]

    def enter(self, batch: Batch, found: ModuleGeometry) -> None:
        """Take over what was measured; adapters with NaN or Inf at a module are set aside there."""
        at = np.ix_(batch.adapters, batch.modules)
        self.tried[batch.modules] = True
        self.nonfinite[at] = broken = ~found.finite.numpy().T
        self._enter(batch, found)
        left_out = [[self.adapters[i].left_out(self.modules[m]) for m in batch.modules] for i in batch.adapters]
        self._at("energy_left_out")[at] = np.where(broken, np.nan, left_out)

    def _factors(self, i: int, module: ModuleId) -> tuple[Tensor, Tensor, float]:
        """B, A and s, or 1 where that is not known: `_unscale` takes out what depends on it."""
        adapter = self.adapters[i]
        s = adapter.modules[module].scale.value
        return *_bounded(*adapter.load(module)), 1.0 if s is None else s

    def _enter(self, batch: Batch, found: ModuleGeometry) -> None:
        """Write the numbers of a batch into the blocks."""
        modules, here = batch
        inner = np.triu(found.inner.numpy())
        inner += np.swapaxes(np.triu(inner, 1), 1, 2)  # symmetric to the last bit
        norms = np.sqrt(np.diagonal(inner, axis1=1, axis2=2).clip(min=0))
        self._at("norm")[np.ix_(here, modules)] = norms.T
        self._at("cosine")[np.ix_(here, here, modules)] = np.moveaxis(_cosines(inner, norms), 0, -1)
        sigma = found.sigma.numpy().swapaxes(0, 1)
        for i, values in zip(here, sigma, strict=True):
            rank = _values(self.adapters[i].modules[self.modules[modules[0]]])
            self._at("singular_value")[i, modules, :rank] = values[:, :rank]
            gaps = values - np.pad(values[:, 1:], ((0, 0), (0, 1)))
            width = min(self.settings.k, rank)
            self._at("spectral_gap")[i, modules, :width] = gaps[:, :width]
        one, other = (np.array(here)[at.numpy()][:, None] for at in (found.i, found.j))
        pairs = {
            "u1": found.u1,
            "v1": found.v1,
            "subspace_overlap": found.overlap_left,
            "subspace_overlap_right": found.overlap_right,
            "row_space_overlap": found.rows,
        } | {angle_metric(side): angles for side, angles in found.angles.items()}
        for metric, values in pairs.items():
            block, numbers = self._at(metric), values.numpy().swapaxes(0, 1)
            block[one, other, modules] = block[other, one, modules] = numbers

    def _enter_chance(self, ranks: NDArray[np.int64]) -> None:
        """Chance levels of every module over the pairs that have it in one shape, from their ranks (N, modules).

        Their median for angles, else their mean; of one adapter alone, as beside another of its kind.
        """
        alike: dict[tuple[bytes, bytes], list[int]] = defaultdict(list)
        for m in range(len(self.modules)):
            alike[self.shapes[:, m].tobytes(), ranks[:, m].tobytes()].append(m)
        levels = [metric for metric, _ in self.blocks if metric.endswith("_chance")]
        for modules in alike.values():
            kinds = _kinds(self.shapes[:, modules[0]], ranks[:, modules[0]])
            for metric in levels if kinds else ():
                self._at(metric)[modules] = self._chance(metric.removesuffix("_chance"), kinds)

    def _chance(self, metric: str, kinds: Counter[Kind]) -> Floats:
        """(1 or k,) of one metric over pairs of these (d_out, d_in, p, q)."""
        most = None if metric == "row_space_overlap" else self.settings.k
        width = self._at(f"{metric}_chance").shape[1:]
        rows = np.full((kinds.total(), *(width or (1,))), np.nan)
        at = 0
        for (d_out, d_in, p, q), times in kinds.items():
            level = np.atleast_1d(module_chance(metric, d_out, d_in, min(p, most or p), min(q, most or q)))
            rows[at : at + times, : len(level)] = level
            at += times
        known = ~np.isnan(rows).all(0)
        out = np.full(rows.shape[1], np.nan)
        out[known] = (np.nanmedian if width else np.nanmean)(rows[:, known], axis=0)
        return out if width else out[0]

    def study(self, *, finished: bool = False) -> Study:
        """What is measured so far, with layers and globals."""
        if finished:  # by the ranks that the updates have, not those their factors allow
            self._enter_chance((np.nan_to_num(self._at("singular_value")) > 0).sum(-1))
        blocks = {key: values.copy() for key, values in self.blocks.items()}
        if not np.nansum(blocks["energy_left_out", "module"]):
            del blocks["energy_left_out", "module"]
        sigma = blocks["singular_value", "module"]
        blocks["effective_rank_share", "module"] = ranks.effective_rank(sigma) / np.maximum(
            (~np.isnan(sigma)).sum(-1), 1
        )
        for rank in (
            ranks.effective_rank,
            ranks.effective_rank_energy,
            ranks.participation_ratio,
            ranks.stable_rank,
            ranks.rank_90,
        ):
            blocks[rank.__name__, "module"] = rank(sigma)
        self._unscale(blocks)
        fill_diagonals(blocks)
        infos = tuple(
            replace(
                adapter.info,
                excluded=(*adapter.info.excluded, *(self.modules[m] for m in self.nonfinite[i].nonzero()[0])),
                digest=identity(adapter) if finished else "",
            )
            for i, adapter in enumerate(self.adapters)
        )
        study = aggregate(Study(infos, self.modules, self.shapes, self.settings, blocks))
        return with_value_findings(study, self.adapters) if finished else study

    def _unscale(self, blocks: dict[tuple[str, Scope], Floats]) -> None:
        """Where a scale is not known: take out what depends on it, and add shares, which do not, of all adapters."""
        modules = [adapter.modules.values() for adapter in self.adapters]
        unscaled = [any(module.scale.value is None for module in of) for of in modules]
        if not any(unscaled):
            return
        norms, sigma = blocks["norm", "module"], blocks["singular_value", "module"]
        share = _quotient(norms, np.sqrt(np.nansum(norms**2, axis=1, keepdims=True)))
        share[[not one_factor(of) for of in modules]] = np.nan
        blocks["norm_share", "module"] = share
        blocks["singular_value_share", "module"] = _quotient(sigma, norms[..., None])
        for metric in ("norm", "singular_value", "spectral_gap"):
            blocks[metric, "module"][unscaled] = np.nan


def _rank_of(adapter: Adapter, module: ModuleId) -> int:
    spec = adapter.modules.get(module)
    return 0 if spec is None else _values(spec)


def _kinds(shapes: NDArray[np.int64], ranks: NDArray[np.int64]) -> Counter[Kind]:
    """How many pairs of adapters have which (d_out, d_in, p, q), p ≤ q, at a module; a lone adapter with its like."""
    having = [(d_out, d_in, r) for (d_out, d_in), r in zip(shapes.tolist(), ranks.tolist(), strict=True) if r]
    pairs: Counter[Kind] = Counter(
        (d_out, d_in, min(r, other[2]), max(r, other[2]))
        for (d_out, d_in, r), other in combinations(having, 2)
        if other[:2] == (d_out, d_in)
    )
    return pairs or Counter((d_out, d_in, r, r) for d_out, d_in, r in having)


def _values(module: LoraModule) -> int:
    """How many singular values an update can have: its rank may be above its shape's."""
    return min(module.rank, module.d_out, module.d_in)


def _bounded(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """The factors, multiplied out where their r×r Gram matrices would be far larger than they themselves."""
    from inspector.adapters.factors import whole

    r, shorter = A.shape[0], min(B.shape[0], A.shape[1])
    return whole(B.double() @ A.double()) if r > max(shorter, _LARGEST_RANK) else (B, A)


def angle_metric(side: str) -> str:
    """The metric name of the principal angles of one side."""
    return "principal_angle" if side == "left" else "principal_angle_right"


def _quotient(above: Floats, below: Floats) -> Floats:
    """above / below, 0 where above is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above == 0, 0.0, above / below)


def _cosines(inner: Floats, norms: Floats) -> Floats:
    """Module cosines (M, N, N) from inner products and norms (M, N); NaN where a norm is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = inner / (norms[:, :, None] * norms[:, None, :])
    return np.where((norms[:, :, None] > 0) & (norms[:, None, :] > 0), cosines.clip(-1.0, 1.0), np.nan)
