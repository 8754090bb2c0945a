"""Two adapters beside each other: chance levels, cosine, overlap, and what of their sum cancels. No torch.

A study's own chance levels are of all its adapters. What a pair is judged by must not depend on who else is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.common.numbers import level
from inspector.geometry import cosine
from inspector.geometry.interference import ALIGNED, classify
from inspector.geometry.sums import sums
from inspector.study.metrics import DEFINITIONS
from inspector.study.metrics.chance import averaged, chance_levels
from inspector.study.provenance import base_key
from inspector.study.study import Study

Modules = NDArray[np.bool_]
ONE, MOSTLY, PART, APART, OPPOSED = 0.9, 0.7, 0.4, ALIGNED, -0.1
"""Of global cosines: from 0.9 on one direction, from 0.7 mostly so, from 0.4 part of the way, below 0.2 (either sign)
apart; from −0.1 down opposed in part, from −0.9 down altogether."""


@dataclass(frozen=True, slots=True)
class Interference:
    """How two updates lie to each other, over the modules both adapt; `kind` as `classify` names it."""

    cosine: float
    overlap: float
    chance: float

    @property
    def kind(self) -> str:
        return classify(self.cosine, self.overlap, self.chance)


@dataclass(frozen=True, slots=True)
class Added:
    """ΔW_a + ΔW_b: its cosines to a and b, and which share of their energy opposing modules cancel; NaN: not known."""

    to_a: float
    to_b: float
    cancelled: float


def other_base(study: Study, i: int, j: int) -> bool:
    """Whether two adapters name different bases; one that names none may be of any."""
    one, other = (base_key(study.adapters[at].base) for at in (i, j))
    return bool(one and other) and one != other


def within_bases(study: Study) -> Study:
    """The study with no number between adapters of different bases: none counts."""
    if len({base_key(info.base) for info in study.adapters} - {""}) < 2:
        return study
    everyone = range(len(study.adapters))
    apart = np.array([[other_base(study, i, j) for j in everyone] for i in everyone])
    blocks = dict(study.blocks)
    for key, values in study.blocks.items():
        if DEFINITIONS[key[0]].subject in {"pair", "ordered"}:
            blocks[key] = values.copy()
            blocks[key][apart] = np.nan
    return replace(study, blocks=blocks)


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
    if whole is None or (chance := DEFINITIONS[metric].chance) is None:
        return np.full(1, np.nan)
    if sigma is None:
        return np.atleast_1d(whole[0])
    extents = chance.extent(sigma[[i, j]], study.settings.k)
    here = shared(study, i, j, counted) & (extents > 0).all(0)
    width = whole.shape[1] if whole.ndim == 2 else 1
    if not here.any():
        return np.full(width, np.nan)
    alike = np.column_stack([study.shapes[i, here], np.sort(extents[:, here], axis=0).T])
    return _level(metric, np.ascontiguousarray(alike, dtype=np.float64).tobytes(), width).copy()


def chance_span(study: Study, metric: str) -> str:
    """`0.014`, or `0.014 to 0.111` where pairs differ; `n/a` where it is not known."""
    pairs = combinations(range(len(study.adapters)), 2)
    levels = np.array([pair_chance(study, metric, i, j)[0] for i, j in pairs])
    known = levels[np.isfinite(levels)]
    shown = dict.fromkeys(level(float(end)) for end in (known.min(), known.max())) if known.size else ["n/a"]
    return " to ".join(shown)


@lru_cache(maxsize=256)
def _level(metric: str, modules: bytes, width: int) -> Floats:
    """The level over modules given as (d_out, d_in, p, q), p ≤ q: most pairs of a study share them."""
    kinds, counts = np.unique(np.frombuffer(modules).reshape(-1, 4), axis=0, return_counts=True)
    levels = chance_levels(DEFINITIONS[metric], kinds[:, :2].astype(np.int64), kinds[:, 2:], width)
    if len(kinds) == 1:
        return np.asarray(levels[0])
    return averaged(np.repeat(levels, counts, axis=0), DEFINITIONS[metric].aggregate)


def pair_interference(study: Study, i: int, j: int, counted: Modules | None = None) -> Interference:
    """The pair's cosine, overlap and its chance over the modules both adapt: no zeros of modules that one lacks."""
    level = float(pair_chance(study, "subspace_overlap", i, j, counted)[0])
    if other_base(study, i, j):
        return Interference(np.nan, np.nan, level)
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
    return Interference(float(of_both), float(averaged(overlaps[i, j, here][:, None], "mean")[0]), level)


def added(study: Study, i: int, j: int) -> Added:
    """The sum of two updates, each as large as it is, from the norms and cosines of modules."""
    norms, cosines = study.block("norm", "module"), study.block("cosine", "module")
    if norms is None or cosines is None or not study.scaled[[i, j]].all():
        return Added(*[float("nan")] * 3)
    own = np.nan_to_num(norms[[i, j]])
    inner = np.einsum("im,jm->ijm", own, own)
    inner[0, 1] *= np.nan_to_num(cosines[i, j])
    inner[1, 0] = inner[0, 1]
    of, scope = sums(inner, np.ones(2)), study.usable[i, j].astype(float)
    to_a, to_b = of.cosines(scope).tolist()
    return Added(to_a, to_b, float(of.interference(scope)))
