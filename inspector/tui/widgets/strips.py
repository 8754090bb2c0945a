"""A row of numbers along the layers as one strip of colour: a cell or two a layer, or several layers a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats
from inspector.study.metrics import DEFINITIONS, FRACTION
from inspector.tui.text import Line
from inspector.tui.theme import Ink
from inspector.tui.values import apart, glyph, of_adapters, shaded


@dataclass(frozen=True, slots=True)
class Form:
    """How the layers lie in a strip: columns a layer, or layers a cell."""

    layers: int
    wide: int = 1
    folded: int = 1

    @property
    def width(self) -> int:
        return math.ceil(self.layers / self.folded) * self.wide

    def column(self, layer: int) -> int:
        """Where the cell of a layer begins, by its place."""
        return layer // self.folded * self.wide

    @property
    def caption(self) -> str:
        """` · 2 layers a cell` where they are folded."""
        return f" · {self.folded} layers a cell" if self.folded > 1 else ""


def form(layers: int, room: int, most: int = 2) -> Form:
    """The widest strip that fits."""
    if layers <= room:
        return Form(layers, max(min(room // layers, most), 1) if layers else 1)
    return Form(layers, folded=max(math.ceil(layers / max(room, 1)), 1))


def folded(values: Floats, metric: str, of: Form) -> list[float]:
    """A number a cell: of several layers the one where two updates are least alike, or the largest size."""
    cells = [values[at : at + of.folded] for at in range(0, of.layers, of.folded)]
    pick = np.nanmax if apart(metric) or np.ndim(values) == 0 else np.nanmin
    return [float(pick(cell)) if np.isfinite(cell).any() else math.nan for cell in cells]


def strip(line: Line, values: Floats, metric: str, largest: float, of: Form, ink: Ink, mark: int = -1) -> None:
    """Add the cells; `mark`: the place of the slider's layer, if it is to be seen in this row."""
    for at, value in enumerate(folded(values, metric, of)):
        share, ramp = shaded(metric, value, largest)
        here = mark >= 0 and at == mark // of.folded
        text = "│" if here else " " if ink.blocks and not math.isnan(share) else glyph(share)
        line.add(text.ljust(of.wide, " " if ink.blocks or here else text), ink.cell(share, ramp))


def numbers(layers: Sequence[int], here: int, of: Form, ink: Ink) -> Line:
    """The layers' numbers over their cells, the slider's among them in any case."""
    cells, accent = [" "] * (of.width + 4), range(0)
    used: set[int] = set()
    places = [here, 0, len(layers) - 1, *range(0, len(layers), 5)]
    for at in places:
        text = str(layers[at])
        start = min(of.column(at), max(of.width - len(text), 0))
        if used & set(range(start - 1, start + len(text) + 1)):
            continue
        used |= set(range(start, start + len(text)))
        cells[start : start + len(text)] = text
        accent = range(start, start + len(text)) if at == here else accent
    line = Line()
    for x, char in enumerate(cells[: of.width]):
        line.add(char, ink.accent if x in accent else ink.dim)
    return line


def legend(metric: str, ink: Ink) -> Line:
    """What the colours mean, or the characters without them."""
    definition = DEFINITIONS[metric]
    low, high = definition.range or (0.0, 1.0)
    ends = (f"{low:g}".replace("-", "−"), f"{high:g}")
    shares, ramp = np.linspace(shaded(metric, low)[0], shaded(metric, high)[0], 11), shaded(metric, high)[1]
    if of_adapters(metric) and definition.range != FRACTION:
        ends, shares, ramp = ("1 %", "of the largest"), np.linspace(0, 1, 6), "grey"
    line = Line(f"{ends[0]} ", ink.dim)
    for share in shares.tolist():
        line.add(" " if ink.blocks else glyph(share), ink.cell(share, ramp))
    return line.add(f" {ends[1]}", ink.dim)
