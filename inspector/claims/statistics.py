"""What a claim's statistic makes of the selected numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from inspector.claims.model import Selector
from inspector.claims.selection import Numbers, Selected
from inspector.claims.subjects import NotMeasuredError

_FEWEST = 3
_ROUNDING = 1e-12


def reduced(selector: Selector, found: Sequence[Selected]) -> Numbers:
    """What the selector's statistic makes of the numbers; for the layer of an extreme, of each subject's own."""
    if selector.statistic in {"argmin layer", "argmax layer"}:
        best = min if selector.statistic == "argmin layer" else max
        rows = [list(own) for _, own in itertools.groupby(found, attrgetter("names"))]
        return tuple(float(best(own, key=attrgetter("value")).place.layer or 0) for own in rows)
    numbers = [one.value for one in found]
    if selector.statistic == "each" or selector.statistic.endswith("correlation"):
        return tuple(numbers)
    if selector.that is not None:
        counted = sum(map(selector.that.holds, numbers))
        return (float(counted) if selector.statistic == "count" else counted / len(numbers),)
    made: dict[str, Callable[[Sequence[float]], Any]] = {
        "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "range": np.ptp,
        "quantile": lambda values: np.quantile(values, selector.q or 0.0),
    }  # fmt: skip
    return (float(made[selector.statistic](numbers)),)


def correlated(values: Numbers, others: Numbers, *, ranks: bool) -> Numbers:
    """Pearson's r of two lists of numbers in one order; of their ranks, ties in the middle, that is Spearman's ρ."""
    if len(values) != len(others):
        raise NotMeasuredError(f"{len(values)} numbers cannot be correlated with {len(others)}")
    if len(values) < _FEWEST:
        raise NotMeasuredError(f"a correlation needs at least {_FEWEST} numbers, there are {len(values)}")
    both = [np.asarray(numbers, dtype=float) for numbers in (values, others)]
    if ranks:
        both = [np.array([(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x]) for x in both]
    if any(np.ptp(x) <= _ROUNDING * abs(x).max() for x in both):
        raise NotMeasuredError("numbers that are all the same have no correlation")
    one, other = (x - x.mean() for x in both)
    return (float(np.clip(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)), -1, 1)),)
