"""Published claims: what is said, what is measured here, and whether it holds."""

from __future__ import annotations

from rich.style import Style
from textual.strip import Strip

from inspector.claims.facts import DEFINED
from inspector.claims.model import Claim
from inspector.claims.verdicts import Outcome, Verdict
from inspector.claims.words import published, quantity
from inspector.study.warnings import finding_lines
from inspector.tables.claims import apart, counts
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, fit, left, page, plural, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, View, rows_shown, window
from inspector.tui.views.claims.actions import CHOOSE, OPEN_CLAIM, some_sets
from inspector.tui.views.claims.state import Judged

_MARKS: dict[Verdict, str] = {
    "holds": "✓ holds",
    "holds only under": "± partly",
    "does not hold": "✗ fails",
    "cannot be measured here": "· unknown",
}
_SHORT: dict[Verdict, str] = {
    "holds": "hold",
    "holds only under": "partly",
    "does not hold": "fail",
    "cannot be measured here": "unknown",
}
_MARK = 10
_DETAIL = 8
"""Lines for the claim under the cursor, however little there is to say of it: the list keeps its height."""


class ClaimsView(View):
    id = "claims"
    tab = "8"
    title = "Claims"
    hint = "published claims against what is open"
    about = (
        "Published claims against the adapters that are open, whatever is filtered. ✓ holds under every definition its "
        "sentence allows, ± under some, ✗ under none, · cannot be said here; ! by numbers that a finding limits. ≠ is "
        "✗ where the claim is about unpublished adapters: those open here do not refute it. enter shows the numbers "
        "behind a claim, c asks for another set."
    )
    lists = "claims"
    actions = (OPEN_CLAIM, CHOOSE)

    def shell_command(self, state: AppState) -> list[str]:
        if state.judged is None or not state.size:
            return []
        settings, sources = state.shown.settings, (f"{info.name}={info.source}" for info in state.infos)
        return ["inspector", "verify", state.judged.name, "--adapters", *sources, *settings.reading]

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        judged = state.judged
        if judged is None:
            words = wrap(f"c asks for a set: a .yaml file, or {some_sets()}", area.width - 4)
            lines = [
                Line(),
                Line("  No claims are loaded.", area.ink.bold),
                Line(),
                *(Line(f"  {part}") for part in words),
            ]
            return page(lines, area.width, area.height)
        if state.size and (partial := self.waiting(state, area)) is not None:
            return partial
        outcomes = judged.outcomes(state.study)
        wanted = state.finds.get(self.lists, "")
        if not (found := judged.found(wanted)):
            none = f"  No claim of {len(outcomes)} has “{clean(wanted)}” in its name or sentence."
            hint = Line("  ").add("esc", area.ink.accent).add(" shows all of them again")
            return page([Line(), Line(none, area.ink.bold), Line(), hint], area.width, area.height)
        if judged.row not in found:
            judged.move(0, wanted)
        detail = _detail(outcomes[judged.row], area)
        rows = max(min(len(found), area.height - 2 - max(_DETAIL, area.height // 3)), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), found.index(judged.row), rows, len(found))
        lines = [_head(judged, [outcomes[n] for n in found], top, rows, area)]
        lines += [_row(outcomes[n], area, chosen=n == judged.row) for n in found[top : top + rows]]
        lines.append(Line())
        room = area.height - len(lines)
        if len(detail) > room > 0:
            more = plural(len(detail) - room + 1, "more line")
            detail = [*detail[: room - 1], Line(f"   … {more}: y copies all", area.ink.dim)]
        return page([*lines, *detail], area.width, area.height)

    def move(self, state: AppState, step: int) -> None:
        if state.judged is not None:
            state.judged.move(step, state.finds.get(self.lists, ""))

    def table(self, state: AppState) -> Table:
        columns = (
            "claim", "statement", "location", "published", "metric", "measured", "verdict", "disagreements", "findings",
        )  # fmt: skip
        if state.judged is None:
            return Table("claims", columns, ())
        rows = []
        for outcome in state.judged.outcomes(state.study):
            claim = outcome.claim
            doubts = "; ".join(claim.disagreements)
            found = "; ".join(filter(None, (*finding_lines(outcome.findings), outcome.caution)))
            for one in outcome.measured:
                said = (
                    claim.id,
                    claim.statement,
                    claim.cited.text,
                    published(claim),
                    one.metric,
                    one.text,
                    outcome.text,
                )
                rows.append((*said, doubts, found))
        return Table(f"claims · {clean(state.judged.claims.title)}", columns, tuple(rows))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        if state.judged is None:
            return ()
        return state.judged.claims.claims[state.judged.row].metrics


def _head(judged: Judged, outcomes: list[Outcome], top: int, rows: int, area: Area) -> Line:
    """`28 claims · demo · 23 hold, 5 unknown`."""
    own, others = apart(outcomes)
    said = ", ".join(f"{n} {_SHORT[verdict]}" for verdict, n in zip(_SHORT, counts(own).values(), strict=True) if n)
    said = " · ".join(filter(None, (said, f"{len(others)} unpublished" if others else "")))
    line = Line(f" {plural(len(outcomes), 'claim')}", area.ink.bold)
    line.add(f"{rows_shown(top, rows, len(outcomes), 'rows')} · {clean(judged.claims.address)} · {said}", area.ink.dim)
    return line


def _style(outcome: Outcome, ink: Ink) -> Style:
    if outcome.refuted:
        return ink.bad
    known = {"holds": ink.good, "holds only under": ink.warn, "does not hold": ink.warn}
    return known.get(outcome.verdict, ink.dim)


def _row(outcome: Outcome, area: Area, *, chosen: bool) -> Line:
    """Verdict, id, what is published, what is measured."""
    ink = area.ink
    line = Line("▸ " if chosen else "  ", ink.accent)
    mark = "≠ fails" if outcome.verdict == "does not hold" and not outcome.refuted else _MARKS[outcome.verdict]
    line.add(left(mark + "!" * outcome.limited, _MARK), _style(outcome, ink))
    name = min(24, area.width // 4)
    rest = area.width - 2 - _MARK - name - 2
    said = rest * 2 // 5
    line.add(left(clean(outcome.claim.id), name) + " ", ink.bold if chosen else ink.plain)
    line.add(left(published(outcome.claim), said) + " ", ink.dim)
    return line.add(fit(_best(outcome), rest - said), ink.plain)


def _best(outcome: Outcome) -> str:
    """What was measured under the first definition that speaks for the verdict."""
    known = [one for one in outcome.measured if one.holds is not None]
    shown = next((one for one in known if one.holds), known[0] if known else outcome.measured[0])
    return shown.text


def _quantity(claim: Claim, metric: str) -> str:
    """`range of lens depth`: by the definition's title."""
    return quantity(claim, metric).replace(metric, DEFINED[metric].title)


def _detail(outcome: Outcome, area: Area) -> list[Line]:
    """Everything about the claim under the cursor."""
    ink, claim = area.ink, outcome.claim
    lines = [Line(" " + part, ink.accent) for part in wrap(clean(claim.statement), area.width - 2)]
    stands_in = ", of others than the unpublished adapters it is about" if claim.unpublished else ""
    found = [
        ("verdict", f"{outcome.text}{stands_in}", _style(outcome, ink)),
        ("published", published(claim), ink.plain),
    ]
    if claim.cited.text:
        found[1] = ("published", f"{published(claim)}  ({clean(claim.cited.text)})", ink.plain)
    for one in outcome.measured:
        sign = {True: "✓", False: "✗", None: "·"}[one.holds]
        found.append(("measured", f"{sign} {_quantity(claim, one.metric)}: {one.text}", ink.plain))
    found += [("! finding", clean(text), ink.warn) for text in finding_lines(outcome.findings)]
    found += [("! caution", clean(outcome.caution), ink.warn)] if outcome.limited and outcome.caution else []
    found += [("! against", clean(text), ink.warn) for text in claim.contradicts]
    found += [("! open", clean(text), ink.warn) for text in claim.disagreements]
    found += [("not told", clean(text), ink.dim) for text in claim.limits]
    before = ""
    for label, text, style in found:
        for n, part in enumerate(wrap(text, area.width - 14)):
            shown = label if not n and label != before else ""
            lines.append(Line("   ").add(shown, ink.dim).to(13).add(part, style))
        before = label
    return lines
