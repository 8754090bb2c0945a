"""The reader of PEFT LoRA folders: adapter_config.json with adapter_model.safetensors (or .bin)."""

from __future__ import annotations

from pathlib import Path

from inspector.adapters.assemble import Facts, Part, assemble
from inspector.adapters.config_file import CONFIG, read_json_object
from inspector.adapters.given import Given
from inspector.adapters.listing import Folder
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.patterns import Patterns
from inspector.adapters.peft_config import PeftConfig, read_config
from inspector.adapters.peft_tensors import MAGNITUDE, Account, Pair, account
from inspector.adapters.scale import Scaling
from inspector.adapters.weights import PICKLE, Weights, has_weights, open_weights
from inspector.errors import InspectorError
from inspector.names import ModuleId, in_order, strip_wrappers
from inspector.study import Finding
from inspector.text import plain, some

FORMAT = "PEFT LoRA"

# These subtract s·B₀A₀ from the base weights; gaussian, orthogonal, EVA and MiCA start from BA = 0 or leave
# the base alone [peft.tuners.lora.layer.LoraLayer.update_layer].
_BASE_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")
_NEUTRAL = frozenset({"", "gaussian", "orthogonal", "eva", "mica"})


def places(folder: Folder) -> list[Path]:
    """The folder itself where it is PEFT's: it holds weights by PEFT's names, or a config naming a method of it."""
    if has_weights(folder.names):
        return [folder.path]
    if CONFIG not in folder.names:
        return []
    try:
        return [folder.path] if "peft_type" in read_json_object(folder.path / CONFIG)[0] else []
    except InspectorError:
        return [folder.path]  # damaged: reading it tells the error


def read(folder: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter of a folder, from its headers. One that cannot be analysed is returned without modules.

    Raises InspectorError where config or weights are missing, damaged, or of another method than LoRA.
    """
    config = read_config(folder)
    weights = open_weights(folder, given)
    found = account(weights.headers, config)
    scaling = Scaling(config)
    parts = [_part(id_, found.pairs[id_], scaling, weights) for id_ in in_order(set(found.pairs))]
    facts = Facts(FORMAT, config.base, scaling.alphas, config.targets, found.excluded, _refusal(config))
    said = [*config.findings, *scaling.findings(), *_untouched(config, weights), *_notes(config, weights, found)]
    return assemble(name, source, facts, parts, weights, found.verdicts, said)


def _part(id_: ModuleId, pair: Pair, scaling: Scaling, weights: Weights) -> Part:
    """ΔW is d_out×d_in as an operator, whichever way round the base stores its weights (`fan_in_fan_out`)."""
    (r, d_in), d_out = pair.A.shape, pair.B.shape[0]
    dtype = pair.A.dtype if pair.A.dtype == pair.B.dtype else f"{pair.A.dtype}/{pair.B.dtype}"
    path = plain(strip_wrappers(pair.path), 300)
    module = LoraModule(id_, d_out, d_in, r, scaling.of(pair.path, r), dtype, path)
    return Part(module, lambda: (weights.tensor(pair.B.key), weights.tensor(pair.A.key)), pair.A.numel + pair.B.numel)


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


def _untouched(config: PeftConfig, weights: Weights) -> list[Finding]:
    """Targets of the config that no tensor of the file belongs to: the base has no such module, or a typo."""
    targets = Patterns({target: 1.0 for target in config.targets if target != "all-linear"})
    for path in {strip_wrappers(key.partition(".lora_")[0]) for key in weights.headers}:
        targets.hits(path)
    if missing := targets.idle():
        return [Finding("warning", f"target_modules without a tensor in the file: {some(missing)}")]
    return []


def _notes(config: PeftConfig, weights: Weights, found: Account) -> list[Finding]:
    """What the reader of the numbers should know of this adapter."""
    notes = []
    if config.dora or any(verdict is MAGNITUDE for verdict in found.verdicts.values()):
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
