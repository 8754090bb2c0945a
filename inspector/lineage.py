"""Which adapters share a start or a run, from a study's row-space overlaps and the digests of A₀. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from inspector.shared import pair_chance
from inspector.study import Floats, Study

SAME, DIFFERENT = 0.8, 0.3
"""Measured on public checkpoints: 0.96-1.00 within a run, 0.85-0.99 with a shared start, 0.03-0.07 across runs."""

Kinship = Literal["same start or run", "unclear", "different"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`overlap` (N, N): mean row-space overlap over the modules both adapt; `groups`: indices, largest first.

    `levels` (N, N): what random row spaces of the pair's shapes and ranks would give over these modules; NaN where
    there are none.
    """

    overlap: Floats
    levels: Floats
    groups: tuple[tuple[int, ...], ...]

    @property
    def chance(self) -> float:
        """The largest level of any pair; NaN where none is known."""
        known = self.levels[np.isfinite(self.levels)]
        return float(known.max()) if known.size else float("nan")

    @property
    def by_chance(self) -> str:
        """`0.014`, or `0.014 to 0.111` where pairs differ."""
        known = self.levels[np.isfinite(self.levels)]
        return (
            " to ".join(dict.fromkeys(f"{level:.3f}" for level in (known.min(), known.max()))) if known.size else "n/a"
        )

    def kinship(self, i: int, j: int) -> Kinship | None:
        """In words, None where it was not measured: never a verdict of identity."""
        level = float(self.levels[i, j])
        return kinship(float(self.overlap[i, j]), 0.0 if math.isnan(level) else level)


def kinship(overlap: float, chance: float) -> Kinship | None:
    """same start or run: overlap ≥ 0.8; different: ≤ 0.3; unclear between, and where chance itself reaches 0.3."""
    if math.isnan(overlap):
        return None
    if chance >= DIFFERENT:
        return "unclear"
    return "same start or run" if overlap >= SAME else "different" if overlap <= DIFFERENT else "unclear"


def lineage(study: Study) -> Lineage | None:
    """The lineage of a study; None where it was not measured.

    Groups are the connected parts of `same start or run`; an equal A₀ digest connects too.
    """
    block = study.block("row_space_overlap", "global")
    if block is None:
        return None
    overlap = np.array(block[:, :, 0], dtype=np.float64)
    found = Lineage(overlap, _levels(study), ())
    starts = [adapter.origin.a0 for adapter in study.adapters]
    n = len(starts)
    near = [
        [j != i and (found.kinship(i, j) == "same start or run" or (starts[i] == starts[j] != "")) for j in range(n)]
        for i in range(n)
    ]
    return replace(found, groups=_parts(near))


def _levels(study: Study) -> Floats:
    """(N, N) chance levels, worked out once for all pairs of the same shapes and ranks."""
    n = len(study.adapters)
    sigma = study.block("singular_value", "module")
    ranks = np.zeros(n) if sigma is None else np.isfinite(sigma).sum(-1)
    kinds = [(study.shapes[i].tobytes(), study.present[i].tobytes(), ranks[i].tobytes()) for i in range(n)]
    known: dict[object, float] = {}
    levels = np.full((n, n), np.nan)
    for i, j in combinations(range(n), 2):
        kind = kinds[i], kinds[j], study.usable[i, j].tobytes()
        if kind not in known:
            known[kind] = float(pair_chance(study, "row_space_overlap", i, j)[0])
        levels[i, j] = levels[j, i] = known[kind]
    return levels


def _parts(near: list[list[bool]]) -> tuple[tuple[int, ...], ...]:
    """The connected parts of a graph, largest first, then in order."""
    left, parts = set(range(len(near))), []
    while left:
        part, todo = set(), [min(left)]
        while todo:
            i = todo.pop()
            part.add(i)
            todo += [j for j in left - part if near[i][j]]
        left -= part
        parts.append(tuple(sorted(part)))
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))
