"""The tensors of a PEFT file by the module they belong to, and what is said of those that are not part of ΔW."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.tensors.account import UNKNOWN, USED, Verdict
from inspector.adapters.tensors.slots import ALPHA, HADA, LOKR
from inspector.study.module_id import ModuleId, canonical, strip_wrappers

A, B, E = "lora_A", "lora_B", "lora_E"
EMBEDDING_A, EMBEDDING_B = "lora_embedding_A", "lora_embedding_B"
MAGNITUDE = "lora_magnitude_vector"
TOKENS = "trainable_tokens_delta"
VERA_A, VERA_B, LAMBDA_B, LAMBDA_D = "vera_A", "vera_B", "vera_lambda_b", "vera_lambda_d"
VERA = frozenset({VERA_A, VERA_B, LAMBDA_B, LAMBDA_D})
SLOTS = frozenset({A, B, E, EMBEDDING_A, EMBEDDING_B, MAGNITUDE, *HADA, *LOKR, *VERA})

# `.lora_A.weight`, `.lora_A.default.weight` (adapter name inside), `.lora_embedding_A`, `.lora_B.bias`
_KEY = re.compile(
    r"(?P<path>.+)\.(?P<part>(?:lora|hada|lokr|vera)_[A-Za-z0-9_]+)"
    r"(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?(?:\.(?P<leaf>weight|bias))?",
    re.DOTALL,
)

_ABSOLUTE = "absolute values, no update without the base (--base)"
SAVED = Verdict("ignored", f"modules_to_save: {_ABSOLUTE}")
BASE_COPY = Verdict("ignored", f"weights of the base saved along: {_ABSOLUTE}")
TOKEN_VALUES = Verdict("ignored", f"trainable tokens: {_ABSOLUTE}, despite their name", "warning")
BIAS = Verdict("ignored", "bias: absolute values, no part of ΔW")
LORA_BIAS = Verdict("ignored", "lora_bias: the update of a bias, no part of ΔW")
OWN_ALPHA = Verdict("ignored", "the α of one module, which PEFT does not read: that of its config counts", "warning")
SAMPLER = Verdict("ignored", "state of training only: merging does not use it")
NEED_BASE = frozenset({SAVED, BASE_COPY, TOKEN_VALUES})
"""What becomes an update once the base is given."""


@dataclass(slots=True)
class Group:
    """The tensors of one module by what they are for, such as `lora_A`, and its path without wrappers."""

    id: ModuleId
    path: str
    slots: dict[str, TensorHeader] = field(default_factory=dict)
    twice: list[TensorHeader] = field(default_factory=list)
    """Those that claim a slot another tensor has, or the module of another path."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Every tensor of a file: in the group of its module, or with its verdict; and the adapters' names in the keys."""

    groups: Mapping[ModuleId, Group]
    others: Mapping[str, Verdict]
    adapters: frozenset[str]


def sort(headers: Mapping[str, TensorHeader], config: PeftConfig) -> Sorted:
    """Put every tensor into one place."""
    groups: dict[ModuleId, Group] = {}
    others: dict[str, Verdict] = {}
    adapters: set[str] = set()
    for key, header in headers.items():
        match = _KEY.fullmatch(key)
        place, part, adapter, leaf = match.groups() if match else ("", "", "", "")
        if part not in SLOTS or leaf == "bias":
            others[key] = _other(key, match, config)
            continue
        path = strip_wrappers(place)
        id_ = canonical(path)
        if (group := groups.get(id_)) is None:
            group = groups[id_] = Group(id_, path)
        adapters.add(adapter or "")
        if part in group.slots or path != group.path:
            group.twice.append(header)
        else:
            group.slots[part] = header
    return Sorted(groups, with_biases(others), frozenset(adapters))


def with_biases(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """A bias has the verdict of its module's weight where that is not used: a head is one thing."""
    weights = {
        key: f"{key.removesuffix('bias')}weight" for key in verdicts if key.endswith(".bias") and "lora_" not in key
    }
    follow = {key: verdicts[weight] for key, weight in weights.items() if verdicts.get(weight, USED) is not USED}
    return {**verdicts, **follow}


def _other(key: str, match: re.Match[str] | None, config: PeftConfig) -> Verdict:
    """The class of a tensor that is not a factor: the first rule that holds."""
    part, leaf = (match["part"], match["leaf"]) if match else ("", "")
    names = key.split(".")
    base_names = {"base_layer", "embed_tokens", "lm_head", "wte"} & set(names)
    rules = (
        (part == B and leaf == "bias", LORA_BIAS),
        (any(name.startswith(("lora_monteclora", "lora_velora")) for name in names), SAMPLER),
        (TOKENS in names, TOKEN_VALUES),
        (names[-1] == ALPHA, OWN_ALPHA),
        (bool(part) or "lora_" in key, UNKNOWN),
        ("modules_to_save" in names or any(f"{m}." in f"{key}." for m in config.modules_to_save), SAVED),
        (names[-1] == "bias", BIAS),
        (names[-1] == "weight" and bool(base_names), BASE_COPY),
    )
    return next((verdict for holds, verdict in rules if holds), UNKNOWN)
