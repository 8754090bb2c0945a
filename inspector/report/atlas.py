"""An atlas as a page: what stdout has, whole, and the neighbours of every adapter."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.insights.atlas import Atlas
from inspector.report.document import Fold, Note, Part, Report, Section, Table
from inspector.tables.atlas import (
    CHAINS,
    GROUPS,
    KEPT,
    NEIGHBOURS,
    group_rows,
    kept_rows,
    names,
    neighbour_rows,
    remarks,
    summary,
)

_ABOUT = f"Groups are connected by cosines of the stacked ΔW ≥ 0.7. {CHAINS}"
_NEAR = (
    "Cosines with ± are estimates from sketches, those without are exact; output similarities are estimates. "
    "Whom a sketch cannot tell from 0 is no neighbour: cosines below about 0.1."
)


def atlas_report(atlas: Atlas, kept: Sequence[tuple[int, int, float]], version: str) -> Report:
    """The sections of an atlas. Names alone: paths of this machine are left out."""
    shown = names(atlas)
    first: list[Part] = [Note(sentence) for sentence in summary(atlas)]
    if atlas.groups:
        first.append(Table("groups", "Groups", GROUPS, tuple(group_rows(atlas, shown))))
    first += [
        Fold(f"Members of group {n}", (Note(", ".join(shown[i] for i in group)),))
        for n, group in enumerate(atlas.groups, 1)
    ]
    if atlas.alone:
        first.append(Fold("Alone", (Note(", ".join(shown[i] for i in atlas.alone)),)))
    sections = [Section("overview", "Groups", _ABOUT, tuple(first))]
    if kept:
        about = "Farthest first: every other one is near one that is kept. Distances are estimates."
        table = Table("kept", "To keep", KEPT, tuple(kept_rows(shown, kept)))
        sections.append(Section("keep", "To keep", about, (table,)))
    found = list(remarks(atlas, shown))
    tables = tuple(Table(title.replace(" ", "-"), title, ("adapter", "what"), tuple(rows)) for title, rows in found)
    if tables:
        sections.append(Section("remarks", "Copies, sizes, health", "Sizes and ranks are exact.", tables))
    rows = tuple(
        (shown[i] if n == 0 else "", *row)
        for i in range(len(shown))
        for n, row in enumerate(neighbour_rows(atlas, shown, i))
    )
    near = Table("neighbours", "Neighbours of each", ("of", *NEIGHBOURS), rows)
    sections.append(Section("neighbours", "Neighbours", _NEAR, (near,) if rows else (Note("None has any."),)))
    return Report("Atlas", summary(atlas)[0], tuple(sections), (), (), (), version)
