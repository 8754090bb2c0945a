"""From a selector to the numbers of one metric in a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.claims.model import Selector
from inspector.definitions import DEFINITIONS
from inspector.names import ModuleId
from inspector.study import Floats, Scope, Study
from inspector.text import count, some

Numbers = tuple[float, ...]


class NotMeasuredError(Exception):
    """Why a selected number is not there, in words."""


@dataclass(frozen=True, slots=True)
class Where:
    """The names of a set -> the adapters of a study."""

    study: Study
    at: Mapping[str, int]

    @classmethod
    def of(cls, study: Study, aliases: Mapping[str, str]) -> Where:
        """By name, else by the last part of a published source: a downloaded folder goes by that."""
        by_alias = {aliases[name]: i for i, name in enumerate(study.names) if name in aliases}
        own = {name: i for i, name in enumerate(study.names) if name in set(aliases.values())}
        return cls(study, by_alias | own)

    def missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self.at]


def select(where: Where, metric: str, selector: Selector) -> Numbers:
    """The selected numbers, or what their statistic makes of them. Raises NotMeasuredError."""
    if missing := where.missing(selector.names):
        raise NotMeasuredError(f"{some(missing)} {'is' if len(missing) == 1 else 'are'} not open")
    scope: Scope = "module" if selector.modules is not None else "layer" if selector.layers is not None else "global"
    values = where.study.block(metric, scope)
    if values is None:
        known = any(where.study.block(metric, other) is not None for other in ("global", "layer", "module"))
        raise NotMeasuredError(f"{metric} has no {scope} numbers" if known else f"{metric} was not measured")
    places = _places(where.study, scope, selector)
    indices = _indices(where.study, metric, selector)
    rows = [_numbers(values, subject, places, indices) for subject in _subjects(where, selector)]
    if unknown := sum(int(np.isnan(row).sum()) for row in rows):
        raise NotMeasuredError(f"{metric} has no value at {count(unknown, 'place')} (n/a)")
    return _made_of(selector, rows, [where.study.places(scope)[place].layer for place in places])


def _subjects(where: Where, selector: Selector) -> list[tuple[int, ...]]:
    """The leading indices, in the claim's order; one empty tuple for a metric of no adapter."""
    if selector.pairs:
        return [(where.at[a], where.at[b]) for a, b in selector.pairs]
    return [(where.at[name],) for name in selector.adapters] or [()]


def _places(study: Study, scope: Scope, selector: Selector) -> list[int]:
    """The positions on the place axis."""
    every = study.places(scope)
    if scope == "global":
        return [0]
    low, high = (_layer(study, at) for at in selector.layers or (0, -1))
    chosen = [
        place
        for place, module in enumerate(every)
        if (selector.layers is None or (module.layer is not None and low <= module.layer <= high))
        and _named(module, selector.modules or ())
    ]
    if not chosen:
        raise NotMeasuredError(f"there are no such {'layers' if scope == 'layer' else 'modules'} here")
    return chosen


def _layer(study: Study, at: int) -> int:
    """A layer's number; negative counts from the last one."""
    if not -len(study.layers) <= at or not study.layers or at > study.layers[-1]:
        raise NotMeasuredError(f"there is no layer {at} here")
    return study.layers[at] if at < 0 else at


def _named(module: ModuleId, ends: Sequence[str]) -> bool:
    return not ends or any(f".{module}".endswith(f".{end}") for end in ends)


def _indices(study: Study, metric: str, selector: Selector) -> list[int] | None:
    """The positions on the last axis, None where a metric has none."""
    index = DEFINITIONS[metric].index
    if index == "k":
        return [k - 1 for k in selector.k]
    if index == "alpha":
        if missing := [alpha for alpha in selector.alphas if alpha not in study.alphas]:
            raise NotMeasuredError(f"the path was not measured at α = {some(missing)}")
        return [study.alphas.index(alpha) for alpha in selector.alphas]
    return None


def _numbers(values: Floats, subject: tuple[int, ...], places: Sequence[int], indices: Sequence[int] | None) -> Floats:
    """(places · indices,) of one subject."""
    found: Floats = values[subject][list(places)]
    if indices is None:
        return found
    if max(indices) >= found.shape[-1]:
        return np.full(len(places), np.nan)
    return np.asarray(found[:, list(indices)]).ravel()


def _made_of(selector: Selector, rows: Sequence[Floats], layers: Sequence[int | None]) -> Numbers:
    """The statistic of all numbers; of every subject's own for the layer of an extreme."""
    if selector.statistic in {"argmin layer", "argmax layer"}:
        best = np.argmin if selector.statistic == "argmin layer" else np.argmax
        return tuple(float(layers[int(best(row))] or 0) for row in rows)
    everything = np.concatenate(list(rows))
    if selector.statistic == "each":
        return tuple(everything.tolist())
    made: dict[str, Callable[[Floats], Any]] = {
        "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "range": np.ptp,
    }  # fmt: skip
    return (float(made[selector.statistic](everything)),)
