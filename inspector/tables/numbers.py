"""Tables of any metric's numbers: a matrix of pairs, layers by pairs, or a row for each subject and place."""

from __future__ import annotations

from itertools import count as count_from

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.arrays import Floats
from inspector.insights.nearest import own, told_subjects
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Scope, Study
from inspector.tables.tables import number, titled

_MAX_PAIRS = 12


def matrix_table(study: Study, metric: str, values: Floats) -> Table:
    """Numbers of pairs with names on both sides; for an ordered metric the row is a, the column b.

    Beside published adapters one's own alone are columns, and a: that fits a screen, and leaves their own pairs out.
    """
    columns = own(study)
    mixed = 0 < len(columns) < len(study.names)
    columns = columns if mixed else list(range(len(study.names)))
    shown = values.T if mixed else values
    order = "column off row" if mixed else "row off column"
    ordered = f" ({order})" if DEFINITIONS[metric].subject == "ordered" else ""
    table = titled(f"{DEFINITIONS[metric].title}{ordered}, all modules")
    table.add_column("")
    for j in columns:
        table.add_column(Text(study.names[j]), justify="right")
    for i, name in enumerate(study.names):
        table.add_row(Text(name), *(number(value, 3) for value in shown[i, columns].tolist()))
    return table


def by_layer_table(study: Study, metric: str, values: Floats) -> Table:
    """Layers × pairs."""
    pairs = [at for _, _, at in told_subjects(study, "pair")]
    shown = pairs[:_MAX_PAIRS]
    left_out = f" ({len(shown)} of {len(pairs)} pairs; --out has all)" if len(shown) < len(pairs) else ""
    table = titled(f"{DEFINITIONS[metric].title} by layer{left_out}")
    table.add_column("layer", justify="right")
    for i, j in shown:
        table.add_column(Text(f"{study.names[i]} · {study.names[j]}"), justify="right")
    for place, layer in enumerate(study.layers):
        table.add_row(str(layer), *(number(values[i, j, place], 3) for i, j in shown))
    return table


def listed_table(study: Study, metric: str, scope: Scope, values: Floats) -> Table:
    """One row per subject and place, with k across where the metric has an index."""
    definition = DEFINITIONS[metric]
    table = titled(f"{definition.title}, {scope}")
    for heading in ("a", "b", "layer", "module"):
        table.add_column(heading)
    numbers = values if definition.indexed else values[..., None]
    along = [f"α {alpha:g}" for alpha in study.alphas] if definition.index == "alpha" else map(str, count_from(1))
    for _, heading in zip(range(numbers.shape[-1]), along, strict=False):
        table.add_column(heading if definition.indexed else definition.unit or "value", justify="right")
    for a, b, at in told_subjects(study, definition.subject):
        for place, module in enumerate(study.places(scope)):
            row = numbers[(*at, place)]
            if not np.isnan(row).all():
                layer = "" if module.layer is None else str(module.layer)
                table.add_row(Text(a), Text(b), layer, Text(module.path), *(number(v, 3) for v in row.tolist()))
    return table
