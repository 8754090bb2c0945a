"""The first screen: who is open, how far each moved, and whom each is most like."""

from __future__ import annotations

import math

import numpy as np
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.tui.editing import LIST
from inspector.tui.navigation import ENDS, OPEN_PAIR
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, fit, general, page, plural, right, signed
from inspector.tui.views.base import Area, Table, View, rows_shown, tidy, window
from inspector.tui.widgets.bars import bar

_LISTED = tuple(action for action in LIST if action.id in {"rename", "remove"})


class OverviewView(View):
    id = "overview"
    tab = "1"
    title = "Overview"
    need = 1
    hint = "which adapters are alike, who stands alone, how far each moved"
    about = (
        "Each adapter with its size ‖ΔW‖ (bars on a log scale), its effective rank, and the adapter whose update goes "
        "most nearly the same way: cosine 1 is one direction, 0 is no more alike than random updates."
    )
    actions = (*ENDS, OPEN_PAIR, *_LISTED)
    first = ("open_pair", "find", "refer", "open", "probe")

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        height = max(area.height - 2, 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, height, state.size)
        title = Line(f" {plural(state.size, 'adapter')}", area.ink.bold)
        title.add(f"{rows_shown(top, height, state.size, 'rows')} · {self.place(state)}", area.ink.dim)
        label = max(min(max(map(len, state.names)) + 3, area.width // 3), 8)
        header = (
            Line()
            .to(label)
            .add("‖ΔW‖ (log)", area.ink.dim)
            .end("most like              cosine ", area.width, area.ink.dim)
        )
        sizes = np.array([state.own("norm", at) for at in range(state.size)])
        cosines = np.array(state.matrix("cosine"))
        shown = range(top, min(top + height, state.size))
        lines = [title, header, *(self._row(state, at, (label, sizes, cosines), area) for at in shown)]
        return page(lines, area.width, area.height)

    def _row(self, state: AppState, at: int, of: tuple[int, Floats, Floats], area: Area) -> Line:
        label, sizes, cosines = of
        ink, here = area.ink, at == state.row
        line = Line("▸ " if here else "  ", ink.accent)
        style = ink.bold if here else ink.plain
        line.add(fit(state.name(at), label - 3), style).to(label)
        width = area.width - label - 8 - 30
        line.add(bar(_share(float(sizes[at]), sizes), width), ink.line(state.order[at])).add(
            right(general(float(sizes[at])), 7), style
        )
        other = nearest(cosines, at)
        if other is not None:
            line.to(area.width - 28).add(fit(state.name(other), 20), ink.dim)
            line.end(signed(float(cosines[at, other])) + " ", area.width, style)
        return line

    def table(self, state: AppState) -> Table:
        cosines = np.array(state.matrix("cosine"))
        rows = []
        for at, info in enumerate(state.infos):
            other = nearest(cosines, at)
            like = ("", "") if other is None else (state.infos[other].name, tidy(float(cosines[at, other])))
            rows.append(tuple(map(clean, (info.name, tidy(state.own("norm", at)), *like))))
        return Table("overview", ("name", "norm", "most like", "cosine"), tuple(rows))

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("cosine", "norm", "effective_rank")


def nearest(cosines: Floats, at: int) -> int | None:
    """The other position with the highest cosine."""
    row = np.array(cosines[at], dtype=float)
    row[at] = np.nan
    return None if np.isnan(row).all() else int(np.nanargmax(row))


def _share(size: float, sizes: Floats) -> float:
    """Where a size stands between the smallest and the largest, on a log scale."""
    known = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(known) or not size > 0:
        return math.nan
    low, high = math.log(known.min() / 2), math.log(known.max())
    return (math.log(size) - low) / (high - low) if high > low else 1.0
