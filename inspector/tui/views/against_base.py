"""Each update against the base's own directions: shares of its top subspaces, and intruders over k and ε."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.common.labels import labels
from inspector.tui.actions import Action
from inspector.tui.navigation import FILTER, SCRUBBED
from inspector.tui.probing.views import unmeasured
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, chance_level, page, right
from inspector.tui.values import number
from inspector.tui.views.base import Area, View, metric_title, rows_shown, tidy, window
from inspector.tui.views.layers.view import MOST
from inspector.tui.views.size import adapter_legend
from inspector.tui.widgets.bars import bar
from inspector.tui.widgets.plot import Lines, as_curve, limits_of, plot

_SHARES = ("base_share_left", "base_share_right")
_CURVES = {"epsilon": "intruder_dimensions_epsilon", "k": "intruder_dimensions_k"}
_COUNT = 12
_NUMBER = 8


def place_of(state: AppState) -> int:
    """The index of the slider's layer, or of all."""
    return state.layer if state.scope == "layer" else 0


def chance(state: AppState, share: str) -> float:
    """10/d at the current place."""
    block = state.block(f"{share}_chance")
    return math.nan if block is None else float(block[place_of(state)])


class AgainstBaseView(View):
    id = "against_base"
    tab = "3"
    title = "Against base"
    need = 1
    hint = "shares of the base's top subspaces against chance, intruders over k and ε"
    about = (
        "Above: how much of each update lies in the span of the base's top 10 output and input directions; beside the "
        "title what random directions would have. Below: intruders, top directions of W₀+ΔW that resemble none of the "
        "base's, over the similarity ε that still counts as none, or over k; z changes that. [ ] go through the layers."
    )
    actions = (
        *SCRUBBED,
        FILTER,
        Action("over", "z", "over ε or k", "intruders over ε among the top 10, or over k below 0.5",
               lambda view, app: view.choose(app.state, "over", "k" if view.over == "epsilon" else "epsilon"), 60),
    )  # fmt: skip
    probe = "intruders"
    shows = ("base_share*", "intruder*")
    remembered = (("over", tuple(_CURVES)),)

    def __init__(self) -> None:
        self.over = "epsilon"

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if (nothing := self.empty(state, area, 1)) is not None:
            return nothing
        if not state.has(_SHARES[0]):
            what = "Nothing was measured against the base's own directions yet."
            shows = "Here: the share of every update in the base's top subspaces, and intruder dimensions over k and ε."
            return unmeasured(state, self.probe, what, shows, area)
        height = max(min(state.size, (area.height - 6) // 2), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, height, state.size)
        extent = rows_shown(top, height, state.size, "adapters")
        title = Line(" share in the base's top 10", area.ink.bold).add(f"{extent} · {self.place(state)}", area.ink.dim)
        lines = [title, *self._rows(state, range(top, min(top + height, state.size)), area)]
        return page([*lines, *self._curves(state, area, area.height - len(lines))], area.width, area.height)

    def _rows(self, state: AppState, shown: range, area: Area) -> list[Line]:
        """A row an adapter: both shares as bars, to the larger of all and chance, and the intruders of ten."""
        ink, names = area.ink, labels(state.names).at(max(area.width // 5, 10))
        label = max(map(cell_len, names)) + 3
        half = (area.width - label - _COUNT) // 2
        levels = [chance(state, share) for share in _SHARES]
        most = max([v for s in _SHARES for i in range(state.size) if math.isfinite(v := state.own(s, i))], default=0.0)
        head = Line().to(label)
        for n, (side, level) in enumerate(zip(("outputs", "inputs"), levels, strict=True)):
            head.add(f"{side}, chance {chance_level(level)}", ink.dim).to(label + (n + 1) * half)
        lines = [head.add(right("intruders", _COUNT - 1), ink.dim)]
        for i in shown:
            here = i == state.row
            style = ink.bold if here else ink.plain
            line = Line("▸ " if here else "  ", ink.accent).add(names[i], style).pad(label)
            for n, share in enumerate(_SHARES):
                value = state.own(share, i)
                part = value / most if most else math.nan
                line.add(bar(part, half - _NUMBER), ink.line(state.order[i])).add(f" {chance_level(value)}", style)
                line.to(label + (n + 1) * half)
            lines.append(line.add(right(number("intruder_dimensions", state.own("intruder_dimensions", i)), 11), style))
        return lines

    def _curves(self, state: AppState, area: Area, room: int) -> list[Line]:
        ink, metric = area.ink, _CURVES[self.over]
        block = state.block(metric)
        if room < 7 or block is None:
            return [Line(), Line("  the curves need a taller terminal", ink.dim)] if block is not None else []
        values = block[:, place_of(state)]
        shown = self._shown(state, values)
        what = "ε among the top 10" if self.over == "epsilon" else "k, below ε = 0.5"
        title = Line(" intruders", ink.bold).add(f" over {what} · mean over modules · z: the other", ink.dim)
        curves = tuple(as_curve(values[i]) for i in shown)
        steps = values.shape[-1]
        xs = tuple((n + 1) / 10 if self.over == "epsilon" else float(n + 1) for n in range(steps))
        strong = shown.index(state.row) if state.row in shown else -1
        colours = tuple(state.order[i] for i in shown)
        lines = Lines(xs, curves, limits=limits_of(curves, floor=0.0), strong=strong, colours=colours)
        legend = adapter_legend(state, shown, area)
        return [title, *plot(lines, ink, area.width - 1, room - 1 - len(legend)), *legend]

    def _shown(self, state: AppState, values: Floats) -> list[int]:
        """As many of those with numbers as a chart takes, the cursor's among them."""
        have = np.flatnonzero(np.isfinite(values).any(axis=-1)).tolist()
        before = sum(i <= state.row for i in have)
        first = min(max(before - MOST, 0), max(len(have) - MOST, 0))
        return have[first : first + MOST]

    def table(self, state: AppState) -> Table:
        """Shares and their chance levels, then the curves: a row an adapter."""
        columns, rows = ["name", *_SHARES], [[state.name(i)] for i in range(state.size)]
        for i, row in enumerate(rows):
            row += [tidy(state.own(share, i)) for share in _SHARES]
        for metric in _CURVES.values():
            block = state.block(metric)
            if block is not None:
                columns += [f"{metric} {k + 1}" for k in range(block.shape[-1])]
                for i, row in enumerate(rows):
                    row += [tidy(float(v)) for v in block[i, place_of(state)]]
        levels = ", ".join(f"{metric_title(share)}: {chance(state, share):.4g} by chance" for share in _SHARES)
        return Table(f"against the base · {self.place(state)} · {levels}", tuple(columns), tuple(map(tuple, rows)))

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, *_SHARES, _CURVES[self.over], probe=("--probe", "intruders"))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:  # noqa: ARG002
        return (*_SHARES, "intruder_dimensions", *_CURVES.values())
