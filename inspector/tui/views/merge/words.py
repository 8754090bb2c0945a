"""The verdict on a pair and its evidence, as lines."""

from __future__ import annotations

from rich.cells import cell_len

from inspector.insights.verdict import Verdict
from inspector.tui.text import Line, clean, fit, left, wrap
from inspector.tui.theme import Ink

_WHAT, _CHANCE = 14, 8


def rule(title: str, ink: Ink, width: int) -> Line:
    """`─ verdict ─────────`."""
    return Line("─ ", ink.dim).add(title, ink.bold).add(f" {'─' * (width - cell_len(title) - 4)}", ink.dim)


def said(found: Verdict, ink: Ink, width: int) -> list[Line]:
    """The verdict in whole sentences."""
    style = ink.plain if found.comparable else ink.warn
    return [
        rule("verdict", ink, width),
        *(Line(f"   {part}", style) for part in wrap(clean(found.headline), width - 5)),
    ]


def evidence(found: Verdict, ink: Ink, width: int) -> list[Line]:
    """A row a piece of evidence, with its level by chance."""
    value = max((cell_len(row.value) for row in found.evidence), default=0) + 2
    head = rule("evidence", ink, 2 + _WHAT + value)
    lines = [head.add(" chance ", ink.dim).add("─" * (width - head.width - 7), ink.dim)]
    for row in found.evidence:
        line = Line("   ").add(left(row.what, _WHAT), ink.dim).add(left(row.value, value), ink.bold)
        line.add(left(row.chance, _CHANCE), ink.dim)
        lines.append(line.add(fit(row.note, width - line.width - 1), ink.dim))
    return lines if found.evidence else []
