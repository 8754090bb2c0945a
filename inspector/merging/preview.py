"""The numbers of ΔW = Σ w_i·ΔW_i over any modules, out of a study; no torch, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.geometry.sums import Sums, sums
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import ModuleId
from inspector.study.provenance import base_key
from inspector.study.study import SCOPES, Scope, Study

Flags = NDArray[np.bool_]
NOT_MERGED = "is an activated LoRA: ΔW holds from its invocation tokens on alone, and that of a sum would everywhere"


@dataclass(frozen=True)
class Preview:
    """A weighted sum of the study's adapters; `spectra` (M, R) are its singular values, None while unknown.

    Everything runs over the union of modules; those that cannot be added (`refused`) are in no number.
    """

    study: Study
    weights: tuple[float, ...]
    spectra: Floats | None = None

    @cached_property
    def sums(self) -> Sums:
        """Per module; from the spectra where they are known: exact also where the parts nearly cancel."""
        square = None if self.spectra is None else (self.spectra**2).sum(1)
        return sums(_inner(self.study), np.array(self.weights), square)

    @cached_property
    def addable(self) -> Floats:
        """(M,): 1 where a module counts."""
        return addable(self.study, self.weights).astype(float)

    def scope(self, chosen: Flags | None = None) -> Floats:
        """(M,): the modules that count, of those chosen."""
        return self.addable if chosen is None else self.addable * chosen

    def by_layer(self, chosen: Flags | None = None) -> Floats:
        """(M, layers)."""
        of = np.array([-1 if m.layer is None else m.layer for m in self.study.modules])
        return np.asarray((of[:, None] == np.array(self.study.layers)[None, :]) * self.scope(chosen)[:, None])

    def by_projection(self) -> Floats:
        """(M, projections)."""
        names = self.study.projections
        where = np.array([[m.projection == name for name in names] for m in self.study.modules], dtype=float)
        return np.asarray(where * self.addable[:, None])

    def ranks(self, scope: Floats) -> Floats:
        """Mean number of singular values that are not zero."""
        assert self.spectra is not None
        with np.errstate(invalid="ignore"):
            return np.asarray((self.spectra > 0).sum(1) @ scope / scope.sum(0))

    def kept(self, scope: Floats, rank: int | None = None) -> Floats:
        """The share of the energy that rank k holds in every module: (places,), or (places, R) for every k."""
        assert self.spectra is not None
        held = np.cumsum(self.spectra**2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            every = np.asarray((scope.T @ held) / (scope.T @ held[:, -1:]))
        return every if rank is None else every[..., min(rank, every.shape[-1]) - 1]

    @property
    def largest_rank(self) -> int:
        """The most dimensions a module of the sum has."""
        assert self.spectra is not None
        return int(((self.spectra > 0).sum(1) * self.addable).max(initial=0))

    @property
    def default_rank(self) -> int:
        """The largest rank of a parent: what a merged adapter of the same size has."""
        parents = [info for info, w in zip(self.study.adapters, self.weights, strict=True) if w]
        return max((max(info.ranks, default=1) for info in parents), default=1)

    def in_study(self) -> Study:
        """The study with the sum's numbers in it, for export."""
        scopes: dict[Scope, Floats] = {
            "global": self.addable[:, None], "layer": self.by_layer(), "module": np.diag(self.addable),
        }  # fmt: skip
        blocks = dict(self.study.blocks)
        blocks["merge_weight", "global"] = np.array(self.weights)[:, None]
        for scope in SCOPES:
            at = scopes[scope]
            known = np.asarray(at.any(axis=0))
            for metric, values in self._stacked(at).items():
                blocks[metric, scope] = np.where(known, values, np.nan)
            if self.spectra is not None:
                blocks["sum_rank", scope] = np.where(known, self.ranks(at), np.nan)
                blocks["sum_energy_kept", scope] = np.where(known[:, None], self.kept(at), np.nan)
        if self.spectra is not None:
            blocks["sum_singular_value", "module"] = np.where(self.addable[:, None] > 0, self.spectra, np.nan)
        return replace(self.study, blocks=blocks)

    def _stacked(self, at: Floats) -> dict[str, Floats]:
        return {
            "sum_norm": self.sums.norm(at),
            "sum_cosine": self.sums.cosines(at),
            "sum_energy_ratio": self.sums.energy_ratio(at),
            "sum_interference": self.sums.interference(at),
        }


