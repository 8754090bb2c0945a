"""Accuracy on problems, and which differences are more than luck."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.text import plain
from inspector.report.chart_subjects import label
from inspector.report.context import Context
from inspector.report.document import Bar, Bars, Note, Part, Section, Subject, Table
from inspector.study.table import subjects
from inspector.tables.probes import measured_on
from inspector.tables.tables import p_value

_METRICS = (
    "accuracy", "accuracy_low", "accuracy_high", "accuracy_base", "mcnemar_wins", "mcnemar_p", "mcnemar_p_holm",
    "mcnemar_base_p", "mcnemar_base_p_holm",
)  # fmt: skip


def accuracy(context: Context) -> Section:
    """Shares with Wilson intervals, against the base, and of every pair."""
    about = "Greedy pass@1: who solves more problems, and is the difference more than luck?"
    values = context.values("accuracy")
    if values is None:
        return Section("accuracy", "Accuracy", about, (), missing="accuracy")
    low, high = context.values("accuracy_low"), context.values("accuracy_high")
    bars = [
        Bar(s, 100 * _at(values, s.at), 100 * _at(low, s.at), 100 * _at(high, s.at))
        for s in context.adapters
        if np.isfinite(_at(values, s.at))
    ]
    base = [100 * context.level(f"accuracy_base{bound}") for bound in ("", "_low", "_high")]
    if np.isfinite(base[0]):
        bars.insert(0, Bar(Subject("base", "(base)", (), -1), *base))
    caption = "Share of right answers with 95 % Wilson intervals"
    chart = Bars("accuracy", caption, "right answers, %", tuple(bars), ("right, %", "95 % interval", ""), digits=1)
    parts: list[Part] = [Note(plain(measured_on(context.study.probe("accuracy")), 600)), chart]
    parts += [table for table in (_against_base(context), _mcnemar(context)) if table is not None]
    return Section("accuracy", "Accuracy", about, tuple(parts), _METRICS)


def _against_base(context: Context) -> Table | None:
    p, holm = context.values("mcnemar_base_p"), context.values("mcnemar_base_p_holm")
    rows = tuple(
        (s.label, p_value(_at(p, s.at)), p_value(_at(holm, s.at)))
        for s in context.adapters
        if np.isfinite(_at(p, s.at))
    )
    caption = "McNemar against the base: exact, two-sided"
    return Table("mcnemar-base", caption, ("adapter", "p", "p after Holm"), rows) if rows else None


def _mcnemar(context: Context) -> Table | None:
    wins, p, holm = (context.values(m) for m in ("mcnemar_wins", "mcnemar_p", "mcnemar_p_holm"))
    rows = []
    for a, b, (i, j) in subjects(context.study, "pair"):
        if np.isfinite(_at(wins, (i, j))):
            only = (f"{_at(wins, (i, j)):.0f}", f"{_at(wins, (j, i)):.0f}")
            rows.append((label(a), label(b), *only, p_value(_at(p, (i, j))), p_value(_at(holm, (i, j)))))
    caption = "McNemar between adapters, on the same problems: exact, two-sided"
    columns = ("a", "b", "solved by a only", "by b only", "p", "p after Holm")
    return Table("mcnemar", caption, columns, tuple(rows)) if rows else None


def _at(block: Floats | None, at: tuple[int, ...]) -> float:
    return float("nan") if block is None else float(block[(*at, 0)])
