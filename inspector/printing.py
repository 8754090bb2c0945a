"""A study as readable tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.definitions import DEFINITIONS, INTERFERENCE
from inspector.geometry.interference import classify
from inspector.study import Floats, Scope, Study
from inspector.table import subjects

MATRICES = ("cosine", "u1", "v1", "subspace_overlap", "orthogonal_fraction_global", "orthogonal_fraction_module")
_MAX_PAIRS = 12
UNSTABLE = 0.9


def print_study(study: Study, metrics: Sequence[str] = ()) -> None:
    """Everything at a glance, or the given metrics with their layers. Lines are never cut."""
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print(adapters_table(study))
    for adapter in study.adapters:
        for finding in adapter.findings:
            if finding.severity != "info":
                console.print(f"{finding.severity}: {adapter.name}: {finding.text}")
    if metrics:
        for metric in metrics:
            _print_metric(console, study, metric)
        return
    if len(study.adapters) > 1:
        for metric in MATRICES:
            _print_metric(console, study, metric, layers=False)
        if ("principal_angle", "global") in study.blocks:
            console.print(angles_table(study))
        console.print(interference_table(study))
        console.print(INTERFERENCE)


def unstable_directions(study: Study) -> list[str]:
    """`name in 3 of 120 modules` for every adapter whose top singular vectors are ill-defined somewhere."""
    sigma = study.block("singular_value", "module")
    if sigma is None or sigma.shape[2] < 2:
        return []
    close = sigma[:, :, 1] > UNSTABLE * sigma[:, :, 0]
    counts = zip(study.names, close.sum(1).tolist(), study.present.sum(1).tolist(), strict=True)
    return [f"{name} in {count} of {modules} modules" for name, count, modules in counts if count]


def adapters_table(study: Study) -> Table:
    """Who was measured, with norm and effective rank."""
    table = _table(f"{len(study.adapters)} adapters, {len(study.modules)} modules, {len(study.layers)} layers")
    for heading in ("adapter", "base", "format", "rank", "scale", "targets", "dtype"):
        table.add_column(heading)
    for heading in ("parameters", "‖ΔW‖", "effective rank"):
        table.add_column(heading, justify="right")
    table.add_column("health")
    norms, effective = study.block("norm", "global"), study.block("effective_rank", "global")
    for i, a in enumerate(study.adapters):
        table.add_row(
            *map(Text, (a.name, a.base or "?", a.format, a.rank, a.scale, ",".join(a.targets), a.dtype)),
            f"{a.parameters:,}",
            number(norms[i, 0], 4) if norms is not None else "-",
            number(effective[i, 0], 2) if effective is not None else "-",
            a.health,
        )
    return table


def _print_metric(console: Console, study: Study, metric: str, *, layers: bool = True) -> None:
    """One metric: its global numbers, its layers, and what it means."""
    definition = DEFINITIONS[metric]
    for scope in ("global", "layer") if layers else ("global",):
        values = study.block(metric, scope)
        if values is None:
            continue
        if definition.subject in {"adapter", "chance"} or definition.indexed:
            console.print(_listed(study, metric, scope, values))
        elif scope == "global":
            console.print(matrix_table(study, metric, values[:, :, 0]))
        else:
            console.print(_by_layer(study, metric, values))
    if layers and study.block(metric, "global") is None:
        values = study.block(metric, "module")
        if values is None:
            console.print(f"{metric}: not measured in this study.")
        else:
            console.print(_listed(study, metric, "module", values))
    chance = study.block(f"{metric}_chance", "global")
    if metric in {"u1", "v1"} and (unstable := unstable_directions(study)):
        console.print(f"unstable (σ₂/σ₁ > {UNSTABLE}): {', '.join(unstable)}")
    by_chance = "" if chance is None or definition.indexed else f" By chance: {chance[0]:.3g}."
    trap = f" Note: {definition.trap}." if definition.trap else ""
    console.print(f"{metric}: {definition.formula}; {definition.over_modules}.{by_chance}{trap}\n")


def matrix_table(study: Study, metric: str, values: Floats) -> Table:
    """N×N numbers with names on both sides; for an ordered metric the row is a, the column b."""
    ordered = " (row off column)" if DEFINITIONS[metric].subject == "ordered" else ""
    table = _table(f"{DEFINITIONS[metric].title}{ordered}, all modules")
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
    table = _table(f"{DEFINITIONS[metric].title} by layer{left_out}")
    table.add_column("layer", justify="right")
    for i, j in shown:
        table.add_column(Text(f"{study.names[i]} · {study.names[j]}"), justify="right")
    for place, layer in enumerate(study.layers):
        table.add_row(str(layer), *(number(values[i, j, place], 3) for i, j in shown))
    return table


def _listed(study: Study, metric: str, scope: Scope, values: Floats) -> Table:
    """One row per subject and place, with k across where the metric has an index."""
    definition = DEFINITIONS[metric]
    table = _table(f"{definition.title}, {scope}")
    for heading in ("a", "b", "layer", "module"):
        table.add_column(heading)
    numbers = values if definition.indexed else values[..., None]
    for k in range(numbers.shape[-1]):
        table.add_column(str(k + 1) if definition.indexed else definition.unit or "value", justify="right")
    for a, b, at in subjects(study, definition.subject):
        for place, module in enumerate(study.places(scope)):
            row = numbers[(*at, place)]
            if not np.isnan(row).all():
                layer = "" if module.layer is None else str(module.layer)
                table.add_row(Text(a), Text(b), layer, Text(module.path), *(number(v, 3) for v in row.tolist()))
    return table


def angles_table(study: Study) -> Table:
    """Median smallest and worst principal angle of every pair, beside chance."""
    k = study.settings.k
    table = _table(f"principal angles of the top-{k} output subspaces, median over modules, degrees")
    for heading in ("a", "b"):
        table.add_column(heading)
    for heading in ("smallest", "IQR", "largest", "IQR"):
        table.add_column(heading, justify="right")
    median, low, high = (study.blocks[f"principal_angle{q}", "global"] for q in ("", "_q25", "_q75"))
    for a, b, (i, j) in subjects(study, "pair"):
        known = np.flatnonzero(~np.isnan(median[i, j, 0]))
        cells = []
        for at in (0, known[-1]) if known.size else ():
            cells += [number(median[i, j, 0, at], 1), f"{low[i, j, 0, at]:.1f}-{high[i, j, 0, at]:.1f}"]
        table.add_row(Text(a), Text(b), *(cells or ["n/a"] * 4))
    chance = study.blocks["principal_angle_chance", "global"][0]
    known = np.flatnonzero(~np.isnan(chance))
    if known.size:
        table.add_row("random", "random", f"{chance[0]:.1f}", "", f"{chance[known[-1]]:.1f}", "")
    return table


def interference_table(study: Study) -> Table:
    """What adding each pair would do."""
    table = _table("interference, all modules")
    for heading in ("a", "b"):
        table.add_column(heading)
    for heading in ("cosine", "overlap", "by chance", "energy ratio", "one-sided modules"):
        table.add_column(heading, justify="right")
    table.add_column("class")
    cosine, overlap, energy = (study.blocks[m, "global"] for m in ("cosine", "subspace_overlap", "energy_ratio"))
    chance = float(study.blocks["subspace_overlap_chance", "global"][0])
    for a, b, (i, j) in subjects(study, "pair"):
        c, o = float(cosine[i, j, 0]), float(overlap[i, j, 0])
        numbers = (number(c, 3), number(o, 3), number(chance, 3), number(energy[i, j, 0], 3))
        table.add_row(Text(a), Text(b), *numbers, str(study.one_sided(i, j)), classify(c, o, chance))
    return table


def number(value: float, digits: int) -> str:
    """A number with fixed digits; n/a for NaN."""
    return "n/a" if np.isnan(value) else f"{value:.{digits}f}"


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
