"""A smaller rank that keeps an update: what each module needs of it, and the adapter of those ranks."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.analysis.analyse import device_named
from inspector.common.arrays import Floats
from inspector.common.errors import InspectorError
from inspector.common.text import in_bytes, plain
from inspector.study.module_id import ModuleId

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Spectra = Mapping[ModuleId, Floats]
"""The singular values of every module's ΔW, descending, none of them zero."""
Ranks = Mapping[ModuleId, int]
"""At least 1 each: a module is never left out."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def spectra_of(
    adapter: Adapter, *, device: str = "auto", progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Spectra:
    """σ of every ΔW from its factors. Raises InspectorError if one of them holds NaN or Inf."""
    import torch

    from inspector.geometry.merging import spectrum

    device, found = device_named(device), {}
    for n, (id_, module) in enumerate(adapter.modules.items(), 1):
        B, A = adapter.load(id_)
        if not bool(torch.isfinite(B.double()).all() and torch.isfinite(A.double()).all()):
            raise InspectorError(f"{adapter.info.name} holds NaN or Inf in {plain(id_)}: it cannot be resized.")
        sigma = spectrum([(B, A, module.scale.known)], 0.0, device).cpu().numpy()
        found[id_] = sigma[sigma > 0]
        progress(n, len(adapter.modules))
    return found


def of_rank(spectra: Spectra, rank: int) -> Ranks:
    """The same rank everywhere, or what a module has."""
    return {id_: min(rank, max(1, len(sigma))) for id_, sigma in spectra.items()}


def of_energy(spectra: Spectra, share: float) -> Ranks:
    """The smallest rank k of every module with Σ_{i≤k} σ_i² ≥ share · Σ σ_i²."""
    return {id_: _holding(sigma, share) for id_, sigma in spectra.items()}


def _holding(sigma: Floats, share: float) -> int:
    if not len(sigma):
        return 1
    held = np.cumsum(sigma**2)
    return int(np.searchsorted(held, share * held[-1] * (1 - 1e-12))) + 1


def of_budget(adapter: Adapter, spectra: Spectra, budget: float) -> Ranks:
    """The ranks that hold most of Σ σ² in so many bytes of factors, to within one direction.

    A direction of a module costs d_out + d_in numbers, so those with the largest σ²/(d_out + d_in) come first, after
    one of every module [Dantzig 1957]. Raises InspectorError where these alone are larger.
    """
    cost = {id_: direction_bytes(module) for id_, module in adapter.modules.items()}
    if (least := sum(cost.values())) > budget:
        raise InspectorError(
            f"Rank 1 in every module of {adapter.info.name} takes {in_bytes(least)}, more than the budget of "
            f"{in_bytes(round(budget))}: allow --budget {ceil(least / 1e3) / 1e3:g} or more."
        )
    ranks, left = dict.fromkeys(spectra, 1), budget - least
    waiting = [(-(sigma[1] ** 2) / cost[id_], n) for n, (id_, sigma) in enumerate(spectra.items()) if len(sigma) > 1]
    heapq.heapify(waiting)
    ids = list(spectra)
    while waiting:
        _, n = heapq.heappop(waiting)
        id_ = ids[n]
        if cost[id_] > left:
            continue  # one of a smaller module may still fit
        left -= cost[id_]
        ranks[id_] += 1
        if ranks[id_] < len(sigma := spectra[id_]):
            heapq.heappush(waiting, (-(sigma[ranks[id_]] ** 2) / cost[id_], n))
    return ranks


def direction_bytes(module: LoraModule) -> int:
    """What one more rank of a module takes in the file that is written."""
    return (module.d_out + module.d_in) * _BYTES[_written(module.dtype)]


def kept(spectra: Spectra, ranks: Ranks) -> float:
    """Σ over modules of Σ_{i≤k} σ_i², over Σσ²; NaN of a zero update."""
    whole = sum(float((sigma**2).sum()) for sigma in spectra.values())
    held = sum(float((sigma[: ranks[id_]] ** 2).sum()) for id_, sigma in spectra.items())
    return held / whole if whole else float("nan")


def resized(adapter: Adapter, ranks: Ranks, name: str, device: str = "auto") -> Adapter:
    """The adapter with the best approximation of these ranks in every module [Eckart & Young 1936], loaded on demand.

    B = U_k√Σ_k and A = √Σ_kV_kᵀ in the type of the file (that of the wider factor), of scale 1.
    """
    from inspector.geometry.merging import truncated

    device = device_named(device)

    def load(id_: ModuleId) -> tuple[Tensor, Tensor]:
        module, kind = adapter.modules[id_], _type(adapter.modules[id_].dtype)
        B, A = truncated([(*adapter.load(id_), module.scale.known)], ranks[id_], device)
        return B.to("cpu", kind), A.to("cpu", kind)

    modules = {
        id_: replace(m, rank=ranks[id_], scale=Scale(1.0, "resized"), dtype=_written(m.dtype))
        for id_, m in adapter.modules.items()
    }
    span = tuple(sorted(set(ranks.values())))
    return replace(adapter, info=replace(adapter.info, name=name, ranks=span), modules=modules, load=load, stored=None)


def _written(dtype: str) -> str:
    """The type of factors that were stored in this one, or in these: float32 for 8 bits and for two kinds of 16."""
    kinds = set(dtype.split("/"))
    if "F64" in kinds:
        return "F64"
    return kinds.pop() if len(kinds) == 1 and kinds <= _BYTES.keys() else "F32"


def _type(dtype: str) -> torch.dtype:
    import torch

    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    return kinds[_written(dtype)]
