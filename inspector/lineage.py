"""Which adapters share a start or a run, from a study's row-space overlaps and the digests of A₀. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from inspector.study import Study

SAME, DIFFERENT = 0.8, 0.3
"""Measured on public checkpoints: 0.96-1.00 within a run, 0.85-0.99 with a shared start, 0.03-0.07 across runs."""

Kinship = Literal["same start or run", "unclear", "different"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`overlap` (N, N): mean row-space overlap over the modules both adapt; `groups`: indices, largest first."""

    overlap: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    chance: float
    groups: tuple[tuple[int, ...], ...]

    def kinship(self, i: int, j: int) -> Kinship | None:
        """In words, None where it was not measured: never a verdict of identity."""
        return kinship(float(self.overlap[i, j]), self.chance)


def kinship(overlap: float, chance: float) -> Kinship | None:
    """same start or run: overlap ≥ 0.8; different: ≤ 0.3; unclear between, and where chance itself reaches 0.3."""
    if np.isnan(overlap):
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
    levels = study.block("row_space_overlap_chance", "global")
    chance = float(levels[0]) if levels is not None and np.isfinite(levels[0]) else 0.0
    starts = [adapter.origin.a0 for adapter in study.adapters]
    n = len(starts)
    near = [
        [
            j != i and (kinship(float(overlap[i, j]), chance) == "same start or run" or (starts[i] == starts[j] != ""))
            for j in range(n)
        ]
        for i in range(n)
    ]
    return Lineage(overlap, chance, _parts(near))


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
