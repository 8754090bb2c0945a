"""Which adapters share a start or a run, from a study's row-space overlaps and the digests of A₀. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.numbers import level
from inspector.insights.pairwise import pair_chance
from inspector.study.study import Study

SAME, DIFFERENT, NEAR = 0.8, 0.3, 5.0
"""Measured on public checkpoints: 0.96-1.00 within a run, 0.85-0.99 with a shared start, 0.03-0.07 across runs, which
is at most five times chance there."""
RULE = (
    f"From {SAME} on the same start or run, up to {NEAR:g} times chance different, unless their output similarity is "
    f"above {DIFFERENT}, as after a merge or another factorisation; unclear otherwise; never a proof of identity."
)

Kinship = Literal["same start or run", "unclear", "different"]
Similarity = Literal["cosine", "output_similarity"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`overlap` (N, N): mean row-space overlap over the modules both adapt; `groups`: indices, largest first.

    `levels` (N, N): what random row spaces of the pair's shapes and ranks would give over these modules; NaN where
    there are none. `outputs` (N, N): output similarity, NaN if it was not measured.
    """

    overlap: Floats
    levels: Floats
    outputs: Floats
    starts: tuple[str, ...]
    """The digests of A₀; empty where one is not known."""
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
        ends = (known.min(), known.max()) if known.size else ()
        return " to ".join(dict.fromkeys(level(float(end)) for end in ends)) or "n/a"

    def kinship(self, i: int, j: int) -> Kinship | None:
        """In words, None where it was not measured: never a verdict of identity. Digests decide what is unclear.

        A run that was merged, or factored anew, and then continued has other row spaces but writes to the same outputs.
        """
        kin = kinship(float(self.overlap[i, j]), float(self.levels[i, j]))
        if not self.starts[i] or not self.starts[j]:
            return "unclear" if kin == "different" and self.outputs[i, j] > DIFFERENT else kin
        if self.starts[i] == self.starts[j]:
            return "same start or run"
        return "different" if kin == "unclear" else kin

    def apart(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Whether every adapter of one group is known to be different from every one of the other."""
        return all(self.kinship(i, j) == "different" for i in one for j in other)


def kinship(overlap: float, chance: float) -> Kinship | None:
    """same start or run: overlap ≥ 0.8; different: at most 5 times chance, and 0.3; unclear between.

    Also unclear where chance itself reaches 0.3, or is not known.
    """
    if math.isnan(overlap):
        return None
    if not chance < DIFFERENT:
        return "unclear"
    if overlap >= SAME:
        return "same start or run"
    return "different" if overlap <= min(DIFFERENT, NEAR * chance) else "unclear"


def start(study: Study, i: int, j: int) -> Literal["same", "different", "unknown"]:
    """By the digests of A₀; if one is missing, by the overlap of the row spaces, which tells them apart as well."""
    one, other = study.adapters[i].origin.a0, study.adapters[j].origin.a0
    if one and other:
        return "same" if one == other else "different"
    block = study.block("row_space_overlap", "global")
    overlap = float("nan") if block is None else float(block[i, j, 0])
    found = kinship(overlap, float(pair_chance(study, "row_space_overlap", i, j)[0]))
    return "same" if found == "same start or run" else "different" if found == "different" else "unknown"


def fitting(study: Study, pairs: Iterable[tuple[int, int]]) -> Similarity:
    """What ranks these pairs: the cosine if all are known to share a start of A, output similarity otherwise.

    Two runs of one loss from different random A₀ have a cosine near 0 by construction. Pairs without a cosine do not
    count; if one that has it lacks the output similarity, it is the cosine.
    """
    cosines, outputs = study.block("cosine", "global"), study.block("output_similarity", "global")
    if cosines is None or outputs is None:
        return "cosine" if outputs is None else "output_similarity"
    known = [(i, j) for i, j in pairs if np.isfinite(cosines[i, j, 0])]
    if any(np.isnan(outputs[i, j, 0]) for i, j in known):
        return "cosine"
    return "cosine" if all(start(study, i, j) == "same" for i, j in known) else "output_similarity"


def lineage(study: Study) -> Lineage | None:
    """The lineage of a study; None where it was not measured.

    Groups are the connected parts of `same start or run`; an equal A₀ digest connects too.
    """
    block, n = study.block("row_space_overlap", "global"), len(study.adapters)
    if block is None:
        return None
    starts = tuple(adapter.origin.a0 for adapter in study.adapters)
    written = study.block("output_similarity", "global")
    outputs = np.full((n, n), np.nan) if written is None else np.array(written[:, :, 0], dtype=np.float64)
    found = Lineage(np.array(block[:, :, 0], dtype=np.float64), _levels(study), outputs, starts, ())
    near = [[j != i and found.kinship(i, j) == "same start or run" for j in range(n)] for i in range(n)]
    return replace(found, groups=_parts(near))


def _levels(study: Study) -> Floats:
    """(N, N) chance levels, worked out once for all pairs of the same shapes and ranks."""
    n = len(study.adapters)
    sigma = study.spectra
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
