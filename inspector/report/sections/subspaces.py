"""How far the top-k subspaces coincide, beside what random subspaces would."""

from __future__ import annotations

import numpy as np

from inspector.insights.pairwise import pair_chance
from inspector.report.context import Context
from inspector.report.document import Bar, Bars, Note, Part, Section
from inspector.study.metrics import Definition, charted, family


def angles(context: Context) -> Section:
    """Principal angles of each side: bars, then the smallest by layer."""
    parts: list[Part] = []
    metrics = []
    for d in charted("angles"):
        if d.chart is None or (bars := _bars(context, d, d.chart.caption)) is None:
            continue
        parts.append(bars)
        metrics += [part.metric for part in family(d)]
        chance = context.chance_along_layers(d.metric)
        by_layer = context.layers(d.metric, d.chart.by_layer, k=0, levels=chance, limits=d.range, digits=1)
        parts += [by_layer] if by_layer else []
    if parts:
        text = "The largest of k angles is near 90° for random subspaces too: read each end against its chance level."
        parts.insert(1, Note(text, caution=True))
    about = "Angles between the top-k subspaces of two updates: 0° shared, 90° apart."
    return Section("angles", "Principal angles", about, tuple(parts), tuple(metrics))


def _bars(context: Context, definition: Definition, which: str) -> Bars | None:
    """Median smallest angle, its quartiles over modules, the median largest as whisker, and chance for both."""
    metric = definition.metric
    median, low, high = (context.values(f"{metric}{quartile}") for quartile in ("", "_q25", "_q75"))
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
    caption = f"Principal angles of the top-{k} {which}{limited}, median over modules"
    parts = ("smallest", "its quartiles over modules", "largest")
    name = "angles" if definition.side == "left" else "angles-input"
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
    for d in charted("overlap") if len(context.adapters) > 1 else ():
        if found := context.of_pairs(d):
            parts += found
            metrics += [d.metric, f"{d.metric}_chance"]
    about = "The share of one top-k subspace that lies in the other's: all angles in one number."
    return Section("overlap", "Subspace overlap", about, tuple(parts), tuple(metrics))
