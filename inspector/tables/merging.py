"""The preview of a sum as readable tables on stdout, within 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.arrays import Floats
from inspector.common.numbers import fixed
from inspector.common.text import count, plain
from inspector.insights.verdict import verdicts
from inspector.merging.preview import Preview
from inspector.study.metrics import DEFINITIONS
from inspector.tables.tables import ALL, UNLIMITED, Page, share, significant, titled

_FEW = 8
"""So many projections fit a line."""
_DEFINED = ("sum_energy_ratio", "sum_interference", "sum_energy_kept")


def print_preview(preview: Preview, rank: int, by: Sequence[str] = ()) -> None:
    """The verdict on the parts, the parts, the whole sum; then a table `by` projection and layer. Nothing is cut.

    `rank` is the target.
    """
    tables = Page(width=UNLIMITED)
    text = Page()
    text.width = min(text.width, 100)
    for line in verdicts(preview.study, np.flatnonzero(preview.weights).tolist()):
        text.print(Text(plain(line, 2000)))
        text.print()
    tables.print(_parents(preview))
    for line in _whole(preview, rank):
        text.print(Text(line))
    if "projection" in by:
        text.print()
        tables.print(_places(preview, rank, "projection", preview.study.projections, preview.by_projection()))
    if "layer" in by:
        text.print()
        tables.print(_places(preview, rank, "layer", preview.study.layers, preview.by_layer()))
    for metric in _DEFINED if by else ():
        definition = DEFINITIONS[metric]
        text.print(Text(f"{definition.title}: {definition.formula}; {definition.trap}."))


def _parents(preview: Preview) -> Table:
    """Who is added, how much of it, and how far the sum points its way."""
    study, scope = preview.study, preview.scope()
    added = sum(w != 0 for w in preview.weights)
    title = f"Σ w·ΔW of {count(added, 'adapter')}, {count(int(scope.sum()), 'module')}"
    table = titled(title, ("adapter",), ("weight", "rank", "‖ΔW‖", "‖w·ΔW‖", "cosine to sum"))
    table.columns[0].overflow, table.columns[0].max_width = "fold", 30
    norms, cosines = preview.sums.own_norms(scope).tolist(), preview.sums.cosines(scope).tolist()
    for info, w, norm, cosine in zip(study.adapters, preview.weights, norms, cosines, strict=True):
        cells = (f"{w:g}", info.rank, significant(norm), significant(abs(w) * norm), fixed(cosine))
        table.add_row(Text(plain(info.name)), *cells)
    return table


def _whole(preview: Preview, rank: int) -> list[str]:
    """The numbers of the whole sum, each with how to read it."""
    scope, sums = preview.scope(), preview.sums
    ratio = float(sums.energy_ratio(scope))
    held = preview.kept(scope)
    top = preview.largest_rank
    lines = [
        f"norm of the sum   {significant(float(sums.norm(scope)))}",
        f"energy ratio      {fixed(ratio)} (1 orthogonal, above 1 aligned, below 1 cancelling)",
        f"interference      {fixed(float(sums.interference(scope)))} (0: nowhere do two parts oppose each other)",
        f"rank of the sum   {fixed(float(preview.ranks(scope)), 1)} on average, at most {top}",
        f"energy kept       {share(float(preview.kept(scope, rank)))} at rank {rank}",
    ]
    by_rank = ", ".join(f"{k}: {share(float(held[k - 1]))}" for k in _steps(held, top))
    lines += [f"    by rank       {by_rank}"] if by_rank else []
    names, kept = preview.study.projections, preview.kept(preview.by_projection(), rank)
    each = ", ".join(f"{plain(name)} {share(float(part))}" for name, part in zip(names, kept, strict=True))
    return [*lines, f"    by projection {each}"] if 1 < len(names) <= _FEW else lines


def _steps(held: Floats, top: int) -> list[int]:
    """Ranks worth naming: 1, 2, 4 … up to the whole, or to where nearly all is held."""
    steps = [1 << n for n in range(top.bit_length()) if 1 << n < top] + ([top] if top else [])
    enough = next((at for at, k in enumerate(steps) if held[k - 1] >= ALL), len(steps))
    return steps[: enough + 1]


def _places(preview: Preview, rank: int, what: str, names: Sequence[object], at: Floats) -> Table:
    """One row per projection or layer."""
    numbers = ("modules", "‖sum‖", "energy ratio", "interference", f"kept at {rank}")
    table = titled(f"by {what}", (what,), numbers)
    table.columns[0].overflow, table.columns[0].max_width = "fold", 24
    sums = preview.sums
    columns = (sums.norm(at), sums.energy_ratio(at), sums.interference(at), preview.kept(at, rank), at.sum(0))
    for name, norm, ratio, conflict, kept, modules in zip(names, *columns, strict=True):
        cells = (f"{modules:.0f}", significant(norm), fixed(ratio), fixed(conflict), share(kept))
        table.add_row(Text(plain(name)), *cells)
    return table
