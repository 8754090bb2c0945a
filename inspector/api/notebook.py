"""A study as a notebook has it: shown as a table, and turned into a data frame."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import count
from inspector.study.html import html_table
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Study
from inspector.study.table import COLUMNS, rows
from inspector.tables.tables import number


class NotebookStudy(Study):
    """A study with the methods of a notebook."""

    @classmethod
    def of(cls, study: Study) -> NotebookStudy:
        return cls(**{field.name: getattr(study, field.name) for field in fields(Study)})

    def to_pandas(self, metrics: Sequence[str] = ()) -> Any:
        """The tidy table, one number a row, as a pandas DataFrame; of these metrics alone if any are named."""
        return frame(self, "pandas", metrics)

    def to_polars(self, metrics: Sequence[str] = ()) -> Any:
        """The tidy table as a polars DataFrame."""
        return frame(self, "polars", metrics)

    def _repr_html_(self) -> str:
        return study_html(self)


def frame(study: Study, library: str, metrics: Sequence[str] = ()) -> Any:
    """The tidy table (`metric, a, b, scope, layer, module, k, value`) as a pandas or polars DataFrame.

    Raises InspectorError where the library is not installed, and for a metric there is not.
    """
    if unknown := [metric for metric in metrics if metric not in DEFINITIONS]:
        close = difflib.get_close_matches(unknown[0], DEFINITIONS, n=1)
        raise InspectorError(f"No metric {unknown[0]!r}.{f' Did you mean {close[0]}?' if close else ''}")
    try:
        made = importlib.import_module(library)
    except ImportError as error:
        raise InspectorError(f"{library} is not installed: pip install {library}.") from error
    columns = zip(*rows(study, metrics), strict=True)
    table = {name: list(values) for name, values in zip(COLUMNS, columns, strict=False)} or {n: [] for n in COLUMNS}
    return made.DataFrame(table)


def study_html(study: Study) -> str:
    """Who was measured, and the cosines between them."""
    norms, cosines = study.block("norm", "global"), study.block("cosine", "global")
    heads = ("", "rank", "scale", "‖ΔW‖", *(study.names if cosines is not None else ()))
    lines = []
    for i, adapter in enumerate(study.adapters):
        norm = "" if norms is None else number(float(norms[i, 0]), 4)
        cells = [adapter.name, adapter.rank, adapter.scale, norm]
        cells += [] if cosines is None else [number(float(value)) for value in cosines[i, :, 0]]
        lines.append(cells)
    size = f"{count(len(study.adapters), 'adapter')}, {count(len(study.modules), 'module')}; cosines over all modules"
    return html_table(size, heads, lines)
