"""Who is one direction with whom, who goes part of the way, who is apart, and in which layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np

from inspector.common.numbers import fixed
from inspector.common.text import some
from inspector.insights.findings.finding import Finding, Number, listed, of_pair, pair_values, span
from inspector.insights.pairwise import APART, MOSTLY, ONE, OPPOSED, PART
from inspector.study.study import Study

SOME = 4
"""So many opposed pairs or groups have a sentence each, the others share one."""
DIP = 0.05
"""By how much a layer's mean cosine within a cluster must fall below the cluster's median layer to be told."""


def clusters(cosine: np.ndarray, least: float) -> list[tuple[int, ...]]:
    """Sets of two or more adapters whose every pair has a cosine of at least `least`, each adapter in one at most.

    Complete linkage: the closest groups join first, as long as the least cosine between them suffices. One that is not
    known (NaN) does not.
    """
    n = len(cosine)
    known = np.where(np.isnan(cosine), -np.inf, cosine)
    link = np.minimum(known, known.T)  # of groups, each in the place of its first member; sums round either way
    np.fill_diagonal(link, -np.inf)
    best = np.array([link[i, i + 1 :].max(initial=-np.inf) for i in range(n)])
    groups: dict[int, tuple[int, ...]] = {i: (i,) for i in range(n)}
    while best.max(initial=-np.inf) >= least:
        i = n - 1 - int(best[::-1].argmax())  # of equals the last
        j = n - 1 - int(link[i, :i:-1].argmax())
        was_best = (best >= least) & ((link[i] == best) | (link[j] == best))
        link[i] = link[:, i] = np.minimum(link[i], link[j])
        link[j] = link[:, j] = -np.inf
        groups[i] = tuple(sorted(groups[i] + groups.pop(j)))
        for k in {i, j, *np.flatnonzero(was_best).tolist()}:
            best[k] = link[k, k + 1 :].max(initial=-np.inf)
    return [group for _, group in sorted(groups.items()) if len(group) > 1]


def directions(study: Study) -> Iterator[Finding]:
    """Clusters, then those between, then those apart, then those opposed."""
    if len(study.adapters) < 2:
        return
    cosine = pair_values(study, "cosine")
    tight = clusters(cosine, ONE)
    loose = [cluster for cluster in clusters(cosine, MOSTLY) if cluster not in tight]
    for cluster in tight:
        yield _together(study, cosine, cluster, "are one direction")
        yield from _dip(study, cluster)
    for cluster in loose:
        yield _together(study, cosine, cluster, "go mostly the same way")
    whole = loose + [c for c in tight if not any(set(c) <= set(other) for other in loose)]
    yield from _partly(study, cosine, whole)
    yield from _between(study, cosine, whole)
    yield from _apart(study, cosine)
    yield from _opposed(study, cosine, whole)


def _together(study: Study, cosine: np.ndarray, cluster: tuple[int, ...], how: str) -> Finding:
    """A cluster and the span of its cosines."""
    pairs = list(combinations(cluster, 2))
    text = f"{_them(study, cluster)} {how}: cosine {span([float(cosine[pair]) for pair in pairs])}."
    return Finding("direction", text, tuple(of_pair(study, "cosine", *pair) for pair in pairs))


def _dip(study: Study, cluster: tuple[int, ...]) -> Iterator[Finding]:
    """The layers where a cluster's pairs part."""
    block = study.block("cosine", "layer")
    if block is None or len(study.layers) < 3:
        return
    one, other = (list(side) for side in zip(*combinations(cluster, 2), strict=True))
    by_layer = block[one, other].mean(0)
    usual = float(np.nanmedian(by_layer))
    low = [at for at in range(len(study.layers)) if by_layer[at] < usual - DIP]
    if not low or len(low) > len(study.layers) // 3:
        return
    at = min(low, key=lambda n: float(by_layer[n]))
    layers = listed([str(study.layers[n]) for n in low])
    text = (
        f"They part most in {'layers' if len(low) > 1 else 'layer'} {layers}: mean cosine {fixed(by_layer[at])} in "
        f"layer {study.layers[at]}, {fixed(usual)} in the median layer."
    )
    i, j = min(combinations(cluster, 2), key=lambda pair: float(block[pair][at]))
    numbers = (
        of_pair(study, "cosine", i, j, study.layers[at]),
        Number("cosine", float(by_layer[at]), "mean of their pairs", layer=study.layers[at]),
        Number("cosine", usual, "that mean, median layer"),
    )
    yield Finding("direction", text, numbers)


def _partly(study: Study, cosine: np.ndarray, found: list[tuple[int, ...]]) -> Iterator[Finding]:
    """Adapters in no cluster that share part of one's direction; where there is no cluster, pairs that do."""
    loners = [i for i in range(len(cosine)) if not any(i in cluster for cluster in found)]
    for cluster in found:
        for i in loners:
            values = [float(cosine[i, j]) for j in cluster]
            if all(value >= PART for value in values):
                yield _part(study, i, cluster, values)
    if not found:
        for i, j in combinations(loners, 2):
            if cosine[i, j] >= PART:
                two = f"{study.names[i]} and {study.names[j]}"
                text = f"{two} share part of their direction: cosine {fixed(cosine[i, j])}."
                yield Finding("direction", text, (of_pair(study, "cosine", i, j),))


