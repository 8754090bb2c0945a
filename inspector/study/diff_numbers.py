"""The numbers that moved from one study to another, on a scale that metrics share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import Scope, Study


@dataclass(frozen=True, slots=True)
class Moved:
    """A number in both studies that differs. `size`: see `scale`."""

    metric: str
    a: str
    b: str
    scope: Scope
    layer: int | None
    module: str
    k: float | None
    old: float
    new: float
    size: float

    @property
    def difference(self) -> float:
        return self.new - self.old

    @property
    def beside(self) -> bool:
        """Whether it only goes with another number."""
        return DEFINITIONS[self.metric].beside


def scale(metric: str, old: Floats, new: Floats) -> Floats | float:
    """What a difference is divided by: the metric's scale, or the larger one where it has none."""
    own = DEFINITIONS[metric].scale
    return np.maximum(np.maximum(np.abs(old), np.abs(new)), 1e-30) if own is None else own


def moved_numbers(old: Study, new: Study, names: list[str], scope: Scope, threshold: float) -> tuple[list[Moved], int]:
    """Those of a scope with a size above the threshold, and how many numbers both studies have."""
    there = set(new.places(scope))
    places = [place for place in old.places(scope) if place in there]
    alphas = [alpha for alpha in old.alphas if alpha in new.alphas]
    found: list[Moved] = []
    compared = 0
    for metric in DEFINITIONS:
        before, after = (_aligned(study, metric, scope, names, places, alphas) for study in (old, new))
        if before is None or after is None:
            continue
        depth = min(before.shape[-1], after.shape[-1])
        before, after = before[..., :depth], after[..., :depth]
        both = np.isfinite(before) & np.isfinite(after) & _once(metric, len(names), before.ndim)
        with np.errstate(invalid="ignore"):
            size = np.abs(after - before) / scale(metric, before, after)
        compared += int(both.sum())
        for at in np.argwhere(both & (size > threshold)).tolist():
            where = tuple(at)
            numbers = (float(before[where]), float(after[where]), float(size[where]))
            found.append(_named(metric, scope, names, places, alphas, where, numbers))
    return found, compared


def _aligned(
    study: Study, metric: str, scope: Scope, names: list[str], places: list[ModuleId], alphas: list[float]
) -> Floats | None:
    """(adapters…, places, k): a block over what both studies have; k is 1 where there is no index."""
    block = study.block(metric, scope)
    if block is None:
        return None
    definition = DEFINITIONS[metric]
    where = {place: at for at, place in enumerate(study.places(scope))}
    picked = [[study.index(name) for name in names]] * _axes(metric) + [[where[place] for place in places]]
    if definition.index == "alpha":
        picked.append([study.alphas.index(alpha) for alpha in alphas])
    elif definition.indexed:
        picked.append(list(range(block.shape[-1])))
    chosen: Floats = block[np.ix_(*picked)]
    return chosen if definition.indexed else chosen[..., None]


def _axes(metric: str) -> int:
    return {"none": 0, "adapter": 1}.get(DEFINITIONS[metric].subject, 2)


def _once(metric: str, n: int, dimensions: int) -> NDArray[np.bool_]:
    """Symmetric pairs once, no adapter with itself."""
    if _axes(metric) < 2:
        return np.ones((1,) * dimensions, dtype=bool)
    symmetric = DEFINITIONS[metric].subject == "pair"
    mask = np.triu(np.ones((n, n), dtype=bool), 1) if symmetric else ~np.eye(n, dtype=bool)
    return mask.reshape(n, n, *(1,) * (dimensions - 2))


def _named(
    metric: str, scope: Scope, names: list[str], places: list[ModuleId], alphas: list[float],
    at: tuple[int, ...], numbers: tuple[float, float, float],
) -> Moved:  # fmt: skip
    *of, place, k = at
    who = [names[i] for i in of] + ["", ""]
    index = DEFINITIONS[metric].index
    number = alphas[k] if index == "alpha" else float(k + 1) if index else None
    return Moved(metric, who[0], who[1], scope, places[place].layer, places[place].path, number, *numbers)
