"""PEFT's `adapter_config.json`: what of it bears on ΔW, and what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector.adapters.files.config_file import CONFIG, is_number, numbers, read_json_object
from inspector.adapters.peft.methods import INVOCATION, alpha_field, refuse_unread
from inspector.adapters.tensors.stated import UNSTATED, Stated, config_of, stated
from inspector.common.errors import InspectorError
from inspector.common.special_files import special
from inspector.common.text import plain, some
from inspector.study.adapter_info import HealthIssue

_HEADS = {"SEQ_CLS": ("classifier", "score"), "TOKEN_CLS": ("classifier", "score"), "QUESTION_ANS": ("qa_outputs",)}
"""What PEFT trains and saves beside the LoRA for a task, also where the config names no modules_to_save."""
DEFAULT_ALPHA = 8.0
"""PEFT's own, for configs without `lora_alpha`."""

# The fields of peft 0.21's configs of the methods below: what else stands in a config is listed, and reading goes on.
KNOWN = frozenset(
    """alora_invocation_tokens alpha alpha_pattern arrow_config auto_mapping base_model_name_or_path beta1 beta2
    bias corda_config d_initial decompose_both decompose_factor deltaT ensure_weight_tying eva_config
    exclude_modules fan_in_fan_out inference_mode init_lora_weights init_r init_weights kasa_config
    layer_replication layers_pattern layers_to_transform loftq_config lora_alpha lora_bias lora_dropout
    lora_ga_config megatron_config megatron_core module_dropout modules_to_save monteclora_config
    orth_reg_weight peft_type peft_version projection_prng_key qalora_group_size r rank_dropout
    rank_dropout_scale rank_pattern revision runtime_config save_projection target_modules target_parameters
    target_r task_type tfinal tinit token_indices total_step trainable_token_indices use_bdlora use_dora
    use_effective_conv2d use_qalora use_rslora velora_config vera_dropout""".split()  # noqa: SIM905 - a list of words
)

_SETTINGS = ("bias", "lora_bias", "modules_to_save", "trainable_token_indices")
_TASKS = ("SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION")
"""What PEFT takes as `task_type`: it refuses to load a config with another."""
TRAINER_CONFIG = "lora_train_meta.json"
"""r and lora_alpha, beside the checkpoint of a trainer that writes no adapter."""
_INVOCATIONS = ("invocation_tokens", "invocation_string")
"""What the code before PEFT's called it."""
_MOST_RANGES, _MOST_PARTS = 1000, 16


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """The fields ΔW depends on, each of a known type; `r` and `alpha` are None where nothing says them."""

    peft_type: str = "LORA"
    base: str = ""
    r: float | None = None
    alpha: float | None = None
    stated: Stated = UNSTATED
    """The scale by something else than a config of PEFT's, where there is no α."""
    rslora: bool = False
    rank_pattern: Mapping[str, float] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    selects: tuple[str, ...] = ()
    """`target_modules` as keys of `Patterns`; `excludes` are `exclude_modules`."""
    excludes: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    """`layers_to_transform`, in the stacks that `layers_pattern` names; all where it is empty."""
    layers_pattern: tuple[str, ...] = ()
    target_parameters: tuple[str, ...] = ()
    modules_to_save: tuple[str, ...] = ()
    init: str = ""
    """`init_lora_weights` where it is a name, in lower case."""
    fan_in_fan_out: bool = False
    dora: bool = False
    kasa: bool = False
    qalora: bool = False
    bdlora: bool = False
    layer_replication: tuple[tuple[int, int], ...] = ()
    """Ranges of the base's layers, one after the other: the layers of the replicated model."""
    enabled: tuple[bool, ...] = ()
    """`enable_lora` of old PEFT's MergedLinear: which parts of a fused projection have a LoRA."""
    invocation: tuple[int, ...] = ()
    """Token ids of an activated LoRA, which holds from them on; () where ΔW holds everywhere."""
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Indices of trainable tokens by the name of their module, under "" where the config names none."""
    version: tuple[int, ...] = ()
    """PEFT's own, which newer ones note: (0, 21)."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """The fields that say what is saved beside the LoRAs, where they say anything."""
    findings: tuple[HealthIssue, ...] = ()


def read_config(at: Path) -> PeftConfig:
    """The config of a PEFT folder, or beside a single file; without one, what else states the scale.

    Raises InspectorError for a damaged file, a method without ΔW from factors, an α that is not a number, or an
    activated LoRA that does not name its invocation by token ids.
    """
    path = config_of(at) or (at.with_name(TRAINER_CONFIG) if at.is_file() else at / CONFIG)
    if not path.is_file():
        config_path = at / CONFIG if at.is_dir() else at.with_name(CONFIG)
        there = f" ({CONFIG} is {what})" if (what := special(config_path)) else ""
        missing = HealthIssue("warning" if there else "info", f"no {CONFIG}{there}: the base is unknown")
        return PeftConfig(stated=(found := stated(at)), r=found.rank, findings=(missing,))
    config, twice = read_json_object(path)
    if "peft_type" not in config and (found := stated(at)).scale is not None:
        return PeftConfig(base=_base(config), stated=found, r=found.rank)
    peft_type = plain(config.get("peft_type") or "LORA", 40).upper()
    refuse_unread(peft_type, plain(path))
    named = alpha_field(peft_type)
    alpha = config.get(named)
    if named in config and not is_number(alpha):
        shown = plain(repr(alpha), 40)
        raise InspectorError(f"{plain(path)}: {named} is {shown}, not a number: write the α it was trained with there.")
    rank = config.get("init_r", 12) if peft_type == "ADALORA" else config.get("r")
    init = config.get("init_lora_weights")
    return PeftConfig(
        peft_type=peft_type,
        base=_base(config),
        r=rank if is_number(rank) else None,
        alpha=float(alpha) if alpha is not None else DEFAULT_ALPHA if "peft_type" in config else None,
        rslora=bool(config.get("use_rslora")),
        rank_pattern={} if peft_type == "ADALORA" else numbers(config.get("rank_pattern")),
        alpha_pattern=numbers(config.get("alpha_pattern")),
        targets=_names(config.get("target_modules")),
        selects=_keys(config.get("target_modules")),
        excludes=_keys(config.get("exclude_modules")),
        layers=_layers(config.get("layers_to_transform")),
        layers_pattern=_names(config.get("layers_pattern")),
        target_parameters=_names(config.get("target_parameters")),
        modules_to_save=_names(config.get("modules_to_save")) or _HEADS.get(str(config.get("task_type")), ()),
        init=init.lower() if isinstance(init, str) else "",
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
        dora=bool(config.get("use_dora")),
        kasa=bool(config.get("kasa_config")),
        qalora=bool(config.get("use_qalora")),
        bdlora=bool(config.get("use_bdlora")),
        layer_replication=_ranges(config.get("layer_replication")),
        enabled=_switches(config.get("enable_lora")),
        invocation=_invocation(path, config),
        tokens=_tokens(config),
        version=tuple(int(n) for n in re.findall(r"\d{1,4}", str(config.get("peft_version") or ""))[:2]),
        settings=_settings(config),
        findings=tuple(_oddities(config, twice, peft_type)),
    )


