"""The published adapters nearest to one's own, as a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.numbers import fixed, level
from inspector.insights.nearest import answer, nearest, own
from inspector.study.study import Study
from inspector.tables.tables import titled


def resemblance_table(study: Study, title: str) -> Iterator[Table | str]:
    """For each adapter of one's own the nearest published ones, in words and in numbers; nothing without any."""
    names = [study.names[i] for i in own(study)]
    if len(names) == len(study.names) or study.block("cosine", "global") is None:
        return
    yield from (answer(study, name) for name in names)
    table = titled(f"nearest of {title}")
    for heading in ("adapter", "nearest"):
        table.add_column(heading)
    for heading in ("cosine", "u₁"):
        table.add_column(heading, justify="right")
    table.add_column("highest cosine in layers")
    table.add_column("‖ΔW‖ ×", justify="right")
    levels = []
    for name in names:
        for n, found in enumerate(nearest(study, name)):
            levels.append(level(found.u1_chance, "n/a"))
            ratio = "n/a" if np.isnan(found.norm_ratio) else f"{found.norm_ratio:.3g}"
            numbers = (fixed(found.cosine), fixed(found.u1), found.where, ratio)
            table.add_row(Text("" if n else name), Text(found.reference), *numbers)
    if not levels:
        return
    yield table
    chance = " to ".join(dict.fromkeys((min(levels), max(levels))))
    yield (
        f"cosine over all modules; u₁ by chance: {chance}; ‖ΔW‖ ×: how many times as far yours moved. "
        "A cosine near zero may only be another random start of A: then u₁, the output direction, still agrees."
    )
