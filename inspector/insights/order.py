"""Adapters in orders that put similar ones side by side. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.common.arrays import Floats
from inspector.insights.overview.groups import groups
from inspector.study.study import Study


def blocks(study: Study, who: Sequence[int]) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """These adapters in the order of the overview: the groups, each with those partly like it, and those alone."""
    found, alone = groups(study, who, lambda _one, _other: ())
    parts = tuple(tuple(entry.index for entry in (*group.entries, *group.partly)) for group in found)
    return parts, tuple(entry.index for entry in alone)


def similarity_order(similarity: Floats) -> tuple[int, ...]:
    """Positions of an (N, N) similarity in the order of its average-linkage tree.

    The two most similar groups are joined, the earlier first among equals, each turned so that the
    most similar ends meet. NaN counts as the least similarity.
    """
    n = len(similarity)
    if n < 3:
        return tuple(range(n))
    known = similarity[~np.isnan(similarity)]
    filled = np.where(np.isnan(similarity), known.min() - 1 if known.size else 0.0, similarity)
    filled = (filled + filled.T) / 2
    groups = [[i] for i in range(n)]
    between = filled.copy()
    while len(groups) > 1:
        rows, cols = np.triu_indices(len(groups), 1)
        best = int(np.argmax(between[rows, cols]))
        a, b = int(rows[best]), int(cols[best])
        weight_a, weight_b = len(groups[a]), len(groups[b])
        merged = (weight_a * between[a] + weight_b * between[b]) / (weight_a + weight_b)
        between[a], between[:, a] = merged, merged
        between = np.delete(np.delete(between, b, 0), b, 1)
        groups[a] = _joined(groups[a], groups[b], filled)
        del groups[b]
    found = groups[0]
    return tuple(found if found[0] <= found[-1] else found[::-1])


def _joined(one: list[int], other: list[int], similarity: Floats) -> list[int]:
    turns = [(x, y) for x in (one, one[::-1]) for y in (other, other[::-1])]
    first, second = max(turns, key=lambda turn: similarity[turn[0][-1], turn[1][0]])
    return [*first, *second]
