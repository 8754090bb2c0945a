"""The pair under the cursor, added: the verdict on the two first, then what their weighted sum would be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.insights.evidence import Evidence
from inspector.merging.preview import Preview, no_sum
from inspector.tui.messages import ForView
from inspector.tui.navigation import FILTER, PAIRS, SCRUBBED
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, beside, clean, decimal, left, right, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, View, scrolled
from inspector.tui.views.map import TWO_PANES
from inspector.tui.views.merge.actions import SHARE, Adder
from inspector.tui.views.merge.sums import (
    METRICS,
    UNFINISHED,
    along_layers,
    missing,
    percent,
    ranks,
    significant,
    sum_table,
)
from inspector.tui.views.pair.evidence import evidence, heading, rule, said
from inspector.tui.work import Work

_LEFT_OUT = ("energy_ratio", "output_similarity", "v1", "subspace_overlap")
"""Evidence for which there may be no room, in this order."""
_COLUMNS, _WIDE = ("‖ΔW_a‖", "‖ΔW_b‖", "cosine", "‖sum‖", "cancels", "kept"), 8
_ASIDE = 5 + 4 * _WIDE + 3
"""Columns of the right pane."""


class MergeView(View):
    id = "merge"
    tab = "5"
    title = "Merge"
    scrolls = True
    lists = "modules"
    need = 2
    hint = "the verdict on two adapters, and what their average would be"
    about = (
        "The verdict on the pair under the cursor, then what a weighted sum of the two would be: their average, or "
        "another share of the first with + and −. n and N go through the pairs, ⏎ lists the modules. Nothing is "
        "written: Y copies the command that prints it; with --write DEST that command writes the sum."
    )
    first = ("next_pair", "less_of_first", "list_modules")
    actions = (*SHARE, *(action for action in PAIRS if action.id != "toggle"), FILTER, *SCRUBBED)

    def __init__(self) -> None:
        self.adder = Adder()

    def prepare(self, app: Work) -> None:
        self.adder.keep_up(app)

    def receive(self, app: Work, message: ForView) -> None:
        self.adder.take(app, message)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        ink, width, pair = area.ink, area.width, state.pair or (0, 1)
        a, b = (state.order[at] for at in pair)
        found, wanted = state.verdict(a, b), state.finds.get(self.lists, "")
        head = heading(state, pair, found, area)
        preview = state.preview
        aside = _by_layer(state, preview, (a, b), ink) if preview and area.width >= TWO_PANES else []
        width -= _ASIDE if aside else 0
        lines, merged = said(found, ink, width), self._merged(state, (a, b), ink, width)
        if not state.mixture.modules:
            room = area.height - len(lines) - len(merged) - 2
            lines += evidence(state, pair, replace(found, evidence=_fitting(found.evidence, room)), ink, width)
        lines += merged
        if (state.mixture.modules or wanted) and preview is not None:
            lines += _modules(state, preview, (a, b), wanted, ink)
        return scrolled([head, *(beside(lines, aside, width + 2) if aside else lines)], state, self.id, area)

    def _merged(self, state: AppState, two: tuple[int, int], ink: Ink, width: int) -> list[Line]:
        """Norm, cosines, what cancels and what a rank keeps of the sum at the slider's place; or why there is none."""
        preview = state.preview
        share = state.mixture.share
        narrowed = f" · {self.place(state)}" if state.filter or state.scope == "layer" else ""
        head = rule(f"if merged {share:g} : {round(1 - share, 10):g}{narrowed}", ink, width)
        infos = state.study.adapters
        if reason := no_sum(infos, [float(at in two) for at in range(len(infos))]):
            return [head, *(Line(f"   {part}", ink.warn) for part in wrap(clean(reason), width - 5))]
        if preview is None:
            lacking = "The norms and cosines of modules are not measured." if state.measured else UNFINISHED
            return [head, Line(f"   {lacking}")]
        sums, scope = preview.sums, preview.scope(state.counted())
        cosines = [decimal(float(sums.cosines(scope)[at])) for at in two]
        line = Line("   norm ", ink.dim).add(significant(float(sums.norm(scope))), ink.bold)
        line.add(" · cosine to each ", ink.dim).add(" ".join(cosines), ink.bold)
        line.add(" · cancelled ", ink.dim).add(percent(float(sums.interference(scope))), ink.bold)
        lines = [head, line, ranks(state, preview, ink, width)]
        if preview.spectra is not None and not state.mixture.modules:
            lines += _projections(state, preview, ink, width)
        return [*lines, *(Line(f"   {text}", ink.warn) for text in missing(state, preview, width - 5))]

    def table(self, state: AppState) -> Table:
        return sum_table(state, state.preview, [state.order[at] for at in state.pair or ()])

    def shell_command(self, state: AppState) -> list[str]:
        """`inspector merge-preview NAME=SOURCE:0.5 NAME=SOURCE:0.5`, and `--rank R`."""
        if state.pair is None:
            return []
        shares = (state.mixture.share, round(1 - state.mixture.share, 10))
        infos = [state.infos[at] for at in state.pair]
        words = [f"{info.name}={info.source}:{w:g}" for info, w in zip(infos, shares, strict=True) if w]
        rank = ["--rank", str(state.mixture.rank)] if state.mixture.rank else []
        return ["inspector", "merge-preview", *words, *rank, *state.shown.settings.reading]

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("cosine", "u1", "v1", "subspace_overlap", "output_similarity", *METRICS)


