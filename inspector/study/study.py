"""The results of an analysis: who was measured, how, and every number, in numpy without torch.

Numbers live in dense blocks, one per (metric, scope); a metric's subject (definitions.py) sets the
leading axes:

    adapter  (N, place[, k])      norm, effective ranks, singular values
    pair     (N, N, place[, k])   symmetric: cosine, angles, overlap
    ordered  (N, N, place[, k])   of a (row) against b (column): orthogonal fraction per module
    none     (place[, k])         of no adapter: chance levels, and the base model's own values

where place is the one global place, a layer of `layers`, or a module of `modules`. The last axis of a
curve along a path runs over `alphas` instead of k. NaN is n/a.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.study.adapter_info import AdapterInfo
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId

Scope = Literal["global", "layer", "module"]
SCOPES: tuple[Scope, ...] = ("global", "layer", "module")


@dataclass(frozen=True, slots=True)
class Settings:
    """How it was measured."""

    k: int = 10
    sides: tuple[Literal["left", "right"], ...] = ("left",)
    modules: Literal["union", "common"] = "union"
    filter: str = ""
    device: str = "auto"
    version: str = ""
    reading: tuple[str, ...] = ()
    """The options that files were read with, as words of the command line: `--base`, its name, …"""
    metrics: tuple[str, ...] = ()
    """The metrics asked for, empty for all: blocks of other pairs are not made."""
    scopes: tuple[Scope, ...] = SCOPES


@dataclass(frozen=True, slots=True)
class ProbeInfo:
    """How one probe was measured: on which base, where, on what."""

    probe: str
    base: str
    base_digest: str = ""
    device: str = ""
    dtype: str = ""
    prompts: str = ""
    prompts_digest: str = ""
    examples: int = 0
    detail: str = ""
    """What else the numbers depend on: the loss, the pooling, the token limit."""
    note: str = ""
    """What happened on the way, such as a batch that was halved."""
    version: str = ""

    def comparable(self, other: ProbeInfo) -> bool:
        """Whether numbers of the two may stand side by side."""
        return replace(self, note="", version="") == replace(other, note="", version="")


@dataclass(frozen=True, repr=False)
class Study:
    """One analysis: adapters × modules × metrics."""

    adapters: tuple[AdapterInfo, ...]
    modules: tuple[ModuleId, ...]
    shapes: NDArray[np.int64]
    """(N, modules, 2): (d_out, d_in) of adapter i's ΔW at module m, 0 where it does not adapt m."""
    settings: Settings = Settings()
    blocks: Mapping[tuple[str, Scope], Floats] = field(default_factory=dict)
    probes: tuple[ProbeInfo, ...] = ()
    alphas: tuple[float, ...] = ()
    """The points of every path between two adapters, ascending."""
    depth: int = 0
    """How many layers the base has, where a probe has seen it."""

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers any module sits in, and those of the base where it is known, ascending."""
        return tuple(sorted({m.layer for m in self.modules if m.layer is not None} | set(range(self.depth))))

    @cached_property
    def projections(self) -> tuple[str, ...]:
        """The distinct last path components, in order of first appearance."""
        return tuple(dict.fromkeys(m.projection for m in self.modules))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.adapters)

    def index(self, name: str) -> int:
        return self.names.index(name)

    def block(self, metric: str, scope: Scope) -> Floats | None:
        """The numbers of one metric at one scope, or None where it was not measured."""
        return self.blocks.get((metric, scope))

    def probe(self, name: str) -> ProbeInfo | None:
        """How a probe was measured, None where it was not."""
        return next((info for info in self.probes if info.probe == name), None)

    def places(self, scope: Scope) -> tuple[ModuleId, ...]:
        """What the place axis of a block of this scope runs over."""
        if scope == "module":
            return self.modules
        return tuple(ModuleId(layer, "") for layer in (self.layers if scope == "layer" else (None,)))

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(N, modules): whether adapter i adapts module m."""
        return np.asarray(self.shapes[:, :, 0] > 0)

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """(N, N, modules): whether module m may enter the sums of the pair (i, j)."""
        n, modules = self.shapes.shape[:2]
        return np.array([self.usable_with(i) for i in range(n)], dtype=bool).reshape(n, n, modules)

    def usable_with(self, i: int) -> NDArray[np.bool_]:
        """(N, modules): whether module m may enter the sums of the pair of this adapter and each.

        Not where either update holds NaN/Inf, nor where the two have different shapes there.
        """
        one, other = self.shapes[i], self.shapes
        same = (one == other).all(-1) | (one == 0).any(-1) | (other == 0).any(-1)
        return np.asarray(same & ~self.excluded[i] & ~self.excluded)

    @cached_property
    def scaled(self) -> NDArray[np.bool_]:
        """(N,): whether the scale of adapter i is known."""
        return np.array([adapter.scaled for adapter in self.adapters], dtype=bool)

    @cached_property
    def spectra(self) -> Floats | None:
        """(N, modules, r): σ of each update up to a factor, for what does not depend on it; None if not measured."""
        share = self.block("singular_value_share", "module")
        return self.block("singular_value", "module") if share is None else share

    @cached_property
    def sizes(self) -> Floats | None:
        """(N, modules): ‖ΔW‖ up to one factor an adapter where `weighed`, elsewhere one a module; None as above."""
        norm, share, sigma = self.block("norm", "module"), self.block("norm_share", "module"), self.spectra
        if norm is None or share is None or sigma is None:
            return norm
        alone = np.where(np.isnan(sigma[..., 0]), np.nan, sigma[..., 0] > 0)
        return np.where(self.scaled[:, None], norm, np.where(self.weighed[:, None], share, alone))

    @cached_property
    def weighed(self) -> NDArray[np.bool_]:
        """(N,): whether it is known how much modules weigh beside each other, as sums over them need it."""
        share = self.block("norm_share", "module")
        return self.scaled if share is None else self.scaled | np.isfinite(share).any(axis=1)

    def one_sided(self, i: int, j: int) -> int:
        """How many modules only one of the two adapts: zeros in the union, left out of `common`."""
        return int((self.present[i] != self.present[j]).sum())

    @cached_property
    def excluded(self) -> NDArray[np.bool_]:
        """(N, modules): modules whose values could not be used (NaN/Inf), left out of all sums."""
        where = {module: m for m, module in enumerate(self.modules)}
        mask = np.zeros((len(self.adapters), len(self.modules)), dtype=bool)
        for i, adapter in enumerate(self.adapters):
            mask[i, [where[m] for m in adapter.excluded if m in where]] = True
        return mask

    def subset(self, order: tuple[int, ...]) -> Study:
        """The study of these adapters only, in this order. Levels of no adapter stay as they are."""
        picked = list(order)
        axes = {"none": 0, "adapter": 1, "pair": 2, "ordered": 2}
        blocks: dict[tuple[str, Scope], Floats] = {}
        for (metric, scope), values in self.blocks.items():
            chosen = [picked] * axes[DEFINITIONS[metric].subject]
            blocks[metric, scope] = values[np.ix_(*chosen)] if chosen else values
        adapters = tuple(self.adapters[i] for i in picked)
        return replace(self, adapters=adapters, shapes=self.shapes[picked], blocks=blocks)

    def renamed(self, old: str, new: str) -> Study:
        """The same study with one adapter under another name."""
        adapters = tuple(replace(a, name=new) if a.name == old else a for a in self.adapters)
        return replace(self, adapters=adapters)

    def __repr__(self) -> str:
        measured = ", ".join(dict.fromkeys(metric for metric, _ in self.blocks))
        return f"Study of {', '.join(self.names)}: {len(self.modules)} modules; {measured or 'nothing measured'}"
