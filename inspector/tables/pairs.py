"""Tables with a line for every pair of adapters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.labels import labels
from inspector.common.numbers import fixed, level
from inspector.insights.nearest import told_subjects
from inspector.insights.pairwise import pair_chance, pair_interference
from inspector.insights.verdict import verdict
from inspector.study.study import Study
from inspector.tables.tables import titled

NAME = 9
"""Cells of a name, so that a pair and its numbers fit 80 columns."""


def angles_table(study: Study) -> Table:
    """Median smallest and worst principal angle of every pair, beside chance: each pair's own where ranks differ."""
    median, low, high = (study.blocks[f"principal_angle{q}", "global"] for q in ("", "_q25", "_q75"))
    off_diagonal = median[np.triu_indices(len(median), 1)]
    k = int((~np.isnan(off_diagonal)).any(axis=(0, 1)).sum())
    limited = " (limit: rank)" if k < study.settings.k else ""
    names = labels(study.names).at(NAME)
    rows = [(names[i], names[j], *_ends(study, i, j)) for _, _, (i, j) in told_subjects(study, "pair")]
    levels = {levels for *_, levels in rows if levels != ("n/a", "n/a")}
    apart = len(levels) > 1
    numbers = ("smallest", "IQR", *["by\nchance"] * apart, "largest", "IQR", *["by\nchance"] * apart)
    title = f"principal angles of top-{k} output subspaces{limited}, medians, degrees"
    table = titled(title, ("a", "b"), numbers)
    for a, b, ends, chance in rows:
        cells = []
        for at, random in zip(ends, chance, strict=True):
            i, j, k = at
            known = not np.isnan(median[i, j, 0, k])
            cells += [fixed(median[i, j, 0, k], 1), f"{low[i, j, 0, k]:.1f}-{high[i, j, 0, k]:.1f}" if known else "n/a"]
            cells += [random] * apart
        table.add_row(Text(a), Text(b), *cells)
    for smallest, largest in () if apart else levels:
        table.add_row("random", "random", smallest, "", largest, "")
    return table


def _ends(study: Study, i: int, j: int) -> tuple[list[tuple[int, int, int]], tuple[str, str]]:
    """Where the smallest and the largest angle of a pair stand, and what random subspaces of its ranks would give."""
    known = np.flatnonzero(~np.isnan(study.blocks["principal_angle", "global"][i, j, 0]))
    chance = pair_chance(study, "principal_angle", i, j)
    last = int(known[-1]) if known.size else 0
    first, end = (fixed(float(chance[k]), 1) if known.size and k < len(chance) else "n/a" for k in (0, last))
    return [(i, j, 0), (i, j, last)], (first, end)


def verdict_lines(study: Study) -> Iterator[str]:
    """What is known of every pair, in words: measured evidence first."""
    for a, b, (i, j) in told_subjects(study, "pair"):
        yield f"{a} ↔ {b}: {verdict(study, i, j).headline}"


def interference_table(study: Study) -> Table:
    """How the updates of each pair lie to each other; of modules that one side lacks only where there are such."""
    pairs = list(told_subjects(study, "pair"))
    apart = any(study.one_sided(*at) for _, _, at in pairs)
    sides = ["one-\nsided"] * apart
    headings = ("cosine", *["of both"] * apart, "overlap", "by\nchance", "energy\nratio", *sides)
    table = titled("interference, all modules", ("a", "b"), headings)
    table.add_column("class")
    cosine, energy = study.blocks["cosine", "global"], study.blocks["energy_ratio", "global"]
    names = labels(study.names).at(NAME)
    for _, _, (i, j) in pairs:
        found = pair_interference(study, i, j)
        both, sided = ([fixed(found.cosine)], [str(study.one_sided(i, j))]) if apart else ([], [])
        numbers = [fixed(float(cosine[i, j, 0])), *both, fixed(found.overlap), level(found.chance, "n/a")]
        table.add_row(Text(names[i]), Text(names[j]), *numbers, fixed(float(energy[i, j, 0])), *sided, found.kind)
    return table
