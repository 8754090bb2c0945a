"""Adapters in an order that puts similar ones side by side, in blocks: average linkage, deterministic."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats


def similarity_order(similarity: Floats) -> tuple[int, ...]:
    """Positions of an (N, N) similarity in the order of its average-linkage tree; see `blocks`."""
    return tuple(i for block in blocks(similarity, np.inf) for i in block)


def blocks(similarity: Floats, level: float) -> tuple[tuple[int, ...], ...]:
    """Positions of an (N, N) similarity in the order of its average-linkage tree, cut into blocks at `level`.

    The two most similar groups are joined, the earlier first among equals, each turned so that the most similar ends
    meet. NaN counts as the least similarity. Adapters of one block were joined at `level` or above on average;
    neighbours that are alone share one.
    """
    n = len(similarity)
    if n < 3:
        return (tuple(range(n)),) if n else ()
    known = similarity[~np.isnan(similarity)]
    filled = np.where(np.isnan(similarity), known.min() - 1 if known.size else 0.0, similarity)
    filled = (filled + filled.T) / 2
    groups = [[i] for i in range(n)]
    together = {i: i for i in range(n)}
    between = filled.copy()
    while len(groups) > 1:
        rows, cols = np.triu_indices(len(groups), 1)
        best = int(np.argmax(between[rows, cols]))
        a, b = int(rows[best]), int(cols[best])
        if between[a, b] >= level:
            together |= dict.fromkeys((*groups[a], *groups[b]), min(together[i] for i in (*groups[a], *groups[b])))
        weight_a, weight_b = len(groups[a]), len(groups[b])
        merged = (weight_a * between[a] + weight_b * between[b]) / (weight_a + weight_b)
        between[a], between[:, a] = merged, merged
        between = np.delete(np.delete(between, b, 0), b, 1)
        groups[a] = _joined(groups[a], groups[b], filled)
        del groups[b]
    found = groups[0]
    return _cut(found if found[0] <= found[-1] else found[::-1], together)


def _cut(order: list[int], together: dict[int, int]) -> tuple[tuple[int, ...], ...]:
    """The order in runs of the same group; those alone in theirs, side by side, as one."""
    sizes = {group: sum(other == group for other in together.values()) for group in together.values()}
    found: list[list[int]] = []
    for i in order:
        here = together[i] if sizes[together[i]] > 1 else -1
        before = together[found[-1][-1]] if found else -2
        if found and here == (before if sizes[before] > 1 else -1):
            found[-1].append(i)
        else:
            found.append([i])
    return tuple(map(tuple, found))


def _joined(one: list[int], other: list[int], similarity: Floats) -> list[int]:
    turns = [(x, y) for x in (one, one[::-1]) for y in (other, other[::-1])]
    first, second = max(turns, key=lambda turn: similarity[turn[0][-1], turn[1][0]])
    return [*first, *second]
