"""What a terminal too small for the views still shows: the pair's cosine, and the adapters with their norms."""

from __future__ import annotations

from textual.strip import Strip

from inspector.tui.state import AppState
from inspector.tui.text import Line, decimal, fit, general, page, right, wrap
from inspector.tui.views.base import Area, rows_shown, window

SMALLEST = (60, 15)
"""Columns and rows below which no view is drawn."""
_NUMBER = 9


def paint(state: AppState, size: tuple[int, int], area: Area) -> list[Strip]:
    """The sizes, then as much as there is room for, around the cursor; every key still acts."""
    ink = area.ink
    needed = f"needs {SMALLEST[0]}×{SMALLEST[1]}, has {size[0]}×{size[1]}"
    lines = [Line(f" {part}", ink.bold) for part in wrap(needed, area.width - 2)]
    if (pair := state.pair) is not None and state.has("cosine"):
        cosine = f" {decimal(state.number('cosine', pair))} "
        names = f" {state.name(pair[0])} ↔ {state.name(pair[1])}, {state.where}"
        label = Line(fit(names, area.width - len(cosine) - 4))
        lines.append(label.add(" cos", ink.dim).add(cosine, ink.accent))
    rows = area.height - len(lines) - 1
    if rows < 1 or not state.size:
        return page(lines, area.width, area.height)
    top = window(0, state.row, rows, state.size)
    extent = rows_shown(top, rows, state.size, "adapters").removeprefix(" · ") or "adapters"
    header = Line(" ").add(fit(extent, area.width - _NUMBER - 2), ink.dim)
    lines.append(header.to(area.width - _NUMBER).add(right("‖ΔW‖", _NUMBER - 1), ink.dim))
    for at in range(top, min(top + rows, state.size)):
        style = ink.bold if at == state.row else ink.plain
        line = Line("▸" if at == state.row else " ", ink.accent).add(
            fit(state.name(at), area.width - _NUMBER - 2), style
        )
        lines.append(line.to(area.width - _NUMBER).add(right(general(state.own("norm", at)), _NUMBER - 1), style))
    return page(lines, area.width, area.height)
