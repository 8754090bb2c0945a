"""Whether the differences matter: what was measured on the base, a sentence a probe. Nothing where nothing was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from inspector.common.text import count
from inspector.insights.evidence import ALIKE, SIGNIFICANT, path, states
from inspector.insights.findings.finding import Finding, Number, of_adapter, of_pair, own_values, pair_values
from inspector.study.metrics.probes import LOSSES
from inspector.study.study import Study

Names = Sequence[str]


def behaviour(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Loss along the paths, hidden states, accuracy."""
    yield from _loss(study, who, names)
    yield from _states(study, who, names)
    yield from _accuracy(study, who, names)


def _loss(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """On how many paths the loss rises above both ends, by more than what counts as flat."""
    if not any(study.block(f"lmc_loss{suffix}", "global") is not None for suffix in LOSSES):
        return
    paths = {pair: found for pair in combinations(who, 2) if (found := path(study, *pair)) is not None}
    if not paths:
        return
    steep = [pair for pair, found in paths.items() if found.barrier]
    i, j = worst = max(steep or paths, key=lambda pair: paths[pair].strict[0])
    height = f"(+{paths[worst].strict[0]:.2f})"
    if len(paths) == 1:
        rises = f"rises above both ends {height}" if steep else "does not rise above both ends"
        text = f"Averaging {names[i]} and {names[j]}: the loss {rises}."
    elif steep:
        most = f"most between {names[i]} and {names[j]} {height}"
        text = f"On {len(steep)} of {len(paths)} paths the loss rises above both ends, {most}."
    else:
        text = f"On none of {len(paths)} measured paths does the loss rise above both ends."
    numbers = [of_pair(study, f"barrier_strict{paths[pair].suffix}", *pair) for pair in dict.fromkeys((worst, *paths))]
    yield Finding("loss", text, tuple(numbers))


def _states(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Which pair's hidden states are farthest apart, and how many pairs stay alike in every layer."""
    if all(study.block(metric, "layer") is None for metric in ("cka", "cka_debiased")):
        return
    found = {pair: one for pair in combinations(who, 2) if (one := states(study, *pair)) is not None}
    if not found:
        return
    i, j = far = min(found, key=lambda pair: found[pair].least)
    alike = sum(one.alike for one in found.values())
    if len(found) == 1:
        text = f"{names[i]} and {names[j]}: {found[far]}."
    else:
        which = f"all {len(found)}" if alike == len(found) else f"{alike or 'none'} of {len(found)}"
        farthest = f"farthest {names[i]} and {names[j]}: {found[far].least:.2f}"
        text = f"Hidden states stay alike in {which} pairs (CKA ≥ {ALIKE:.2f}); {farthest}."
    yield Finding("states", text, (of_pair(study, found[far].metric, i, j, found[far].layer),))


def _accuracy(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Who solves the most, and how many pairs differ beyond chance."""
    accuracy, p = own_values(study, "accuracy"), pair_values(study, "mcnemar_p_holm")
    known = [i for i in who if np.isfinite(accuracy[i])]
    if len(known) < 2:
        return
    best, worst = (pick(known, key=lambda i: float(accuracy[i])) for pick in (max, min))
    spread = f"{100 * accuracy[worst]:.0f} to {100 * accuracy[best]:.0f} %"
    differ = [pair for pair in combinations(known, 2) if p[pair] < SIGNIFICANT]
    numbers: list[Number] = [of_adapter(study, "accuracy", i) for i in (best, worst)]
    if differ:
        text = f"Accuracy {spread}: {names[best]} solves the most; {count(len(differ), 'pair')} differ beyond chance."
        numbers += [of_pair(study, "mcnemar_p_holm", *pair) for pair in differ]
    else:
        text = f"Accuracy {spread}: no two differ beyond chance."
    yield Finding("accuracy", text, tuple(numbers), caution=not differ)
