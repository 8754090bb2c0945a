"""What would collide, or cancel, when adapters are merged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from inspector.insights.findings.finding import Finding, Number, listed, of_pair, span
from inspector.insights.pairwise import Interference, pair_interference
from inspector.study.study import Study


def merging(study: Study) -> Iterator[Finding]:
    """Pairs that cancel, and pairs whose output subspaces overlap though their updates do not agree."""
    if study.block("subspace_overlap_chance", "global") is None:
        return
    parts = [i for i, info in enumerate(study.adapters) if info.everywhere]
    found = {(i, j): pair_interference(study, i, j) for i, j in combinations(parts, 2)}
    by_class: dict[str, list[tuple[int, int]]] = {}
    for pair, told in found.items():
        by_class.setdefault(told.kind, []).append(pair)
    if pairs := by_class.get("cancelling"):
        numbers = [of_pair(study, "energy_ratio", *pair) for pair in pairs]
        how = f"energy ratio {span([number.value for number in numbers])} (1 is no interaction)"
        if not np.isfinite([number.value for number in numbers]).all():
            numbers = [n for pair in pairs for n in _numbers(study, *pair, found[pair])]
            how = f"cosine {span([found[pair].cosine for pair in pairs])}"
        yield Finding("merging", f"Merging {_named(study, pairs)} would cancel part of both: {how}.", tuple(numbers))
    if pairs := by_class.get("colliding"):
        cosine, overlap, chance = (
            span([getattr(found[pair], what) for pair in pairs]) for what in ("cosine", "overlap", "chance")
        )
        text = (
            f"Merging {_named(study, pairs)} would collide: their top-k output subspaces overlap ({overlap}, {chance} "
            f"by chance) though the updates do not point the same way (cosine {cosine})."
        )
        yield Finding("merging", text, tuple(n for pair in pairs for n in _numbers(study, *pair, found[pair])))


def _numbers(study: Study, i: int, j: int, told: Interference) -> Iterator[Number]:
    """Those of the sentence: over the modules both adapt."""
    values = {"subspace_overlap": told.overlap, "subspace_overlap_chance": told.chance, "cosine": told.cosine}
    for metric, value in values.items():
        yield Number(metric, value, study.names[i], study.names[j])


def _named(study: Study, pairs: list[tuple[int, int]]) -> str:
    return listed([f"{study.names[i]} + {study.names[j]}" for i, j in pairs])
