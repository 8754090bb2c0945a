"""The study while it grows: what is measured together, and the numbers in their blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector._version import __version__
from inspector.adapters.health.rules import with_value_findings
from inspector.adapters.model import Adapter, LoraModule, one_factor
from inspector.adapters.opening import identity
from inspector.common.arrays import Floats
from inspector.study.aggregate import aggregate, fill_diagonals
from inspector.study.metrics import DEFINITIONS, held_for
from inspector.study.metrics.chance import averaged, chance_levels
from inspector.study.module_id import ModuleId
from inspector.study.study import Scope, Settings, Study

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.geometry.module import ModuleGeometry
    from inspector.geometry.stack import Factors

_LARGEST_RANK = 1024
"""Ranks beyond are taken apart by their product where that is smaller."""


class Batch(NamedTuple):
    """Modules at which the same adapters have updates of the same shape and ranks, by their indices."""

    modules: list[int]
    adapters: list[int]


class Table:
    """The study while it grows: module blocks filled in place, one batch of modules at a time."""

    def __init__(self, adapters: Sequence[Adapter], modules: tuple[ModuleId, ...], settings: Settings) -> None:
        self.adapters, self.modules = adapters, modules
        self.settings = replace(settings, version=__version__)
        n, count = len(adapters), len(modules)
        self.tried, self.nonfinite = np.zeros(count, dtype=bool), np.zeros((n, count), dtype=bool)
        self.shapes = np.zeros((n, count, 2), dtype=np.int64)
        for i, adapter in enumerate(adapters):
            for m, module in enumerate(modules):
                if (spec := adapter.modules.get(module)) is not None:
                    self.shapes[i, m] = spec.d_out, spec.d_in
        r = max((_values(spec) for a in adapters for spec in a.modules.values()), default=1)
        self.blocks: dict[tuple[str, Scope], Floats] = {}
        held = held_for(settings.metrics)
        asked = [d for d in DEFINITIONS.values() if d.metric in held and (not d.one_side or d.side in settings.sides)]
        self.measures = [(d, d.measure) for d in asked if d.measure is not None]
        self.sides = tuple(side for side in settings.sides if any(d.one_side and d.side == side for d in asked))
        self.products_alone = all(d.subject == "adapter" or d.of_products for d, _ in self.measures)
        for d, _ in self.measures:
            depth = ((settings.k if d.top_k else r),) if d.indexed else ()
            self._add(d.metric, (*((n,) if d.subject == "adapter" else (n, n)), count, *depth))
            if d.chance is not None:
                self._add(f"{d.metric}_chance", (count, *depth))
        self._add("energy_left_out", (n, count))
        ranks = np.array([[_rank_of(a, m) for m in modules] for a in adapters]).reshape(n, count, 1)
        self._enter_chance((np.arange(r) < ranks).astype(float))  # as if all their σ were one

    def largest(self) -> tuple[int, int]:
        """The longest side d of a module, and the ranks of all adapters together."""
        return int(self.shapes.max(initial=0)), sum(
            max((s.rank for s in a.modules.values()), default=0) for a in self.adapters
        )

    def _add(self, metric: str, shape: tuple[int, ...]) -> None:
        self.blocks[metric, "module"] = np.full(shape, np.nan)

    def _at(self, metric: str) -> Floats:
        return self.blocks[metric, "module"]

    def batches(self, numbers: int) -> list[Batch]:
        """All there is to measure, in the modules' order as far as they are not measured together.

        As many modules of one shape and its ranks are as their factors and Gram matrices fit in so many numbers.
        """
        from inspector.geometry.plan import numbers_of

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
            each = numbers_of(d_out + d_in, width, len(having) * self.products_alone)
            size = max(1, numbers // each)
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
        return *bounded(*adapter.load(module)), 1.0 if s is None else s

    def _enter(self, batch: Batch, found: ModuleGeometry) -> None:
        """Write the numbers of a batch into the blocks."""
        modules, here = batch
        one, other = (np.array(here)[at.numpy()][:, None] for at in (found.i, found.j))
        for d, measure in self.measures:
            numbers, block = np.asarray(measure(found)).swapaxes(0, 1), self._at(d.metric)
            if d.subject == "pair":
                block[one, other, modules] = block[other, one, modules] = numbers
            elif not d.indexed:
                block[np.ix_(here, modules)] = numbers
            else:
                for i, values in zip(here, numbers, strict=True):
                    rank = _rank_of(self.adapters[i], self.modules[modules[0]])
                    block[i, modules, :rank] = values[:, :rank]

    def _enter_chance(self, sigma: Floats) -> None:
        """Chance levels of every module over the pairs that have it in one shape, from the σ (N, modules, r) of all.

        Their median for angles, else their mean; of one adapter alone, as beside another of its kind.
        """
        for d, _ in self.measures:
            if d.chance is None:
                continue
            extents, block = d.chance.extent(sigma, self.settings.k), self._at(f"{d.metric}_chance")
            alike: dict[tuple[bytes, bytes], list[int]] = defaultdict(list)
            for m in range(len(self.modules)):
                alike[self.shapes[:, m].tobytes(), extents[:, m].tobytes()].append(m)
            for modules in alike.values():
                pairs = _pairs(self.shapes[:, modules[0]], extents[:, modules[0]])
                if pairs.size:
                    own = extents[:, modules[0]][pairs]
                    levels = chance_levels(d, self.shapes[pairs[:, 0], modules[0]], own, block[0].size)
                    block[modules] = averaged(levels, d.aggregate).reshape(block.shape[1:])

    def study(self, *, finished: bool = False) -> Study:
        """What is measured so far, with layers and globals; of a finished study the blocks are the table's own."""
        if finished:  # by the ranks that the updates have, not those their factors allow
            self._enter_chance(self._at("singular_value"))
        blocks = self.blocks if finished else {key: values.copy() for key, values in self.blocks.items()}
        if not np.nansum(blocks["energy_left_out", "module"]):
            del blocks["energy_left_out", "module"]
        for d in DEFINITIONS.values():
            if d.of_spectrum is not None:
                numbers = d.of_spectrum(blocks["singular_value", "module"])
                blocks[d.metric, "module"] = numbers[..., : self.settings.k] if d.indexed else numbers
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


def _pairs(shapes: NDArray[np.int64], extents: Floats) -> NDArray[np.int64]:
    """(P, 2): the pairs of adapters that have a module in one shape; a lone adapter with its like."""
    i, j = np.triu_indices(len(extents), 1)
    both = (extents[i] > 0) & (extents[j] > 0) & (shapes[i] == shapes[j]).all(-1)
    alone = np.flatnonzero(extents > 0)
    return np.column_stack([i[both], j[both]] if both.any() else [alone, alone])


def _values(module: LoraModule) -> int:
    """How many singular values an update can have: its rank may be above its shape's."""
    return min(module.rank, module.d_out, module.d_in)


def bounded(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """The factors, multiplied out where their r×r Gram matrices would be far larger than they themselves."""
    from inspector.adapters.updates.factors import whole

    r, shorter = A.shape[0], min(B.shape[0], A.shape[1])
    return whole(B.double() @ A.double()) if r > max(shorter, _LARGEST_RANK) else (B, A)


def _quotient(above: Floats, below: Floats) -> Floats:
    """above / below, 0 where above is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above == 0, 0.0, above / below)
