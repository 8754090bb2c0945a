"""What is at chance level, and what only looks like a finding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from inspector.shared import pair_chance
from inspector.study import Study
from inspector.takeaways.takeaway import Number, Takeaway, listed, of_pair, pair_values, span

NEAR = 1.5
"""Degrees from chance within which an angle says nothing."""
CLEAR = 10.0
SHARED_START, UNSHARED = 0.6, 0.3


def chances(study: Study) -> Iterator[Takeaway]:
    """Angles against those of random subspaces, and input directions against a shared start."""
    yield from _angles(study)
    yield from _inputs(study)


def _angles(study: Study) -> Iterator[Takeaway]:
    """Pairs no nearer than random ones; and whether the worst angle means anything."""
    block = study.block("principal_angle", "global")
    if block is None:
        return
    random, worst_only = [], []
    for i, j in combinations(range(len(study.adapters)), 2):
        chance = pair_chance(study, "principal_angle", i, j)
        if chance.shape != block[i, j, 0].shape:
            continue
        known = np.flatnonzero(np.isfinite(block[i, j, 0]) & np.isfinite(chance))
        if known.size < 2:
            continue
        least, worst = known[0], known[-1]
        at_worst = block[i, j, 0, worst] >= chance[worst] - NEAR
        if block[i, j, 0, least] >= chance[least] - NEAR:
            random.append((i, j, float(block[i, j, 0, least]), float(chance[least])))
        elif at_worst and block[i, j, 0, least] <= chance[least] - CLEAR:
            worst_only.append((i, j, float(block[i, j, 0, least]), float(chance[least])))
    if random:
        text = (
            f"{_pairs(study, random)}: the top-k output subspaces are no nearer than random ones: smallest angle "
            f"{span([a for *_, a, _ in random], 0)}° where random subspaces have {span([c for *_, c in random], 0)}°."
        )
        yield Takeaway("chance", text, _angle_numbers(study, random))
    if worst_only:
        text = (
            f"{_pairs(study, worst_only)}: the largest angle of the top-k output subspaces says nothing, random "
            f"subspaces reach it too. The smallest, {span([a for *_, a, _ in worst_only], 0)}°, is far from the "
            f"{span([c for *_, c in worst_only], 0)}° of chance: the subspaces come near each other in part."
        )
        yield Takeaway("chance", text, _angle_numbers(study, worst_only), caution=True)


def _pairs(study: Study, found: list[tuple[int, int, float, float]]) -> str:
    return listed([f"{study.names[i]}-{study.names[j]}" for i, j, *_ in found])


def _angle_numbers(study: Study, found: list[tuple[int, int, float, float]]) -> tuple[Number, ...]:
    return tuple(Number("principal_angle", angle, study.names[i], study.names[j]) for i, j, angle, _ in found)


def _inputs(study: Study) -> Iterator[Takeaway]:
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
        yield Takeaway("chance", text, tuple(of_pair(study, "v1", i, j) for i, j in found), caution=True)
