"""What needs the base's weights but does not run it: its norms, shares of its top subspaces, intruder dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.adapters.model import Adapter
from inspector.common.arrays import Floats
from inspector.common.errors import CancelledError
from inspector.probes.intruders import (
    EPSILONS,
    MOST,
    NEW,
    TOP,
    base_vectors,
    intruders,
    over_epsilon,
    over_k,
    shares,
    turned,
)
from inspector.probes.job import Job
from inspector.study.metrics.probes import intruder_setting
from inspector.study.module_id import ModuleId
from inspector.study.study import Scope

if TYPE_CHECKING:
    from torch import Tensor

_METRICS = {
    "intruder_dimensions": 1, "intruder_dimensions_subspace": 1, "base_share_left": 1, "base_share_right": 1,
    "intruder_dimensions_k": MOST, "intruder_dimensions_epsilon": len(EPSILONS),
}  # fmt: skip
"""How many numbers each has at a module."""


def weight(module: Any) -> Tensor:
    """W₀ as (d_out, d_in), whichever way round the module stores it."""
    from transformers.pytorch_utils import Conv1D

    found: Tensor = module.weight.detach()
    return found.T if isinstance(module, Conv1D) else found


def run_norms(job: Job, modules: tuple[ModuleId, ...], adapters: Mapping[str, Adapter]) -> None:
    """‖W₀‖_F of every adapted module; NaN where the base has no such matrix, as of a part of a fused one."""
    here = _in_base(job, adapters)
    key = job.key(modules=[str(id_) for id_ in modules])
    stored = job.cache.load("norms", key)
    if stored is None:
        norms = [float(weight(here[id_]).double().norm()) if id_ in here else np.nan for id_ in modules]
        stored = {"norms": np.array(norms)}
        job.cache.store("norms", key, stored)
    job.deliver(job.info("weights"), {("base_norm", "module"): stored["norms"]}, ())


def run_intruders(
    job: Job, modules: tuple[ModuleId, ...], adapters: Mapping[str, Adapter], cancelled: Callable[[], bool]
) -> None:
    """Intruders of every adapter, module by module, so that each SVD of the base serves all of them."""
    here = _in_base(job, adapters)
    here_are = [str(m) for m in modules]
    keys = {
        name: job.key(adapter=job.digests[name], modules=here_are, numbers=_METRICS, **_kind(job)) for name in adapters
    }
    counts = {name: np.full((sum(_METRICS.values()), len(modules)), np.nan) for name in adapters}
    chance, missing = _chance(modules, here, adapters), []
    for name in adapters:
        if (stored := job.cache.load("intruders", keys[name])) is not None:
            counts[name] = stored["counts"]
        else:
            missing.append(name)
    for m, id_ in enumerate(modules if missing else ()):
        if cancelled():
            _deliver(job, counts, chance)
            raise CancelledError("Cancelled between two modules.")
        job.course.counted(f"intruders: module {m + 1} of {len(modules)}", m + 1, len(modules))
        if id_ in here:
            for name, found in _of_module(job, id_, here[id_], {name: adapters[name] for name in missing}):
                counts[name][:, m] = found
        if m % 16 == 15:
            _deliver(job, counts, chance)
    for name in missing:
        job.cache.store("intruders", keys[name], {"counts": counts[name]})
    _deliver(job, counts, chance)


def _chance(
    modules: tuple[ModuleId, ...], here: Mapping[ModuleId, Any], adapters: Mapping[str, Adapter]
) -> dict[tuple[str, Scope], Floats]:
    """k/d of every module: the share of an update in random directions."""
    shapes = {id_: (m.d_out, m.d_in) for adapter in adapters.values() for id_, m in adapter.modules.items()}
    found: dict[tuple[str, Scope], Floats] = {}
    for n, side in enumerate(("left", "right")):
        level = [min(TOP, *shapes[id_]) / shapes[id_][n] if id_ in here else np.nan for id_ in modules]
        found[f"base_share_{side}_chance", "module"] = np.array(level)
    return found


def _in_base(job: Job, adapters: Mapping[str, Adapter]) -> dict[ModuleId, Any]:
    """The base's linear maps by the ids of the modules that adapt them."""
    modules = {id_: module for adapter in adapters.values() for id_, module in adapter.modules.items()}
    return {id_: found for id_, module in modules.items() if (found := job.attached.module(module)) is not None}


def _of_module(job: Job, id_: ModuleId, module: Any, adapters: Mapping[str, Adapter]) -> Iterator[tuple[str, Floats]]:
    """(name, numbers) of every adapter that has this module."""
    import torch

    adapting = {name: adapter for name, adapter in adapters.items() if id_ in adapter.modules}
    if not adapting:
        return
    W = weight(module)
    with torch.inference_mode():
        U0, V0 = base_vectors(W, job.attached.base.digest, id_, job.cache)
        for name, adapter in adapting.items():
            B, A = (factor.to(W.device).float() for factor in adapter.load(id_))
            k, epsilon = job.request.top, job.request.epsilon
            similar, within = turned(U0, W, adapter.modules[id_].scale.known * (B @ A), k)
            counts = (*intruders(similar, within, k, epsilon), *shares(U0, V0, B, A))
            yield name, np.array([*counts, *over_k(similar), *over_epsilon(similar)])


def _deliver(job: Job, counts: Mapping[str, Floats], chance: Mapping[tuple[str, Scope], Floats]) -> None:
    blocks = dict(chance)
    of_modules, first = next(iter(counts.values())).shape[1], 0
    for metric, many in _METRICS.items():
        block = np.full((len(job.names), of_modules, many), np.nan)
        for name, found in counts.items():
            block[job.names.index(name)] = found[first : first + many].T
        blocks[metric, "module"] = block if many > 1 else block[..., 0]
        first += many
    detail = intruder_setting(job.request.top, job.request.epsilon)
    job.deliver(job.info("intruders", detail=detail), blocks, ())


def _kind(job: Job) -> dict[str, Any]:
    """What the counts depend on where it is not the usual."""
    usual = (job.request.top, job.request.epsilon) == (TOP, NEW)
    return {} if usual else {"top": job.request.top, "epsilon": job.request.epsilon}
