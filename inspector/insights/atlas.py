"""Many adapters at a glance: what is double, what belongs together, what stands out, who is near, what to keep.

Near adapters are found by their sketches; what is said of a pair is exact where it was measured, else an estimate with
its error. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.insights.lineage import SAME
from inspector.insights.pairwise import MOSTLY
from inspector.study.sketches import Sketches

K = 10
"""Neighbours of each."""
_CANDIDATES = 3
"""Times so many are measured exactly: an estimate may take one for another."""
_SURE = 3.0
"""Standard errors that an estimate must be away from zero to be measured."""
_BLOCK = 0.3
TWIN, TWIN_NORM = 0.999, 0.01
"""From this cosine on, and up to this difference of norms, two are nearly the same."""
FAR, TIMES, FEWEST = 5.0, 2.0, 8
"""Robust z, and factor of the median, from which on a size among so many of one model stands out."""

Pairs = NDArray[np.int_]
Words = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`cosine` with its standard error, 0 where it is exact."""

    index: int
    cosine: float
    error: float
    outputs: float
    outputs_error: float


@dataclass(frozen=True, slots=True)
class Atlas:
    """Indices into `sketches`. Groups are the connected parts of pairs of cosine ≥ 0.7, the largest first.

    `kin` are the connected parts of row-space overlaps of 0.8 at least, two errors off: one start or run.
    """

    sketches: Sketches
    neighbours: tuple[tuple[Neighbour, ...], ...]
    groups: tuple[tuple[int, ...], ...]
    alone: tuple[int, ...]
    copies: tuple[tuple[int, ...], ...]
    twins: tuple[tuple[int, int, float], ...]
    kin: tuple[tuple[int, ...], ...]
    outliers: Words
    unhealthy: Words
    estimated: int
    """How many of the pairs that this rests on were not measured."""


def candidates(sketches: Sketches, k: int = K) -> Pairs:
    """(P, 2), i < j: the pairs worth an exact cosine, those nearest to each by its sketch; copies are left out."""
    found: set[tuple[int, int]] = set()
    digests = np.array([s.digest for s in sketches.all])
    for i in range(len(sketches)):
        near = sketches.estimate("update", i)
        sure = np.abs(near.value) > _SURE * near.error
        sure &= digests != digests[i]
        for j in _largest(np.where(sure, near.value, np.nan), _CANDIDATES * k):
            found.add((min(i, j), max(i, j)))
    return np.array(sorted(found), dtype=np.int_).reshape(-1, 2)


def blocks(sketches: Sketches, pairs: Pairs) -> tuple[tuple[int, ...], ...]:
    """The adapters of these pairs in blocks of alike ones, by their sketches: most pairs are within one."""
    near = np.array([sketches.pair(i, j) for i, j in pairs.tolist()])
    return connected(len(sketches), pairs[near > _BLOCK] if len(pairs) else pairs, pairs.ravel())


def atlas(sketches: Sketches, pairs: Pairs, cosines: Floats, k: int = K) -> Atlas:
    """All of it, from the candidate pairs and their exact cosines, NaN where one was not measured."""
    measured = ~np.isnan(cosines)
    values = np.where(measured, cosines, [sketches.pair(i, j) for i, j in pairs.tolist()])
    copies = _copies(sketches)
    same = np.array([(c[0], other) for c in copies for other in c[1:]], dtype=np.int_).reshape(-1, 2)
    joined = np.concatenate([pairs[values >= MOSTLY], same])
    groups = connected(len(sketches), joined, joined.ravel())
    norms = sketches.numbers("norm")
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.abs(norms[pairs[:, 0]] / norms[pairs[:, 1]] - 1) <= TWIN_NORM
    twins = np.flatnonzero(measured & alike & (values >= TWIN))
    inside = {i for group in groups for i in group}
    return Atlas(
        sketches, _neighbours(sketches, pairs, values, measured, copies, k), groups,
        tuple(i for i in range(len(sketches)) if i not in inside), copies,
        tuple((int(pairs[n, 0]), int(pairs[n, 1]), float(values[n])) for n in twins), _kin(sketches),
        _outliers(sketches), _unhealthy(sketches), int((~measured).sum()),
    )  # fmt: skip


