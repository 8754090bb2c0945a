"""The evidence of the line under the cursor: an adapter beside its nearest one, or the numbers of a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.adapters.health.summary import account
from inspector.insights.findings import Finding
from inspector.tui.probing.views import facts
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, fit, plural, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.summary.numbers import in_words

if TYPE_CHECKING:
    from inspector.insights.verdict import Verdict

_LABEL = 10


def of_adapter(state: AppState, why: str, beside: tuple[str, Verdict] | None, ink: Ink, width: int) -> list[Line]:
    """Who is under the cursor and why it stands there, the verdict on it beside another, what else is known of it."""
    info = state.infos[state.row]
    lines = [Line(fit(clean(info.name), width), ink.accent)]
    lines += _wrapped(why, ink, width) if why else []
    if beside is not None:
        other, verdict = beside
        lines += [Line(), Line(fit(f"beside {other}", width), ink.bold), *_wrapped(verdict.headline, ink, width)]
        lines += evidence(verdict, ink, width)
        lines.append(Line("⏎", ink.accent).add(" opens the pair", ink.dim))
    lines += [Line(), *(line for issue in info.findings for line in _issue(issue.severity, issue.text, ink, width))]
    known = [*account(info), *(("vs base", text) for text in facts(state, state.row))]
    for label, text in known:
        for n, part in enumerate(wrap(clean(text), width - _LABEL)):
            lines.append(Line(label if not n else "", ink.dim).to(_LABEL).add(part))
    return lines


def evidence(verdict: Verdict, ink: Ink, width: int) -> list[Line]:
    """A row each: of what, the value, its level by chance."""
    what = max((len(row.what) for row in verdict.evidence), default=0) + 2
    value = max((len(row.value) for row in verdict.evidence), default=0) + 2
    lines = []
    for row in verdict.evidence:
        line = Line(row.what, ink.dim).to(what).add(row.value, ink.bold).to(what + value)
        lines.append(line.add(fit(f"chance {row.chance}" if row.chance else row.note, width - line.width), ink.dim))
    return lines


def of_sentence(state: AppState, found: Finding, ink: Ink, width: int, height: int) -> list[Line]:
    """The sentence, and the numbers it was made from."""
    lines = [*_wrapped(found.text, ink, width), Line()]
    if found.numbers:
        lines += [Line("⏎", ink.accent).add(" opens the view of these numbers", ink.dim), Line()]
    room = max(height - len(lines) - 1, 1)
    lines += [Line(fit(in_words(number, state), width), ink.dim) for number in found.numbers[:room]]
    if len(found.numbers) > room:
        lines.append(Line(f"… {plural(len(found.numbers) - room, 'more number')}: e exports", ink.dim))
    return lines


def _issue(severity: str, text: str, ink: Ink, width: int) -> list[Line]:
    style = {"error": ink.bad, "warning": ink.warn}.get(severity, ink.dim)
    return [Line(part, style) for part in wrap(clean(f"{severity}: {text}"), width)]


def _wrapped(text: str, ink: Ink, width: int) -> list[Line]:
    return [Line(part, ink.plain) for part in wrap(clean(text), width)]
