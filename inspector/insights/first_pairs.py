"""Which pairs charts and tables show first where there are more than fit: the same in app, report and tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from inspector.common.arrays import Floats
from inspector.study.study import Study

SHOWN = 7
"""Lines that one chart can show in colours of their own."""
Pair = tuple[int, int]


def first_pairs(study: Study, most: int = SHOWN) -> list[Pair]:
    """Pairs (i, j), i < j, that can be compared; at most so many.

    Those whose paths were measured, where that was asked of a few; then the most central adapter with others, from the
    nearest to the farthest. Without cosines all count as comparable.
    """
    found = with_paths(study)[:most]
    rest = [pair for pair in _star(study) if pair not in found]
    free = most - len(found)
    if len(rest) > free:
        rest = [rest[round(at)] for at in np.linspace(0, len(rest) - 1, free)]
    return [*found, *rest]


def with_paths(study: Study) -> list[Pair]:
    """The pairs whose paths were measured; none where that was asked of many."""
    curves = study.block("lmc_loss", "global")
    if curves is None:
        return []
    known = np.asarray(np.isfinite(curves[:, :, 0]).any(-1))
    measured = [(i, j) for i, j in combinations(range(len(study.adapters)), 2) if known[i, j]]
    return measured if len(measured) <= SHOWN else []


def centre(study: Study) -> int:
    """The adapter whose cosines to the others sum to the most."""
    return int(np.argmax(np.nan_to_num(_cosines(study)).sum(1)))


def _cosines(study: Study) -> Floats:
    """(N, N); 0 where none was measured at all."""
    block, n = study.block("cosine", "global"), len(study.adapters)
    return np.zeros((n, n)) if block is None else block[:, :, 0]


def _star(study: Study) -> list[Pair]:
    """The centre with every other adapter it can be compared with, the nearest first."""
    if not study.adapters:
        return []
    near, middle = _cosines(study), centre(study)
    others = [j for j in range(len(near)) if j != middle and np.isfinite(near[middle, j])]
    return [(min(middle, j), max(middle, j)) for j in sorted(others, key=lambda j: -float(near[middle, j]))]
