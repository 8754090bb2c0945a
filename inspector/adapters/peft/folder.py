"""The reader of PEFT folders: adapter_config.json with adapter_model.safetensors (or .bin)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from inspector.adapters.files.config_file import CONFIG, read_json_object
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.placeholders import SUFFIXES, is_kind
from inspector.adapters.files.weights import PICKLE, Weights, has_weights, open_weights
from inspector.adapters.model import Adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft import vera
from inspector.adapters.peft.account import Account, account
from inspector.adapters.peft.base import Base
from inspector.adapters.peft.beside import beside
from inspector.adapters.peft.config import PeftConfig, read_config
from inspector.adapters.peft.methods import METHODS
from inspector.adapters.peft.modules import STARTS, PeftFile
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.peft.targets import lacks, untouched
from inspector.adapters.peft.tensors import MAGNITUDE, NEED_BASE, A, B, Sorted, sort
from inspector.adapters.readers import image
from inspector.adapters.tensors.assemble import Facts, assemble
from inspector.adapters.tensors.eight_bit import multiplied
from inspector.adapters.tensors.orientation import TURNED, upright
from inspector.adapters.tensors.stated import MLX, UNSTATED
from inspector.adapters.updates.dora import direction_only, dora_notes
from inspector.common.errors import InspectorError
from inspector.common.text import plain, some
from inspector.study.adapter_info import ACTIVATED, HealthIssue
from inspector.study.module_id import Names, strip_wrappers

# These subtract s·B₀A₀ from the base weights; gaussian, orthogonal, EVA and MiCA start from BA = 0 or leave
# the base alone [peft.tuners.lora.layer.LoraLayer.update_layer].
NAMES: dict[str, str] = {}
_BASE_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")
_NEUTRAL = frozenset({"", "gaussian", "orthogonal", "eva", "mica"})
TRANSPOSED = HealthIssue("info", "fan_in_fan_out: the base stores W transposed; ΔW here is output × input")
"""Said of an adapter whose config says so."""


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


def read(folder: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a folder, from its headers. One that cannot be analysed is returned without modules.

    Raises InspectorError where config or weights are missing, damaged, or of a method without ΔW from factors.
    """
    config = read_config(folder)
    weights = open_weights(folder, allow_pickle=read_options.allow_pickle)
    if config.alpha is None and image.holds(weights.files[0], weights.headers):
        return image.adapter_of(weights, name, source, read_options)
    floats = multiplied(weights)
    found = sort(floats.headers, config)
    upon, misplaced = upright(floats, [] if config.enabled else _pairs(found), config.r)
    if upon is floats and config.stated.where == MLX:
        config = replace(config, stated=UNSTATED)
    scaling = Scaling(config, read_options)
    base = Base(read_options.base, config.layer_replication) if read_options.base is not None else None
    if upon is not floats:
        found = sort(upon.headers, config)
    recent = lru_cache(maxsize=4)(upon.tensor)
    file = PeftFile(config, upon, scaling, base, read_options.rank, recent)
    made = vera.account(found, file) if config.peft_type == "VERA" else account(found, file)
    facts = Facts(
        _format(config),
        config.base,
        scaling.alphas,
        config.targets,
        made.excluded,
        misplaced or _refusal(config, found, read_options),
        _depends_on(config, found, read_options),
        config.layer_replication,
        config.invocation,
    )
    notes = _notes(config, weights, found, made, read_options)
    notes += [TURNED] if upon is not floats else []
    paths = [group.path for group in found.groups.values()] or map(strip_wrappers, found.others)
    said = [*config.findings, *scaling.findings(), *untouched(config, paths), *notes]
    adapter = assemble(name, source, facts, made.parts, weights, {**made.verdicts, **upon.aside}, said)
    there = Names(group.path for group in found.groups.values())
    kept = beside(found, made.verdicts, config, weights)
    return replace(adapter, lacks=lacks(config, there), beside=kept)


def _pairs(found: Sorted) -> list[tuple[str, str]]:
    """The keys of A and B of every module that has both."""
    slots = [group.slots for group in found.groups.values()]
    return [(of[A].key, of[B].key) for of in slots if {A, B} <= of.keys()]


