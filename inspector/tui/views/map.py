"""One number for every pair: the heatmap, and the cursor's pair in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.insights.order import blocks
from inspector.study.metrics import DEFINITIONS, SIGNED, Definition, shown_in
from inspector.study.study import Study
from inspector.tui.actions import Action, cycled
from inspector.tui.editing import REMOVE, RENAME
from inspector.tui.navigation import CURSOR, FILTER, LAYERS, METRIC, OPEN_PAIR, PAIRS
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_label, shared
from inspector.tui.table import Table
from inspector.tui.text import NA, Line, chance_level, decimal, left, page, plural, wrap
from inspector.tui.values import shaded
from inspector.tui.views.base import Area, View, metric_title, tidy
from inspector.tui.widgets.heatmap import Heatmap, Layout, Panel, layout, ramp_legend

TWO_PANES = 110
"""Columns from which a screen has room for two panes."""
_NAME = 22


def _beside(state: AppState) -> str:
    """The metric of the second map: of what the updates write to, or their cosine beside that."""
    known = [m for m in ("u1", "output_similarity", "cosine") if m != state.metric and state.has(m)]
    return known[0] if known else ""


def _sentences(text: str, width: int) -> list[str]:
    """A verdict in as many lines for every pair, so that the map does not jump; the whole of it is in Pair."""
    most = 2 if width >= TWO_PANES else 3
    lines = wrap(text, width - 5)
    if len(lines) > most:
        lines[most - 1] += " …"
    return [*lines, *[""] * most][:most]


def directions(state: AppState) -> list[Definition]:
    """The metrics of the map that have a chance level, as far as they were measured."""
    return [d for m in shown_in("map") if (d := DEFINITIONS[m]).chance and state.has(m)]


def against_chance(value: float, chance: float) -> str:
    """`chance 0.03, 31×`."""
    if chance != chance or value != value:  # noqa: PLR0124 - NaN
        return ""
    ratio = value / chance if chance else float("inf")
    return f"chance {chance_level(chance)}, {ratio:.{0 if ratio >= 10 else 1}f}×"


def read_against_chance(state: AppState, definition: Definition, pair: Pair) -> tuple[str, str, str]:
    """Label, number and chance level of a pair at the current place."""
    value = state.number(definition.metric, pair)
    chance = float(state.pair_chance(definition.metric, pair)[0])
    return definition.short, decimal(value), against_chance(value, chance)


def one_sided(state: AppState, pair: Pair) -> str:
    """`  5 modules on one side only: zeros; cos 0.40 without` where there are such, else nothing."""
    if not (lonely := state.one_sided(pair)):
        return ""
    text = f"  {plural(lonely, 'module')} on one side only: "
    if state.shown.settings.modules == "common":
        return f"{text}left out"
    cosine = state.interference(pair).cosine
    return f"{text}zeros; cos {decimal(cosine)} without" if np.isfinite(cosine) else f"{text}zeros"


@dataclass(slots=True)
class _Blocks:
    """Who is beside whom, kept until the study or the list changes."""

    source: Study | None = None
    order: tuple[int, ...] = ()
    found: tuple[tuple[int, ...], ...] = ()

    def of(self, state: AppState) -> tuple[tuple[int, ...], ...]:
        """Positions in the blocks of the overview, by the cosine over all layers and modules."""
        if self.source is not state.study or self.order != state.order:
            found = blocks(state.study, state.order)
            self.found = tuple(tuple(state.order.index(i) for i in block) for block in found)
            self.source, self.order = state.study, state.order
        return self.found


class MapView(View):
    id = "map"
    tab = "2"
    title = "Map"
    need = 2
    hint = "one number for every pair of adapters"
    about = (
        "One number for every pair, in the groups of the overview, those alone last; s shows them as they are listed. "
        "Row is a, column is b where the two differ."
    )
    actions = (
        *CURSOR, *LAYERS, *METRIC, FILTER, OPEN_PAIR, *PAIRS, RENAME, REMOVE,
        Action("blocks", "s", "blocks / list", "in the groups of the overview, or as they are listed",
               lambda view, app: view.choose(app.state, "in_blocks", not view.in_blocks), 45),
    )  # fmt: skip
    shows = shown_in("map")
    remembered = (("metric", shown_in("map")), ("in_blocks", (True, False)))

    def __init__(self) -> None:
        self.heatmap = Heatmap()
        self.in_blocks = True
        self._blocks = _Blocks()

    def blocks(self, state: AppState) -> tuple[tuple[int, ...], ...]:
        """The positions, as the rows have them."""
        return self._blocks.of(state) if self.in_blocks else (tuple(range(state.size)),)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        rows = [at for block in self.blocks(state) for at in block]
        starts = frozenset(accumulate(len(block) for block in self.blocks(state)[:-1]))
        short, reference = labels(state.names).at(_NAME), state.reference_at
        names = tuple(("*" if at == reference else "") + short[at] for at in rows)
        panels = [self._panel(state, state.metric, rows)]
        if area.width >= TWO_PANES and (beside := _beside(state)):
            both = [*panels, self._panel(state, beside, rows)]
            if layout(names, starts, Area(area.ink, area.width, area.height - 2), 2).cols == state.size:
                panels = both
        words = self._words(state, area)
        form = layout(names, starts, Area(area.ink, area.width, area.height - 1 - len(words)), len(panels))
        if form.height > area.height - 1 - len(words) or not form.header:
            words = self._short(state, area)
            form = layout(names, starts, Area(area.ink, area.width, area.height - 1 - len(words)), len(panels))
        at = state.pair or (state.row, state.col)
        cursor = (rows.index(at[0]), rows.index(at[1]))
        strips = self.heatmap.paint(panels, names, cursor, form, area)
        title = self._title(state, panels, form, area)
        room = area.height - 1 - len(strips)
        return [*page([title], area.width, 1), *strips, *page(words, area.width, room)]

    def _panel(self, state: AppState, metric: str, rows: list[int]) -> Panel:
        values = state.matrix(metric)[np.ix_(rows, rows)]
        signed_ = DEFINITIONS[metric].range == SIGNED
        return Panel(metric_title(metric), values, lambda value: shaded(metric, value), signed_)

    def _title(self, state: AppState, panels: list[Panel], form: Layout, area: Area) -> Line:
        """The metric, what is shown of it and where; the second map's metric above it, or the colours."""
        title, legend = Line(f" {panels[0].title}", area.ink.bold), ramp_legend(panels[0], area.ink)
        end = form.label + form.span + 3 if len(panels) > 1 else area.width
        if state.reference_at is not None:
            title.add(f" · against {labels(state.names).at(_NAME)[state.reference_at]}", area.ink.accent)
        parts = [self.heatmap.extent(state.size, form), *(f" · {part}" for part in self.place(state).split(" · "))]
        for part in (*parts, shared(state)):
            title.add(part if title.width + cell_len(part) < end - 1 else "", area.ink.dim)
        if len(panels) > 1:
            title.to(end).add(panels[1].title, area.ink.bold)
        if title.width + legend.width + 3 <= area.width:
            title.pad(area.width - legend.width - 1).segments.extend(legend.segments)
            title.width += legend.width
        return title

    def move(self, state: AppState, step: int) -> None:
        """Past the diagonal, which holds no pair; at the end of the list the column gives way."""
        row, state.col = state.pair or (state.row, state.col)
        state.row = self._past(state, row, state.col, step)
        if state.row == state.col:
            state.col = self._moved(state, state.col, -1 if step > 0 else 1)

    def across(self, state: AppState, step: int) -> None:
        state.row, col = state.pair or (state.row, state.col)
        past = self._past(state, col, state.row, step)
        state.col = col if past == state.row else past

    def _past(self, state: AppState, position: int, other: int, step: int) -> int:
        """The position after a step, one further if that is the other's."""
        target = self._moved(state, position, step)
        return self._moved(state, target, 1 if step > 0 else -1) if target == other else target

    def pick(self, state: AppState, x: int, y: int) -> bool:
        rows = [at for block in self.blocks(state) for at in block]
        if (cell := self.heatmap.cell(x, y - 1)) is None or max(cell) >= len(rows):
            return False
        state.row, state.col = (rows[at] for at in cell)
        return True

    def _moved(self, state: AppState, position: int, step: int) -> int:
        """The position so many rows further, as they are shown."""
        rows = [at for block in self.blocks(state) for at in block]
        return rows[min(max(rows.index(position) + step, 0), len(rows) - 1)] if rows else 0

    def _words(self, state: AppState, area: Area) -> list[Line]:
        """The cursor's pair, a line a number."""
        ink, pair = area.ink, state.pair
        if pair is None:
            return []
        head = Line(" ").add(pair_label(state, pair), ink.accent)
        rows = [("cosine", decimal(state.number("cosine", pair)), "")]
        rows += (read_against_chance(state, d, pair) for d in directions(state))
        found = state.verdict(*(state.order[at] for at in pair))
        head.add(one_sided(state, pair) if found.comparable else "", ink.warn)
        lines = [Line(), head, *(Line(f"  {part}") for part in _sentences(found.headline, area.width))]
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
        line = Line(f" {pair_label(state, pair)}", area.ink.accent)
        line.add(f"  cos {decimal(state.number('cosine', pair))}")
        for d in (d for d in directions(state) if "glance" in d.shown):
            line.add(f" {d.short.split()[0]} {decimal(state.number(d.metric, pair))}")
            chance = float(state.pair_chance(d.metric, pair)[0])
            line.add("" if chance_level(chance) == NA else f"({chance_level(chance)})", area.ink.dim)
        if line.width <= area.width:
            return [line]
        names, numbers = line.segments[0], line.segments[1:]
        second = Line()
        for segment in numbers:
            second.add(segment.text, segment.style or area.ink.plain)
        return [Line(names.text, area.ink.accent), second]

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
