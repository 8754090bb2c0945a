"""Tables of any metric's numbers: a matrix of pairs, layers by pairs, or a row for each subject and place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count as count_from

import numpy as np
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from inspector.common.arrays import Floats
from inspector.common.labels import labels
from inspector.insights.first_pairs import first_pairs
from inspector.insights.nearest import own, told_subjects
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Scope, Study
from inspector.tables.tables import in_digits, titled

MOST_PAIRS = 12
"""Pairs of a table by layer; of more pairs those that charts begin with."""
_HEAD, _NUMBER = 8, 5
"""Cells of a name above a column, and of a number."""
_GAP = 3
"""Cells between two columns."""


def matrix_tables(study: Study, metric: str, values: Floats, width: int) -> Iterator[Table]:
    """Numbers of pairs with names on both sides, in as many tables as the width asks for.

    For an ordered metric the row is a, the column b. Beside published adapters one's own alone are columns, and a: that
    leaves pairs of published ones out.
    """
    columns = own(study)
    mixed = 0 < len(columns) < len(study.names)
    columns = columns if mixed else list(range(len(study.names)))
    shown = values.T if mixed else values
    order = "column off row" if mixed else "row off column"
    ordered = f" ({order})" if DEFINITIONS[metric].subject == "ordered" else ""
    heads = labels([study.names[j] for j in columns]).at(_HEAD)
    side = max(map(cell_len, study.names))
    for part in _parts([max(cell_len(head), _NUMBER) for head in heads], width - side - _GAP):
        title = f"{DEFINITIONS[metric].title}{ordered}, all modules" if part.start == 0 else ""
        table = titled(title, ("",), heads[part])
        for i, name in enumerate(study.names):
            cells = (in_digits(metric, value) for value in shown[i, columns[part]].tolist())
            table.add_row(Text(name), *cells)
        yield table


def by_layer_tables(study: Study, metric: str, values: Floats, width: int) -> Iterator[Table]:
    """Layers × pairs, the names of a pair one above the other, in as many tables as the width asks for."""
    pairs = [at for _, _, at in told_subjects(study, "pair") if np.isfinite(values[at]).any()]
    few = [pair for pair in first_pairs(study) if pair in pairs] or pairs[:MOST_PAIRS]
    shown = pairs if len(pairs) <= MOST_PAIRS else few
    left_out = f" ({len(shown)} of {len(pairs)} pairs; --out has all)" if len(shown) < len(pairs) else ""
    names = labels(study.names).at(_HEAD)
    columns = [(f"{names[i]}\n{names[j]}", values[i, j]) for i, j in shown]
    yield from along_layers(study, metric, f" by layer{left_out}", columns, width)


def along_layers(
    study: Study, metric: str, title: str, columns: Sequence[tuple[str, Floats]], width: int
) -> Iterator[Table]:
    """A row a layer of which anything is known, the columns in as many tables as the width asks for."""
    widths = [max(_NUMBER, *map(cell_len, head.split("\n"))) for head, _ in columns]
    for part in _parts(widths, width - len("layer") - _GAP):
        heading = f"{DEFINITIONS[metric].title}{title}" if part.start == 0 else ""
        table = titled(heading, (), ("layer", *(head for head, _ in columns[part])))
        for place, layer in enumerate(study.layers):
            if any(np.isfinite(values[place]) for _, values in columns):
                table.add_row(str(layer), *(in_digits(metric, float(values[place])) for _, values in columns[part]))
        yield table


def _parts(widths: Sequence[int], room: int) -> Iterator[slice]:
    """Columns of these widths in runs that fit the room, each of one column at least."""
    start = used = 0
    for at, width in enumerate(widths):
        if at > start and used + width + _GAP > room:
            yield slice(start, at)
            start, used = at, 0
        used += width + _GAP
    yield slice(start, len(widths))


def listed_table(study: Study, metric: str, scope: Scope, values: Floats) -> Table:
    """One row per subject and place, with k across where the metric has an index."""
    definition = DEFINITIONS[metric]
    table = titled(f"{definition.title}, {scope}", ("a", "b", "layer", "module"))
    numbers = values if definition.indexed else values[..., None]
    along = [f"α {alpha:g}" for alpha in study.alphas] if definition.index == "alpha" else map(str, count_from(1))
    for _, heading in zip(range(numbers.shape[-1]), along, strict=False):
        table.add_column(heading if definition.indexed else definition.unit or "value", justify="right")
    for a, b, at in told_subjects(study, definition.subject):
        for place, module in enumerate(study.places(scope)):
            row = numbers[(*at, place)]
            if not np.isnan(row).all():
                layer = "" if module.layer is None else str(module.layer)
                table.add_row(Text(a), Text(b), layer, Text(module.path), *(in_digits(metric, v) for v in row.tolist()))
    return table
