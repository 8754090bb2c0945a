"""Everything about one adapter: what its files say, what was measured, its faults first."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.style import Style

from inspector.adapters.health.rules import NEEDED, values
from inspector.adapters.health.summary import account
from inspector.insights.nearest import is_reference, nearest
from inspector.study.adapter_info import AdapterInfo
from inspector.tui.probing.views import facts
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, decimal, fit_left, general, times, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import metric_title

LEFT_OUT = "energy_left_out"
_SIGNS = {"info": "i", "warning": "!", "error": "✗"}
_COMMIT = re.compile(r"@([0-9a-f]{7})[0-9a-f]{33}(?=:|$)")
"""Of a source on the Hub: seven digits suffice to read, the whole of it stands in the page and the table."""


def pending(state: AppState, metric: str, at: int) -> str:
    """A number, or `…` while none has arrived."""
    return general(state.own(metric, at)) if state.has(metric) else "…"


def detail(state: AppState, ink: Ink, width: int) -> list[Line]:
    """Everything about the adapter under the cursor."""
    info = state.infos[state.row]
    source = fit_left(_COMMIT.sub(r"@\1", clean(info.source)), width - cell_len(clean(info.name)) - 4)
    lines = [Line(" ").add(clean(info.name), ink.accent).add(f"  {source}", ink.dim)]
    known = [*account(info), ("measured", _measured(state))]
    if more := facts(state, state.row):
        known.append(("vs base", " · ".join(more)))
    if alike := _alike(state, info.name):
        known.append(("nearest", alike))
    rows = [line for label, text in known for line in _labelled(label, text, width, ink.dim, ink.plain, 3)]
    # What is wrong comes first: a small screen cuts the end.
    return [*lines, *_findings(info, ink, width, "error", "warning"), *rows, *_findings(info, ink, width, "info")]


def _findings(info: AdapterInfo, ink: Ink, width: int, *severities: str) -> list[Line]:
    styles = {"error": ink.bad, "warning": ink.warn, "info": ink.dim}
    listed = [f for severity in severities for f in info.findings if f.severity == severity]
    lines: list[Line] = []
    for finding in listed:
        style, label = styles[finding.severity], f"{_SIGNS[finding.severity]} {finding.severity}"
        lines += _labelled(label, finding.text, width, style, style)
    return lines


def details(state: AppState, ink: Ink, width: int) -> list[Line]:
    """The same to scroll through, and every module that the findings only count."""
    source = _labelled("source", state.infos[state.row].source, width, ink.dim, ink.plain, 3)
    lines = [Line(), *source, *detail(state, ink, width)[1:]]
    if any(state.study.block(metric, "module") is None for metric in NEEDED):
        return lines
    found = values(state.study, state.order[state.row])
    outliers = [f"{id_} {factor:.2g}×" for id_, factor in found.outliers.items()]
    named = (
        ("ΔW exactly zero", [str(id_) for id_ in found.dead]),
        ("NaN or Inf", [str(id_) for id_ in found.nonfinite]),
        ("‖ΔW‖ against the median of the same module in the other layers", outliers),
        ("Nearly one direction", [str(id_) for id_ in found.collapsed]),
    )
    for title, modules in named:
        if modules:
            lines += [Line(), Line(f" {title} ({len(modules)})", ink.accent)]
            lines += [Line("   " + part) for part in wrap(clean(", ".join(modules)), width - 4)]
    return lines


def _measured(state: AppState) -> str:
    """‖ΔW‖, effective rank, and what a low-rank part leaves out, where the numbers stand."""
    norm, effective = (pending(state, metric, state.row) for metric in ("norm", state.rank_metric))
    left_out = state.own(LEFT_OUT, state.row) if state.has(LEFT_OUT) else 0.0
    more = f" · {left_out:.2%} of the energy left out" if left_out > 0 else ""
    return f"‖ΔW‖ {norm} · {metric_title(state.rank_metric)} {effective}{more} ({state.where})"


def _labelled(label: str, text: str, width: int, label_style: Style, style: Style, indent: int = 1) -> list[Line]:
    """A label, and its text wrapped beside it."""
    parts = wrap(clean(text), width - 13)
    return [
        Line(" " * indent).add("" if n else label, label_style).to(12).add(part, style) for n, part in enumerate(parts)
    ]


def _alike(state: AppState, name: str) -> str:
    """The published adapters it resembles most, where some are open."""
    found = [] if is_reference(name) else nearest(state.study, name)
    words = [
        f"{one.reference} {'cosine' if one.by_cosine else 'output similarity'} {decimal(one.said)}, "
        f"‖ΔW‖ {times(one.norm_ratio)}, layers {one.where}"
        for one in found
    ]
    return " · ".join(words)
