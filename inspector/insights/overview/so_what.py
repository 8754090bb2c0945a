"""What follows from the groups, in three to five sentences, each with the numbers it rests on. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np

from inspector.common.numbers import fixed
from inspector.insights.findings.directions import DIP
from inspector.insights.findings.finding import Finding, Number, listed, of_adapter, of_pair, own_values, span
from inspector.insights.findings.limits import BASES, NOT_RUN, limits
from inspector.insights.findings.runs import AGREE
from inspector.insights.overview.behaviour import behaviour, best_of
from inspector.insights.overview.groups import comparable_cosines
from inspector.insights.overview.model import Group
from inspector.insights.overview.reasons import variants
from inspector.insights.pairwise import PART
from inspector.study.study import Study

MOST = 5
FAR = 5.0
"""From this ratio of norms on the shorter of two updates changes little in their sum."""
_SHORT = {"loss between adapters": "loss"}
Names = Sequence[str]


def so_what(study: Study, groups: Sequence[Group], who: Sequence[int], names: Names) -> tuple[Finding, ...]:
    """At most five sentences; what limits all of them stands first (other bases) and last (what was not measured)."""
    first, last = _bases(study), _limits(study)
    found: list[Finding] = []
    if len(who) == 1:
        found.append(_one(study, who[0], names))
    else:
        found += _groups(study, groups, who, names)
        found += _layers(study, groups, who, names)
        found += behaviour(study, who, names)
        found += _seeds(study, who, names)
        found += _sizes(study, groups, names)
    room = MOST - len(first) - len(last)
    return (*first, *found[:room], *last)


def _one(study: Study, i: int, names: Names) -> Finding:
    text = f"{names[i]} stands alone here: open another adapter to compare it with."
    return Finding("size", text, (of_adapter(study, "norm", i),))


def _groups(study: Study, groups: Sequence[Group], who: Sequence[int], names: Names) -> Iterator[Finding]:
    """How many variants of one update there are, and which of them to keep."""
    if not groups:
        yield from _no_group(study, who, names)
        return
    found = next((best for group in groups if (best := best_of(study, group, names)) is not None), None)
    if found is not None:
        yield found
    else:
        first, rest = groups[0], [f"{group.letter} {len(group.entries)}" for group in groups[1:]]
        more = f", {', '.join(rest[:3])}{', …' * (len(rest) > 3)}" if rest else ""
        each = " of each" if rest else ""
        text = f"{first.letter} holds {len(first.entries)} variants of one update{more}: keep one{each}, by accuracy."
        numbers = [of_pair(study, "cosine", *pair) for group in groups for pair in combinations(group.members, 2)]
        yield Finding("direction", text, tuple(sorted(numbers, key=lambda number: number.value)))


def _no_group(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    cosine = comparable_cosines(study, who)
    pairs = [pair for pair in combinations(who, 2) if np.isfinite(cosine[pair])]
    if pairs:
        i, j = max(pairs, key=lambda pair: float(cosine[pair]))
        text = f"No two hold one update: the largest cosine is {fixed(cosine[i, j])}, of {names[i]} and {names[j]}."
        yield Finding("direction", text, (of_pair(study, "cosine", i, j),))


def _layers(study: Study, groups: Sequence[Group], who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Where the members of the largest group differ most, or the two adapters nearest to each other."""
    block = study.block("cosine", "layer")
    pairs = list(combinations(groups[0].members, 2)) if groups else _nearest(study, who)
    if block is None or len(study.layers) < 3 or not pairs:
        return
    one, other = (list(side) for side in zip(*pairs, strict=True))
    by_layer = block[one, other].mean(0)
    if not np.isfinite(by_layer).any():
        return
    usual, at = float(np.nanmedian(by_layer)), int(np.nanargmin(by_layer))
    low, high = float(np.nanmin(by_layer)), float(np.nanmax(by_layer))
    i, j = min(pairs, key=lambda pair: float(np.nan_to_num(block[pair][at], nan=2.0)))
    mean = "cosine" if len(pairs) == 1 else "mean cosine"
    whose = f"The members of {groups[0].letter}" if groups else f"{names[i]} and {names[j]}"
    if usual - low < DIP:
        text = f"{whose} differ alike in every layer: {mean} {span([low, high])}."
    else:
        text = f"{whose} differ most in layer {study.layers[at]}: {mean} {fixed(low)}, elsewhere {fixed(usual)}."
    numbers = (
        of_pair(study, "cosine", i, j, study.layers[at]),
        Number("cosine", low, "mean of their pairs", layer=study.layers[at]),
        Number("cosine", usual, "that mean, median layer"),
    )
    yield Finding("direction", text, numbers)


def _nearest(study: Study, who: Sequence[int]) -> list[tuple[int, int]]:
    """The two with the highest cosine, if they go part of the way together."""
    cosine = comparable_cosines(study, who)
    pairs = [pair for pair in combinations(who, 2) if cosine[pair] >= PART]
    return [max(pairs, key=lambda pair: float(cosine[pair]))] if pairs else []


def _seeds(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Runs that differ in the seed alone, write to the same outputs, and whose cosine does not show it."""
    for i, v in variants(study).items():
        other = v.a if v.b == i else v.b
        if v.change != "seed" or i not in who or other not in who or not (v.u1 >= AGREE > v.cosine):
            continue
        text = f"{names[i]} is another seed of {names[other]}: same outputs (u₁ {v.u1:.2f}), cosine {fixed(v.cosine)}."
        yield Finding("runs", text, (of_pair(study, "u1", i, other), of_pair(study, "cosine", i, other)))
        return


def _sizes(study: Study, groups: Sequence[Group], names: Names) -> Iterator[Finding]:
    """The two of a group whose norms differ most."""
    norms = own_values(study, "norm")
    pairs = [
        (i, j)
        for group in groups
        for i, j in product([entry.index for entry in (*group.entries, *group.partly)], group.members)
        if norms[i] > 0 and norms[j] > 0
    ]
    if not pairs:
        return
    i, j = max(pairs, key=lambda pair: abs(float(np.log(norms[pair[0]] / norms[pair[1]]))))
    short, far = (i, j) if norms[i] < norms[j] else (j, i)
    ratio = float(norms[far] / norms[short])
    if ratio >= FAR:
        text = f"{names[far]} moved {ratio:.2g} times as far as {names[short]}, which changes little in their sum."
        yield Finding("size", text, (of_adapter(study, "norm", far), of_adapter(study, "norm", short)))


def _bases(study: Study) -> list[Finding]:
    return [found for found in limits(study) if found.text.startswith(BASES)]


def _limits(study: Study) -> list[Finding]:
    """What was not measured, in one sentence."""
    missing = [_SHORT.get(what, what) for probe, what in NOT_RUN.items() if study.probe(probe) is None]
    if not missing:
        return []
    what = f"Weights only: {listed(missing)} are not measured." if len(missing) == len(NOT_RUN) else ""
    return [Finding("limit", what or f"Not measured: {listed(missing)}.", caution=True)]
