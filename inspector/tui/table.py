"""What is exported and copied of a view: its numbers as text."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from rich.cells import cell_len

from inspector.common.spreadsheet import cell


@dataclass(frozen=True, slots=True)
class Table:
    """A view's numbers, every row of them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(map(cell, line) for line in (self.columns, *self.rows))
        return out.getvalue()

    def text(self) -> str:
        """Aligned columns under the title."""
        everything = [self.columns, *self.rows]
        widths = [max((cell_len(row[c]) for row in everything), default=0) for c in range(len(self.columns))]
        lines = ["  ".join(v + " " * (w - cell_len(v)) for v, w in zip(r, widths, strict=True)) for r in everything]
        return "\n".join([self.title, *(line.rstrip() for line in lines)]) + "\n"
