"""The findings in plain sentences, each with its numbers and the view behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual.strip import Strip

from inspector.common.labels import labels
from inspector.insights import findings
from inspector.insights.findings import Finding
from inspector.insights.short_names import in_short
from inspector.study.study import Study
from inspector.tui.actions import Action
from inspector.tui.answers import Answer
from inspector.tui.go_to import jump
from inspector.tui.messages import ForView
from inspector.tui.navigation import ENDS
from inspector.tui.state import AppState
from inspector.tui.subjects import shared
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, page, plural, wrap
from inspector.tui.views.base import Area, View, rows_shown, tidy
from inspector.tui.views.summary.numbers import in_words
from inspector.tui.work import Work

_KINDS = {
    "direction": "direction", "size": "size", "chance": "chance", "loss": "basins", "states": "states",
    "accuracy": "accuracy", "merging": "merging", "runs": "runs", "limit": "limits",
}  # fmt: skip
_NUMBERS = 4
"""Of the finding under the cursor, so many stand below the list."""


class SummaryView(View):
    id = "summary"
    tab = "1"
    title = "Findings"
    need = 1
    hint = "the findings in plain sentences, each with the view behind it"
    about = (
        "What the numbers say, by fixed rules (their thresholds: inspector/insights/findings). ! marks what limits "
        "the reading of other numbers. Enter opens the view behind the finding under the cursor."
    )
    actions = (
        *ENDS,
        Action("open_finding", "enter", "open its view", "show the view behind the finding under the cursor",
               lambda view, app: view.open_finding(app), 90),
    )  # fmt: skip

    def __init__(self) -> None:
        self.row = 0
        self._lines: list[int] = []
        """The findings that the lines shown are of."""
        self.answer: Answer[tuple[Finding, ...]] = Answer("findings", _found, view=self.id)

    def findings(self, state: AppState) -> tuple[Finding, ...]:
        """What the numbers of the list say, once all are measured: of older ones while newer are worked out."""
        return (self.answer.of(state) or ()) if state.measured else ()

    def prepare(self, app: Work) -> None:
        if app.state.measured:
            self.answer.keep_up(app)

    def receive(self, app: Work, message: ForView) -> None:
        self.answer.take(message)
        app.repaint()

    def open_finding(self, app: Work) -> None:
        if found := self.findings(app.state):
            open_finding(app, found[min(self.row, len(found) - 1)])

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if (partial := self.waiting(state, area)) is not None:
            return partial
        found = self.findings(state)
        if not found:
            hint = (
                "No rule finds anything to say of these numbers."
                if self.answer.newest(state)
                else "Reading the numbers …"
            )
            return page([Line(), Line("  " + hint)], area.width, area.height)
        self.row = min(self.row, len(found) - 1)
        spare = area.height - 2 - len(self._sentence(found[self.row], area, chosen=True))
        below = self._numbers(found[self.row], state, area, min(max(spare, 0), _NUMBERS))
        room = area.height - len(below) - 2

        def sentence(at: int) -> list[Line]:
            lines = self._sentence(found[at], area, chosen=at == self.row)
            return lines if len(lines) <= room else [*lines[: room - 1], Line("   … y copies all", area.ink.dim)]

        top = state.tops[self.id] = _first(sentence, self.row, state.tops.get(self.id, 0), room)
        last = top
        lines: list[Line] = []
        self._lines = [-1]
        while last < len(found) and len(lines) + len(block := sentence(last)) <= room:
            lines += block
            self._lines += [last] * len(block)
            last += 1
        title = Line(f" {plural(len(found), 'finding')}", area.ink.bold)
        title.add(rows_shown(top, max(last - top, 1), len(found), "findings"), area.ink.dim)
        title.add(shared(state), area.ink.dim)
        if state.filter:
            title.add(" · of all modules, whatever is filtered", area.ink.dim)
        lines += [Line() for _ in range(room - len(lines))]
        return page([title, *lines, Line(), *below], area.width, area.height)

    def _sentence(self, found: Finding, area: Area, *, chosen: bool) -> list[Line]:
        ink = area.ink
        style = ink.bold if chosen else ink.warn if found.caution else ink.plain
        lines = []
        for n, part in enumerate(wrap(clean(found.text), area.width - 15)):
            line = Line("▸ " if chosen and not n else "  ", ink.accent)
            line.add("! " if found.caution and not n else "  ", ink.warn)
            line.add(_KINDS[found.kind] if not n else "", ink.dim).to(14).add(part, style)
            lines.append(line)
        return lines

    def _numbers(self, found: Finding, state: AppState, area: Area, most: int) -> list[Line]:
        """The numbers behind the finding under the cursor."""
        lines = [Line("   ").add(in_words(number, state), area.ink.dim) for number in found.numbers[:most]]
        if len(found.numbers) > most > 0:
            more = plural(len(found.numbers) - most, "more number")
            lines[-1].end(f"… {more}: e exports, y copies all ", area.width, area.ink.dim)
        return lines

    def move(self, state: AppState, step: int) -> None:
        self.row = min(max(self.row + step, 0), max(len(self.findings(state)) - 1, 0))

    def reach(self, state: AppState, line: int, here: int) -> None:  # noqa: ARG002 - findings are of several lines
        if 0 < line < len(self._lines):
            self.row = self._lines[line]

    def table(self, state: AppState) -> Table:
        """One row a number; a finding without any has one row all the same."""
        rows = []
        for found in self.findings(state):
            for number in found.numbers or (None,):
                cells = ("", "", "", "", "")
                if number is not None:
                    layer = "" if number.layer is None else str(number.layer)
                    cells = (number.metric, clean(number.a), clean(number.b), layer, tidy(number.value))
                rows.append((found.kind, "caution" if found.caution else "", clean(found.text), *cells))
        return Table("findings", ("kind", "caution", "finding", "metric", "a", "b", "layer", "value"), tuple(rows))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        found = self.findings(state)
        return tuple(dict.fromkeys(number.metric for one in found for number in one.numbers))


def _found(study: Study) -> tuple[Finding, ...]:
    """Sentences with short names; their numbers keep the names that the views find adapters by."""
    if not labels(study.names).shared:
        return findings.findings_of(study)
    short, _ = in_short(study)
    whole = dict(zip(short.names, study.names, strict=True))
    return tuple(
        replace(one, numbers=tuple(replace(x, a=whole.get(x.a, x.a), b=whole.get(x.b, x.b)) for x in one.numbers))
        for one in findings.findings_of(short)
    )


def open_finding(app: Work, found: Finding) -> None:
    """The view behind a finding, at its adapters and its layer."""
    if not found.numbers:
        app.say("this finding has no number of its own")
        return
    if app.state.filter:  # findings are of all projections
        app.refilter("")
    first = found.numbers[0]
    app.go(jump(app.views.values(), app.state, first.metric, first.a, first.b, first.layer))


def _first(sentence: Callable[[int], list[Line]], cursor: int, top: int, room: int) -> int:
    """The first finding shown, moved no further than needed to keep the cursor's in sight."""
    first, used = cursor, len(sentence(cursor))
    while first > top and used + (above := len(sentence(first - 1))) <= room:
        first, used = first - 1, used + above
    return first
