"""Tables with a line for every pair of adapters."""

from __future__ import annotations

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.printing.tables import number, titled
from inspector.resemblance import told_subjects
from inspector.shared import pair_interference
from inspector.study import Study


def angles_table(study: Study) -> Table:
    """Median smallest and worst principal angle of every pair, beside chance."""
    median, low, high = (study.blocks[f"principal_angle{q}", "global"] for q in ("", "_q25", "_q75"))
    off_diagonal = median[np.triu_indices(len(median), 1)]
    k = int((~np.isnan(off_diagonal)).any(axis=(0, 1)).sum())
    limited = f" (rank limits the asked {study.settings.k})" if k < study.settings.k else ""
    table = titled(f"principal angles of the top-{k} output subspaces{limited}, median over modules, degrees")
    for heading in ("a", "b"):
        table.add_column(heading)
    for heading in ("smallest", "IQR", "largest", "IQR"):
        table.add_column(heading, justify="right")
    for a, b, (i, j) in told_subjects(study, "pair"):
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
    table = titled("interference, all modules")
    for heading in ("a", "b"):
        table.add_column(heading)
    for heading in ("cosine", "cosine of both", "overlap", "by chance", "energy ratio", "one-sided"):
        table.add_column(heading, justify="right")
    table.add_column("class")
    cosine, energy = study.blocks["cosine", "global"], study.blocks["energy_ratio", "global"]
    for a, b, (i, j) in told_subjects(study, "pair"):
        found = pair_interference(study, i, j)
        values = (cosine[i, j, 0], found.cosine, found.overlap, found.chance, energy[i, j, 0])
        numbers = (number(float(value), 3) for value in values)
        table.add_row(Text(a), Text(b), *numbers, str(study.one_sided(i, j)), found.kind)
    return table