def keep(sketches: Sketches, count: int) -> list[tuple[int, int, float]]:
    """Which to keep so that every other is near one: (kept, how many it stands for, the farthest of these).

    Farthest first [Gonzalez 1985], at most twice the best possible distance, from the one that moved most. Distances
    ‖ΔW_i − ΔW_j‖ are estimates, relative to the largest norm; their relative error is that of the sketches, about 3 %.
    Fewer than `count` where these leave no distance, as of copies.
    """
    norms = np.nan_to_num(sketches.numbers("norm"), nan=1.0)
    points = np.stack([s.update for s in sketches.all]) * (norms / max(norms.max(), 1e-300))[:, None]
    chosen = [int(norms.argmax())]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    nearest = np.zeros(len(points), dtype=np.int_)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        to_new = np.linalg.norm(points - points[chosen[-1]], axis=1)
        nearest[to_new < distance] = len(chosen) - 1
        distance = np.minimum(distance, to_new)
    return [(i, int((nearest == n).sum()) - 1, float(distance[nearest == n].max())) for n, i in enumerate(chosen)]


def connected(n: int, pairs: Pairs, among: Sequence[int] | NDArray[np.int_]) -> tuple[tuple[int, ...], ...]:
    """The connected parts of a graph of n, of these nodes alone: the largest first, then in order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    parts: dict[int, list[int]] = {}
    for i in np.unique(np.asarray(among)).tolist():
        parts.setdefault(int(label[i]), []).append(i)
    return tuple(sorted(map(tuple, parts.values()), key=lambda part: (-len(part), part)))


def _largest(values: Floats, count: int) -> list[int]:
    """Where the largest known values are, the largest first."""
    known = np.flatnonzero(~np.isnan(values))
    return [int(i) for i in known[np.argsort(-values[known], kind="stable")][:count]]


def _copies(sketches: Sketches) -> tuple[tuple[int, ...], ...]:
    by_digest: dict[str, list[int]] = {}
    for i, sketch in enumerate(sketches.all):
        by_digest.setdefault(sketch.digest, []).append(i)
    return tuple(tuple(same) for same in by_digest.values() if len(same) > 1)


def _neighbours(
    sketches: Sketches,
    pairs: Pairs,
    values: Floats,
    measured: NDArray[np.bool_],
    copies: Sequence[Sequence[int]],
    k: int,
) -> tuple[tuple[Neighbour, ...], ...]:
    near: list[dict[int, tuple[float, bool]]] = [{} for _ in sketches.all]
    for (i, j), value, exact in zip(pairs.tolist(), values.tolist(), measured.tolist(), strict=True):
        near[i][j] = near[j][i] = value, exact
    for same in copies:
        for i in same:
            near[i] |= {j: (1.0, True) for j in same if j != i}
    out = []
    for i, of in enumerate(near):
        own, written = sketches.estimate("update", i), sketches.estimate("outputs", i)
        best = sorted(of, key=lambda j: (-of[j][0], j))[:k]
        out.append(tuple(
            Neighbour(j, of[j][0], 0.0 if of[j][1] else float(own.error[j]), float(written.value[j]),
                      float(written.error[j]))
            for j in best
        ))  # fmt: skip
    return tuple(out)


def _kin(sketches: Sketches) -> tuple[tuple[int, ...], ...]:
    """Those of one start or run."""
    found = []
    for i in range(len(sketches)):
        rows = sketches.estimate("rows", i)
        found += [(i, int(j)) for j in np.flatnonzero(rows.value - 2 * rows.error >= SAME) if j > i]
    pairs = np.array(found, dtype=np.int_).reshape(-1, 2)
    return connected(len(sketches), pairs, pairs.ravel())


def _outliers(sketches: Sketches) -> Words:
    """Adapters whose norm or effective rank lies far from those of the same model, and how."""
    found = []
    for model in np.unique(sketches.model):
        here = np.flatnonzero(sketches.model == model)
        for field, name in (("norm", "‖ΔW‖"), ("effective_rank", "effective rank")):
            values = sketches.numbers(field)[here]
            known = values > 0
            if known.sum() < FEWEST:
                continue
            x = np.log(values[known])
            away = x - np.median(x)
            spread = np.median(np.abs(away))
            far = (0.6745 * np.abs(away) > FAR * spread) & (np.abs(away) >= np.log(TIMES))
            for i, times in zip(here[known][far].tolist(), np.exp(away[far]).tolist(), strict=True):
                found.append((i, f"{name} {times:.3g} times the median"))
    return tuple(found)


def _unhealthy(sketches: Sketches) -> Words:
    said = [(i, [f for f in s.findings if not f.startswith("info")]) for i, s in enumerate(sketches.all)]
    return tuple((i, findings[0]) for i, findings in said if findings)
