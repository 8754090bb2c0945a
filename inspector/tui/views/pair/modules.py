"""Two adapters module by module: a row per projection, or per module of a layer, and a number per metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.cells import cell_len

from inspector.insights.pairwise import pair_interference
from inspector.study.aggregate import aggregate
from inspector.study.study import Scope, Study
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, left, right
from inspector.tui.theme import Ink
from inspector.tui.values import number

TABLE = (
    ("cosine", "cos"),
    ("u1", "u₁"),
    ("v1", "v₁"),
    ("subspace_overlap", "o.out"),
    ("subspace_overlap_right", "o.in"),
    ("orthogonal_fraction_module", "orth"),
    ("energy_ratio", "ratio"),
)
_SOURCES = {"norm", *(metric for metric, _ in TABLE)}
"""The module blocks that the table is made from."""
WIDE = 76
"""Columns from which the class has room."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """One projection (or one module): a number per metric of the table, and the class."""

    label: str
    values: tuple[float, ...]
    kind: str


@dataclass(slots=True)
class Projections:
    """The pair's own small studies, one a projection, kept until study or pair change."""

    pair: Pair | None = None
    source: Study | None = None
    studies: tuple[tuple[str, Study], ...] = ()

    def of(self, study: Study, pair: Pair) -> tuple[tuple[str, Study], ...]:
        if self.source is not study or self.pair != pair:
            needed = {key: values for key, values in study.blocks.items() if key[0] in _SOURCES}
            two = replace(study, blocks=needed).subset(pair)
            present = two.present[0] | two.present[1]
            adapted = dict.fromkeys(m.projection for m, here in zip(study.modules, present, strict=True) if here)
            self.studies = tuple((p, aggregate(two, frozenset({p}))) for p in adapted)
            self.source, self.pair = study, pair
        return self.studies


def of_projections(state: AppState, pair: Pair, projections: Projections) -> list[PairRow]:
    """A row per projection, aggregated over its modules in all layers."""
    ids = state.order[pair[0]], state.order[pair[1]]
    rows = []
    for projection, study in projections.of(state.study, ids):
        modules = np.array([m.projection == projection for m in state.study.modules])
        kind = pair_interference(state.study, *ids, modules).kind
        rows.append(_row(study, projection, "global", (0, 1, 0), kind))
    return rows


def of_layer(state: AppState, pair: Pair) -> list[PairRow]:
    """A row per module of the slider's layer."""
    a, b = state.order[pair[0]], state.order[pair[1]]
    layer = state.layers[state.layer]
    present = state.study.present[a] | state.study.present[b]
    here = [(m, module) for m, module in enumerate(state.study.modules) if module.layer == layer and present[m]]
    distinct = len({module.projection for _, module in here}) == len(here)
    rows = []
    for m, module in here:
        kind = pair_interference(state.study, a, b, np.arange(len(state.study.modules)) == m).kind
        label = clean(module.projection if distinct else module.path)
        rows.append(_row(state.study, label, "module", (a, b, m), kind))
    return rows


def of_all(state: AppState, pair: Pair) -> PairRow:
    """The pair at the current place."""
    values = tuple(state.number(metric, pair) for metric, _ in TABLE)
    return PairRow(state.filter or "all", values, state.interference(pair).kind)


def table(rows: Sequence[PairRow], title: str, ink: Ink, width: int) -> list[Line]:
    """The rows under their columns; `orth` is of the first adapter off the second, `o.` the overlap."""
    wide = width >= WIDE
    label, column = max((cell_len(row.label) for row in rows), default=8), 7 if wide else 6
    header = Line(f"   {left('', label)}", ink.dim)
    for _, name in TABLE:
        header.add(right(name, column), ink.dim)
    header.add("  class" if wide else "", ink.dim)
    lines = [Line(f" {title}", ink.bold), header]
    for row in rows:
        line = Line("   ").add(left(row.label, label))
        for (metric, _), value in zip(TABLE, row.values, strict=True):
            line.add(right(number(metric, value), column), ink.bold if metric == "cosine" else ink.plain)
        lines.append(line.add(f"  {row.kind}" if wide else "", ink.dim))
    return lines if rows else [lines[0], Line("   neither adapter changes anything here", ink.dim)]


def _row(study: Study, label: str, scope: Scope, at: tuple[int, int, int], kind: str) -> PairRow:
    """One row of the table out of a study's blocks."""

    def value(metric: str) -> float:
        block = study.block(metric, scope)
        return float("nan") if block is None else float(block[at])

    return PairRow(label, tuple(value(metric) for metric, _ in TABLE), kind)
