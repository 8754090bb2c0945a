"""What a weighted sum of the open adapters would be, before it is made."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.merging.preview import NOT_MERGED, Flags, Preview, refused
from inspector.study.study import Study
from inspector.tui.actions import cycled
from inspector.tui.messages import ForView
from inspector.tui.navigation import FILTER, METRIC, SCRUBBED
from inspector.tui.state import AppState
from inspector.tui.text import NA, Line, clean, fit, general, page, plural, right, signed, wrap
from inspector.tui.views.base import Area, Table, View, metric_title, tidy, window
from inspector.tui.views.merge.actions import RANK, WEIGHTS, Adder
from inspector.tui.views.merge.state import METRICS
from inspector.tui.widgets.bars import bar
from inspector.tui.widgets.plot import Lines, as_curve, limits_of, plot
from inspector.tui.work import Work

_PLOT = 8
UNFINISHED = "Not all is measured yet."
_ROOM = 44
"""Cells of a row beside the name and the bar."""


def unmeasured(study: Study) -> Flags:
    """(N, M): modules that are still to be measured."""
    assert study.sizes is not None
    return np.asarray(np.isnan(study.sizes) & study.present & ~study.excluded)


def percent(share: float) -> str:
    """`97.3 %`; never 100 % of what is not all."""
    if math.isnan(share):
        return NA
    return f"{100 * share:.1f} %" if share < 0.9995 or share > 1 - 1e-9 else ">99.9 %"


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


class MergeView(View):
    id = "merge"
    tab = "5"
    title = "Merge"
    need = 1
    hint = "what a weighted sum of the adapters would be"
    about = (
        "What Σ w·ΔW of the open adapters would be; nothing is written. + and − weigh the adapter under the cursor, "
        "space leaves it out. Y copies the command that prints it; with --write DEST that command writes the sum."
    )
    actions = (*SCRUBBED, *METRIC, FILTER, *WEIGHTS, *RANK)

    def __init__(self) -> None:
        self.adder = Adder()

    def prepare(self, app: Work) -> None:
        self.adder.keep_up(app)

    def receive(self, app: Work, message: ForView) -> None:
        self.adder.take(app, message)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        preview = state.preview
        if preview is None:
            lacking = "The norms and cosines of modules are not measured." if state.measured else UNFINISHED
            return page([Line(), Line("  " + lacking)], area.width, area.height)
        head = [*self._head(state, preview, area), *self._doubts(state, preview, area)]
        room = area.height - len(head) - 1
        rows = max(min(state.size, room - _PLOT if state.layers else room), 2)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, rows, state.size)
        table = self._rows(state, preview, (top, rows), area)
        height = room - len(table)
        drawn = self._plot(state, preview, area, height) if state.layers and height >= 6 else []
        return page([*head, *table, Line(), *drawn], area.width, area.height)

    def _head(self, state: AppState, preview: Preview, area: Area) -> list[Line]:
        """What is added, and the sum's numbers at the slider's place."""
        ink, sums, scope = area.ink, preview.sums, preview.scope(state.counted())
        parts = sum(w != 0 for w in preview.weights)
        title = Line(f" Σ w·ΔW of {plural(parts, 'adapter')}", ink.bold).add(f" · {self.place(state)}", ink.dim)
        numbers = Line("  ")
        for label, value in (
            ("norm", general(float(sums.norm(scope)))),
            ("energy ratio", _ratio(float(sums.energy_ratio(scope)))),
            ("interference", _ratio(float(sums.interference(scope)))),
        ):
            numbers.add(f"{label} ", ink.dim).add(f"{value}   ", ink.bold)
        return [title, numbers, self._ranks(state, preview, area)]

    def _ranks(self, state: AppState, preview: Preview, area: Area) -> Line:
        """The rank of the sum and what a smaller one keeps, or how far that is."""
        ink, scope, target = area.ink, preview.scope(state.counted()), state.mixture.target(preview)
        line = Line("  rank ", ink.dim)
        if preview.spectra is None:
            done = state.mixture.done
            why = "and energy kept: they need the adapters' weights"
            return line.add(why if done is None else f"{done[0]} of {done[1]} modules added …", ink.dim)
        held, rank = preview.kept(scope), float(preview.ranks(scope))
        line.add("·" if math.isnan(rank) else f"{rank:.1f}", ink.bold).add(f"   energy kept at rank {target} ", ink.dim)
        line.add(percent(float(preview.kept(scope, target))), ink.bold).add(" (n/N)", ink.dim)
        others = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k <= len(held) and k != target]
        for k in others:
            text = f"  {k}: {percent(float(held[k - 1]))}"
            if line.width + cell_len(text) + 2 > area.width or math.isnan(float(held[k - 1])):
                break
            line.add("  ·" if k == others[0] else "", ink.dim).add(text, ink.dim)
        return line

    def _doubts(self, state: AppState, preview: Preview, area: Area) -> list[Line]:
        """What is in no number, and why the sum may fit no model."""
        study, parents = preview.study, np.flatnonzero(preview.weights)
        lines = []
        if not state.measured and unmeasured(study)[parents].any():
            lines.append(UNFINISHED)
        if cannot := refused(study, preview.weights) if parents.size else []:
            module, reason = cannot[0]
            text = f"! {plural(len(cannot), 'module')} cannot be added, such as {clean(str(module))}: {clean(reason)}"
            lines += wrap(text, area.width - 4)[:2]
        if unscaled := [clean(study.names[at]) for at in state.order if not study.scaled[at]]:
            text = f"! Left out, their scale is unknown: {', '.join(unscaled)} (--alpha gives it)"
            lines.append(fit(text, area.width - 4).rstrip())
        for info in (info for info in state.infos if not info.everywhere):
            lines += wrap(f"! {clean(info.name)} {NOT_MERGED}: it is left out.", area.width - 4)[:2]
        bases = dict.fromkeys(study.adapters[i].base for i in parents if study.adapters[i].base)
        if len(bases) > 1:
            lines.append(fit(f"! Different bases: {', '.join(clean(base) for base in bases)}", area.width - 4).rstrip())
        return [Line("  " + line, area.ink.warn) for line in lines]

    def _rows(self, state: AppState, preview: Preview, at: tuple[int, int], area: Area) -> list[Line]:
        """A row per adapter: weight, size, and how far the sum points its way."""
        ink, (top, rows) = area.ink, at
        scope = preview.scope(state.counted())
        norms, cosines = _own_norms(preview, scope), preview.sums.cosines(scope)
        widest = max(cell_len(name) for name in state.names)
        label = max(min(widest, max(area.width - _ROOM, 12)), 8)
        extent = "" if rows >= state.size else f"{top + 1}–{min(top + rows, state.size)}/{state.size}"
        header = Line(f"  {extent}", ink.dim).to(label + 3)
        header.add(f"{right('weight', 8)}{right('‖w·ΔW‖', 11)}{right('cosine to sum', 16)}", ink.dim)
        lines = [header]
        for row in range(top, min(top + rows, state.size)):
            adapter, here = state.order[row], row == state.row
            w, cosine = preview.weights[adapter], float(cosines[adapter])
            style = ink.bold if here else ink.plain if w else ink.dim
            line = Line("▸ " if here else "  ", ink.accent).add(fit(state.name(row), label), style).to(label + 3)
            line.add(right(f"{w:g}".replace("-", "−"), 8), style)
            line.add(right(general(abs(w) * float(norms[adapter])), 11), style)
            line.add(right(signed(cosine), 9), style).add("  ")
            lines.append(line.add(bar(abs(cosine), min(area.width - line.width - 1, 24)), ink.line(adapter)))
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
        """The sum, its parents, then its layers."""
        columns = ("what", "weight", "norm", "cosine_to_sum", "energy_ratio", "interference", "rank", "energy_kept")
        preview = state.preview
        if preview is None:
            return Table("merge preview: not measured", columns, ())
        scope, sums, target = preview.scope(state.counted()), preview.sums, state.mixture.target(preview)
        known = preview.spectra is not None
        whole = (sums.norm(scope), sums.energy_ratio(scope), sums.interference(scope))
        ranks = (preview.ranks(scope), preview.kept(scope, target)) if known else (math.nan, math.nan)
        norm, *others = (tidy(float(value)) for value in (*whole, *ranks))
        rows: list[tuple[str, ...]] = [("sum", "", norm, "", *others)]
        norms, cosines = _own_norms(preview, scope), sums.cosines(scope)
        for name, at in zip(state.names, state.order, strict=True):
            numbers = (preview.weights[at], norms[at], cosines[at])
            rows.append((name, *(tidy(float(value)) for value in numbers), "", "", "", ""))
        norm_by, ratio_by, conflict_by, kept_by = (
            [tidy(float(value)) for value in along_layers(state, preview, metric)]
            for metric in ("sum_norm", "sum_energy_ratio", "sum_interference", "sum_energy_kept")
        )
        for at, layer in enumerate(state.layers):
            rows.append((f"layer {layer}", "", norm_by[at], "", ratio_by[at], conflict_by[at], "", kept_by[at]))
        title = f"merge preview · {self.place(state)} · energy kept at rank {target}"
        return Table(title, columns, tuple(rows))

    def cycle(self, state: AppState, step: int) -> None:
        state.mixture.metric = cycled(METRICS, state.mixture.metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        """`inspector merge-preview NAME=SOURCE:WEIGHT …`, those that count, and `--rank R`."""
        if not state.size:
            return []
        weighed = [(info, state.mixture.weight(at)) for info, at in zip(state.infos, state.order, strict=True)]
        words = [f"{info.name}={info.source}:{w:g}" for info, w in weighed if w and info.everywhere and info.scaled]
        rank = ["--rank", str(state.mixture.rank)] if state.mixture.rank else []
        return ["inspector", "merge-preview", *words, *rank, *state.shown.settings.reading]

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("sum_norm", "sum_cosine", "sum_energy_ratio", "sum_interference", "sum_rank", "sum_energy_kept")


def _own_norms(preview: Preview, scope: Floats) -> Floats:
    """(N,): ‖ΔW_i‖, n/a of an unknown scale."""
    return np.where(preview.study.scaled, preview.sums.own_norms(scope), np.nan)


def _ratio(value: float) -> str:
    return NA if math.isnan(value) else f"{value:.3f}"


def _number(metric: str, value: float) -> str:
    if metric == "sum_energy_kept":
        return percent(value)
    return general(value) if metric == "sum_norm" else _ratio(value)
