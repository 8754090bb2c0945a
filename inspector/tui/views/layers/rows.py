"""The strips of a metric along the layers: whose they are, their numbers, kept while the slider moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from inspector.common.arrays import Floats
from inspector.study.study import Study
from inspector.tui.state import AppState
from inspector.tui.text import NA, Line
from inspector.tui.theme import Ink
from inspector.tui.values import apart, number, of_adapters
from inspector.tui.widgets.strips import Form, strip

Subject = tuple[int, ...]
"""Positions: of a pair, the smaller first, or of one adapter."""


@dataclass(frozen=True, slots=True)
class Row:
    """One strip: its values along the layers and over all of them."""

    subject: Subject
    values: Floats
    whole: float


def rows(state: AppState) -> list[Row]:
    """Every adapter as listed, or every pair, the most alike first; those that cannot be compared last."""
    metric = state.layers_metric
    if of_adapters(metric):
        return [Row((i,), state.series(metric, i), state.own(metric, i, "global")) for i in range(state.size)]
    found = [Row(p, state.series(metric, *p), state.number(metric, p, "global")) for p in state.pairs]
    sign = 1 if apart(metric) else -1
    return sorted(found, key=lambda row: (math.isnan(row.whole), sign * row.whole if row.whole == row.whole else 0))


@dataclass(slots=True)
class Rows:
    """The rows, kept until study, metric or list change: the slider moves none of them."""

    source: Study | None = None
    of: tuple[object, ...] = ()
    found: tuple[Row, ...] = ()
    strips: dict[tuple[Subject, Form], Line] = field(default_factory=dict)
    """As they were drawn with `ink`, without the slider."""
    ink: Ink | None = None

    def here(self, state: AppState) -> tuple[Row, ...]:
        what = (state.layers_metric, state.order, state.reference)
        if self.source is not state.shown or self.of != what:
            self.source, self.of, self.found = state.shown, what, tuple(rows(state))
            self.strips.clear()
        return self.found

    def strip(self, row: Row, metric: str, of: Form, ink: Ink) -> Line:
        """The cells of a row, drawn once: the slider marks those under the cursor alone."""
        if self.ink != ink:
            self.strips.clear()
            self.ink = ink
        if (row.subject, of) not in self.strips:
            line = self.strips[row.subject, of] = Line()
            strip(line, row.values, metric, self.largest if of_adapters(metric) else 1.0, of, ink)
        return self.strips[row.subject, of]

    @property
    def largest(self) -> float:
        """Of all values along the layers."""
        known = [float(np.nanmax(row.values)) for row in self.found if np.isfinite(row.values).any()]
        return max(known, default=0.0)


def marked(state: AppState) -> Subject:
    """The subject under the cursor."""
    if of_adapters(state.layers_metric) or state.pair is None:
        return (state.row,)
    return min(state.pair), max(state.pair)


def highest(metric: str) -> bool:
    """Whether the layer to look at is that of the largest value."""
    return apart(metric) or of_adapters(metric)


def numbers_of(state: AppState, row: Row) -> tuple[str, str, str]:
    """The value over all layers, at the slider's, and `20 0.77`: where two part most, or one moved most."""
    metric, end = state.layers_metric, NA
    if np.isfinite(row.values).any():
        at = int(np.nanargmax(row.values) if highest(metric) else np.nanargmin(row.values))
        end = f"{state.layers[at]} {number(metric, float(row.values[at])):>4}"
    return number(metric, row.whole), number(metric, float(row.values[state.layer])), end
