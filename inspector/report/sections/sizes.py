"""How far each update moved, and in how many dimensions."""

from __future__ import annotations

import warnings

import numpy as np

from inspector.common.arrays import Floats
from inspector.report.context import Context
from inspector.report.document import Bar, Bars, Fold, Lines, Note, Part, Section, Table
from inspector.study.metrics import DEFINITIONS, shown_in
from inspector.tables.tables import in_digits


def sizes(context: Context) -> Section:
    """Norms and ranks: a table of all definitions, then along the layers."""
    ranks = shown_in("size")
    shown = [m for m in ("norm", "norm_relative", *ranks) if context.values(m) is not None]
    rows = []
    for adapter in context.adapters:
        values = [float(context.study.blocks[metric, "global"][adapter.at][0]) for metric in shown]
        rows.append((adapter.label, *(in_digits(m, v) for m, v in zip(shown, values, strict=True))))
    columns = ("adapter", *(DEFINITIONS[metric].title for metric in shown))
    parts: list[Part] = []
    if shown:
        caption = "Norm over all modules; ranks as the mean over modules, by each definition"
        parts = [Table("size", caption, columns, tuple(rows))]
    if len({definition for definition in shown if definition in ranks}) > 1:
        text = "The definitions of effective rank differ by 3 to 5 times: compare only like with like"
        text += ", and adapters of different ranks by the share alone." if _ranks_differ(context) else "."
        parts.append(Note(text, caution=True))
    parts[:0] = _bars(context)
    norm = context.layers("norm", "Norm ‖ΔW‖ by layer", log=_far_apart(context.values("norm", "layer")))
    effective = context.layers(
        "effective_rank", "Effective rank exp(H(σ/Σσ)) by layer, mean over its modules", digits=2
    )
    parts += [chart for chart in (norm, effective) if chart]
    others = [
        context.layers(m, f"{DEFINITIONS[m].title} by layer, {DEFINITIONS[m].formula}", digits=2) for m in ranks[1:]
    ]
    if known := tuple(chart for chart in others if chart):
        parts.append(Fold("The other definitions of rank by layer", known))
    about = "How far training moved the weights, and in how many dimensions."
    return Section("size", "Norm and effective rank", about, tuple(parts), tuple(shown))


def _ranks_differ(context: Context) -> bool:
    return len({adapter.ranks for adapter in context.study.adapters}) > 1


def _far_apart(values: Floats | None) -> bool:
    """Whether a linear axis would press the small ones flat."""
    if values is None:
        return False
    known = values[np.isfinite(values) & (values > 0)]
    return bool(known.size and known.max() > 10 * known.min())


def _bars(context: Context) -> list[Part]:
    """Norms on a log axis, and effective ranks."""
    found: list[Part] = []
    for metric, caption in (
        ("norm", "Norm ‖ΔW‖ over all modules"),
        ("effective_rank", "Effective rank, mean over modules"),
    ):
        if (block := context.values(metric)) is None:
            continue
        values = [(adapter, float(block[adapter.at][0])) for adapter in context.adapters]
        bars = tuple(Bar(adapter, value) for adapter, value in values if np.isfinite(value))
        log = metric == "norm" and any(bar.value > 0 for bar in bars)
        name = f"{metric.replace('_', '-')}-bars"
        found.append(Bars(name, caption, DEFINITIONS[metric].title, bars, digits=1 + 2 * log, log=log))
    return found


def spectra(context: Context) -> Section:
    """σ_k of each adapter, median over its modules."""
    share = context.values("singular_value_share", "module")
    metric, symbol = ("singular_value", "σ_k") if share is None else ("singular_value_share", "σ_k/‖ΔW‖")
    sigma = context.values(metric, "module")
    parts: tuple[Part, ...] = ()
    if sigma is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a k that no module reaches is n/a
            median = np.nanmedian(np.where(sigma > 0, sigma, np.nan), axis=1)
        k = tuple(float(n + 1) for n in range(median.shape[-1]))
        series = context.series(context.adapters, median)
        caption = f"Singular values {symbol} of ΔW, median over modules (zeros left out)"
        if series:
            parts = (Lines("spectra", caption, ("k", symbol), k, series, log=True, digits=4),)
    about = "How each update spreads over its directions: a steep line means few of them carry it."
    return Section("spectra", "Singular spectra", about, parts, (metric,))
