"""What is at chance level, and what only looks like a finding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from inspector.insights.findings.directions import clusters
from inspector.insights.findings.finding import (
    Finding,
    Number,
    listed,
    of_adapter,
    of_pair,
    own_values,
    pair_values,
    span,
)
from inspector.insights.pairwise import pair_chance
from inspector.study.study import Study

NEAR = 1.5
"""Degrees from chance within which an angle says nothing."""
CLEAR = 10.0
SHARED_START, UNSHARED = 0.6, 0.3
SAME = 1e-9
"""By how much, relative, rounding may part the norms of one update opened twice; its cosine is within 1e-12 of 1."""


class Ends(NamedTuple):
    """The smallest and the largest angle of a pair, in degrees, each beside its chance level."""

    i: int
    j: int
    smallest: float
    smallest_chance: float
    largest: float
    largest_chance: float


def chances(study: Study) -> Iterator[Finding]:
    """One update twice, angles against those of random subspaces, and input directions against a shared start."""
    yield from _copies(study)
    yield from _angles(study)
    yield from _inputs(study)


def _copies(study: Study) -> Iterator[Finding]:
    """Adapters with the same ΔW: of these every number that compares them is trivial."""
    cosine, norms = pair_values(study, "cosine"), own_values(study, "norm")
    with np.errstate(invalid="ignore", divide="ignore"):
        equal = np.abs(norms[:, None] / norms - 1) <= SAME
        same = np.asarray(1 - cosine <= 1e-12) & equal
    for group in clusters(same.astype(float), 1.0):
        text = (
            f"{listed(study.names[i] for i in group)} hold the same update: one adapter opened twice, or a copy of it."
        )
        pairs = [of_pair(study, "cosine", *pair) for pair in combinations(group, 2)]
        yield Finding("chance", text, (*pairs, *(of_adapter(study, "norm", i) for i in group)), caution=True)


def _angles(study: Study) -> Iterator[Finding]:
    """Pairs no nearer than random ones; and whether the worst angle means anything."""
    block = study.block("principal_angle", "global")
    if block is None:
        return
    random: list[Ends] = []
    worst_only: list[Ends] = []
    for i, j in combinations(range(len(study.adapters)), 2):
        chance = pair_chance(study, "principal_angle", i, j)
        if chance.shape != block[i, j, 0].shape:
            continue
        known = np.flatnonzero(np.isfinite(block[i, j, 0]) & np.isfinite(chance))
        if known.size < 2:
            continue
        least, worst = known[0], known[-1]
        angles = block[i, j, 0]
        ends = Ends(i, j, *(float(of[at]) for at in (least, worst) for of in (angles, chance)))
        if ends.smallest >= ends.smallest_chance - NEAR:
            random.append(ends)
        elif ends.largest >= ends.largest_chance - NEAR and ends.smallest <= ends.smallest_chance - CLEAR:
            worst_only.append(ends)
    if random:
        text = (
            f"{_pairs(study, random)}: the top-k output subspaces are no nearer than random ones: smallest angle "
            f"{span([e.smallest for e in random], 0)}° where random subspaces have "
            f"{span([e.smallest_chance for e in random], 0)}°."
        )
        yield Finding("chance", text, tuple(n for ends in random for n in _numbers(study, ends)[:2]))
    if worst_only:
        text = (
            f"{_pairs(study, worst_only)}: the largest angle of the top-k output subspaces says nothing, random "
            f"subspaces reach it too. The smallest, {span([e.smallest for e in worst_only], 0)}°, is far from the "
            f"{span([e.smallest_chance for e in worst_only], 0)}° of chance: "
            "the subspaces come near each other in part."
        )
        yield Finding("chance", text, tuple(n for ends in worst_only for n in _numbers(study, ends)), caution=True)


def _pairs(study: Study, found: list[Ends]) -> str:
    return listed([f"{study.names[ends.i]}-{study.names[ends.j]}" for ends in found])


def _numbers(study: Study, ends: Ends) -> tuple[Number, ...]:
    """The smallest angle and its chance level, then the largest and its."""
    a, b = study.names[ends.i], study.names[ends.j]
    metrics = ("principal_angle", "principal_angle_chance") * 2
    return tuple(Number(metric, value, a, b) for metric, value in zip(metrics, ends[2:], strict=True))


def _inputs(study: Study) -> Iterator[Finding]:
    """v₁ that agrees where u₁ and cosine do not: the shared start of A, not what was learned."""
    u1, v1, cosine = (pair_values(study, metric) for metric in ("u1", "v1", "cosine"))
    found = [
        (i, j)
        for i, j in combinations(range(len(study.adapters)), 2)
        if v1[i, j] >= SHARED_START and u1[i, j] <= UNSHARED and abs(cosine[i, j]) <= UNSHARED
    ]
    if found:
        names = listed([f"{study.names[i]}-{study.names[j]}" for i, j in found])
        inputs, outputs = (span([float(of[pair]) for pair in found]) for of in (v1, u1))
        text = (
            f"{names}: the single top input direction agrees (v₁ {inputs}), the single top output direction does not "
            f"(u₁ {outputs}): that is the start of A they share, not something both learned."
        )
        numbers = tuple(of_pair(study, metric, i, j) for i, j in found for metric in ("v1", "u1"))
        yield Finding("chance", text, numbers, caution=True)
