"""A chart of lines as a table of a few rows and columns, for who reads text alone."""

from __future__ import annotations

import numpy as np

from inspector.common.numbers import fixed
from inspector.report.document import Lines, Numbers, Table
from inspector.report.drawing import drawn_at_first

_ALL, _POINTS = 11, 7
"""Points of a curve that are all columns; of more of them so many are, its ends among them."""


def brief(chart: Lines) -> Table:
    """A row a line: its quartiles over the layers with the layers of its ends, or its values at a few points.

    The lines are those drawn at first, and the levels they are read against.
    """
    shown = drawn_at_first(chart)
    lines = [(s.subject.label, s.values) for s in chart.series if s.subject.key in shown]
    lines += [(level.label, level.values) for level in chart.levels]
    some = f" ({len(shown)} of {len(chart.series)})" if len(shown) < len(chart.series) else ""
    columns, rows = _over_layers(chart, lines) if chart.by_layer else _at_points(chart, lines)
    return Table(f"{chart.id}-brief", f"{chart.caption}{some}", ("", *columns), tuple(rows))


def _over_layers(chart: Lines, lines: list[tuple[str, Numbers]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = []
    for label, values in lines:
        known = [(v, x) for v, x in zip(values * (len(chart.x) // len(values)), chart.x, strict=True) if np.isfinite(v)]
        if known:
            quartiles = np.quantile([v for v, _ in known], (0.25, 0.5, 0.75)).tolist()
            low, high = (f"{fixed(v, chart.digits)} ({x:g})" for v, x in (min(known), max(known)))
            inner = [fixed(v, chart.digits) for v in quartiles]
            flat = min(known)[0] == max(known)[0]
            rows.append((label, "", "", inner[1], "", "") if flat else (label, low, *inner, high))
    return ("least (layer)", "25 %", "median layer", "75 %", "largest (layer)"), rows


def _at_points(chart: Lines, lines: list[tuple[str, Numbers]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    n = len(chart.x)  # of a spectrum rather the first than the last: there it is steep
    space = np.geomspace if chart.log else np.linspace
    at = list(range(n)) if n <= _ALL else sorted({round(at) - 1 for at in space(1, n, _POINTS).tolist()})
    rows = [
        (label, *(fixed(values[n] if len(values) > 1 else values[0], chart.digits) for n in at))
        for label, values in lines
    ]
    return tuple(f"{chart.titles[0]} = {chart.x[n]:g}" for n in at), rows
