"""What a weighted sum of the open adapters would be, before it is made."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.merging.preview import NOT_MERGED, Preview, other_bases
from inspector.tui.actions import cycled
from inspector.tui.navigation import FILTER, METRIC, SCRUBBED
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, decimal, fit, page, plural, right, wrap
from inspector.tui.views.base import Area, View, metric_title, window
from inspector.tui.views.merge.actions import RANK, WEIGHTS
from inspector.tui.views.merge.state import ALONG
from inspector.tui.views.merge.sums import (
    METRICS,
    UNFINISHED,
    along_layers,
    missing,
    own_norms,
    percent,
    ranks,
    significant,
    sum_table,
)
from inspector.tui.widgets.bars import bar
from inspector.tui.widgets.plot import Lines, as_curve, limits_of, plot
from inspector.tui.work import Work

_PLOT = 8
_LEAST = 4
"""Rows that are worth more than the plot."""
_ROOM = 44
"""Cells of a row beside the name and the bar."""


class SumView(View):
    id = "sum"
    tab = "5"
    title = "Sum of several"
    need = 1
    hint = "what a weighted sum of the adapters would be"
    about = (
        "What Σ w·ΔW of the open adapters would be; nothing is written. + and − weigh the adapter under the cursor, "
        "space leaves it out. Y copies the command that prints it; with --write DEST that command writes the sum."
    )
    actions = (*SCRUBBED, *METRIC, FILTER, *WEIGHTS, *RANK)

    def prepare(self, app: Work) -> None:
        app.views["merge"].prepare(app)  # one thread adds, whichever sum is shown

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        preview = state.preview
        if preview is None:
            lacking = "The norms and cosines of modules are not measured." if state.measured else UNFINISHED
            return page([Line(), Line("  " + lacking)], area.width, area.height)
        head = self._head(state, preview, area)
        room = area.height - len(head) - 1
        none = bool(other_bases(preview.study.adapters, preview.weights))
        plotted = bool(state.layers) and not none and room - _PLOT >= min(state.size, _LEAST)
        rows = max(min(state.size, room - _PLOT if plotted else room), 2)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, rows, state.size)
        table = self._rows(state, preview, (top, rows), area)
        height = room - len(table)
        drawn = self._plot(state, preview, area, height) if plotted else []
        return page([*head, *table, Line(), *drawn], area.width, area.height)

    def _head(self, state: AppState, preview: Preview, area: Area) -> list[Line]:
        """What is added, and the sum's numbers at the slider's place; or why there is no sum."""
        ink, sums, scope = area.ink, preview.sums, preview.scope(state.counted())
        parts = sum(w != 0 for w in preview.weights)
        title = Line(f" Σ w·ΔW of {plural(parts, 'adapter')}", ink.bold).add(f" · {self.place(state)}", ink.dim)
        if reason := other_bases(preview.study.adapters, preview.weights):
            return [title, *(Line(f"  {part}", ink.warn) for part in wrap(f"! {clean(reason)}", area.width - 4))]
        numbers = Line("   ")
        for label, value in (
            ("norm", significant(float(sums.norm(scope)))),
            ("energy ratio", decimal(float(sums.energy_ratio(scope)))),
            ("interference", decimal(float(sums.interference(scope)))),
        ):
            numbers.add(f"{label} ", ink.dim).add(f"{value}   ", ink.bold)
        held = ranks(state, preview, ink, area.width)
        return [title, numbers, held, *self._doubts(state, preview, area)]

    def _doubts(self, state: AppState, preview: Preview, area: Area) -> list[Line]:
        """What is in no number, and who is left out."""
        lines = missing(state, preview, area.width - 4)
        if unscaled := [clean(preview.study.names[at]) for at in state.order if not preview.study.scaled[at]]:
            text = f"! Left out, their scale is unknown: {', '.join(unscaled)} (--alpha gives it)"
            lines.append(fit(text, area.width - 4).rstrip())
        for info in (info for info in state.infos if not info.everywhere):
            lines += wrap(f"! {clean(info.name)} {NOT_MERGED}: it is left out.", area.width - 4)[:2]
        return [Line("  " + line, area.ink.warn) for line in lines]

    def _rows(self, state: AppState, preview: Preview, at: tuple[int, int], area: Area) -> list[Line]:
        """A row per adapter: weight, size, and how far the sum points its way."""
        ink, (top, rows) = area.ink, at
        scope = preview.scope(state.counted())
        norms, cosines = own_norms(preview, scope), preview.sums.cosines(scope)
        if other_bases(preview.study.adapters, preview.weights):
            cosines = np.full_like(cosines, np.nan)
        names = labels(state.names)
        widest = max(map(cell_len, names.short), default=8)
        label = max(min(widest, max(area.width - _ROOM, 12)), 8)
        extent = "" if rows >= state.size else f"{top + 1}–{min(top + rows, state.size)}/{state.size}"
        header = Line(f"  {extent}", ink.dim).to(label + 3)
        header.add(f"{right('weight', 8)}{right('‖w·ΔW‖', 11)}{right('cosine to sum', 16)}", ink.dim)
        lines = [header]
        for row in range(top, min(top + rows, state.size)):
            adapter, here = state.order[row], row == state.row
            w, cosine = preview.weights[adapter], float(cosines[adapter])
            style = ink.bold if here else ink.plain if w else ink.dim
            line = Line("▸ " if here else "  ", ink.accent).add(names.at(label)[row], style).to(label + 3)
            line.add(right(f"{w:g}".replace("-", "−"), 8), style)
            line.add(right(significant(abs(w) * float(norms[adapter])), 11), style)
            line.add(right(decimal(cosine), 9), style).add("  ")
            lines.append(line.add(bar(abs(cosine), min(area.width - line.width - 1, 24)), ink.line(row)))
        return lines

    def _plot(self, state: AppState, preview: Preview, area: Area, height: int) -> list[Line]:
        ink, metric = area.ink, state.mixture.metric
        curve = as_curve(along_layers(state, preview, metric))
        at_rank = f" {state.mixture.target(preview)}" if metric == "sum_energy_kept" else ""
        name = metric_title(metric).removesuffix(" k") + at_rank
        here = f" · {_number(metric, curve[state.layer])} at layer {state.layers[state.layer]}"
        title = Line(f" {name} per layer", ink.bold).add(here, ink.dim)
        even = (1.0,) * len(curve) if metric == "sum_energy_ratio" else ()
        if even:
            title.add(" · ╌ orthogonal", ink.dim)
        limits = limits_of([curve, even], floor=None if even else 0.0)
        xs = tuple(float(layer) for layer in state.layers)
        lines = Lines(xs, (curve,), even, limits, float(state.layers[state.layer]), 0)
        return [title, *plot(lines, ink, area.width, height - 2)]

    def table(self, state: AppState) -> Table:
        return sum_table(state, state.preview, list(state.order))

    def cycle(self, state: AppState, step: int) -> None:
        state.mixture.metric = cycled(ALONG, state.mixture.metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        """`inspector merge-preview NAME=SOURCE:WEIGHT …`, those that count, and `--rank R`."""
        if not state.size:
            return []
        weighed = [(info, state.mixture.weight(at)) for info, at in zip(state.infos, state.order, strict=True)]
        words = [f"{info.name}={info.source}:{w:g}" for info, w in weighed if w and info.everywhere and info.scaled]
        rank = ["--rank", str(state.mixture.rank)] if state.mixture.rank else []
        return ["inspector", "merge-preview", *words, *rank, *state.shown.settings.reading]

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return METRICS


def _number(metric: str, value: float) -> str:
    if metric == "sum_energy_kept":
        return percent(value)
    return significant(value) if metric == "sum_norm" else decimal(value)
