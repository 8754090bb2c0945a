"""Pairs whose updates oppose each other, and pairs that write to the same outputs from different directions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from inspector.insights.evidence import path
from inspector.insights.findings.finding import Finding, Number, listed, of_pair, span
from inspector.insights.pairwise import Interference, pair_interference
from inspector.study.study import Study

Pair = tuple[int, int]
_THEN = {
    "": "what their sum does, only the loss between them tells, and it is not measured",
    "flat": "the loss between them was measured and shows no barrier",
    "barrier": "the loss between them was measured and shows a barrier",
}


def merging(study: Study) -> Iterator[Finding]:
    """What the weights say of a sum of two, and, of shared outputs, what the loss says of it."""
    if study.block("subspace_overlap_chance", "global") is None:
        return
    parts = [i for i, info in enumerate(study.adapters) if info.everywhere]
    found = {pair: pair_interference(study, *pair) for pair in combinations(parts, 2)}
    if opposed := [pair for pair, one in found.items() if one.kind == "opposed"]:
        yield _opposed(study, opposed, found)
    shared = [pair for pair, one in found.items() if one.kind == "shared outputs"]
    by_loss = {pair: _loss(study, pair) for pair in shared}
    for loss in _THEN:
        if pairs := [pair for pair in shared if by_loss[pair] == loss]:
            yield _shared(study, pairs, found, loss)


def _loss(study: Study, pair: Pair) -> str:
    """`flat` or `barrier`, empty if the loss between the two says nothing."""
    way = path(study, *pair)
    return "" if way is None else "barrier" if way.barrier else "flat"


def _opposed(study: Study, pairs: list[Pair], found: dict[Pair, Interference]) -> Finding:
    """Pairs of which a sum has less energy than its parts."""
    numbers = [of_pair(study, "energy_ratio", *pair) for pair in pairs]
    how = f"energy ratio {span([number.value for number in numbers])} (1 is no interaction)"
    if not np.isfinite([number.value for number in numbers]).all():
        numbers = [n for pair in pairs for n in _numbers(study, pair, found[pair])]
        how = f"cosine {span([found[pair].cosine for pair in pairs])}"
    return Finding(
        "merging",
        f"A sum of {_named(study, pairs)} cancels part of both, since they oppose each other: {how}.",
        (*numbers,),
    )


def _shared(study: Study, pairs: list[Pair], found: dict[Pair, Interference], loss: str) -> Finding:
    """Pairs of different directions and shared outputs, all with the same word on their loss."""
    cosine, overlap, chance = (
        span([getattr(found[pair], what) for pair in pairs]) for what in ("cosine", "overlap", "chance")
    )
    text = (
        f"Different directions (cosine {cosine}) yet overlapping outputs ({overlap}, {chance} by chance): "
        f"{_named(study, pairs)}; {_THEN[loss]}."
    )
    numbers = [n for pair in pairs for n in _numbers(study, pair, found[pair])]
    if loss:
        suffix = {pair: way.suffix for pair in pairs if (way := path(study, *pair)) is not None}
        numbers += [of_pair(study, f"barrier_strict{suffix[pair]}", *pair) for pair in pairs]
    return Finding("merging", text, (*numbers,))


def _numbers(study: Study, pair: Pair, one: Interference) -> Iterator[Number]:
    """Those of the sentence: over the modules both adapt."""
    values = {"subspace_overlap": one.overlap, "subspace_overlap_chance": one.chance, "cosine": one.cosine}
    for metric, value in values.items():
        yield Number(metric, value, study.names[pair[0]], study.names[pair[1]])


def _named(study: Study, pairs: list[Pair]) -> str:
    return listed([f"{study.names[i]} + {study.names[j]}" for i, j in pairs])