def refuse_activated(adapters: Sequence[AdapterInfo], weights: Sequence[float]) -> None:
    """Raise InspectorError where a part is an activated LoRA: a sum of weights would hold before its tokens too."""
    for info, w in zip(adapters, weights, strict=True):
        if w and not info.everywhere:
            raise InspectorError(f"{plain(info.name)} {NOT_MERGED}: leave it out. PEFT merges none either.")


def other_bases(adapters: Sequence[AdapterInfo], weights: Sequence[float]) -> str:
    """Why parts of different bases have no sum; empty if all name one base, or none."""
    named: dict[str, AdapterInfo] = {}
    for info, w in zip(adapters, weights, strict=True):
        if w and info.base:
            named.setdefault(base_key(info.base), info)
    if len(named) < 2:
        return ""
    one, other = list(named.values())[:2]
    bases = f"{plain(one.name)} names the base {plain(one.base, 80)}, {plain(other.name)} names {plain(other.base, 80)}"
    more = "If both are one model, say so with --same-base NAME=OTHER."
    return f"{bases}, and their sum fits neither. {more}"


def no_sum(adapters: Sequence[AdapterInfo], weights: Sequence[float]) -> str:
    """Why these parts have no sum at all; empty if they have one."""
    for info in (info for info, w in zip(adapters, weights, strict=True) if w):
        if not info.everywhere:
            return f"{plain(info.name)} {NOT_MERGED}."
        if not info.scaled:
            return f"The scale of {plain(info.name)} is unknown, and so is what it adds: --alpha gives it."
    return other_bases(adapters, weights)


def refuse_other_bases(adapters: Sequence[AdapterInfo], weights: Sequence[float]) -> None:
    """Raise InspectorError where two parts name different bases."""
    if reason := other_bases(adapters, weights):
        raise InspectorError(reason)


def addable(study: Study, weights: Sequence[float]) -> Flags:
    """(M,): whether the parents' updates at a module are finite, of one shape and of known scale.

    Those with weight 0 do not count.
    """
    parents = np.flatnonzero(weights)
    known = study.scaled[parents, None] | ~study.present[parents]
    return np.asarray(study.usable[np.ix_(parents, parents)].all(axis=(0, 1)) & known.all(axis=0), dtype=bool)


def refused(study: Study, weights: Sequence[float]) -> list[tuple[ModuleId, str]]:
    """The modules that cannot be added, each with its reason."""
    parents = np.flatnonzero(weights).tolist()
    return [(study.modules[m], _reason(study, parents, m)) for m in np.flatnonzero(~addable(study, weights)).tolist()]


def _reason(study: Study, parents: Sequence[int], m: int) -> str:
    """`not finite in a`, `not measured in a` if its tensors could not be read, or the shapes, the usual one first.

    Of several adapters of one shape: `576×576 in 5 adapters, 2048×2048 in 3 (a, …)`.
    """
    for i in parents:
        if study.present[i, m] and not study.scaled[i]:
            return f"of unknown scale in {plain(study.names[i], 40)}"
        if study.excluded[i, m]:
            return f"not {'finite' if study.present[i, m] else 'measured'} in {plain(study.names[i], 40)}"
    shapes: dict[str, list[str]] = {}
    for i in parents:
        if study.present[i, m]:
            shapes.setdefault("{}×{}".format(*study.shapes[i, m]), []).append(plain(study.names[i], 40))
    parts: list[str] = []
    for shape, names in sorted(shapes.items(), key=lambda item: -len(item[1])):
        many = f"{len(names)} adapters" if not parts else f"{len(names)} ({names[0]}, …)"
        parts.append(f"{shape} in {names[0] if len(names) == 1 else many}")
    return ", ".join(parts)


def _inner(study: Study) -> Floats:
    """⟨ΔW_i,ΔW_j⟩ (N, N, M): zero where either has nothing there."""
    norms = np.nan_to_num(study.blocks["norm", "module"])
    inner = np.nan_to_num(study.blocks["cosine", "module"]) * norms[:, None] * norms[None, :]
    at = np.arange(len(norms))
    inner[at, at] = norms**2
    return np.asarray(inner)
