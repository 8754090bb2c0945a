"""The reader of PEFT LoRA folders: adapter_config.json with adapter_model.safetensors (or .bin)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.config_file import CONFIG, read_json_object
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.peft_config import PeftConfig, read_config
from inspector.adapters.peft_tensors import MAGNITUDE, Account, Pair, account
from inspector.adapters.scale import Scaling
from inspector.adapters.weights import PICKLE, Weights, has_weights, open_weights
from inspector.errors import InspectorError
from inspector.names import ModuleId, in_order
from inspector.study import AdapterInfo, Finding
from inspector.text import plain

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "PEFT LoRA"

# These subtract s·B₀A₀ from the base weights; gaussian, orthogonal, EVA and MiCA start from BA = 0 or leave
# the base alone [peft.tuners.lora.layer.LoraLayer.update_layer].
_BASE_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")
_NEUTRAL = frozenset({"", "gaussian", "orthogonal", "eva", "mica"})


def recognise(folder: Path, names: set[str]) -> bool:
    """Whether a folder with these file names is PEFT's: it holds its weights, or a config naming a method of it."""
    if has_weights(names):
        return True
    if CONFIG not in names:
        return False
    try:
        return "peft_type" in read_json_object(folder / CONFIG)[0]
    except InspectorError:
        return True  # damaged: reading it tells the error


def read(folder: Path, name: str, source: str) -> Adapter:
    """The adapter of a folder, from its headers. One that cannot be analysed is returned without modules.

    Raises InspectorError where config or weights are missing, damaged, or of another method than LoRA.
    """
    config = read_config(folder)
    weights = open_weights(folder)
    found = account(weights.headers, config)
    scaling = Scaling(config)
    modules = {id_: _module(id_, found.pairs[id_], scaling) for id_ in in_order(set(found.pairs))}
    refusal = _refusal(config)
    if not refusal and not modules:
        refusal = "no LoRA pair (A and B of one module) that could be analysed"
    findings = [Finding("error", refusal)] if refusal else []
    findings += [*config.findings, *scaling.findings(), *found.findings, *_notes(config, weights, found)]
    info = _info(config, found, modules.values(), scaling)
    tensors = tuple(
        replace(t, role="ignored", reason=refusal) if refusal and t.role == "used" else t for t in found.records
    )
    return Adapter(
        replace(info, name=name, source=source, findings=tuple(findings), modules=0 if refusal else len(modules)),
        {} if refusal else modules,
        _loader(found.pairs, weights),
        tensors,
        weights.files,
    )


def _module(id_: ModuleId, pair: Pair, scaling: Scaling) -> LoraModule:
    """ΔW is d_out×d_in as an operator, whichever way round the base stores its weights (`fan_in_fan_out`)."""
    (r, d_in), d_out = pair.A.shape, pair.B.shape[0]
    dtype = pair.A.dtype if pair.A.dtype == pair.B.dtype else f"{pair.A.dtype}/{pair.B.dtype}"
    return LoraModule(id_, d_out, d_in, r, scaling.of(pair.path, r), dtype)


def _loader(pairs: Mapping[ModuleId, Pair], weights: Weights) -> Callable[[ModuleId], tuple[Tensor, Tensor]]:
    def load(id_: ModuleId) -> tuple[Tensor, Tensor]:
        pair = pairs[id_]
        return weights.tensor(pair.B.key), weights.tensor(pair.A.key)

    return load


def _info(config: PeftConfig, found: Account, modules: Iterable[LoraModule], scaling: Scaling) -> AdapterInfo:
    """The facts of the listing; name, source and findings are set by the caller."""
    modules = list(modules)
    return AdapterInfo(
        "",
        "",
        FORMAT,
        base=config.base,
        ranks=tuple(sorted({m.rank for m in modules})),
        alpha=_span(scaling.alphas),
        scale=_scales(modules),
        # Sorted: PEFT saves a set, in another order each time.
        targets=tuple(sorted(plain(name, 80) for name in config.targets) or sorted({m.id.projection for m in modules})),
        dtype=", ".join(sorted({m.dtype for m in modules})),
        parameters=sum(pair.A.numel + pair.B.numel for pair in found.pairs.values()),
        tensors=len(found.records),
        excluded=found.excluded,
    )


def _scales(modules: list[LoraModule]) -> str:
    """`2 (α/r = 16/8)`, or the span where modules differ."""
    origins = {m.scale.origin for m in modules}
    if len(origins) == 1:
        return f"{modules[0].scale.value:g} ({origins.pop()})"
    return f"{_span({m.scale.value for m in modules})} (per module)" if modules else ""


def _span(values: set[float]) -> str:
    """`16`, or `8-32`."""
    return "-".join(f"{value:g}" for value in sorted({min(values), max(values)})) if values else ""


def _refusal(config: PeftConfig) -> str:
    """Why no module of this adapter may be analysed as s·B·A, or nothing."""
    if config.init.startswith(_BASE_CHANGING):
        return (
            f"init_lora_weights {plain(config.init, 40)!r} changed the base weights: ΔW = s·(BA − B₀A₀), and B₀A₀ is "
            "not in the file; save it with path_initial_model_for_weight_conversion"
        )
    if config.kasa:
        return "KaSA: ΔW = s·B·diag(λ)·A on a truncated base, which is not supported yet"
    if config.qalora:
        return "QALoRA: A acts on pooled inputs, which is not supported yet"
    if config.bdlora:
        return "BD-LoRA: A or B is block-diagonal, which is not supported yet"
    return ""


def _notes(config: PeftConfig, weights: Weights, found: Account) -> list[Finding]:
    """What the reader of the numbers should know of this adapter."""
    notes = []
    if config.dora or any(record.reason == MAGNITUDE.reason for record in found.records):
        notes.append(Finding("warning", "DoRA: ΔW needs the base; only the direction part s·B·A is analysed"))
    if config.init not in _NEUTRAL and not config.init.startswith(_BASE_CHANGING):
        unknown = f"init_lora_weights {plain(config.init, 40)!r} is unknown: if it changed the base, ΔW is not s·B·A"
        notes.append(Finding("warning", unknown))
    if config.alpha == 0:
        notes.append(Finding("warning", "lora_alpha is 0: the scale, and every ΔW, is zero"))
    if config.layer_replication:
        notes.append(Finding("info", "layer_replication: layers are numbered as in the replicated model"))
    if config.fan_in_fan_out:
        notes.append(Finding("info", "fan_in_fan_out: the base stores W transposed; ΔW here is output × input"))
    if weights.files[0].name == PICKLE:
        notes.append(Finding("info", "a pickle, read with weights_only: nothing in it was run"))
    return notes
