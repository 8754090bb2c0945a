"""What is at chance level, and what only looks like a finding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

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
    block, chance = study.block("principal_angle", "global"), study.block("principal_angle_chance", "global")
    if block is None or chance is None:
        return
    random, worst_only = [], []
    for i, j in combinations(range(len(study.adapters)), 2):
        known = np.flatnonzero(np.isfinite(block[i, j, 0]) & np.isfinite(chance[0]))
        if known.size < 2:
            continue
        least, worst = known[0], known[-1]
        at_worst = block[i, j, 0, worst] >= chance[0, worst] - NEAR
        if block[i, j, 0, least] >= chance[0, least] - NEAR:
            random.append((i, j, float(block[i, j, 0, least]), float(chance[0, least])))
        elif at_worst and block[i, j, 0, least] <= chance[0, least] - CLEAR:
            worst_only.append((i, j, float(block[i, j, 0, least]), float(chance[0, least])))
    if random:
        names = listed([f"{study.names[i]}-{study.names[j]}" for i, j, *_ in random])
        text = (
            f"{names}: no shared output directions, the smallest angle is {span([a for *_, a, _ in random], 0)}° where "
            f"random subspaces have {random[0][3]:.0f}°."
        )
        yield Takeaway("chance", text, _angle_numbers(study, random))
    if worst_only:
        text = (
            f"The largest principal angle says nothing for {len(worst_only)} of the pairs: random subspaces reach it "
            f"too. Their smallest, {span([a for *_, a, _ in worst_only], 0)}°, is far from the "
            f"{worst_only[0][3]:.0f}° of chance: they share directions."
        )
        yield Takeaway("chance", text, _angle_numbers(study, worst_only), caution=True)


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
        values = [float(v1[pair]) for pair in found]
        text = (
            f"{names}: input directions agree (v₁ {span(values)}) though outputs do not: that is the start of A they "
            "share, not something both learned."
        )
        yield Takeaway("chance", text, tuple(of_pair(study, "v1", i, j) for i, j in found), caution=True)