def _fitting(rows: tuple[Evidence, ...], room: int) -> tuple[Evidence, ...]:
    """As many rows as there is room for: what the Pair shows as well, and says least of a sum, is left out first."""
    kept = list(rows)
    for metric in _LEFT_OUT:
        if len(kept) > room:
            kept = [row for row in kept if row.metric != metric]
    return tuple(kept)


def _projections(state: AppState, preview: Preview, ink: Ink, width: int) -> list[Line]:
    """What the target rank keeps of each projection, where there are several."""
    names = preview.study.projections
    kept = preview.kept(preview.by_projection(), state.mixture.target(preview))
    if len(names) < 2:
        return []
    line = Line("   kept", ink.dim)
    for name, share in zip(names, kept.tolist(), strict=True):
        text = f"  {clean(name)} {percent(share)}"
        if line.width + cell_len(text) + 1 > width:
            break
        line.add(text, ink.plain)
    return [line]


def _modules(state: AppState, preview: Preview, two: tuple[int, int], wanted: str, ink: Ink) -> list[Line]:
    """A row a module of those searched for: the sizes of both, their cosine, and what becomes of them."""
    study, sums, target = preview.study, preview.sums, state.mixture.target(preview)
    shown = np.flatnonzero(preview.scope(state.counted())).tolist()
    shown = [m for m in shown if wanted.casefold() in str(study.modules[m]).casefold()]
    names = [clean(str(study.modules[m])) for m in shown]
    label = max(map(cell_len, names), default=8) + 2
    norms, cosines = study.blocks["norm", "module"], study.blocks["cosine", "module"][two]
    lines = [Line("   ").add(left("module", label), ink.dim).add("".join(right(c, _WIDE) for c in _COLUMNS), ink.dim)]
    for m, name in zip(shown, names, strict=True):
        cells = [significant(float(norms[at, m])) for at in two] + [decimal(float(cosines[m]))]
        cells += [significant(math.sqrt(sums.square[m])), percent(_share(sums.conflict[m], sums.energy[m]))]
        if preview.spectra is not None:
            squares = preview.spectra[m] ** 2
            cells.append(percent(_share(squares[:target].sum(), squares.sum())))
        lines.append(Line("   ").add(left(name, label)).add("".join(right(cell, _WIDE) for cell in cells)))
    return lines


def _by_layer(state: AppState, preview: Preview, two: tuple[int, int], ink: Ink) -> list[Line]:
    """A row a layer: the cosine of both, and what becomes of them in the sum."""
    cosines = state.shown.block("cosine", "layer")
    if not state.layers or cosines is None:
        return []
    columns = [along_layers(state, preview, m) for m in ("sum_norm", "sum_interference", "sum_energy_kept")]
    lines = [Line("layer", ink.dim).add("".join(right(c, _WIDE) for c in ("cosine", *_COLUMNS[3:])), ink.dim)]
    for at, layer in enumerate(state.layers):
        here = state.one_layer and at == state.layer
        norm, conflict, kept = (float(values[at]) for values in columns)
        cells = (decimal(float(cosines[two][at])), significant(norm), percent(conflict), percent(kept))
        line = Line(right(str(layer), 4), ink.accent if here else ink.dim).add(" ")
        lines.append(line.add("".join(right(cell, _WIDE) for cell in cells), ink.bold if here else ink.plain))
    return lines


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