def _base(config: Mapping[str, Any]) -> str:
    """The base model's name; hand-made configs write it under `base_model`."""
    for key in ("base_model_name_or_path", "base_model"):
        if isinstance(name := config.get(key), str):
            return name
    return ""


def _names(value: object) -> tuple[str, ...]:
    """A list of names, or the one string (a regex, or `all-linear`), as a tuple without repeats."""
    if isinstance(value, str):
        return (value,)
    return tuple(dict.fromkeys(str(name) for name in value)) if isinstance(value, list) else ()


def _settings(config: Mapping[str, Any]) -> dict[str, object]:
    found = {name: config[name] for name in _SETTINGS if config.get(name) not in (None, False, "none", [], {})}
    return found | ({"task_type": task} if (task := config.get("task_type")) in _TASKS else {})


def _keys(value: object) -> tuple[str, ...]:
    """The ends of paths that a list names, or the regex that a string is for the whole path, as keys of `Patterns`."""
    return (f"^(?:{value})",) if isinstance(value, str) else tuple(map(re.escape, _names(value)))


def _layers(value: object) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value]
    return tuple(n for n in numbers if type(n) is int)


def _ranges(value: object) -> tuple[tuple[int, int], ...]:
    """[[0, 4], [2, 5]] as pairs; what is not such a list is none."""
    pairs = value if isinstance(value, list) and len(value) <= _MOST_RANGES else []
    fit = all(isinstance(p, list) and len(p) == 2 and all(type(n) is int and 0 <= n < 10**6 for n in p) for p in pairs)
    return tuple((start, end) for start, end in pairs) if fit else ()


def _switches(value: object) -> tuple[bool, ...]:
    fit = isinstance(value, list) and len(value) <= _MOST_PARTS and all(isinstance(v, bool) for v in value)
    return tuple(value) if isinstance(value, list) and fit and any(value) else ()


def _invocation(path: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """`alora_invocation_tokens`; raises InspectorError where they are not token ids, or where text stands for them."""
    tokens = config.get(INVOCATION)
    if isinstance(tokens, list) and all(type(token) is int and token >= 0 for token in tokens):
        return tuple(tokens)
    if name := next((name for name in (INVOCATION, *_INVOCATIONS) if config.get(name)), ""):
        raise InspectorError(
            f"{plain(path)} is an activated LoRA's, whose {name} is {plain(repr(config[name]), 60)}: give it "
            f"{INVOCATION}, the list of token ids from which on ΔW holds, as PEFT reads it."
        )
    return ()


def _tokens(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """`trainable_token_indices`, a list or lists by module, or `token_indices` of the method of that name."""
    value = config.get("trainable_token_indices") or config.get("token_indices") or []
    table = value if isinstance(value, Mapping) else {"": value}
    return {str(k): tuple(v) for k, v in table.items() if isinstance(v, list) and all(type(i) is int for i in v)}


def _oddities(config: Mapping[str, Any], twice: tuple[str, ...], peft_type: str) -> list[HealthIssue]:
    """Findings about the config alone."""
    found: list[HealthIssue] = []
    if peft_type in {"TRAINABLE_TOKENS", "VERA"}:  # neither has an α
        return found
    alpha = alpha_field(peft_type)
    if alpha not in config and "peft_type" in config:
        found.append(HealthIssue("warning", f"the config has no {alpha}: PEFT's default 8 is taken"))
    if not is_number(rank := config.get("r", 8)) or rank <= 0 or rank != int(rank):
        found.append(
            HealthIssue("warning", f"the config's r is {plain(repr(rank), 40)}: ranks are those of the tensors")
        )
    for pattern in ("alpha_pattern",) if peft_type == "ADALORA" else ("rank_pattern", "alpha_pattern"):
        table = config.get(pattern) or {}
        if not isinstance(table, Mapping) or len(numbers(table)) < len(table):
            found.append(HealthIssue("warning", f"{pattern} has values that are not numbers: they are not used"))
    if twice:
        found.append(HealthIssue("warning", f"the config has keys twice ({some(twice)}): the last value counts"))
    if unknown := sorted(config.keys() - KNOWN):
        found.append(HealthIssue("info", f"config keys PEFT 0.21 does not have, not used: {some(unknown, 8)}"))
    return found
