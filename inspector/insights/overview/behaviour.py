"""Whether the differences matter: what was measured on the base, a sentence a probe. Nothing where nothing was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from inspector.common.text import count
from inspector.insights.evidence import ALIKE, FLAT, SIGNIFICANT
from inspector.insights.findings.finding import Finding, Number, of_adapter, of_pair, own_values, pair_values
from inspector.study.metrics.probes import FEW_PROMPTS, LOSSES
from inspector.study.study import Study

Names = Sequence[str]


def behaviour(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Loss along the paths, hidden states, accuracy."""
    yield from _loss(study, who, names)
    yield from _states(study, who, names)
    yield from _accuracy(study, who, names)


def _loss(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """On how many paths the loss rises above both ends, by more than the share that counts as flat."""
    suffix = next((end for end in LOSSES if study.block(f"lmc_loss{end}", "global") is not None), None)
    if suffix is None or _few(study, f"lmc{suffix}"):
        return
    curves, heights = study.blocks[f"lmc_loss{suffix}", "global"], pair_values(study, f"barrier_strict{suffix}")
    ends = [study.alphas.index(alpha) for alpha in (0.0, 1.0) if alpha in study.alphas]
    pairs = [pair for pair in combinations(who, 2) if np.isfinite(heights[pair])]
    if len(ends) < 2 or not pairs:
        return
    steep = [pair for pair in pairs if heights[pair] > FLAT * float(curves[(*pair, 0)][ends].max())]
    worst = max(steep or pairs, key=lambda pair: float(heights[pair]))
    i, j = worst
    height = f"{names[i]} and {names[j]} (+{heights[i, j]:.2f})"
    if len(pairs) == 1:
        rises = f"rises above both ends (+{heights[i, j]:.2f})" if steep else "does not rise above both ends"
        text = f"Averaging {names[i]} and {names[j]}: the loss {rises}."
    elif steep:
        text = f"On {len(steep)} of {len(pairs)} paths the loss rises above both ends, most between {height}."
    else:
        text = f"On none of {len(pairs)} measured paths does the loss rise above both ends."
    numbers = [of_pair(study, f"barrier_strict{suffix}", *pair) for pair in [worst, *(p for p in pairs if p != worst)]]
    yield Finding("loss", text, tuple(numbers))


def _states(study: Study, who: Sequence[int], names: Names) -> Iterator[Finding]:
    """Which pair's hidden states are farthest apart, and how many pairs stay alike in every layer."""
    metric = "cka_debiased" if study.block("cka_debiased", "layer") is not None else "cka"
    block = study.block(metric, "layer")
    if block is None or _few(study, "cka"):
        return
    pairs = [pair for pair in combinations(who, 2) if np.isfinite(block[pair]).any()]
    if not pairs:
        return
    least = {pair: float(np.nanmin(block[pair])) for pair in pairs}
    alike = sum(value >= ALIKE for value in least.values())
    (i, j), value = min(least.items(), key=lambda item: item[1])
    layer = study.layers[int(np.nanargmin(block[i, j]))]
    if len(pairs) == 1:
        how = "stay alike in every layer: CKA at least" if alike else f"part: CKA falls to {value:.2f} in layer {layer}"
        text = f"Hidden states of {names[i]} and {names[j]} {how}{f' {value:.2f}' if alike else ''}."
    else:
        which = f"all {len(pairs)}" if alike == len(pairs) else f"{alike or 'none'} of {len(pairs)}"
        far = f"farthest {names[i]} and {names[j]}: {value:.2f}"
        text = f"Hidden states stay alike in {which} pairs (CKA ≥ {ALIKE:.2f}); {far}."
    yield Finding("states", text, (of_pair(study, metric, i, j, layer),))


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


def _few(study: Study, probe: str) -> bool:
    """Whether a probe ran over too few prompts to say anything."""
    info = study.probe(probe)
    return info is not None and 0 < info.examples < FEW_PROMPTS
