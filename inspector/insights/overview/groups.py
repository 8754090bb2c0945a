"""Which adapters hold one update, which go part of the way with them, and which stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from string import ascii_uppercase

import numpy as np

from inspector.insights.findings.directions import clusters
from inspector.insights.findings.finding import own_values, pair_values
from inspector.insights.findings.limits import by_base
from inspector.insights.overview.model import Entry, Group
from inspector.insights.pairwise import APART, MOSTLY, ONE, PART
from inspector.study.study import Study

Note = Callable[[int, int | None], tuple[str, ...]]
"""Why an adapter stands apart from the nearest other one."""


def groups(study: Study, who: Sequence[int], note: Note) -> tuple[tuple[Group, ...], tuple[Entry, ...]]:
    """The groups among these adapters, the largest first, then those in none. Other bases are not compared."""
    cosine = comparable_cosines(study, who)
    outputs = np.where(np.isfinite(cosine), pair_values(study, "output_similarity"), np.nan)
    norms, ranks = own_values(study, "norm"), own_values(study, "effective_rank")

    def entry(i: int) -> Entry:
        nearest = nearest_to(cosine, i)
        near = nearest is not None and cosine[i, nearest] >= APART
        if not near and (written := nearest_to(outputs, i)) is not None and outputs[i, written] >= PART:
            nearest, near = written, True
        value = float("nan") if nearest is None else float(cosine[i, nearest])
        return Entry(i, float(norms[i]), float(ranks[i]), nearest, value, near, note(i, nearest))

    def mean(i: int, group: Sequence[int]) -> float:
        return float(cosine[i, list(group)].mean())

    def far_first(members: Sequence[int]) -> list[int]:
        return sorted(members, key=lambda i: (-np.nan_to_num(norms[i], nan=-1.0), i))

    found = sorted(clusters(cosine, MOSTLY), key=lambda group: (-len(group), group))
    partly: list[list[int]] = [[] for _ in found]
    alone = []
    for i in who:
        if any(i in group for group in found):
            continue
        near = [at for at, group in enumerate(found) if _part(cosine, i, group)]
        if near:
            partly[max(near, key=lambda at: mean(i, found[at]))].append(i)
        else:
            alone.append(i)
    made = []
    for at, group in enumerate(found):
        inside = [float(cosine[pair]) for pair in combinations(group, 2)]
        near = sorted(partly[at], key=lambda i: -mean(i, group))
        made.append(
            Group(
                _letter(at), tuple(map(entry, far_first(group))), tuple(map(entry, near)), min(inside), max(inside),
                min(inside) >= ONE,
            )
        )  # fmt: skip
    return tuple(made), tuple(entry(i) for i in far_first(alone))


def comparable_cosines(study: Study, who: Sequence[int]) -> np.ndarray:
    """(N, N) cosines of these adapters; NaN for all others, and between adapters of different bases."""
    cosine = pair_values(study, "cosine")
    allowed = np.zeros(cosine.shape, dtype=bool)
    for base in by_base(study):
        here = [i for i in base if i in who]
        allowed[np.ix_(here, here)] = True
    return np.where(allowed, cosine, np.nan)


def nearest_to(values: np.ndarray, i: int) -> int | None:
    """The adapter with the highest value; None if none is known."""
    others = np.where(np.arange(len(values)) == i, np.nan, values[i])
    return int(np.nanargmax(others)) if np.isfinite(others).any() else None


def _part(cosine: np.ndarray, i: int, group: Sequence[int]) -> bool:
    """Whether an adapter goes part of the way with every member."""
    return bool((cosine[i, list(group)] >= PART).all())


def _letter(at: int) -> str:
    """`A` … `Z`, then `A2` …"""
    again, letter = divmod(at, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(again + 1) if again else "")
