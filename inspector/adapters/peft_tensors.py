"""The account of a PEFT file: every tensor used, ignored (why) or not understood, and the usable pairs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from inspector.adapters.account import EMPTY, HALF, MISFIT, NOT_FLOAT, TWICE, UNKNOWN, USED, Verdict
from inspector.adapters.headers import FLOATS, TensorHeader
from inspector.adapters.peft_config import PeftConfig
from inspector.names import ModuleId, canonical
from inspector.text import plain

# `.lora_A.weight`, `.lora_A.default.weight` (adapter name inside), `.lora_embedding_A`, `.lora_B.bias`
_KEY = re.compile(
    r"(?P<path>.+)\.(?P<part>lora_[A-Za-z_]+)(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?(?:\.(?P<leaf>weight|bias))?"
)


SAVED = Verdict("ignored", "modules_to_save: absolute values, no update without the base")
BASE_COPY = Verdict("ignored", "weights of the base saved along: absolute values, no update without the base")
TOKENS = Verdict("ignored", "trainable tokens: absolute values despite the name, no update without the base", "warning")
BIAS = Verdict("ignored", "bias: absolute values, no part of ΔW")
LORA_BIAS = Verdict("ignored", "lora_bias: the update of a bias, no part of ΔW")
MAGNITUDE = Verdict("ignored", "DoRA magnitudes: they need the base weights")
SAMPLER = Verdict("ignored", "state of training only: merging does not use it")
EMBEDDING = Verdict("ignored", "embedding updates are not supported yet", "warning")
PARAMETER = Verdict("ignored", "target_parameters (expert weights) are not supported yet", "warning")
CONVOLUTION = Verdict("ignored", "convolutions are not supported yet", "warning")


@dataclass(frozen=True, slots=True)
class Pair:
    """The two factors of one module: A (r, d_in), B (d_out, r), and the module's path in the file."""

    path: str
    A: TensorHeader
    B: TensorHeader


@dataclass(frozen=True, slots=True)
class Account:
    """Usable pairs by module, a verdict per tensor, and the modules left out."""

    pairs: Mapping[ModuleId, Pair]
    verdicts: Mapping[str, Verdict]
    excluded: tuple[ModuleId, ...]


def account(headers: Mapping[str, TensorHeader], config: PeftConfig) -> Account:
    """Sort every tensor of the file into exactly one class."""
    verdicts: dict[str, Verdict] = {}
    halves: dict[ModuleId, list[tuple[str, str, TensorHeader]]] = defaultdict(list)
    for key, header in headers.items():
        match = _KEY.fullmatch(key)
        if match is not None and match["part"] in {"lora_A", "lora_B"} and match["leaf"] == "weight":
            halves[canonical(plain(match["path"], 300))].append((match["part"], match["path"], header))
        else:
            verdicts[key] = _other(key, match, config)
    pairs, excluded = {}, []
    for module, found in halves.items():
        verdict = _verdict(found, config)
        verdicts |= {header.key: verdict for _, _, header in found}
        if verdict is USED:
            factors = {part: header for part, _, header in found}
            pairs[module] = Pair(found[0][1], factors["lora_A"], factors["lora_B"])
        else:
            excluded.append(module)
    return Account(pairs, verdicts, tuple(excluded))


def _verdict(found: list[tuple[str, str, TensorHeader]], config: PeftConfig) -> Verdict:
    """What the lora_A and lora_B tensors that claim one module come to: the first fault there is, else USED."""
    headers = [header for _, _, header in found]
    shapes = {part: header.shape for part, _, header in found}
    A, B = shapes.get("lora_A", ()), shapes.get("lora_B", ())
    faults = (
        (len(shapes) < len(found), TWICE),
        (any(header.dtype not in FLOATS for header in headers), NOT_FLOAT),
        (any(len(header.shape) < 2 or header.numel == 0 for header in headers), EMPTY),
        (len(found) == 1, HALF),
        (_is_parameter(found[0][1], config), PARAMETER),
        (len(A) == len(B) > 2 and A[0] == B[1] and set(B[2:]) == {1}, CONVOLUTION),
        (len(A) != 2 or len(B) != 2 or A[0] != B[1], MISFIT),
    )
    return next((verdict for fault, verdict in faults if fault), USED)


def _is_parameter(path: str, config: PeftConfig) -> bool:
    """Whether a module's LoRA is on its bare parameters, stacked over experts: B·A multiplies but is no ΔW.

    PEFT nests the wrappers of several parameters of one module: `.experts.base_layer.lora_A.weight`.
    """
    outer = re.sub(r"(\.base_layer)+$", "", path)
    owners = {name.rpartition(".")[0] or name for name in config.target_parameters}
    return outer != path or any(f".{outer}".endswith(f".{owner}") for owner in owners)


def _other(key: str, match: re.Match[str] | None, config: PeftConfig) -> Verdict:
    """The class of a tensor that is no half of a pair: the first rule that holds."""
    part, leaf = (match["part"], match["leaf"]) if match else ("", "")
    names = key.split(".")
    base_names = {"base_layer", "embed_tokens", "lm_head", "wte"} & set(names)
    rules = (
        (part == "lora_B" and leaf == "bias", LORA_BIAS),
        (part.startswith("lora_embedding_"), EMBEDDING),
        (part == "lora_magnitude_vector", MAGNITUDE),
        (any(name.startswith(("lora_monteclora", "lora_velora")) for name in names), SAMPLER),
        ("trainable_tokens_delta" in names, TOKENS),
        (bool(part) or "lora_" in key, UNKNOWN),
        ("modules_to_save" in names or any(f".{m}." in f".{key}." for m in config.modules_to_save), SAVED),
        (names[-1] == "bias", BIAS),
        (names[-1] == "weight" and bool(base_names), BASE_COPY),
    )
    return next((verdict for holds, verdict in rules if holds), UNKNOWN)
