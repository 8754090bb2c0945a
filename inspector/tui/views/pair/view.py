"""Everything about two adapters: the verdict and its evidence, by layer and module, angle by angle."""

from __future__ import annotations

from textual.strip import Strip

from inspector.study.metrics import INTERFERENCE
from inspector.tui.editing import K
from inspector.tui.navigation import FILTER, PAIRS, SCRUBBED
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, beside, page
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, View, scrolled, tidy
from inspector.tui.views.map import TWO_PANES, one_sided
from inspector.tui.views.pair.evidence import angles, by_layer, evidence, heading, said
from inspector.tui.views.pair.modules import TABLE, PairRow, Projections, of_all, of_layer, of_projections, table

_RIGHT = 54
"""Columns of the right pane at least."""


class PairView(View):
    id = "pair"
    tab = "4"
    title = "Pair"
    scrolls = True
    need = 2
    hint = "the verdict on two adapters, and everything it is from"
    about = (
        "The verdict on two adapters from all evidence, what was measured with the base first; then every number of "
        "theirs. n and N go through the pairs; arrows scroll. In the tables, orth is of the first off the second."
    )
    terms = (("class", INTERFERENCE),)
    actions = (*SCRUBBED, FILTER, *PAIRS, *K)

    def __init__(self) -> None:
        self._projections = Projections()

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        pair = state.pair or (0, 1)
        ink = area.ink
        found = state.verdict(*(state.order[at] for at in pair))
        head = heading(state, pair, found, area)
        if not found.comparable:
            return page([head, *said(found, ink, area.width)], area.width, area.height)
        lonely = one_sided(state, pair)
        top = [head, *([Line(lonely, ink.warn)] if lonely else [])]
        if area.width < TWO_PANES:
            lines = [*said(found, ink, area.width), *evidence(state, pair, found, ink, area.width), Line()]
            lines += [*self._modules(state, pair, ink, area.width), Line(), *angles(state, pair, ink, area.width)]
        else:
            wide = max(area.width - _RIGHT - 2, area.width // 2)
            known = [*said(found, ink, wide), *evidence(state, pair, found, ink, wide), Line()]
            rest = area.width - wide - 2
            layers = by_layer(state, pair, found, ink, rest)
            parts = [*layers, *([Line()] if layers else []), *self._modules(state, pair, ink, rest)]
            lines = beside([*known, *angles(state, pair, ink, wide)], parts, wide + 2)
        return scrolled([*top, *lines], state, self.id, area)

    def _modules(self, state: AppState, pair: Pair, ink: Ink, width: int) -> list[Line]:
        """The modules of the slider's layer, and all layers by projection."""
        lines: list[Line] = []
        if state.layers:
            title = f"layer {state.layers[state.layer]}, module by module"
            lines += [*table(of_layer(state, pair), title, ink, width), Line()]
        whole = [*of_projections(state, pair, self._projections), of_all(state, pair)]
        return [*lines, *table(whole, f"per projection, all: {self.place(state)}", ink, width)]

    def table(self, state: AppState) -> Table:
        columns = ("scope", "modules", *(metric for metric, _ in TABLE), "interference")
        if (pair := state.pair) is None:
            return Table("no pair", columns, ())
        groups: list[tuple[str, list[PairRow]]] = [
            ("all", [of_all(state, pair)]),
            ("projection", of_projections(state, pair, self._projections)),
        ]
        if state.layers:
            groups.append((f"layer {state.layers[state.layer]}", of_layer(state, pair)))
        rows = tuple(
            (scope, row.label, *(tidy(v) for v in row.values), row.kind) for scope, group in groups for row in group
        )
        title = f"a = {state.name(pair[0])}, b = {state.name(pair[1])} · {self.place(state)}"
        return Table(title, columns, rows)

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, of=state.pair or ())

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        known = tuple(metric for metric, _ in TABLE)
        return (*known, "orthogonal_fraction_global", "principal_angle", "norm", "spectral_gap")
