"""PEFT's `adapter_config.json`: what of it bears on ΔW, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector.adapters.config_file import CONFIG, is_number, numbers, read_json_object
from inspector.errors import InspectorError
from inspector.study import Finding
from inspector.text import plain, some

DEFAULT_ALPHA = 8.0
"""PEFT's own, for configs without `lora_alpha`."""

# The fields of LoraConfig in peft 0.21: what else stands in a config is listed, and reading goes on.
KNOWN = frozenset(
    """alora_invocation_tokens alpha_pattern arrow_config auto_mapping base_model_name_or_path bias corda_config
    ensure_weight_tying eva_config exclude_modules fan_in_fan_out inference_mode init_lora_weights kasa_config
    layer_replication layers_pattern layers_to_transform loftq_config lora_alpha lora_bias lora_dropout lora_ga_config
    megatron_config megatron_core modules_to_save monteclora_config peft_type peft_version qalora_group_size r
    rank_pattern revision runtime_config target_modules target_parameters task_type trainable_token_indices use_bdlora
    use_dora use_qalora use_rslora velora_config""".split()  # noqa: SIM905 - a list of words
)


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """The fields ΔW depends on, each of a known type; `r` and `alpha` are None where the config has none."""

    peft_type: str = "LORA"
    base: str = ""
    r: float | None = None
    alpha: float | None = None
    rslora: bool = False
    rank_pattern: Mapping[str, float] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    target_parameters: tuple[str, ...] = ()
    modules_to_save: tuple[str, ...] = ()
    init: str = ""
    """`init_lora_weights` where it is a name, in lower case."""
    fan_in_fan_out: bool = False
    dora: bool = False
    kasa: bool = False
    qalora: bool = False
    bdlora: bool = False
    layer_replication: bool = False
    findings: tuple[Finding, ...] = ()


def read_config(folder: Path) -> PeftConfig:
    """The config of a PEFT folder; a folder without one has the defaults, and a finding says so.

    Raises InspectorError for a damaged file, another method than LoRA, or a `lora_alpha` that is no number.
    """
    path = folder / CONFIG
    if not path.is_file():
        missing = f"no {CONFIG}: the scale α/r takes PEFT's default α = 8, and the base is unknown"
        return PeftConfig(findings=(Finding("warning", missing),))
    config, twice = read_json_object(path)
    peft_type = plain(config.get("peft_type") or "LORA", 40).upper()
    if peft_type != "LORA":
        raise InspectorError(f"{plain(path)} says peft_type {peft_type}: only LORA is supported so far.")
    alpha = config.get("lora_alpha")
    if "lora_alpha" in config and not is_number(alpha):
        raise InspectorError(f"{plain(path)}: lora_alpha is {plain(repr(alpha), 40)}, no number: the scale is unknown.")
    rank = config.get("r")
    init = config.get("init_lora_weights")
    return PeftConfig(
        peft_type=peft_type,
        base=_base(config),
        r=rank if is_number(rank) else None,
        alpha=None if alpha is None else float(alpha),
        rslora=bool(config.get("use_rslora")),
        rank_pattern=numbers(config.get("rank_pattern")),
        alpha_pattern=numbers(config.get("alpha_pattern")),
        targets=_names(config.get("target_modules")),
        target_parameters=_names(config.get("target_parameters")),
        modules_to_save=_names(config.get("modules_to_save")),
        init=init.lower() if isinstance(init, str) else "",
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
        dora=bool(config.get("use_dora")),
        kasa=bool(config.get("kasa_config")),
        qalora=bool(config.get("use_qalora")),
        bdlora=bool(config.get("use_bdlora")),
        layer_replication=bool(config.get("layer_replication")),
        findings=tuple(_oddities(config, twice)),
    )


def _base(config: Mapping[str, Any]) -> str:
    """The base model's name; hand-made configs write it under `base_model`."""
    for key in ("base_model_name_or_path", "base_model"):
        if isinstance(name := config.get(key), str):
            return plain(name, 120)
    return ""


def _names(value: object) -> tuple[str, ...]:
    """A list of names, or the one string (a regex, or `all-linear`), as a tuple without repeats."""
    if isinstance(value, str):
        return (value,)
    return tuple(dict.fromkeys(str(name) for name in value)) if isinstance(value, list) else ()


def _oddities(config: Mapping[str, Any], twice: tuple[str, ...]) -> list[Finding]:
    """Findings about the config alone."""
    found = []
    if "lora_alpha" not in config:
        found.append(Finding("warning", "the config has no lora_alpha: PEFT's default 8 is taken"))
    if not is_number(rank := config.get("r", 8)) or rank <= 0 or rank != int(rank):
        found.append(Finding("warning", f"the config's r is {plain(repr(rank), 40)}: ranks are those of the tensors"))
    for pattern in ("rank_pattern", "alpha_pattern"):
        table = config.get(pattern) or {}
        if not isinstance(table, Mapping) or len(numbers(table)) < len(table):
            found.append(Finding("warning", f"{pattern} has values that are no numbers: they are not used"))
    if twice:
        found.append(Finding("warning", f"the config has keys twice ({some(twice)}): the last value counts"))
    if unknown := sorted(config.keys() - KNOWN):
        found.append(Finding("info", f"config keys PEFT 0.21 does not have, not used: {some(unknown, 8)}"))
    return found
