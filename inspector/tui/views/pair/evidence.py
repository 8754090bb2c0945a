"""What is known of two adapters, in words and numbers: the verdict, its evidence, the angles, what is doubtful."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len

from inspector.insights.evidence import Evidence
from inspector.insights.verdict import Verdict
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Scope
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_label, shared
from inspector.tui.text import Line, clean, degrees, fit, left, right, wrap
from inspector.tui.theme import Ink
from inspector.tui.values import number
from inspector.tui.views.angles import depth, theta
from inspector.tui.views.base import Area
from inspector.tui.widgets.strips import form, numbers, strip

_GAP = 1e-3
_MARK = 10
"""Cells at the end of the first line, for how far down a long text is."""
_STEEP = 0.9
_WHAT, _CHANCE = 12, 8
_LEAST = 15
"""Cells of a strip at least."""
_METRIC, _LOWEST = 11, 10
_OWN = {"energy_ratio": "ratio"}
"""What a strip is called, as in the table of modules, if its evidence is worked out of it."""


def heading(state: AppState, pair: Pair, found: Verdict, area: Area) -> Line:
    """The two names, how they are related, and what all names share where there is room."""
    head = Line(f" {pair_label(state, pair)}", area.ink.accent).add(f"   {found.kin}", area.ink.dim)
    alike = shared(state)
    return head.add(alike if head.width + cell_len(alike) + _MARK <= area.width else "", area.ink.dim)


def said(found: Verdict, ink: Ink, width: int) -> list[Line]:
    """The verdict in whole sentences."""
    style = ink.plain if found.comparable else ink.warn
    return [rule("verdict", ink, width), *(Line(f"   {part}", style) for part in wrap(found.headline, width - 5))]


def rule(title: str, ink: Ink, width: int) -> Line:
    """`─ verdict ─────────`."""
    return Line("─ ", ink.dim).add(title, ink.bold).add(f" {'─' * (width - cell_len(title) - 4)}", ink.dim)


def evidence(state: AppState, pair: Pair, found: Verdict, ink: Ink, width: int) -> list[Line]:
    """A row a piece of evidence with its level by chance, and a strip along the layers where there is room."""
    value = max((cell_len(row.value) for row in found.evidence), default=10) + 2
    start = 3 + _WHAT + value + _CHANCE
    of = form(len(state.layers), max(width - start - 1, 1)) if state.layers else None
    strips = of is not None and of.width >= _LEAST
    head = rule("evidence", ink, width if not strips else start - _CHANCE)
    if strips and of is not None:
        head.pad(start - _CHANCE).add("chance", ink.dim).pad(start).append(numbers(state.layers, state.layer, of, ink))
    lines = [head]
    for row in found.evidence:
        line = Line("   ").add(left(row.what, _WHAT), ink.dim).add(left(row.value, value), ink.bold)
        line.add(left(row.chance, _CHANCE) if row.chance or strips else "", ink.dim)
        values = layered(state, pair, row)
        if strips and of is not None and values is not None and not row.note:
            strip(line, values, row.metric, float("nan"), of, ink)
        else:
            line.add(fit(row.note, max(width - line.width - 1, 0)), ink.dim)
        lines.append(line)
    return lines if found.evidence else []


def layered(state: AppState, pair: Pair, row: Evidence) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """The values of a piece of evidence along the layers; None if it has none."""
    if DEFINITIONS[row.metric].subject not in {"pair", "ordered"} or state.shown.block(row.metric, "layer") is None:
        return None
    values = state.series(row.metric, *pair)
    return values if np.isfinite(values).any() else None


def by_layer(state: AppState, pair: Pair, found: Verdict, ink: Ink, width: int) -> list[Line]:
    """A strip a metric, with the layer of its lowest value."""
    if not state.layers:
        return []
    of = form(len(state.layers), width - 3 - _METRIC - _LOWEST, most=1)
    title = "by layer" if of.folded == 1 else f"by {of.folded} layers"
    head = Line(f" {title}", ink.bold).pad(3 + _METRIC).append(numbers(state.layers, state.layer, of, ink))
    lines = [head.add(right("lowest", _LOWEST), ink.dim)]
    for row in found.evidence:
        values = layered(state, pair, row)
        if values is not None:
            name = row.value.split(" ")[0] if not row.value[0].isdigit() else _OWN.get(row.metric, row.what)
            line = Line("   ").add(left(name, _METRIC), ink.dim)
            strip(line, values, row.metric, float("nan"), of, ink, state.layer)
            at = int(np.nanargmin(values))
            lines.append(line.add(right(f"{state.layers[at]} {number(row.metric, float(values[at])):>4}", _LOWEST)))
    return lines if len(lines) > 1 else []


def angles(state: AppState, pair: Pair, ink: Ink, width: int) -> list[Line]:
    """θ_1 … θ_k at the layer and overall, with chance and what is not well defined."""
    columns: list[tuple[str, Scope]] = [("all layers", "global")]
    if state.layers:
        columns.append((f"layer {state.layers[state.layer]}", "layer"))
    asked, k = state.shown.settings.k, depth(state)
    rank = f" (rank {k})" if k < asked else ""
    lines = [Line(f" angles, output side, k = {asked}{rank}, medians", ink.bold)]
    blocks = [
        (name, state.indexed("principal_angle", pair, scope), state.pair_chance("principal_angle", pair, scope))
        for name, scope in columns
    ]
    for start in range(0, k, per_row := max((width - 24) // 8, 1)):
        shown = range(start, min(start + per_row, k))
        lines.append(Line().to(24).add("".join(right(theta(n + 1), 8) for n in shown), ink.dim))
        for name, angles, chance in blocks:
            for label, values, style in ((name, angles, ink.plain), (f"{name}, chance", chance, ink.dim)):
                text = "".join(right(degrees(float(values[n])) if n < len(values) else "·", 8) for n in shown)
                lines.append(Line("  ").add(label, ink.dim).to(24).add(text, style))
    return [*lines, *doubts(state, pair, ink)]


def doubts(state: AppState, pair: Pair, ink: Ink) -> list[Line]:
    """Where the layer's top direction or top-k subspace is not well defined."""
    layer = state.layers[state.layer] if state.layers else None
    modules = [m for m, module in enumerate(state.study.modules) if module.layer == layer]
    sigma, k = state.study.spectra, state.study.settings.k
    lines = []
    for side, position in (("a", pair[0]), ("b", pair[1])):
        adapter = state.order[position]
        steep, loose = [], []
        for m in modules if sigma is not None else []:
            values = sigma[adapter, m] if sigma is not None else np.zeros(2)
            values = values[np.isfinite(values)]
            name = clean(state.study.modules[m].projection)
            if len(values) > 1 and values[1] > _STEEP * values[0]:
                steep.append(name)
            if len(values) and (values - np.append(values[1:], 0.0))[:k].min() < _GAP * values[0]:
                loose.append(name)
        if steep:
            lines.append(Line(f"  ! {side}: u₁, v₁ unstable in {', '.join(steep)} (σ₂/σ₁ > 0.9)", ink.warn))
        if loose:
            text = f"  ! {side}: top-k subspace not well defined in {', '.join(loose)} (gap < 1e-3 σ₁)"
            lines.append(Line(text, ink.warn))
    return lines
