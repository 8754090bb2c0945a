"""One metric along the layers: a strip for every pair, or adapter, and a chart of the marked one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.study.metrics import DEFINITIONS, FRACTION, SIGNED, shown_in
from inspector.tui.actions import cycled
from inspector.tui.navigation import FILTER, METRIC, OPEN_PAIR, PAIRS, SCRUBBED
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_label, pair_labels, shared
from inspector.tui.table import Table
from inspector.tui.text import Line, chance_level, clean, page, plural, right
from inspector.tui.values import number, of_adapters
from inspector.tui.views.base import Area, View, metric_title, tidy, window
from inspector.tui.views.layers.rows import Row, Rows, Subject, highest, marked, numbers_of
from inspector.tui.widgets.plot import LETTERS, Lines, as_curve, limits_of, plot
from inspector.tui.widgets.strips import Form, form, legend, numbers, strip

MOST = 8
"""Lines of one chart."""
_BESIDE = 42
"""Columns kept for the name and the numbers beside a strip."""
_CHART = 9
_LEAST = 14
"""Lines of an area without a chart."""


class LayersView(View):
    id = "layers"
    tab = "3"
    title = "Layers"
    need = 1
    hint = "a metric along the layers, a strip for every pair"
    about = (
        "A row a pair, a cell a layer, the most alike first. The chart is of the marked pair, and of those added by "
        "space; dashes mark chance where it is defined, the column is the layer slider."
    )
    actions = (*SCRUBBED, *METRIC, FILTER, OPEN_PAIR, *PAIRS)
    remembered = (("layers_metric", shown_in("layers")),)

    def __init__(self) -> None:
        self._rows = Rows()

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if not of_adapters(state.layers_metric) and (nothing := self.empty(state, area, 2)) is not None:
            return nothing
        if not state.layers:
            return page([Line(), Line("  These adapters have no numbered layers.")], area.width, area.height)
        every = self._rows.here(state)
        mine = marked(state)
        here = next((n for n, row in enumerate(every) if row.subject == mine), 0)
        chart = max(area.height - 2 - len(every), _CHART) if area.height >= _LEAST else 0
        chart = min(chart, max(area.height // 2, _CHART))
        height = max(area.height - 2 - chart, 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), here, height, len(every))
        shown = every[top : top + height]
        lines = [self._title(state, (top, len(shown), len(every)), area), *self._strips(state, shown, area)]
        drawn = self._chart(state, area, chart) if chart else []
        return page([*lines, *drawn], area.width, area.height)

    def _title(self, state: AppState, seen: tuple[int, int, int], area: Area) -> Line:
        """The metric, which rows are in sight, and what the colours mean."""
        (top, shown, every), metric = seen, state.layers_metric
        noun = "adapter" if of_adapters(metric) else "pair"
        which = plural(every, noun) if shown == every else f"{noun}s {top + 1}–{top + shown} of {every}"
        title, colours = Line(f" {metric_title(metric)} by layer", area.ink.bold), legend(metric, area.ink)
        folds = self._form(state, area).caption
        filtered = f" · {clean(state.filter)} only" if state.filter else ""
        at = state.reference_at
        against = "" if at is None or of_adapters(metric) else f" · against {labels(state.names).short[at]}"
        for part in (f" · {which}", against, filtered, folds, shared(state)):
            title.add(part if title.width + cell_len(part) <= area.width else "", area.ink.dim)
        if title.width + colours.width + 2 <= area.width:
            title.to(area.width - colours.width - 1).segments.extend(colours.segments)
            title.width += colours.width
        return title

    def _form(self, state: AppState, area: Area) -> Form:
        return form(len(state.layers), area.width - _BESIDE, most=4)

    def _strips(self, state: AppState, shown: Sequence[Row], area: Area) -> list[Line]:
        """The layers' numbers, then a strip a row with its name and its numbers over all, here and at the end."""
        ink, metric, of = area.ink, state.layers_metric, self._form(state, area)
        heads = ("all", f"at {state.layers[state.layer]}", "highest" if highest(metric) else "lowest")
        cells = [numbers_of(state, row) for row in shown]
        widths = [max(cell_len(text) for text in column) + 2 for column in zip(heads, *cells, strict=True)]
        names = self._names(state, shown, area.width - of.width - sum(widths) - 3)
        label = max(map(cell_len, names), default=0) + 3
        head = Line().to(label).append(numbers(state.layers, state.layer, of, ink))
        head.add("".join(map(right, heads, widths)), ink.dim)
        largest = self._rows.largest if of_adapters(metric) else 1.0
        lines = [head]
        for row, name, texts in zip(shown, names, cells, strict=True):
            here = row.subject == marked(state)
            style = ink.bold if here else ink.plain
            line = Line("▸" if here else " ", ink.accent).add(name, style).pad(label)
            if here:
                strip(line, row.values, metric, largest, of, ink, state.layer)
            else:
                line.append(self._rows.strip(row, metric, of, ink))
            lines.append(line.add("".join(map(right, texts, widths)), style))
        return lines

    def _names(self, state: AppState, shown: Sequence[Row], width: int) -> list[str]:
        if of_adapters(state.layers_metric):
            found = labels(state.names).at(width)
            return [found[row.subject[0]] for row in shown]
        pairs = [(row.subject[0], row.subject[1]) for row in shown]
        return pair_labels(state, pairs, width, state.layers_metric)

    def _chart(self, state: AppState, area: Area, height: int) -> list[Line]:
        """The marked one's values, and those of the pairs added, over a grid, with zero line and chance."""
        ink, metric, mine = area.ink, state.layers_metric, marked(state)
        subjects = [mine, *(p for p in _added(state) if p != mine)][:MOST]
        curves = tuple(as_curve(state.series(metric, *subject)) for subject in subjects)
        pairs: list[Pair] = [(s[0], s[1]) for s in subjects if len(s) == 2]
        colours = pair_colours(state, pairs) if pairs else (state.order[mine[0]],)
        chance = as_curve(state.chance_series(metric, state.pair if len(mine) == 2 else None))
        range_ = DEFINITIONS[metric].range
        roof = 1.0 if range_ in {SIGNED, FRACTION} and pairs else None
        limits = limits_of([*curves, chance], floor=0.0, roof=roof)
        if roof and limits[0] >= -0.5:
            limits = (min(limits[0], 0.0), 1.0, 0.25)
        head = Line(" ")
        for n, (subject, colour) in enumerate(zip(subjects, colours, strict=True)):
            name = pair_label(state, (subject[0], subject[1]), metric) if pairs else state.name(subject[0])
            text = f"{LETTERS[n]} {name}  " if len(subjects) > 1 else f"{name}  "
            head.add(text if head.width + cell_len(text) <= area.width else "", ink.line(colour) + ink.bold)
        level = float(chance[state.layer]) if chance else math.nan
        if math.isfinite(level):
            text = f"╌ chance {number(metric, level) if DEFINITIONS[metric].unit else chance_level(level)}"
            head.end(text + " ", area.width, ink.dim)
        xs, at = tuple(float(layer) for layer in state.layers), float(state.layers[state.layer])
        lines = Lines(xs, curves, chance, limits, at, 0, colours=colours, lettered=len(subjects) > 1)
        return [head, *plot(lines, ink, area.width, height - 1)]

    def move(self, state: AppState, step: int) -> None:
        """The next row, as they are shown."""
        if of_adapters(state.layers_metric):
            super().move(state, step)
        elif found := [row.subject for row in self._rows.here(state)]:
            at = found.index(marked(state)) if marked(state) in found else 0
            state.row, state.col = found[min(max(at + step, 0), len(found) - 1)]

    def table(self, state: AppState) -> Table:
        """A column a row of the view, a row a layer."""
        metric, every = state.layers_metric, self._rows.here(state)
        names = [
            state.name(row.subject[0]) if len(row.subject) == 1 else " ↔ ".join(map(state.name, row.subject))
            for row in every
        ]
        lines = tuple(
            (str(layer), *(tidy(float(row.values[at])) for row in every)) for at, layer in enumerate(state.layers)
        )
        title = f"{metric_title(metric)} per layer · {state.filter or 'all projections'}"
        return Table(title, ("layer", *names), lines)

    def cycle(self, state: AppState, step: int) -> None:
        """The map follows where it can."""
        state.layers_metric = cycled(state.available(shown_in("layers")), state.layers_metric, step)
        if state.layers_metric in shown_in("map"):
            state.metric = state.layers_metric

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, state.layers_metric)

    def preset(self, state: AppState) -> str:
        return "intruders" if state.layers_metric.startswith(("norm_relative", "intruder", "base_")) else ""

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        return (state.layers_metric,)


def _added(state: AppState) -> list[Subject]:
    """The pairs added to the chart by hand."""
    if state.chosen is None or of_adapters(state.layers_metric):
        return []
    return list(state.plotted)
