"""The one layer slider that every view shares."""

from __future__ import annotations

from textual.strip import Strip

from inspector.tui.state import AppState
from inspector.tui.text import Line
from inspector.tui.theme import Ink


def paint_slider(state: AppState, ink: Ink, width: int) -> list[Strip]:
    """`layer 14  0 ◂━━━━●━━━━▸ 29  g all layers`; hollow while all layers are shown."""
    if not state.layers:
        return [Line(" no numbered layers", ink.dim).strip(width)]
    first, last = str(state.layers[0]), str(state.layers[-1])
    here = state.layers[state.layer]
    label = f" layer {here}" if state.one_layer else " all layers"
    hint = " g all layers " if state.one_layer else f" g layer {here} "
    line = Line(label, ink.accent).to(13).add(f"{first} ◂", ink.dim)
    room = width - line.width - len(last) - len(hint) - 3
    span = max(room, 1)
    at = round(state.layer / (len(state.layers) - 1) * (span - 1)) if len(state.layers) > 1 else 0
    line.add("━" * at, ink.dim).add("●" if state.one_layer else "○", ink.accent)
    line.add("━" * (span - 1 - at), ink.dim).add(f"▸ {last} ", ink.dim)
    line.end(hint.strip() + " ", width, ink.dim)
    return [line.strip(width)]
