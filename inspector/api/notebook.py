"""A study as a notebook has it: shown as its overview, and turned into a data frame."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import fields
from html import escape
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.numbers import fixed
from inspector.insights.overview import Overview, overview
from inspector.study.html import html_table
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Study
from inspector.study.table import COLUMNS, rows
from inspector.tables.overview import GROUP_COLUMNS, group_rows, groups_caption


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
    """The overview: what follows, then the groups; the cosines between all behind a line that opens."""
    found = overview(study)
    facts = [*found.facts, *([f"names: {found.labels.shared}"] if found.labels.shared else [])]
    if not found.whole:
        facts.append(f"{found.known} of {found.total} modules measured so far")
    said = "".join(f"<li>{'<strong>!</strong> ' * part.caution}{escape(part.text)}</li>" for part in found.so_what)
    groups = html_table(groups_caption(found), GROUP_COLUMNS, group_rows(found))
    return f"<p><strong>{escape(' · '.join(facts))}</strong></p><ol>{said}</ol>{groups}{_cosines(study, found)}"


def _cosines(study: Study, found: Overview) -> str:
    """The matrix in the order of the groups; nothing without two adapters."""
    block, order = study.block("cosine", "global"), found.order
    if block is None or len(order) < 2:
        return ""
    short = dict(zip(found.who, found.labels.short, strict=True))
    names = [short[i] for i in order]
    rows = [(name, *(fixed(float(block[i, j, 0])) for j in order)) for name, i in zip(names, order, strict=True)]
    table = html_table("cosines over all modules", ("", *names), rows)
    return f"<details><summary>Cosines</summary>{table}</details>"
