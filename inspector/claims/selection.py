"""From a selector to the numbers of one metric in a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.claims.facts import DEFINED, NUMBERS, as_number
from inspector.claims.model import Selector
from inspector.claims.subjects import NotMeasuredError, Where, subjects
from inspector.common.arrays import Floats
from inspector.common.text import some
from inspector.study.module_id import ModuleId
from inspector.study.study import Scope, Study

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """A number of a metric, and what it is of."""

    names: tuple[str, ...]
    """An adapter, a pair, or nobody; as the set of claims calls them."""
    place: ModuleId
    """A module; a layer with an empty path; without a layer as well, all of the update."""
    index: float | None
    """k or α, where the metric has one."""
    value: float

    @property
    def label(self) -> str:
        return " ↔ ".join(self.names)


def select(where: Where, metric: str, selector: Selector) -> tuple[Selected, ...]:
    """The selected numbers in the claim's order. Raises NotMeasuredError."""
    scope = _scope(selector)
    values = _block(where.study, metric, scope)
    if values is None:
        known = any(_block(where.study, metric, other) is not None for other in ("global", "layer", "module"))
        raise NotMeasuredError(f"{metric} has no {scope} numbers" if known else f"{metric} was not measured")
    positions = _places(where.study, selector)
    found: list[Selected] = []
    for names in subjects(where, selector):
        rows = values[tuple(where.at[name] for name in names)]
        for position in positions:
            place = where.study.places(scope)[position]
            found += [Selected(names, place, *at) for at in _along(where.study, metric, selector, rows[position])]
    if gaps := [one for one in found if not math.isfinite(one.value)]:
        raise NotMeasuredError(_gap(where, metric, gaps, len(found)))
    return tuple(found)


def _block(study: Study, metric: str, scope: Scope) -> Floats | None:
    """The numbers of a metric, or of a fact of the runs."""
    if metric in NUMBERS:
        return np.array([[as_number(metric, info)] for info in study.adapters]) if scope == "global" else None
    return study.block(metric, scope)


def _along(study: Study, metric: str, selector: Selector, values: Any) -> list[tuple[float | None, float]]:
    """(index, number) for the k or α that a claim asks for; (None, number) of a metric without."""
    index = DEFINED[metric].index
    if index == "k":
        return [(k, float(values[k - 1]) if k <= len(values) else math.nan) for k in selector.k]
    if index == "alpha":
        if missing := [alpha for alpha in selector.alphas if alpha not in study.alphas]:
            raise NotMeasuredError(f"the path was not measured at α = {some(missing)}")
        return [(alpha, float(values[study.alphas.index(alpha)])) for alpha in selector.alphas]
    return [(None, float(values))]


def _gap(where: Where, metric: str, gaps: Sequence[Selected], asked: int) -> str:
    """Why there are no numbers there: too high a k, a pair left out, or nothing that has a value."""
    kind = DEFINED[metric]
    if kind.index == "k" and (short := _too_few(where, gaps)):
        limit, allowed = short
        noun = "angles" if "angle" in metric else "values"
        return f"{limit} {allowed} {noun}, {max(one.index or 0 for one in gaps):g} are asked"
    names = list(dict.fromkeys(one.label for one in gaps if one.names))
    if kind.probe and names:
        return f"{some(names)} {'was' if len(names) == 1 else 'were'} not measured"
    at = f" at {len(gaps)} of {asked} places" if len(gaps) < asked else ""
    return f"{metric}{f' of {some(names)}' if names else ''} is n/a{at}"


def _too_few(where: Where, gaps: Sequence[Selected]) -> tuple[str, int] | None:
    """What limits k, and to how many."""
    highest = max(one.index or 0 for one in gaps)
    ranks = [min(r) for one in gaps for name in one.names if (r := where.study.adapters[where.at[name]].ranks)]
    if ranks and min(ranks) < highest and min(ranks) <= where.study.settings.k:
        return f"rank {min(ranks)} allows", min(ranks)
    return ("this study has", where.study.settings.k) if where.study.settings.k < highest else None


def missing_places(study: Study, selector: Selector) -> str:
    """What of a selector no adapter of a study has: `layers: there is no layer 99, there are 0-29`; else nothing."""
    try:
        _places(study, selector)
    except _NoPlaceError as error:
        return f"{error.field}: {error}"
    return ""


class _NoPlaceError(NotMeasuredError):
    """There is no such place; `field` asked for it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def _places(study: Study, selector: Selector) -> list[int]:
    """The positions on the place axis of the selector's scope."""
    if selector.layers is None and selector.modules is None:
        return [0]
    every = study.places(_scope(selector))
    within = list(range(len(every)))
    if selector.layers is not None:
        low, high = (_layer(study, at) for at in selector.layers)
        within = [at for at in within if (layer := every[at].layer) is not None and low <= layer <= high]
        if not within:
            raise _NoPlaceError("layers", f"there is none of {low} to {high}, there are {_ranges(study.layers)}")
    elif not every:
        raise _NoPlaceError("modules", "the adapters have none")
    ends = selector.modules or ()
    for end in ends:
        if not any(_named(every[place], (end,)) for place in within):
            known = sorted({every[place].projection for place in within})
            raise _NoPlaceError("modules", f"there is no module {end}, there are {some(known, 12)}")
    return [place for place in within if _named(every[place], ends)]


def _scope(selector: Selector) -> Scope:
    return "module" if selector.modules is not None else "layer" if selector.layers is not None else "global"


def _layer(study: Study, at: int) -> int:
    """A layer's number; negative counts from the last one."""
    if not study.layers:
        raise _NoPlaceError("layers", "the adapters have none")
    if not -len(study.layers) <= at <= study.layers[-1]:
        raise _NoPlaceError("layers", f"there is no layer {at}, there are {_ranges(study.layers)}")
    return study.layers[at] if at < 0 else at


def _ranges(numbers: Sequence[int]) -> str:
    """`0-29`, `0-3, 5, 7-9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return some([f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs], 8)


def _named(module: ModuleId, ends: Sequence[str]) -> bool:
    return not ends or any(f".{module}".endswith(f".{end}") for end in ends)
