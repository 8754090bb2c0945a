"""What running the base showed: barriers between adapters, hidden states, answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from inspector.common.numbers import fixed
from inspector.common.text import count
from inspector.insights.evidence import ALIKE, FLAT, PARTED, SIGNIFICANT, too_few
from inspector.insights.findings.finding import (
    Finding,
    Number,
    listed,
    of_adapter,
    of_pair,
    own_values,
    pair_values,
    span,
)
from inspector.study.metrics.probes import FEW_PROMPTS, LOSSES
from inspector.study.study import Study

KINDS = {"mean": "above the endpoints' mean", "chord": "above the chord", "strict": "above both endpoints"}
Pair = tuple[int, int]


def losses(study: Study) -> Iterator[Finding]:
    """The paths measured, by which of the three definitions they have a barrier: those alike share a sentence."""
    for suffix in LOSSES:
        curves = study.block(f"lmc_loss{suffix}", "global")
        if curves is None:
            continue
        if (caution := _too_few(study, f"lmc{suffix}", "the losses between adapters")) is not None:
            yield caution
            continue
        inside = [n for n, alpha in enumerate(study.alphas) if 0 <= alpha <= 1]
        paths = {pair: curves[(*pair, 0)][inside] for pair in combinations(range(len(study.adapters)), 2)}
        alike: dict[tuple[str, ...], list[Pair]] = {}
        for pair, path in paths.items():
            if np.isfinite(path[[0, -1]]).all():
                alike.setdefault(_barriers(study, suffix, pair, path), []).append(pair)
        for by, pairs in sorted(alike.items(), key=lambda found: -len(found[0])):
            path = paths[pairs[0]]
            one = len(pairs) == 1
            yield _path(study, suffix, pairs[0], path[np.isfinite(path)]) if one else _paths(study, suffix, by, pairs)


def _barriers(study: Study, suffix: str, pair: Pair, path: np.ndarray) -> tuple[str, ...]:
    """By which definitions a path has a barrier."""
    floor = FLAT * float(max(path[0], path[-1]))
    return tuple(kind for kind in KINDS if pair_values(study, f"barrier_{kind}{suffix}")[pair] > floor)


def _too_few(study: Study, probe: str, what: str) -> Finding | None:
    """That a probe ran over too few prompts to say anything."""
    if not (prompts := too_few(study, probe)):
        return None
    text = f"Nothing is said of {what}: {prompts} prompts are too few, {FEW_PROMPTS} at least."
    return Finding("limit", text, caution=True)


def _paths(study: Study, suffix: str, by: tuple[str, ...], pairs: list[Pair]) -> Finding:
    """One sentence about several paths with a barrier by the same definitions; the first number is the highest."""
    on, names = count(len(pairs), "path"), listed(f"{study.names[i]}-{study.names[j]}" for i, j in pairs)
    metric = f"barrier_{by[-1] if by else 'mean'}{suffix}"
    heights = pair_values(study, metric)
    pairs = sorted(pairs, key=lambda pair: -float(heights[pair]))
    (i, j), *_ = pairs
    high = f"the highest {heights[i, j]:.2f} between {study.names[j]} and {study.names[i]}"
    kinds = listed(KINDS[kind] for kind in by) if by else ""
    if not by:
        text = f"No barrier by any definition on {on}: {names}."
    elif len(by) == len(KINDS):
        text = f"On {on} a barrier by every definition: {names}; {high}, {KINDS['strict']}."
    elif "chord" in by:
        text = (
            f"On {on} a barrier only {kinds}, so that the loss lies above the straight line between its ends: {names}; "
            f"{high}."
        )
    else:
        text = f"On {on} a barrier only {kinds}, which unequal endpoints alone can give: {names}; {high}."
    numbers = tuple(of_pair(study, metric, *pair) for pair in pairs)
    return Finding("loss", text, numbers, caution=0 < len(by) < len(KINDS))


def _path(study: Study, suffix: str, pair: Pair, path: np.ndarray) -> Finding:
    """One sentence about the path from j (α = 0) to i (α = 1), and by which definitions it has a barrier."""
    (i, j), by = pair, _barriers(study, suffix, pair, path)
    a, b = study.names[i], study.names[j]
    floor = FLAT * float(max(path[0], path[-1]))
    ends = f"the loss goes from {path[0]:.2f} ({b}) to {path[-1]:.2f} ({a})"
    steps = np.diff(path)
    monotone = " monotonically" if (steps >= -floor).all() or (steps <= floor).all() else ""
    numbers = [of_pair(study, f"barrier_{kind}{suffix}", i, j) for kind in KINDS]
    if not by:
        text = f"{b} and {a} lie in one basin: {ends}, no barrier by any definition."
    elif len(by) == len(KINDS):
        known = _known(study, "barrier_strict", suffix, i, j, numbers)
        above = f", {known} {KINDS['strict']}" if known else ""
        text = f"A barrier parts {b} and {a} by every definition: {ends}, {path.max():.2f} on the way{above}."
    elif "chord" in by:
        known = _known(study, "barrier_chord", suffix, i, j, numbers)
        text = (
            f"Between {b} and {a} {ends}{monotone}: a barrier only {listed(KINDS[kind] for kind in by)}"
            f"{f', the chord by {known}' if known else ''}. The loss lies above the straight line between its ends, "
            "which unequal endpoints alone do not give."
        )
    else:
        known = _known(study, "lmc_ends", suffix, i, j, numbers)
        text = (
            f"Between {b} and {a} {ends}{monotone}: a barrier only {listed(KINDS[kind] for kind in by)}, which unequal "
            f"endpoints alone can give{f'; they differ by {known}' if known else ''}."
        )
    numbers += [Number(f"lmc_loss{suffix}", float(loss), name) for name, loss in ((b, path[0]), (a, path[-1]))]
    numbers += [Number(f"lmc_loss{suffix}", float(path.max()), a, b)] if len(by) == len(KINDS) else []
    return Finding("loss", text, tuple(numbers), caution=0 < len(by) < len(KINDS))


def _known(study: Study, metric: str, suffix: str, i: int, j: int, numbers: list[Number]) -> str:
    """`0.31 (95 % interval -0.02 to 0.55)`, its three numbers added to `numbers`; empty if there is no interval.

    It shows how well a height is known and is not a test of it: its ends are biased (see their definition).
    """
    found = [of_pair(study, f"{metric}{bound}{suffix}", i, j) for bound in ("", "_low", "_high")]
    if not np.isfinite([number.value for number in found]).all():
        return ""
    numbers += [number for number in found if number not in numbers]
    value, low, high = (fixed(number.value) for number in found)
    return f"{value} (95 % interval {low} to {high})"


def states(study: Study) -> Iterator[Finding]:
    """Pairs whose hidden states stay alike, and pairs whose states part, from which layer on."""
    metric = "cka_debiased" if study.block("cka_debiased", "layer") is not None else "cka"
    block = study.block(metric, "layer")
    if block is None:
        return
    if (caution := _too_few(study, "cka", "hidden states")) is not None:
        yield caution
        return
    name = "debiased CKA" if metric == "cka_debiased" else "CKA (biased upwards with few prompts)"
    alike, parted = [], []
    for i, j in combinations(range(len(study.adapters)), 2):
        values = block[i, j]
        if not np.isfinite(values).any():
            continue
        at = int(np.nanargmin(values))
        if values[at] >= ALIKE:
            alike.append((i, j, at))
        elif values[at] < PARTED:
            parted.append((i, j, at))
    if alike:
        names = listed([f"{study.names[i]}-{study.names[j]}" for i, j, _ in alike])
        least = span([float(block[i, j, at]) for i, j, at in alike])
        text = f"{names}: hidden states stay alike in every layer ({name} at least {least})."
        yield Finding("states", text, tuple(of_pair(study, metric, i, j, study.layers[at]) for i, j, at in alike))
    for i, j, at in parted:
        first = next(n for n in range(len(block[i, j])) if block[i, j, n] < ALIKE - (ALIKE - PARTED) / 2)
        text = (
            f"The hidden states of {study.names[i]} and {study.names[j]} part from layer {study.layers[first]} on: "
            f"{name} falls to {fixed(block[i, j, at])} in layer {study.layers[at]}."
        )
        numbers = (of_pair(study, metric, i, j, study.layers[n]) for n in dict.fromkeys((at, first)))
        yield Finding("states", text, tuple(numbers))


def answers(study: Study) -> Iterator[Finding]:
    """Which differences in accuracy are more than chance, and whether the rest can be told apart at all."""
    accuracy, low, high = (own_values(study, f"accuracy{bound}") for bound in ("", "_low", "_high"))
    p = pair_values(study, "mcnemar_p_holm")
    known = np.flatnonzero(np.isfinite(accuracy))
    if not known.size:
        return
    differ = [(i, j) for i, j in combinations(known.tolist(), 2) if p[i, j] < SIGNIFICANT]
    for i, j in differ:
        better, worse = (i, j) if accuracy[i] > accuracy[j] else (j, i)
        text = (
            f"{study.names[better]} solves more than {study.names[worse]}: {100 * accuracy[better]:.1f} % against "
            f"{100 * accuracy[worse]:.1f} % (McNemar p = {p[i, j]:.1g} after Holm)."
        )
        both = (of_adapter(study, "accuracy", n) for n in (better, worse))
        yield Finding("accuracy", text, (*both, of_pair(study, "mcnemar_p_holm", i, j)))
    if not differ and len(known) > 1:
        widths = high - low
        if np.isnan(widths).all():
            return
        widest = int(np.nanargmax(widths))
        width = 100 * float(widths[widest]) / 2
        text = (
            f"No two of {listed(study.names[i] for i in known)} differ in accuracy beyond chance "
            f"({span([100 * accuracy[i] for i in known], 1)} %); each is known to ±{width:.1f} points only."
        )
        numbers = [of_adapter(study, "accuracy", int(i)) for i in known]
        numbers += [of_adapter(study, f"accuracy_{bound}", widest) for bound in ("low", "high")]
        pairs = [pair for pair in combinations(known.tolist(), 2) if np.isfinite(p[pair])]
        numbers += [of_pair(study, "mcnemar_p_holm", *min(pairs, key=lambda pair: p[pair]))] if pairs else []
        yield Finding("accuracy", text, tuple(numbers), caution=True)
