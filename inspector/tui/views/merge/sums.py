"""What both views of a sum show: its numbers, its rank, what is doubtful, and the table behind it."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len

from inspector.common.arrays import Floats
from inspector.merging.preview import Flags, Preview, refused
from inspector.study.study import Study
from inspector.tables import tables
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import NA, Line, clean, plural, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import tidy

METRICS = ("sum_norm", "sum_cosine", "sum_energy_ratio", "sum_interference", "sum_rank", "sum_energy_kept")
"""Of a sum."""
UNFINISHED = "Not all is measured yet."


def unmeasured(study: Study) -> Flags:
    """(N, M): modules that are still to be measured."""
    assert study.sizes is not None
    return np.asarray(np.isnan(study.sizes) & study.present & ~study.excluded)


def percent(share: float) -> str:
    """`97.3 %`; never 100 % of what is not all."""
    if math.isnan(share):
        return NA
    return f"{100 * share:.1f} %" if share < 0.9995 or share > 1 - 1e-9 else ">99.9 %"


def significant(value: float) -> str:
    """A size in three significant digits: `1.70`, `0.0985`."""
    return NA if math.isnan(value) else tables.significant(value)


def along_layers(state: AppState, preview: Preview, metric: str) -> Floats:
    """(layers,) of the sum, over the filtered projection; NaN where it is not known or nothing is there."""
    chosen = preview.by_layer(state.counted("global"))
    sums = preview.sums
    if metric == "sum_energy_kept":
        known = preview.spectra is not None
        values = preview.kept(chosen, state.mixture.target(preview)) if known else np.full(chosen.shape[1], np.nan)
    else:
        values = {"sum_norm": sums.norm, "sum_interference": sums.interference}.get(metric, sums.energy_ratio)(chosen)
    return np.where(np.asarray(chosen.any(axis=0)), values, np.nan)


def own_norms(preview: Preview, scope: Floats) -> Floats:
    """(N,): ‖ΔW_i‖, n/a of an unknown scale."""
    return np.where(preview.study.scaled, preview.sums.own_norms(scope), np.nan)


def ranks(state: AppState, preview: Preview, ink: Ink, width: int) -> Line:
    """The rank of the sum and what a smaller one keeps, or how far that is."""
    scope, target = preview.scope(state.counted()), state.mixture.target(preview)
    line = Line("   rank ", ink.dim)
    if preview.spectra is None:
        done = state.mixture.done
        why = "and energy kept: they need the adapters' weights"
        return line.add(why if done is None else f"{done[0]} of {done[1]} modules added …", ink.dim)
    held, rank = preview.kept(scope), float(preview.ranks(scope))
    line.add(NA if math.isnan(rank) else f"{rank:.1f}", ink.bold).add(f"   kept at rank {target} ", ink.dim)
    line.add(percent(float(preview.kept(scope, target))), ink.bold).add(" (r/R)", ink.dim)
    others = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k <= len(held) and k != target]
    for k in others:
        text = f"  {k}: {percent(float(held[k - 1]))}"
        if line.width + cell_len(text) + 2 > width or math.isnan(float(held[k - 1])):
            break
        line.add("  ·" if k == others[0] else "", ink.dim).add(text, ink.dim)
    return line


def missing(state: AppState, preview: Preview, width: int) -> list[str]:
    """What is in no number of the sum."""
    study, parents = preview.study, np.flatnonzero(preview.weights)
    lines = []
    if not state.measured and unmeasured(study)[parents].any():
        lines.append(UNFINISHED)
    if cannot := refused(study, preview.weights) if parents.size else []:
        module, reason = cannot[0]
        text = f"! {plural(len(cannot), 'module')} cannot be added, such as {clean(str(module))}: {clean(reason)}"
        lines += wrap(text, width)[:2]
    return lines


def sum_table(state: AppState, preview: Preview | None, parts: list[int]) -> Table:
    """The sum, its parts (ids), then its layers."""
    columns = ("what", "weight", "norm", "cosine_to_sum", "energy_ratio", "interference", "rank", "energy_kept")
    if preview is None:
        return Table("merge preview: not measured", columns, ())
    scope, sums, target = preview.scope(state.counted()), preview.sums, state.mixture.target(preview)
    known = preview.spectra is not None
    whole = (sums.norm(scope), sums.energy_ratio(scope), sums.interference(scope))
    more = (preview.ranks(scope), preview.kept(scope, target)) if known else (math.nan, math.nan)
    norm, *others = (tidy(float(value)) for value in (*whole, *more))
    rows: list[tuple[str, ...]] = [("sum", "", norm, "", *others)]
    norms, cosines = own_norms(preview, scope), sums.cosines(scope)
    for at in parts:
        numbers = (preview.weights[at], norms[at], cosines[at])
        name = clean(preview.study.names[at])
        rows.append((name, *(tidy(float(value)) for value in numbers), "", "", "", ""))
    norm_by, ratio_by, conflict_by, kept_by = (
        [tidy(float(value)) for value in along_layers(state, preview, metric)]
        for metric in ("sum_norm", "sum_energy_ratio", "sum_interference", "sum_energy_kept")
    )
    for at, layer in enumerate(state.layers):
        rows.append((f"layer {layer}", "", norm_by[at], "", ratio_by[at], conflict_by[at], "", kept_by[at]))
    title = f"merge preview · {state.where} · energy kept at rank {target}"
    return Table(title, columns, tuple(rows))
