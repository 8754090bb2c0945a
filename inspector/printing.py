"""A study as readable tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as count_from

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.definitions import DEFINITIONS, INTERFERENCE
from inspector.geometry.interference import energy_ratio_of_sum
from inspector.printing_pairs import angles_table, interference_table
from inspector.printing_runs import group_tables, summary_lines
from inspector.probe_tables import probe_tables
from inspector.resemblance import resemblance_table
from inspector.shared import shared
from inspector.study import Floats, Scope, Study
from inspector.table import subjects
from inspector.takeaways.limits import by_base
from inspector.text import count, some
from inspector.text_tables import UNLIMITED, Page, number, short_targets, titled

MATRICES = ("cosine", "u1", "v1", "subspace_overlap", "orthogonal_fraction_global", "orthogonal_fraction_module")
_OF_ADAPTERS = {"norm": "‖ΔW‖", "effective_rank": "effective rank", "energy_left_out": "energy left out"}
_MAX_PAIRS = 12
UNSTABLE = 0.9


class _Page:
    """Stdout: tables as wide as they are, text in lines of at most 100 columns."""

    def __init__(self) -> None:
        self._tables = Page(width=UNLIMITED)
        self._text = Page()
        self._text.width = min(self._text.width, 100)

    def table(self, table: Table) -> None:
        self._tables.print(table)

    def text(self, text: str) -> None:
        self._text.print(Text(text))


def print_study(study: Study, metrics: Sequence[str] = ()) -> None:
    """Everything at a glance, or the given metrics with their layers. Nothing is cut."""
    page = _Page()
    _print_adapters(page, study, () if metrics else tuple(_OF_ADAPTERS))
    if metrics:
        for metric in metrics:
            _print_metric(page, study, metric)
        return
    if len(study.adapters) > 1:
        _print_pairs(page, study)
    for part in probe_tables(study):
        if isinstance(part, str):
            page.text(f"\n{part}")
        else:
            page.table(part)


def _print_pairs(page: _Page, study: Study) -> None:
    """Every pair by every metric; one line where no pair has a module in common."""
    if not any(shared(study, i, j).any() for _, _, (i, j) in subjects(study, "pair")):
        who = "The two have no" if len(study.adapters) == 2 else "No two of the adapters have a"
        page.text(f"{who} module of the same name and shape to compare.")
        return
    for metric in MATRICES:
        _print_metric(page, study, metric, layers=False)
    if ("principal_angle", "global") in study.blocks:
        page.table(angles_table(study))
    page.table(interference_table(study))
    page.text(INTERFERENCE)
    if study.settings.modules == "union" and study.usable.all() and len(by_base(study)) == 1:
        ratio = energy_ratio_of_sum(study.blocks["cosine", "global"][..., 0], study.blocks["norm", "global"][:, 0])
        page.text(f"energy ratio of the sum of all {len(study.adapters)}: {number(ratio, 3)}")


def print_summary(study: Study) -> None:
    """The findings, one paragraph each: `-` what was found, `!` what limits the reading."""
    page = _Page()
    for line in summary_lines(study):
        page.text(line)


def print_groups(study: Study, by: str) -> None:
    """Cosines within and between the groups of method, seed or lr; pairs of one method; lineage."""
    page = _Page()
    for part in group_tables(study, by):
        if isinstance(part, str):
            page.text(part)
        else:
            page.table(part)


def _print_adapters(page: _Page, study: Study, metrics: Sequence[str]) -> None:
    """Who was measured, with these of `_OF_ADAPTERS`; what all adapters share stands once, below the table."""
    measured = {_OF_ADAPTERS[metric]: study.block(metric, "global") for metric in metrics}
    numbers = {title: block[:, 0].tolist() for title, block in measured.items() if block is not None}
    columns: dict[str, list[str]] = {
        "base": [a.base or "?" for a in study.adapters],
        "format": [a.format for a in study.adapters],
        "dtype": [a.dtype for a in study.adapters],
        "rank": [a.rank for a in study.adapters],
        "scale": [a.scale for a in study.adapters],
        "targets": [short_targets(a.targets) for a in study.adapters],
        "parameters": [f"{a.parameters:,}" for a in study.adapters],
        "health": [a.health for a in study.adapters],
    }
    shared = {name: values[0] for name, values in columns.items() if len(set(values)) == 1 and values[0]}
    table = titled(
        f"{count(len(study.adapters), 'adapter')}, {count(len(study.modules), 'module')}, "
        f"{count(len(study.layers), 'layer')}"
    )
    table.add_column("adapter")
    for name in columns:
        if name not in shared:
            table.add_column(name)
    for title in numbers:
        table.add_column(title, justify="right")
    for i, adapter in enumerate(study.adapters):
        own = [Text(values[i]) for name, values in columns.items() if name not in shared]
        table.add_row(Text(adapter.name), *own, *(number(values[i], 4) for values in numbers.values()))
    page.table(table)
    page.text(f"all: {'; '.join(f'{name} {value}' for name, value in shared.items())}")
    for (severity, text), names in _findings(study).items():
        who = f"all {len(names)} adapters" if len(names) == len(study.adapters) > 1 else some(names)
        page.text(f"{severity}: {who}: {text}")
    page.text("")


def _findings(study: Study) -> dict[tuple[str, str], list[str]]:
    """Every warning and error once, with the adapters it is told of."""
    found: dict[tuple[str, str], list[str]] = {}
    for adapter in study.adapters:
        for finding in adapter.findings:
            if finding.severity != "info":
                found.setdefault((finding.severity, finding.text), []).append(adapter.name)
    return found


def print_resemblance(study: Study, title: str) -> None:
    """The published adapters nearest to one's own."""
    page = _Page()
    for part in resemblance_table(study, title):
        if isinstance(part, str):
            page.text(part)
        else:
            page.table(part)


