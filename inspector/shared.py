"""Two adapters over the modules that both adapt: chance levels, cosine, overlap, interference. No torch.

A study's own chance levels are of all its adapters. What a pair is judged by must not depend on who else is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inspector.definitions import DEFINITIONS
from inspector.geometry import chance, cosine
from inspector.geometry.interference import classify
from inspector.study import Floats, Study

Modules = NDArray[np.bool_]

_LEVELS: dict[str, Callable[[int, int, int, int], float | tuple[float, ...]]] = {
    "u1": lambda d_out, _d_in, _p, _q: chance.direction_chance(d_out),
    "v1": lambda _d_out, d_in, _p, _q: chance.direction_chance(d_in),
    "subspace_overlap": lambda d_out, _d_in, p, q: chance.overlap_chance(d_out, p, q),
    "subspace_overlap_right": lambda _d_out, d_in, p, q: chance.overlap_chance(d_in, p, q),
    "row_space_overlap": lambda _d_out, d_in, p, q: chance.overlap_chance(d_in, p, q),
    "principal_angle": lambda d_out, _d_in, p, q: chance.angle_chance(d_out, p, q),
    "principal_angle_right": lambda _d_out, d_in, p, q: chance.angle_chance(d_in, p, q),
}


@dataclass(frozen=True, slots=True)
class Interference:
    """What adding the two would do, over the modules both adapt; `kind` as `classify` names it."""

    cosine: float
    overlap: float
    chance: float

    @property
    def kind(self) -> str:
        return classify(self.cosine, self.overlap, self.chance)


def shared(study: Study, i: int, j: int, counted: Modules | None = None) -> Modules:
    """(modules,): which of the counted modules (all by default) both adapt, with finite values of one shape."""
    both: Modules = study.present[i] & study.present[j] & study.usable[i, j]
    return both if counted is None else np.asarray(both & counted)


def pair_chance(study: Study, metric: str, i: int, j: int, counted: Modules | None = None) -> Floats:
    """(1 or k,): what random subspaces of this pair's shapes and ranks would give, over the modules both adapt.

    Each side keeps its own min(k, r), r the rank of its update at the module. Mean or median over these modules, as
    the metric itself; NaN where there are none. A study without numbers of modules gives its own level.
    """
    sigma, whole = study.spectra, study.block(f"{metric}_chance", "global")
    if whole is None:
        return np.full(1, np.nan)
    if sigma is None:
        return np.atleast_1d(whole[0])
    ranks = (np.nan_to_num(sigma[[i, j]]) > 0).sum(-1)
    here = shared(study, i, j, counted) & (ranks > 0).all(0)
    width = whole.shape[1] if whole.ndim == 2 else 1
    if not here.any():
        return np.full(width, np.nan)
    kept = np.sort(ranks[:, here], axis=0)
    if metric != "row_space_overlap":  # of whole row spaces, not of their top k
        kept = np.minimum(kept, study.settings.k)
    alike = np.column_stack([study.shapes[i, here], *kept])
    return _level(metric, np.ascontiguousarray(alike, dtype=np.int64).tobytes(), width).copy()


def module_chance(metric: str, d_out: int, d_in: int, p: int, q: int) -> float | tuple[float, ...]:
    """What random subspaces of p and q dimensions would give at one module: a number, or one an angle."""
    return _LEVELS[metric](d_out, d_in, p, q)


def chance_span(study: Study, metric: str, k: int | None = None, digits: int = 3) -> str:
    """`0.014`, or `0.014 to 0.111` where pairs differ; `n/a` where it is not known. `k`: 0-based, of an angle."""
    pairs = combinations(range(len(study.adapters)), 2)
    levels = np.array([pair_chance(study, metric, i, j)[k or 0] for i, j in pairs])
    known = levels[np.isfinite(levels)]
    shown = dict.fromkeys(f"{level:.{digits}f}" for level in (known.min(), known.max())) if known.size else ["n/a"]
    return " to ".join(shown)


@lru_cache(maxsize=256)
def _level(metric: str, modules: bytes, width: int) -> Floats:
    """The level over modules given as (d_out, d_in, p, q), p ≤ q dimensions: most pairs of a study share them."""
    kinds, counts = np.unique(np.frombuffer(modules, dtype=np.int64).reshape(-1, 4), axis=0, return_counts=True)
    levels = np.full((len(kinds), width), np.nan)
    for row, kind in zip(levels, kinds.tolist(), strict=True):
        level = np.atleast_1d(module_chance(metric, *kind))
        row[: len(level)] = level
    if len(kinds) == 1:
        return np.asarray(levels[0])
    return _over(np.repeat(levels, counts, axis=0), DEFINITIONS[f"{metric}_chance"].aggregate)


def _over(levels: Floats, how: str) -> Floats:
    """Mean or median of each column, NaN left out: (modules, k) -> (k,)."""
    out, known = np.full(levels.shape[1], np.nan), ~np.isnan(levels)
    for k in np.flatnonzero(known.any(0)):
        column = levels[known[:, k], k]
        out[k] = np.median(column) if how == "median" else column.mean()
    return out


def pair_interference(study: Study, i: int, j: int, counted: Modules | None = None) -> Interference:
    """The pair's cosine, overlap and its chance over the modules both adapt: no zeros of modules that one lacks."""
    level = float(pair_chance(study, "subspace_overlap", i, j, counted)[0])
    norms, cosines, overlaps = study.sizes, *(study.block(m, "module") for m in ("cosine", "subspace_overlap"))
    if norms is None or cosines is None or overlaps is None:
        at, over = (study.block(m, "global") for m in ("cosine", "subspace_overlap"))
        known = [float("nan") if block is None else float(block[i, j, 0]) for block in (at, over)]
        return Interference(known[0], known[1], level)
    here = shared(study, i, j, counted)
    a, b = np.nan_to_num(norms[i, here]), np.nan_to_num(norms[j, here])
    inner = np.nan_to_num(cosines[i, j, here]) * a * b
    of_both = cosine.cosine(inner.sum(), np.square(a).sum(), np.square(b).sum())
    if not study.weighed[[i, j]].all():
        of_both = np.full((), np.nan)
    return Interference(float(of_both), float(_over(overlaps[i, j, here][:, None], "mean")[0]), level)
