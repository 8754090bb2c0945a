"""A report as Markdown, in the order of the page: findings, tables, charts in a few rows, how to make them again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inspector.report.chart_summary import brief
from inspector.report.document import (
    Bars,
    Beside,
    Chart,
    Code,
    Definitions,
    Finding,
    Heading,
    Lines,
    Matrix,
    Note,
    Part,
    Report,
    Section,
    Table,
)
from inspector.study.metrics import Definition

_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~&]|(?<![^\W_])_|_(?![^\W_]))")
"""Of underscores those that could start or end emphasis."""
_BLANK = re.compile(r"\n{3,}")
_LEFT_OUT = {"objectives"}


def markdown(report: Report) -> str:
    """Text in GitHub's Markdown; whatever comes from outside is escaped."""
    lines = [f"# {report.title}", "", escaped(report.subtitle), ""]
    for section in report.sections:
        if section.id not in _LEFT_OUT and (body := list(_section(section))):
            lines += [f"## {section.title}", ""]
            lines += [escaped(section.about), ""] if section.about else []
            lines += [escaped(report.drawn), ""] if section.id == "layers" and report.drawn else []
            lines += body
    return _BLANK.sub("\n\n", "\n".join(lines)).rstrip() + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return _SPECIAL.sub(r"\\\1", text)


def _section(section: Section) -> Iterator[str]:
    """Nothing where the section has no numbers."""
    if not any(isinstance(part, Table | Matrix | Chart | Finding | Code | Definitions) for part in section.parts):
        return
    before: Part | None = None
    for part in section.parts:
        if isinstance(before, Finding) and not isinstance(part, Finding):
            yield ""
        before = part
        if isinstance(part, Finding):
            yield f"- {'**Caution:** ' if part.caution else ''}{escaped(part.text)}"
        else:
            yield from _part(part)
    yield ""


def _part(part: Part) -> Iterator[str]:
    if isinstance(part, Matrix | Bars):
        yield from _table(part.table())
    elif isinstance(part, Lines):
        yield from _table(brief(part))
    elif isinstance(part, Beside):
        for matrix in part.parts:
            yield from _part(matrix)
    elif isinstance(part, Heading):
        yield from (f"### {escaped(part.text)}", "")
    elif isinstance(part, Definitions):
        yield from map(_definition, part.definitions)
        yield ""
    elif isinstance(part, Table):
        yield from _table(part)
    elif isinstance(part, Note):
        yield from (f"{'**Caution:** ' if part.caution else ''}{escaped(part.text)}", "")
    elif isinstance(part, Code):
        yield from ("```sh", part.text.replace("```", ""), "```", "")


def _definition(d: Definition) -> str:
    unit = f" ({d.unit})" if d.unit else ""
    trap = f" {d.trap[:1].upper()}{d.trap[1:]}." if d.trap else ""
    return f"- **{escaped(d.title)}** `{d.metric}`: {escaped(f'{d.formula}{unit}; {d.over_modules}.{trap}')}"


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{escaped(table.caption)}**", "")
    yield _row(tuple(map(escaped, table.columns)))
    yield _row(("---",) * len(table.columns))
    yield from (_row(tuple(map(escaped, row))) for row in table.rows)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
