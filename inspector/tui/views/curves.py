"""One metric along the layers, as lines over each other: of the chosen pairs, or of the adapters."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.common.labels import labels
from inspector.study.metrics import DEFINITIONS, FRACTION, SIGNED
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_labels
from inspector.tui.table import Table
from inspector.tui.text import Line, chance_level, clean, degrees, fit, page, plural
from inspector.tui.values import number, of_adapters
from inspector.tui.views.base import Area, metric_title, tidy
from inspector.tui.views.layers.view import MOST, LayersView
from inspector.tui.widgets.plot import LETTERS, Lines, as_curve, limits_of, plot


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the plot: an adapter, or a pair."""

    label: str
    values: Floats
    colour: int
    here: bool
    chosen: bool = True


def items(state: AppState, width: int = 1000) -> list[Item]:
    """What is plotted, the cursor's own line always among it; names in at most `width` cells."""
    metric = state.layers_metric
    if of_adapters(metric):
        first = min(max(state.row - MOST + 1, 0), max(state.size - MOST, 0))
        shown = range(first, min(first + MOST, state.size))
        names = labels(state.names).at(width)
        return [Item(names[i], state.series(metric, i), state.order[i], i == state.row) for i in shown]
    here = None if state.pair is None else (min(state.pair), max(state.pair))
    toggled = state.plotted
    pairs = toggled if here is None or here in toggled else [*toggled, here]
    return [
        Item(name, state.series(metric, *p), colour, p == here, p in toggled)
        for p, name, colour in zip(
            pairs, pair_labels(state, pairs, width, metric), pair_colours(state, pairs), strict=True
        )
    ]


class CurvesView(LayersView):
    id = "curves"
    title = "Curves"
    hint = "a metric along the layers, the lines of chosen pairs over each other"
    about = "A metric per layer. Dashes mark chance where it is defined; the column is the layer slider."

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        ink = area.ink
        if not of_adapters(state.layers_metric) and (nothing := self.empty(state, area, 2)) is not None:
            return nothing
        if not state.layers:
            return page([Line(), Line("  These adapters have no numbered layers.")], area.width, area.height)
        shown = items(state, 28 if area.width >= 100 else (area.width - 2) // 2 - 12)
        title = self._heading(state, shown, area)
        beside = area.width >= 100
        side = min(max(cell_len(item.label) for item in shown) + 12, 40) if shown and beside else 0
        entries = self._legend(state, shown, area, side or (area.width - 2) // 2)
        below = [] if beside else _columns(entries, area.width)
        below = below[: max(area.height - 9, 2)]
        height = area.height - 1 - len(below)
        drawn = plot(self._lines(state, shown), ink, area.width - side, height) if height >= 4 else []
        if beside:
            for line, entry in zip(drawn, entries, strict=False):
                line.to(area.width - side).segments.extend(entry.segments)
                line.width += entry.width
        return page([title, *drawn, *below], area.width, area.height)

    def _what(self, state: AppState, shown: list[Item]) -> str:
        if of_adapters(state.layers_metric):
            what = f"showing {len(shown)} of {plural(state.size, 'adapter')}"
        else:
            what = f"showing {len(state.plotted)} of {plural(len(state.pairs), 'pair')}"
        at = f" · values at layer {state.layers[state.layer]}"
        return f"{what}{at}{f' · {clean(state.filter)} only' if state.filter else ''}"

    def _heading(self, state: AppState, shown: list[Item], area: Area) -> Line:
        """The metric and what is shown of it, in fewer words where they do not fit."""
        name, what = f" {metric_title(state.layers_metric)}", self._what(state, shown)
        for words in (f"{name} per layer", f" · {what}"), (name, f" · {what.replace('showing ', '')}"):
            if sum(map(cell_len, words)) <= area.width:
                break
        return Line(words[0], area.ink.bold).add(words[1], area.ink.dim)

    def _lines(self, state: AppState, shown: list[Item]) -> Lines:
        metric = state.layers_metric
        curves = tuple(as_curve(item.values) for item in shown)
        chance = as_curve(state.chance_series(metric, state.pair))
        range_ = DEFINITIONS[metric].range
        roof = 1.0 if range_ in {SIGNED, FRACTION} and not of_adapters(metric) else None
        limits = limits_of([*curves, chance], floor=None if range_ == SIGNED else 0.0, roof=roof)
        strong = next((n for n, item in enumerate(shown) if item.here), -1)
        xs = tuple(float(layer) for layer in state.layers)
        colours = tuple(item.colour for item in shown)
        return Lines(xs, curves, chance, limits, float(state.layers[state.layer]), strong, colours=colours)

    def _legend(self, state: AppState, shown: list[Item], area: Area, width: int) -> list[Line]:
        """Letter, name and value at the slider's layer, the cursor's marked."""
        ink, metric = area.ink, state.layers_metric
        lines = []
        for n, item in enumerate(shown):
            value = number(metric, float(item.values[state.layer]))
            line = Line("▸" if item.here else " ", ink.accent)
            line.add(f"{LETTERS[n % 26]} ", ink.line(item.colour) + ink.bold)
            line.add(fit(item.label, width - 12), ink.bold if item.here else ink.plain)
            line.add("" if item.chosen else " ␣", ink.dim)
            lines.append(line.to(width - 8).add(f"{value:>6}", ink.bold if item.here else ink.plain))
        chance = float(state.chance_series(metric, state.pair)[state.layer])
        if chance == chance:  # noqa: PLR0124 - not NaN
            text = degrees(chance) if DEFINITIONS[metric].unit else chance_level(chance)
            of_pair = " ▸" if len({info.ranks for info in state.infos}) > 1 else ""
            lines.append(Line(f" ╌ chance{of_pair}", ink.dim).to(width - 8).add(f"{text:>6}", ink.dim))
        return lines

    def move(self, state: AppState, step: int) -> None:
        if of_adapters(state.layers_metric):
            super().move(state, step)
        else:
            state.step_pair(step)

    def table(self, state: AppState) -> Table:
        shown, metric = items(state), state.layers_metric
        rows = tuple(
            (str(layer), *(tidy(float(item.values[at])) for item in shown)) for at, layer in enumerate(state.layers)
        )
        title = f"{metric_title(metric)} per layer · {state.filter or 'all projections'}"
        return Table(title, ("layer", *(item.label for item in shown)), rows)


def _columns(entries: list[Line], width: int) -> list[Line]:
    """Legend entries in two columns."""
    half = (len(entries) + 1) // 2
    lines = []
    for at in range(half):
        line = Line()
        for column, entry in enumerate(entries[at::half][:2]):
            line.to(column * (width // 2)).segments.extend(entry.segments)
            line.width += entry.width
        lines.append(line)
    return lines