def _format(config: PeftConfig) -> str:
    if config.invocation:
        return ACTIVATED
    return "PEFT DoRA" if config.dora else METHODS[config.peft_type]


def _depends_on(config: PeftConfig, found: Sorted, read_options: ReadOptions) -> str:
    """The base and the rank kept, where any update was told with them."""
    needs_base = (
        config.peft_type == "VERA"
        or config.init in STARTS
        or config.target_parameters
        or not NEED_BASE.isdisjoint(found.others.values())
    )
    magnitudes = any(MAGNITUDE in group.slots for group in found.groups.values())
    if read_options.base is None or not (needs_base or magnitudes):
        return ""
    return f"{read_options.base.name} at rank {read_options.rank}"


def _refusal(config: PeftConfig, found: Sorted, read_options: ReadOptions) -> str:
    """Why no module of this adapter may be analysed as s·B·A, or nothing."""
    if len(found.adapters) > 1:
        names = some(sorted(name or "one without a name" for name in found.adapters))
        return f"the file holds {len(found.adapters)} adapters ({names}): save each into a folder of its own"
    if config.init.startswith(_BASE_CHANGING) and not (config.init in STARTS and read_options.base):
        way = "give the base with --base, or save it" if config.init in STARTS else "save it"
        return (
            f"init_lora_weights {plain(config.init, 40)!r} changed the base weights: ΔW = s·(BA − B₀A₀), and B₀A₀ is "
            f"not in the file; {way} with path_initial_model_for_weight_conversion"
        )
    if config.peft_type == "VERA" and read_options.base is None:
        return "VeRA: only the base's shapes tell the width of a module's input; give the base with --base"
    unsupported = {
        "KaSA: ΔW = s·B·diag(λ)·A on a truncated base": config.kasa,
        "QALoRA: A acts on pooled inputs": config.qalora,
        "BD-LoRA: A or B is block-diagonal": config.bdlora,
    }
    return next((f"{method}, which is not supported yet" for method, is_it in unsupported.items() if is_it), "")


def _notes(
    config: PeftConfig, weights: Weights, found: Sorted, made: Account, read_options: ReadOptions
) -> list[HealthIssue]:
    """What the reader of the numbers should know of this adapter."""
    notes = []
    if config.invocation:
        only = f"ΔW holds only from its invocation tokens on (ids {some(config.invocation, 12)})"
        notes.append(HealthIssue("warning", f"activated LoRA: {only}; elsewhere there is the base"))
    notes += dora_notes(made.verdicts)
    if config.dora and not any(MAGNITUDE in group.slots for group in found.groups.values()):
        notes.append(direction_only("the file has no magnitudes (lora_magnitude_vector)"))
    if config.init not in _NEUTRAL and not config.init.startswith(_BASE_CHANGING):
        unknown = f"init_lora_weights {plain(config.init, 40)!r} is unknown: if it changed the base, ΔW is not s·B·A"
        notes.append(HealthIssue("warning", unknown))
    if config.init in STARTS and read_options.base and made.parts:
        start = f"{config.init}: ΔW = s·(BA − B₀A₀) with B₀A₀ from the base, up to the rounding of what was left of it"
        notes.append(HealthIssue("info", start))
    if config.layer_replication:
        ranges = ", ".join(f"{start} to {end - 1}" for start, end in config.layer_replication[:6])
        text = f"layer_replication: layers are numbered as in the replicated model, made of the base's layers {ranges}"
        notes.append(HealthIssue("warning", f"{text}; another adapter's layer of the same number may be another one"))
    if config.fan_in_fan_out:
        notes.append(TRANSPOSED)
    if (file := weights.files[0]).suffix in SUFFIXES["pickle"] and not is_kind(file, "safetensors"):
        notes.append(HealthIssue("info", "a pickle, read with weights_only: nothing in it was run"))
    elif file.name == PICKLE:
        notes.append(
            HealthIssue("warning", f"{PICKLE} is a safetensors file, which PEFT does not load under this name")
        )
    return notes
