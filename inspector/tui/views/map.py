"""One number for every pair: the heatmap, and the cursor's pair in words."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.study.metrics import DEFINITIONS, INTERFERENCE, SIGNED, Definition, shown_in
from inspector.tui.actions import cycled
from inspector.tui.editing import LIST
from inspector.tui.navigation import CURSOR, FILTER, LAYERS, METRIC, OPEN_PAIR, PAIRS
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.text import NA, Line, left, page, plural, signed, small, unsigned
from inspector.tui.views.base import Area, Table, View, metric_title, tidy
from inspector.tui.widgets.heatmap import Heatmap, ramp_legend


def directions(state: AppState) -> list[Definition]:
    """The metrics of the map that have a chance level, as far as they were measured."""
    return [d for m in shown_in("map") if (d := DEFINITIONS[m]).chance and state.has(m)]


def against_chance(value: float, chance: float) -> str:
    """`chance .03 · 31×`."""
    if chance != chance or value != value:  # noqa: PLR0124 - NaN
        return ""
    ratio = value / chance if chance else float("inf")
    return f"chance {small(chance)} · {ratio:.0f}×" if ratio >= 10 else f"chance {small(chance)} · {ratio:.1f}×"


def read_against_chance(state: AppState, definition: Definition, pair: Pair) -> tuple[str, str, str]:
    """Label, number and chance level of a pair at the current place."""
    value = state.number(definition.metric, pair)
    chance = float(state.pair_chance(definition.metric, pair)[0])
    return definition.short, unsigned(value), against_chance(value, chance)


def one_sided(state: AppState, pair: Pair) -> str:
    """`  5 modules on one side only: zeros; cos +.40 without` where there are such, else nothing."""
    if not (lonely := state.one_sided(pair)):
        return ""
    text = f"  {plural(lonely, 'module')} on one side only: "
    if state.shown.settings.modules == "common":
        return f"{text}left out"
    cosine = state.interference(pair).cosine
    return f"{text}zeros; cos {signed(cosine).strip()} without" if np.isfinite(cosine) else f"{text}zeros"


class MapView(View):
    id = "map"
    tab = "2"
    title = "Map"
    need = 2
    hint = "one number for every pair of adapters"
    about = "One number for every pair. Row is a, column is b where the two differ."
    terms = (("interference", INTERFERENCE),)
    actions = (*CURSOR, *LAYERS, *METRIC, FILTER, OPEN_PAIR, *PAIRS, *LIST)
    shows = shown_in("map")
    remembered = (("metric", shown_in("map")),)

    def __init__(self) -> None:
        self.heatmap = Heatmap()

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        ink, diverging = area.ink, DEFINITIONS[state.metric].range == SIGNED
        words = self._words(state, area)
        tall = area.height - 1 - len(words) >= state.size + 1
        if not tall:
            words = self._short(state, area)
        grid = Area(
            ink, area.width, self.heatmap.height(state.names, Area(ink, area.width, area.height - 1 - len(words)))
        )
        cursor = (state.row, state.col)
        strips = self.heatmap.paint(state.matrix(state.metric), state.names, cursor, grid, diverging=diverging)
        title = Line(f" {metric_title(state.metric)}", ink.bold)
        for part in (self.heatmap.extent(state.names, grid), *(f" · {p}" for p in self.place(state).split(" · "))):
            title.add(part if title.width + cell_len(part) <= area.width else "", ink.dim)
        legend = ramp_legend(area, diverging=diverging)
        if ink.coloured and title.width + legend.width + 3 <= area.width:
            title.to(area.width - legend.width - 1).segments.extend(legend.segments)
            title.width += legend.width
        return [*page([title], area.width, 1), *strips, *page(words, area.width, area.height - 1 - len(strips))]

    def _words(self, state: AppState, area: Area) -> list[Line]:
        """The cursor's pair, a line a number."""
        ink, pair = area.ink, state.pair
        if pair is None:
            return []
        names = [state.name(pair[0]), state.name(pair[1])]
        head = Line(" ").add(f"{names[0]} ↔ {names[1]}", ink.accent)
        rows = [("cosine", signed(state.number("cosine", pair)), "")]
        rows += (read_against_chance(state, d, pair) for d in directions(state))
        rows.append(("interference", state.interference(pair).kind, ""))
        head.add(one_sided(state, pair), ink.warn)
        lines = [Line(), head]
        half = (len(rows) + 1) // 2 if area.width >= 76 else len(rows)
        for at in range(half):
            line = Line("  ")
            for column, (label, text, note) in enumerate(rows[at::half][:2]):
                line.to(2 + column * 39).add(label, ink.dim).to(2 + column * 39 + 15)
                line.add(left(text, 5) if note else text, ink.bold).add(note, ink.dim)
            lines.append(line)
        return lines

    def _short(self, state: AppState, area: Area) -> list[Line]:
        """The same in one line, or two where one is too narrow."""
        pair = state.pair
        if pair is None:
            return []
        line = Line(f" {state.name(pair[0])}↔{state.name(pair[1])}", area.ink.accent)
        line.add(f"  cos {signed(state.number('cosine', pair)).strip()}")
        for d in (d for d in directions(state) if "glance" in d.shown):
            line.add(f" {d.short.split()[0]} {unsigned(state.number(d.metric, pair))}")
            chance = float(state.pair_chance(d.metric, pair)[0])
            line.add("" if small(chance) == NA else f"({small(chance)})", area.ink.dim)
        kind = state.interference(pair).kind
        if line.width + len(kind) + 1 <= area.width:
            return [line.add(f" {kind}", area.ink.bold)]
        names, numbers = line.segments[0], line.segments[1:]
        first, second = Line(names.text, area.ink.accent).add(f"  {kind}", area.ink.bold), Line()
        for segment in numbers:
            second.add(segment.text, segment.style or area.ink.plain)
        return [first, second]

    def table(self, state: AppState) -> Table:
        values, names = state.matrix(state.metric), state.names
        rows = tuple((names[i], *(tidy(float(v)) for v in values[i])) for i in range(state.size))
        return Table(f"{metric_title(state.metric)} · {self.place(state)}", ("a \\ b", *names), rows)

    def cycle(self, state: AppState, step: int) -> None:
        """The view of the layers follows."""
        state.metric = state.layers_metric = cycled(state.available(shown_in("map")), state.metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, state.metric)

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        rest = ("cosine", *(d.metric for d in directions(state)))
        return (state.metric, *(m for m in rest if m != state.metric and state.has(m)))
