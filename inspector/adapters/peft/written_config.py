"""The config of a PEFT folder that is written: ranks, scales and targets of its entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inspector.adapters.peft.entries import Entry, is_expert
from inspector.adapters.peft.patterns import PLAIN
from inspector.study.module_id import module_ids

_SEPARATOR = re.compile(r"[\W_]")


def written_config(written: Sequence[Entry], fused: Mapping[str, int], base: str) -> dict[str, Any]:
    """The commonest rank and α, or those of single experts, which no pattern reaches, and patterns for the others."""
    usual = [entry for entry in written if is_expert(entry.place)] or written
    r = Counter(entry.rank for entry in usual).most_common(1)[0][0]
    alpha = Counter(entry.alpha for entry in usual).most_common(1)[0][0]
    keys = _pattern_keys(list(dict.fromkeys(entry.name for entry in written)))
    parameters = {entry.name for entry in written if entry.on_parameter} | {f"experts.{name}" for name in fused}
    more = {rf".*\.{name}": projections for name, projections in fused.items() if projections > 1}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base or None,
        "r": r,
        "lora_alpha": _number(alpha),
        "rank_pattern": {keys[entry.name]: entry.rank for entry in written if entry.rank != r}
        | {key: r * projections for key, projections in more.items()},
        "alpha_pattern": {keys[entry.name]: _number(entry.alpha) for entry in written if entry.alpha != alpha}
        | {key: _number(alpha * projections) for key, projections in more.items()},
        "target_modules": _targets([entry.name for entry in written if not entry.on_parameter]),
        **({"target_parameters": sorted(parameters)} if parameters else {}),
        "use_rslora": False,
        "use_dora": any(entry.factors.magnitude is not None for entry in written),
        "lora_dropout": 0.0,
        "bias": "none",
        "modules_to_save": None,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _number(alpha: float) -> float | int:
    return int(alpha) if alpha.is_integer() and abs(alpha) < 2**53 else alpha


def _pattern_keys(paths: list[str]) -> dict[str, str]:
    r"""A pattern for each path that hits it alone: PEFT takes the first key with `(.*\.)?(KEY)$`.

    A plain path is its own pattern, but for one that another module's path ends in, or nearly so: a dot is any
    character. That one, and an odd one, is tied to the start and escaped.
    """
    ends: Counter[str] = Counter()
    for path in paths:
        parts = path.split(".")
        ends.update(_SEPARATOR.sub(".", ".".join(parts[n:])) for n in range(len(parts)))
    alone = {path for path in paths if PLAIN.fullmatch(path) and ends[_SEPARATOR.sub(".", path)] == 1}
    return {path: path if path in alone else f"^{re.escape(path)}" for path in paths}


def _targets(paths: list[str]) -> list[str]:
    """`q_proj` where every layer up to the last has one, full paths of the others: PEFT adapts all that end so.

    Models of several towers may have the same ending elsewhere: there it is always the full path. Of single experts,
    the ending says which: `experts.3.up_proj`, and not a shared one.
    """
    layers: dict[str, set[int]] = {}
    whole = set()
    experts = {path: path[path.rindex("experts.") :] for path in paths if is_expert(path)}
    ids = module_ids(dict.fromkeys((path for path in paths if path not in experts), 1))
    for path, id_ in ids.items():
        layers.setdefault(id_.projection, set()).add(-1 if id_.layer is None else id_.layer)
        if id_.layer is None or "language_model" in path or not path.endswith(id_.projection):
            whole.add(id_.projection)
    every = set(range(max((max(found) for found in layers.values()), default=-1) + 1))
    short = {name for name, found in layers.items() if found == every and name not in whole}
    named = {id_.projection if id_.projection in short else path for path, id_ in ids.items()}
    return sorted(named.union(experts.values()))
