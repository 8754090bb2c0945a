"""How large and how many-dimensional each update is, and its singular spectrum at the slider's layer."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.study.metrics import DEFINITIONS, shown_in
from inspector.tui.actions import Action, cycled
from inspector.tui.navigation import FILTER, METRIC, SCRUBBED
from inspector.tui.plotting import nice_limits
from inspector.tui.probing.views import facts
from inspector.tui.state import AppState
from inspector.tui.subjects import shared
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, general, page, plural, times, wrap
from inspector.tui.values import number
from inspector.tui.views.base import Area, View, metric_title, rows_shown, tidy, window
from inspector.tui.views.layers.view import MOST
from inspector.tui.widgets.bars import bar, decades, log_axis, log_share
from inspector.tui.widgets.plot import LETTERS, Lines, limits_of, plot


def spectrum_modules(state: AppState) -> list[int]:
    """The modules of the slider's layer that pass the filter: indices into study.modules."""
    layer = state.layers[state.layer] if state.layers else None
    return [
        m
        for m, module in enumerate(state.study.modules)
        if module.layer == layer and (not state.filter or module.projection == state.filter)
    ]


class SizeView(View):
    id = "size"
    tab = "1"
    title = "Size & rank"
    need = 1
    hint = "norms, effective ranks, singular spectra"
    about = (
        "Left: how far each adapter moved, ‖ΔW‖ with the scale in it, on a log scale. Right: over how many "
        "directions; the definitions of rank differ by 3–5×, m goes through them. "
        "Below: the singular values of one module, a line an adapter; a line that falls fast has few directions."
    )
    actions = (
        *SCRUBBED,
        *METRIC,
        FILTER,
        Action("next_module", "n", "module", "the next module whose spectrum is shown",
               lambda view, app: view.step_module(app.state, 1), 50, "n/N"),
        Action("previous_module", "N", "previous module", "the previous module",
               lambda view, app: view.step_module(app.state, -1)),
        Action("log", "z", "log σ", "logarithmic or linear spectrum",
               lambda view, app: view.choose(app.state, "log", not view.log), 40),
    )  # fmt: skip
    probe = "intruders"
    shows = (*shown_in("size"), "norm*", "singular*")
    remembered = (("rank_metric", shown_in("size")), ("log", (True, False)))

    def __init__(self) -> None:
        self.log = True
        self.spectrum = 0
        """Of the modules of a layer, the one whose spectrum is shown."""

    def step_module(self, state: AppState, step: int) -> None:
        if modules := spectrum_modules(state):
            self.spectrum = (self.spectrum + step) % len(modules)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        bars = max(min(state.size, (area.height - 7) // 2), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, bars, state.size)
        extent = rows_shown(top, bars, state.size, "adapters")
        title = Line(" size and rank", area.ink.bold).add(f"{extent} · {self.place(state)}", area.ink.dim)
        common = shared(state)
        title.add(common if title.width + cell_len(common) <= area.width else "", area.ink.dim)
        lines = [title, *self._bars(state, top, bars, area)]
        room = area.height - len(lines)
        return page([*lines, *self._spectra(state, room, area)], area.width, area.height)

    def _bars(self, state: AppState, top: int, height: int, area: Area) -> list[Line]:
        """Norms on a logarithmic scale, ranks from 0 on, in each adapter's colour."""
        ink, ranks, names = area.ink, state.rank_metric, labels(state.names)
        shown = names.at(max(area.width // 4, 10))
        label = max(map(cell_len, shown)) + 3
        half = (area.width - label) // 2
        mixed = ranks == "effective_rank" and len({info.ranks for info in state.infos}) > 1
        width = half - (17 if mixed else 11)
        norms = [state.own("norm", i) for i in range(state.size)]
        sizes = [state.own(ranks, i) for i in range(state.size)]
        beside = norms[state.reference_at] if state.reference_at is not None else math.nan
        tail = 11 if math.isnan(beside) else 17
        ends, most = decades(norms), max((v for v in sizes if math.isfinite(v)), default=0.0)
        title = Line().to(label).add("norm ‖ΔW‖, log scale", ink.dim).to(label + half).add(metric_title(ranks), ink.dim)
        lines = [title, Line().to(label).add(log_axis(ends, half - tail), ink.dim)]
        for i in range(top, min(top + height, state.size)):
            here, colour = i == state.row, ink.line(state.order[i])
            style = ink.bold if here else ink.plain
            line = Line("▸ " if here else "  ", ink.accent).add(shown[i], style).pad(label)
            line.add(bar(log_share(norms[i], ends), half - tail), colour).add(f" {general(norms[i])}", style)
            if beside > 0 and i != state.reference_at:
                line.add(f" {times(norms[i] / beside)}", ink.dim)
            part, text = sizes[i] / most if most else math.nan, number(ranks, sizes[i])
            if mixed:  # across ranks, shares are compared
                part, text = state.own("effective_rank_share", i), f"{text} of {state.infos[i].rank}"
            line.to(label + half).add(bar(part, width), colour).add(f" {text}", style)
            lines.append(line)
        lines.append(Line(f" {metric_title(ranks)} = {DEFINITIONS[ranks].formula}  (m: others)", ink.dim))
        return [*lines, *self._with_base(state, area)]

    def _with_base(self, state: AppState, area: Area) -> list[Line]:
        """What the base adds about the adapter under the cursor, once it was measured."""
        known = facts(state, state.row)
        text = f"{state.name(state.row)}: {' · '.join(known)}" if known else ""
        return [Line(" " + part, area.ink.plain) for part in wrap(text, area.width - 2) if part]

    def _spectra(self, state: AppState, room: int, area: Area) -> list[Line]:
        """Singular values of one module, a line per adapter that has it."""
        ink, modules = area.ink, spectrum_modules(state)
        metric = spectrum_metric(state)
        block = state.block(metric, "module")
        if room < 6 or block is None or not modules:
            why = "the spectrum needs a taller terminal" if room < 6 else "no singular values here yet"
            return [Line(), Line("  " + why, ink.dim)]
        module = modules[self.spectrum % len(modules)]
        have = np.flatnonzero(np.isfinite(block[:, module]).any(axis=-1)).tolist()
        first = min(max(bisect(have, state.row) - MOST, 0), max(len(have) - MOST, 0))
        shown = have[first : first + MOST]
        values = np.asarray(block[shown, module])
        name = clean(str(state.study.modules[module]))
        of = f" · {len(shown)} of {plural(len(have), 'adapter')}" if len(shown) < len(have) else ""
        which = f"{self.spectrum % len(modules) + 1} of {len(modules)}"
        title = Line(f" {DEFINITIONS[metric].title.removesuffix(' σ')}", ink.bold)
        scale = "log" if self.log else "linear"
        tail = f" · {name} ({which} at this layer){of} · {scale}"
        title.add(tail if title.width + cell_len(tail) <= area.width else f" · {name} ({which}){of} · {scale}", ink.dim)
        if not shown:
            return [title, Line("  no adapter has numbers of this module (n: the next one)", ink.dim)]
        legend = adapter_legend(state, shown, area)
        cut = values[:, : max(_used(values), 2)]
        strong = shown.index(state.row) if state.row in shown else -1
        lines = replace(self._lines(cut, strong), colours=tuple(state.order[i] for i in shown))
        drawn = plot(lines, ink, area.width - 1, room - 1 - len(legend))
        return [title, *drawn, *legend]

    def _lines(self, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], strong: int) -> Lines:
        xs = tuple(float(n + 1) for n in range(values.shape[1]))
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log10(values)
            top = float(np.nanmax(np.where(np.isfinite(logs), logs, np.nan))) if np.isfinite(logs).any() else 0.0
            logs = np.where(logs > top - 6, logs, np.nan)  # zeros and rounding noise: not a spectrum
            curves = tuple(tuple(float(v) for v in row) for row in logs)
            known = [v for row in curves for v in row if math.isfinite(v)]
            return Lines(
                xs, curves, limits=nice_limits(min(known, default=-1), max(known, default=0)), strong=strong, log=True
            )
        curves = tuple(tuple(float(v) for v in row) for row in values)
        return Lines(xs, curves, limits=limits_of(curves, floor=0.0), strong=strong)

    def table(self, state: AppState) -> Table:
        ranks = tuple(m for m in (*shown_in("size"), *shown_in("base")) if state.has(m))
        rows = tuple(
            (state.name(i), *(tidy(state.own(metric, i)) for metric in ("norm", *ranks))) for i in range(state.size)
        )
        return Table(f"size and rank · {self.place(state)}", ("name", "norm", *ranks), rows)

    def cycle(self, state: AppState, step: int) -> None:
        state.rank_metric = cycled(state.available(shown_in("size")), state.rank_metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, "norm", state.rank_metric)

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        more = (m for m in (*shown_in("base"), "lens_depth") if state.has(m))
        return ("norm", state.rank_metric, spectrum_metric(state), *more)


def spectrum_metric(state: AppState) -> str:
    """Shares if the scale of an adapter is unknown: only these stand beside each other then."""
    share = "singular_value_share"
    return "singular_value" if state.study.block(share, "module") is None else share


def _used(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> int:
    """How many singular values any of them has."""
    some = np.flatnonzero(np.isfinite(values).any(axis=0))
    return int(some[-1]) + 1 if some.size else 0


def adapter_legend(state: AppState, shown: Sequence[int], area: Area) -> list[Line]:
    """The letters of the adapters, in as many lines as they need."""
    ink, names, lines = area.ink, labels(state.names).at(18), [Line(" ")]
    for n, i in enumerate(shown):
        if lines[-1].width + cell_len(names[i]) + 3 > area.width:
            lines.append(Line(" "))
        lines[-1].add(f" {LETTERS[n]} ", ink.line(state.order[i]) + ink.bold)
        lines[-1].add(names[i], ink.bold if i == state.row else ink.plain)
    return lines
