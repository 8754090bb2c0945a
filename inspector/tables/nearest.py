"""The published adapters nearest to one's own, as a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.numbers import fixed, level
from inspector.insights.nearest import answer, interval, nearest, own
from inspector.study.study import Study
from inspector.tables.tables import titled


def resemblance_table(study: Study, title: str) -> Iterator[Table | str]:
    """For each adapter of one's own the nearest published ones, in words and in numbers; nothing without any."""
    names = [study.names[i] for i in own(study)]
    if len(names) == len(study.names) or study.block("cosine", "global") is None:
        return
    yield from (answer(study, name) for name in names)
    table = titled(f"nearest of {title}", ("adapter", "nearest"), ("cosine", "outputs"))
    table.add_column("most alike in layers")
    table.add_column("‖ΔW‖ ×", justify="right")
    levels = []
    for name in names:
        for n, found in enumerate(nearest(study, name)):
            by_outputs = found.metric == "output_similarity"
            levels += [level(found.chance, "n/a")] if by_outputs else []
            ratio = "n/a" if np.isnan(found.norm_ratio) else f"{found.norm_ratio:.3g}"
            outputs = fixed(found.value) + interval(found) if by_outputs else "–"
            numbers = (fixed(found.cosine), outputs, found.where, ratio)
            table.add_row(Text("" if n else name), Text(found.reference), *numbers)
    if not table.row_count:
        return
    yield table
    yield "cosine over all modules; ‖ΔW‖ ×: how many times as far yours moved."
    if levels:
        chance = " to ".join(dict.fromkeys((min(levels), max(levels))))
        yield (
            "outputs: output similarity, mean over modules and its 95 % interval, by which those are ordered that are "
            f"not known to share one random start of A; by chance {chance}."
        )
