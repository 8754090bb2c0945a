"""The chance levels of pairs of updates, by their shapes and extents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.study.metrics.definition import Definition


def chance_levels(definition: Definition, shapes: NDArray[np.int64], extents: Floats, width: int) -> Floats:
    """(P, width): what random subspaces would give for P pairs of updates of shapes (P, 2) and extents (P, 2)."""
    levels = np.full((len(shapes), width), np.nan)
    chance = definition.chance
    if chance is None:
        return levels
    d = shapes[:, int(definition.side == "right")]
    for size in np.unique(d).tolist():
        here = d == size
        found = np.asarray(chance.level(int(size), *extents[here].T))
        found = found if found.ndim == 2 else found.reshape(-1, 1)
        levels[here, : found.shape[1]] = found
    return levels


def averaged(levels: Floats, how: str) -> Floats:
    """Mean or median of each column, NaN left out: (modules, k) -> (k,)."""
    out, known = np.full(levels.shape[1], np.nan), ~np.isnan(levels)
    for k in np.flatnonzero(known.any(0)):
        column = levels[known[:, k], k]
        out[k] = np.median(column) if how == "median" else column.mean()
    return out
