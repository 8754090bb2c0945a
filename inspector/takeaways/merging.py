"""What would collide, or cancel, when adapters are merged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from inspector.geometry.interference import classify
from inspector.study import Study
from inspector.takeaways.takeaway import Takeaway, listed, of_pair, pair_values, span


def merging(study: Study) -> Iterator[Takeaway]:
    """Pairs that cancel, and pairs that write into the same directions without agreeing."""
    cosine, overlap = pair_values(study, "cosine"), pair_values(study, "subspace_overlap")
    levels = study.block("subspace_overlap_chance", "global")
    if levels is None:
        return
    chance = float(levels[0])
    by_class: dict[str, list[tuple[int, int]]] = {}
    for i, j in combinations(range(len(study.adapters)), 2):
        by_class.setdefault(classify(float(cosine[i, j]), float(overlap[i, j]), chance), []).append((i, j))
    if pairs := by_class.get("cancelling"):
        text = (
            f"Merging {_named(study, pairs)} would cancel part of both: energy ratio "
            f"{span([float(pair_values(study, 'energy_ratio')[pair]) for pair in pairs])} (1 is no interaction)."
        )
        yield Takeaway("merging", text, tuple(of_pair(study, "energy_ratio", *pair) for pair in pairs))
    if pairs := by_class.get("colliding"):
        values = [float(overlap[pair]) for pair in pairs]
        text = (
            f"Merging {_named(study, pairs)} would collide: they write into the same output directions (overlap "
            f"{span(values)}, {chance:.2f} by chance) without agreeing there."
        )
        yield Takeaway("merging", text, tuple(of_pair(study, "subspace_overlap", *pair) for pair in pairs))


def _named(study: Study, pairs: list[tuple[int, int]]) -> str:
    return listed([f"{study.names[i]} + {study.names[j]}" for i, j in pairs])
