"""The LoRA modules of a model that trains under PEFT, and what of the training is beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import count, plain, some
from inspector.geometry.live import Update
from inspector.study.module_id import strip_wrappers

_STARTS = ("pissa", "olora", "corda", "lora_ga", "loftq", "eva")


@dataclass(frozen=True, slots=True)
class LiveModules:
    """The modules of one adapter by their paths, without wrappers; none if nothing of it is trained.

    `base_norm`: ‖W₀‖_F of each, NaN where its numbers are packed, or where B·A starts as a part of it. `left_out`:
    what is not measured.
    """

    adapter: str
    updates: Mapping[str, Update]
    base_norm: tuple[float, ...]
    left_out: tuple[str, ...]


def live_modules(model: Any, adapter: str = "") -> LiveModules:
    """What is trained of `adapter`, by default the active one. Raises InspectorError for a name that it has not."""
    layers = {name: layer for name, layer in model.named_modules() if _is_lora(layer)}
    names = sorted({name for layer in layers.values() for name in _adapters(layer)})
    if adapter and adapter not in names:
        raise InspectorError(f"The model has no adapter {plain(adapter)!r}: it has {some(names, 8) or 'none'}.")
    chosen = adapter or _active(layers)
    start = _start(model, chosen)
    updates, norms, left_out, seen, sharded = {}, [], [], set(), 0
    for path, layer in layers.items():
        if chosen not in _adapters(layer):
            continue
        sharded += any(_is_sharded(factor) for factor in _factors(layer, chosen))
        if (update := _update(layer, chosen)) is not None:
            updates[strip_wrappers(path)] = update
            norms.append(_base_norm(layer) if start not in _STARTS else math.nan)
            seen |= {id(factor) for factor in _factors(layer, chosen)}
    if sharded:
        left_out.append(f"{count(sharded, 'module')} cannot be read while they are sharded over processes")
    if start in _STARTS:
        left_out.append(f"the start ({start}) is part of the base: the numbers are of s·B·A as it is")
    left_out += _beside(model, seen)
    return LiveModules(chosen, updates, tuple(norms), tuple(left_out))


def _is_lora(layer: Any) -> bool:
    return hasattr(layer, "lora_A") and hasattr(layer, "lora_B") and hasattr(layer, "scaling")


def _adapters(layer: Any) -> list[str]:
    return [*layer.lora_A, *layer.lora_embedding_A]


def _active(layers: Mapping[str, Any]) -> str:
    """The active adapter that is trained; empty if there is none."""
    active = [name for layer in layers.values() for name in layer.active_adapters]
    trained = {n for layer in layers.values() for n in _adapters(layer) if any(map(_trained, _factors(layer, n)))}
    return next((name for name in active if name in trained), "")


def _trained(parameter: Any) -> bool:
    return bool(parameter.requires_grad)


def _factors(layer: Any, adapter: str) -> list[Any]:
    """B and A as PEFT holds them."""
    if adapter in layer.lora_embedding_A:
        return [layer.lora_embedding_B[adapter], layer.lora_embedding_A[adapter]]
    found = [getattr(side[adapter], "weight", None) for side in (layer.lora_B, layer.lora_A)]
    return [factor for factor in found if factor is not None]


def _update(layer: Any, adapter: str) -> Update | None:
    """Its factors, None where they are no plain product: experts, AdaLoRA, shards."""
    factors = _factors(layer, adapter)
    if len(factors) != 2 or any(map(_is_sharded, factors)) or getattr(layer, "num_experts", 1) > 1:
        return None
    B, A = factors
    return Update(B, A, float(layer.scaling[adapter])) if B.shape[1] == A.shape[0] else None


def _is_sharded(factor: Any) -> bool:
    """Whether a process holds a part of it only: ZeRO-3, FSDP 1 and 2."""
    return hasattr(factor, "ds_id") or hasattr(factor, "full_tensor") or factor.dim() < 2 or factor.numel() == 0


def _base_norm(layer: Any) -> float:
    """‖W₀‖_F, NaN where its numbers are packed."""
    weight: Any = getattr(layer.get_base_layer(), "weight", None)
    known = weight is not None and weight.is_floating_point() and not _is_sharded(weight) and not weight.is_meta
    return float(weight.detach().float().norm()) if known else math.nan


def _start(model: Any, adapter: str) -> str:
    config = getattr(model, "peft_config", {}).get(adapter)
    return str(getattr(config, "init_lora_weights", "")).lower().partition("_niter")[0]


def _beside(model: Any, seen: set[int]) -> Iterator[str]:
    """What is trained and not among these factors: magnitudes of DoRA, saved modules, biases, another method."""
    other = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in seen]
    magnitudes = [name for name in other if "lora_magnitude_vector" in name]
    if magnitudes:
        yield f"the magnitudes of DoRA of {count(len(magnitudes), 'module')}: the numbers are of s·B·A alone"
    if rest := [name for name in other if name not in set(magnitudes)]:
        yield f"{count(len(rest), 'other trained tensor')}: {some([strip_wrappers(name) for name in rest])}"