def _part(study: Study, i: int, cluster: tuple[int, ...], values: list[float]) -> Finding:
    """One adapter beside a cluster, and what of it is orthogonal to the nearest member."""
    j = cluster[int(np.argmax(values))]
    numbers = [of_pair(study, "cosine", i, n) for n in cluster]
    off = pair_values(study, "orthogonal_fraction_global")[i, j]
    rest = "" if np.isnan(off) else f"; {off:.2f} of its length is orthogonal to {study.names[j]}"
    more = [] if np.isnan(off) else [of_pair(study, "orthogonal_fraction_global", i, j)]
    text = f"{study.names[i]} goes part of the way with {_them(study, cluster)}: cosine {span(values)}{rest}."
    return Finding("direction", text, (*numbers, *more))


def _between(study: Study, cosine: np.ndarray, found: list[tuple[int, ...]]) -> Iterator[Finding]:
    """How one cluster lies to another."""
    for one, other in combinations(found, 2):
        pairs = [pair for pair in product(one, other) if np.isfinite(cosine[pair])]
        values = [float(cosine[pair]) for pair in pairs]
        if not values or max(values) <= OPPOSED:
            continue
        how = "are apart from" if max(map(abs, values)) < APART else "are closer to each other than to"
        if min(values) >= PART:
            how = "share part of their direction with"
        text = f"{_them(study, one)} {how} {_them(study, other)}: cosine {span(values)}."
        yield Finding("direction", text, tuple(of_pair(study, "cosine", *pair) for pair in pairs))


def _opposed(study: Study, cosine: np.ndarray, found: list[tuple[int, ...]]) -> Iterator[Finding]:
    """Two clusters, or single adapters, of which every pair is opposed; and other opposed pairs."""
    groups = sorted([*found, *((i,) for i in range(len(cosine)) if not any(i in cluster for cluster in found))])
    against: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for one, other in combinations(groups, 2):
        opposed = [pair for pair in product(one, other) if cosine[pair] <= OPPOSED]
        whole = len(opposed) == len(one) * len(other)
        against += [(one, other)] if whole else [((i,), (j,)) for i, j in opposed]
    shown = SOME if len(against) > SOME + 1 else len(against)
    for one, other in against[:shown]:
        yield _opposite(study, cosine, one, other)
    if rest := [pair for one, other in against[shown:] for pair in product(one, other)]:
        names = some([f"{study.names[i]}-{study.names[j]}" for i, j in rest])
        text = f"{len(rest)} other pairs oppose each other, at least in part: cosine {span([cosine[p] for p in rest])}"
        yield Finding("direction", f"{text}: {names}.", tuple(of_pair(study, "cosine", *pair) for pair in rest))


def _opposite(study: Study, cosine: np.ndarray, one: tuple[int, ...], other: tuple[int, ...]) -> Finding:
    pairs = list(product(one, other))
    values = [float(cosine[pair]) for pair in pairs]
    part = "" if max(values) <= -ONE else " in part"
    who = f"{_them(study, one)} {'oppose' if len(one) > 1 else 'opposes'} {_them(study, other)}"
    if len(pairs) == 1:
        who = f"{_them(study, one + other)} oppose each other"
    numbers = tuple(of_pair(study, "cosine", *pair) for pair in pairs)
    return Finding("direction", f"{who}{part}: cosine {span(values)}.", numbers)


def _them(study: Study, cluster: tuple[int, ...]) -> str:
    return listed(study.names[i] for i in cluster)


def _apart(study: Study, cosine: np.ndarray) -> Iterator[Finding]:
    """Adapters whose every cosine stays below 0.2 in size, or below 0.4."""
    for i in range(len(cosine)):
        others = [j for j in range(len(cosine)) if j != i and np.isfinite(cosine[i, j])]
        if not others or max(abs(cosine[i, j]) for j in others) >= (PART if len(cosine) > 2 else APART):
            continue
        j = max(others, key=lambda n: abs(float(cosine[i, n])))
        if len(cosine) == 2 and i > j:
            continue
        yield _far(study, cosine, i, j)


def _far(study: Study, cosine: np.ndarray, i: int, j: int) -> Finding:
    """An adapter whose cosine largest in size, to j, is small."""
    value = float(cosine[i, j])
    how = "stands apart" if abs(value) < APART else "is close to none of the others"
    which = "largest cosine" if value >= 0 else "cosine largest in size"
    where, numbers = _where(study, i, j)
    text = f"{study.names[i]} {how}: its {which} is {fixed(value)}, to {study.names[j]}{where}."
    return Finding("direction", text, (of_pair(study, "cosine", i, j), *numbers))


def _where(study: Study, i: int, j: int) -> tuple[str, tuple[Number, ...]]:
    """The layer in which the two come nearest, in words where that is clearly nearer than the whole."""
    block = study.block("cosine", "layer")
    if block is None or not np.isfinite(block[i, j]).any():
        return "", ()
    found = of_pair(study, "cosine", i, j, study.layers[int(np.nanargmax(np.abs(block[i, j])))])
    near = abs(found.value) >= APART
    text = f" ({fixed(found.value)} in layer {found.layer})" if near else f", and below {APART:.2f} in every layer"
    return text, (found,)
