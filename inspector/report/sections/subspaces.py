"""How far the top-k subspaces coincide, beside what random subspaces would."""

from __future__ import annotations

import numpy as np

from inspector.report.context import Context, measured_by
from inspector.report.document import Bar, Bars, Note, Part, Section
from inspector.shared import pair_chance

_SIDES = {"": ("output", "left"), "_right": ("input", "right")}


def angles(context: Context) -> Section:
    """Principal angles of each side: bars, then the smallest by layer."""
    parts: list[Part] = []
    metrics = []
    for suffix, (side, _) in _SIDES.items():
        metric = f"principal_angle{suffix}"
        chart = _bars(context, metric, side)
        if chart is None:
            continue
        parts.append(chart)
        metrics += [metric, f"{metric}_q25", f"{metric}_q75", f"{metric}_chance"]
        chance = context.chance_along_layers(metric)
        caption = f"Smallest principal angle ({side}) by layer, median over the layer's modules"
        by_layer = context.layers(metric, caption, k=0, levels=chance, limits=(0, 90), digits=1)
        parts += [by_layer] if by_layer else []
    if parts:
        text = "The largest of k angles is near 90° for random subspaces too: read each end against its chance level."
        parts.insert(1, Note(text, caution=True))
    about = "Angles between the top-k subspaces of two updates: 0° shared, 90° apart."
    return Section("angles", "Principal angles", about, tuple(parts or measured_by("--sides both")), tuple(metrics))


def _bars(context: Context, metric: str, side: str) -> Bars | None:
    """Median smallest angle, its quartiles over modules, the median largest as whisker, and chance for both."""
    median = context.values(metric)
    low, high = (context.values(f"{metric}_{q}") for q in ("q25", "q75"))
    if median is None or low is None or high is None or len(context.adapters) < 2:
        return None
    bars = []
    for pair in context.pairs:
        at = (*pair.at, 0)
        known = np.flatnonzero(np.isfinite(median[at]))
        if known.size:
            smallest, below, above = (float(block[at][0]) for block in (median, low, high))
            bars.append(Bar(pair, smallest, below, above, float(median[at][known[-1]])))
    off = median[~np.eye(len(median), dtype=bool)]
    k = int(np.isfinite(off).any(axis=(0, 1)).sum())
    limited = f" (rank limits the {context.study.settings.k} asked for)" if k < context.study.settings.k else ""
    caption = f"Principal angles of the top-{k} {side} subspaces{limited}, median over modules"
    parts = ("smallest", "its quartiles over modules", "largest")
    name = "angles-input" if metric.endswith("right") else "angles"
    return Bars(
        name, caption, "smallest angle, degrees", tuple(bars), parts, _levels(context, metric), (0, 90), digits=1
    )


def _levels(context: Context, metric: str) -> tuple[tuple[str, float], ...]:
    """What random subspaces would give for both ends; the least and the most of the pairs where these differ."""
    found = []
    chances = [pair_chance(context.study, metric, pair.at[0], pair.at[1]) for pair in context.pairs]
    known = [chance[np.isfinite(chance)] for chance in chances if np.isfinite(chance).any()]
    for which, at in (("smallest", 0), ("largest", -1)):
        levels = sorted({round(float(chance[at]), 1) for chance in known})
        ends = (
            [("", levels[0])]
            if len(levels) == 1
            else [(" (least)", levels[0]), (" (most)", levels[-1])]
            if levels
            else []
        )
        found += [(f"by chance, {which}{end}", level) for end, level in ends]
    return tuple(found)


def overlap(context: Context) -> Section:
    """‖UᵀU′‖²/k beside k/d."""
    parts: list[Part] = []
    metrics = []
    for suffix, (side, _) in _SIDES.items():
        metric = f"subspace_overlap{suffix}"
        found = context.matrix(metric, f"Overlap of the top-k {side} subspaces; {context.chance(metric)}")
        if found is not None and len(context.adapters) > 1:
            parts.append(found)
            metrics += [metric, f"{metric}_chance"]
    about = "The share of one top-k subspace that lies in the other's: all angles in one number."
    return Section("overlap", "Subspace overlap", about, tuple(parts or measured_by("")), tuple(metrics))
