"""Findings, seeds, rates and lineage as readable text on stdout."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from inspector.common.numbers import fixed
from inspector.insights.findings import Finding, findings_of
from inspector.insights.lineage import RULE, lineage
from inspector.insights.nearest import is_reference, own
from inspector.insights.sensitivity import compared_by, spreads, variations
from inspector.study.study import Study
from inspector.tables.tables import significant, spread, titled


def summary_lines(study: Study) -> Iterator[str]:
    """The findings, one line each: `-` what was found, `!` what limits the reading; those of published ones last."""
    said = list(findings_of(study))
    others = [found for found in said if _of_published(study, found)]
    yield from map(_line, (found for found in said if found not in others))
    if others:
        yield "Of the published adapters among themselves:"
        yield from map(_line, others)


def _line(found: Finding) -> str:
    return f"{'!' if found.caution else '-'} {found.text}"


def _of_published(study: Study, found: Finding) -> bool:
    """Whether a finding beside one's own adapters has numbers of published ones alone."""
    names = {name for number in found.numbers for name in (number.a, number.b)} & set(study.names)
    return len(names) > 0 and len(own(study)) > 0 and all(map(is_reference, names))


def group_tables(study: Study, by: str) -> Iterator[Table | str]:
    """Similarities within and between the groups of method, seed or lr; then pairs of one method; then lineage."""
    yield _spreads(study, by)
    yield _variations(study)
    if (table := _lineage(study)) is not None:
        yield table
        yield f"row-space overlap: {RULE}"


def _spreads(study: Study, by: str) -> Table:
    table = titled(
        f"{compared_by(study).replace('_', ' ')} by {by}: mean (least to largest)",
        (by, "adapters"),
        ("within", "to the others"),
    )
    for found in spreads(study, by):
        names = ", ".join(study.names[i] for i in found.members)
        table.add_row(Text(found.group), Text(names), spread(found.within), spread(found.between))
    return table


def _variations(study: Study) -> Table | str:
    found = variations(study)
    if not found:
        return "No two adapters are of one method: run.json beside them, or names such as sft_lr2e-4_s42, would tell.\n"
    words, numbers = (
        ("a", "b", "differ in", "start A₀"),
        ("cosine", "outputs", "norm b/a", "u₁", "v₁", "smallest angle", "largest"),
    )
    table = titled("one method, other seed or rate", words, numbers)
    for v in found:
        cells = [fixed(v.cosine), fixed(v.output_similarity), significant(v.norm_ratio), fixed(v.u1), fixed(v.v1)]
        angles = [fixed(value, 1) for value in (v.angle, v.worst_angle)]
        table.add_row(Text(study.names[v.a]), Text(study.names[v.b]), v.differs, v.start, *cells, *angles)
    return table


def _lineage(study: Study) -> Table | None:
    """Row-space overlaps as a matrix, the group of each adapter beside it."""
    found = lineage(study)
    if found is None or len(study.adapters) < 2:
        return None
    table = titled(f"lineage: row-space overlap ({found.by_chance} by chance)", ("",), ("group", *study.names))
    for at, group in enumerate(found.groups):
        for i in group:
            table.add_row(Text(study.names[i]), str(at + 1), *(fixed(v, 2) for v in found.overlap[i].tolist()))
    return table
