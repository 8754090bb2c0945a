"""Facts of a run, as numbers that claims may speak of and filters of whom they speak of. Read, not measured."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import partial

from inspector.study.adapter_info import AdapterInfo
from inspector.study.metrics import DEFINITIONS
from inspector.study.metrics.definition import Definition

Fact = str | float | None


def _rank(info: AdapterInfo) -> Fact:
    """One rank; none where modules differ."""
    return info.ranks[0] if len(set(info.ranks)) == 1 else None


_READ: Mapping[str, Callable[[AdapterInfo], Fact]] = {
    "method": lambda info: info.origin.method or None,
    "rate": lambda info: info.origin.lr,
    "rank": _rank,
    "steps": lambda info: info.origin.steps,
    "rows": lambda info: info.origin.rows,
    "seed": lambda info: info.origin.seed,
    "init_seed": lambda info: info.origin.init_seed,
    "matrices": lambda info: info.modules or None,
    "parameters": lambda info: info.parameters or None,
}
FACTS = tuple(_READ)
"""Those that filter."""

_fact = partial(Definition, subject="adapter", unit="", over_modules="of the run", aggregate="none")
_NUMBERS = (
    _fact("rate", "learning rate", formula="as the files of the run tell it"),
    _fact("rank", "rank", formula="r of every module; n/a where they differ"),
    _fact("steps", "steps", formula="of the whole training, as the files of the run tell it"),
    _fact("rows", "rows", formula="how many examples it trained on, as run.json tells it"),
    _fact("seed", "seed", formula="of the data's order, as the files of the run tell it"),
    _fact("init_seed", "start seed", formula="of the start of A, as run.json tells it"),
    _fact("matrices", "matrices", formula="how many modules it adapts"),
    _fact("parameters", "parameters", formula="how many numbers the factors have"),
)
NUMBERS: Mapping[str, Definition] = {definition.metric: definition for definition in _NUMBERS}
DEFINED: Mapping[str, Definition] = ChainMap(DEFINITIONS, dict(NUMBERS))
"""Everything a claim may be about: the metrics, then the facts that are numbers."""


def fact(name: str, info: AdapterInfo) -> Fact:
    """A fact of the run of an adapter; None if nothing tells it."""
    return _READ[name](info)


def as_number(name: str, info: AdapterInfo) -> float:
    """A fact that is a number, NaN if nothing tells it."""
    found = fact(name, info)
    return math.nan if found is None else float(found)


def alike(one: Fact, other: Fact) -> bool:
    """Whether two facts that are known are the same: numbers up to their rounding, texts whatever their case."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one.casefold() == other.casefold()
    return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9)