def unstable_directions(study: Study) -> list[str]:
    """`name in 3 of 120 modules` for every adapter whose top singular vectors are ill-defined somewhere."""
    sigma = study.block("singular_value", "module")
    if sigma is None or sigma.shape[2] < 2:
        return []
    close = sigma[:, :, 1] > UNSTABLE * sigma[:, :, 0]
    counts = zip(study.names, close.sum(1).tolist(), study.present.sum(1).tolist(), strict=True)
    return [f"{name} in {count} of {modules} modules" for name, count, modules in counts if count]


def _print_metric(page: _Page, study: Study, metric: str, *, layers: bool = True) -> None:
    """One metric: its global numbers, its layers, and what it means."""
    definition = DEFINITIONS[metric]
    for scope in ("global", "layer") if layers else ("global",):
        values = study.block(metric, scope)
        if values is None:
            continue
        if definition.subject in {"adapter", "none"} or definition.indexed:
            page.table(_listed(study, metric, scope, values))
        elif scope == "global":
            page.table(matrix_table(study, metric, values[:, :, 0]))
        else:
            page.table(_by_layer(study, metric, values))
    if layers and study.block(metric, "global") is None:
        values = study.block(metric, "module")
        if values is None:
            page.text(f"{metric}: not measured in this study.")
        else:
            page.table(_listed(study, metric, "module", values))
    chance = study.block(f"{metric}_chance", "global")
    if metric in {"u1", "v1"} and (unstable := unstable_directions(study)):
        page.text(f"unstable (σ₂/σ₁ > {UNSTABLE}): {', '.join(unstable)}")
    by_chance = "" if chance is None or definition.indexed else f" By chance: {chance[0]:.3g}."
    trap = f" Note: {definition.trap}." if definition.trap else ""
    page.text(f"{metric}: {definition.formula}; {definition.over_modules}.{by_chance}{trap}\n")


def matrix_table(study: Study, metric: str, values: Floats) -> Table:
    """N×N numbers with names on both sides; for an ordered metric the row is a, the column b."""
    ordered = " (row off column)" if DEFINITIONS[metric].subject == "ordered" else ""
    table = titled(f"{DEFINITIONS[metric].title}{ordered}, all modules")
    table.add_column("")
    for name in study.names:
        table.add_column(Text(name), justify="right")
    for i, name in enumerate(study.names):
        table.add_row(Text(name), *(number(value, 3) for value in values[i].tolist()))
    return table


def _by_layer(study: Study, metric: str, values: Floats) -> Table:
    """Layers × pairs."""
    n = len(study.names)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    shown = pairs[:_MAX_PAIRS]
    left_out = f" ({len(shown)} of {len(pairs)} pairs; --out has all)" if len(shown) < len(pairs) else ""
    table = titled(f"{DEFINITIONS[metric].title} by layer{left_out}")
    table.add_column("layer", justify="right")
    for i, j in shown:
        table.add_column(Text(f"{study.names[i]} · {study.names[j]}"), justify="right")
    for place, layer in enumerate(study.layers):
        table.add_row(str(layer), *(number(values[i, j, place], 3) for i, j in shown))
    return table


def _listed(study: Study, metric: str, scope: Scope, values: Floats) -> Table:
    """One row per subject and place, with k across where the metric has an index."""
    definition = DEFINITIONS[metric]
    table = titled(f"{definition.title}, {scope}")
    for heading in ("a", "b", "layer", "module"):
        table.add_column(heading)
    numbers = values if definition.indexed else values[..., None]
    along = [f"α {alpha:g}" for alpha in study.alphas] if definition.index == "alpha" else map(str, count_from(1))
    for _, heading in zip(range(numbers.shape[-1]), along, strict=False):
        table.add_column(heading if definition.indexed else definition.unit or "value", justify="right")
    for a, b, at in subjects(study, definition.subject):
        for place, module in enumerate(study.places(scope)):
            row = numbers[(*at, place)]
            if not np.isnan(row).all():
                layer = "" if module.layer is None else str(module.layer)
                table.add_row(Text(a), Text(b), layer, Text(module.path), *(number(v, 3) for v in row.tolist()))
    return table
