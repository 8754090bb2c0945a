"""The first screen: groups of adapters that hold one update, who stands alone, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.study.study import Study
from inspector.tui.actions import Action
from inspector.tui.answers import Answer
from inspector.tui.editing import LIST
from inspector.tui.messages import ForView
from inspector.tui.navigation import ENDS
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, left, page, plural
from inspector.tui.views.base import Area, View, rows_shown, tidy, window
from inspector.tui.views.overview.lines import Item, painted, shown_of
from inspector.tui.views.overview.panel import of_adapter, of_sentence
from inspector.tui.views.summary.view import open_finding
from inspector.tui.work import Work

if TYPE_CHECKING:  # none of it before the first frame
    from inspector.insights.overview import Entry, Overview
    from inspector.insights.verdict import Verdict

TWO_PANES = 110
"""Columns from which the evidence stands beside the page, not below it."""


class OverviewView(View):
    id = "overview"
    tab = "1"
    title = "Overview"
    need = 1
    hint = "which adapters are alike, who stands alone, what follows from it"
    about = (
        "Adapters whose updates go one way stand in one group (cosine 1 is one direction, 0 no more alike than random "
        "updates); ~ goes part of the way with the group above it. Bars: how far each moved, ‖ΔW‖ on a log scale. "
        "eff.rank: over how many directions (effective rank). Then what follows; ! limits the reading. Enter opens the "
        "evidence: the view behind a sentence, or an adapter beside the one nearest to it."
    )
    actions = (
        *ENDS,
        Action("evidence", "enter", "evidence", "the view behind a sentence, or an adapter beside its nearest one",
               lambda view, app: view.open_evidence(app), 90),
        *(action for action in LIST if action.id in {"rename", "remove"}),
    )  # fmt: skip
    first = ("evidence", "find", "open", "probe", "refer")

    def __init__(self) -> None:
        self.answer: Answer[Overview] = Answer("overview", _overview, view=self.id)
        self.sentence: int | None = None
        """The sentence under the cursor; None while it is on the adapter of the other views' cursor."""
        self._lines: list[Item] = []
        """What the lines that are shown are about."""

    def prepare(self, app: Work) -> None:
        if app.state.study.blocks:
            self.answer.keep_up(app)

    def receive(self, app: Work, message: ForView) -> None:
        self.answer.take(message)
        if app.view is self and self.sentence is None and app.state.order:
            self._face(app.state)
        app.repaint()

    # The cursor

    @property
    def on_adapter(self) -> bool:
        return self.sentence is None

    def _items(self, state: AppState) -> list[Item]:
        """What the cursor goes through, from above."""
        found = self.answer.of(state)
        if found is None:
            return [("adapter", at) for at in range(state.size)]
        shown = shown_of(found, state, TWO_PANES)
        return list(dict.fromkeys((x.about, x.index) for x in (*shown.above, *shown.below) if x.about))

    def _item(self) -> Item | None:
        return None if self.sentence is None else ("so what", self.sentence)

    def move(self, state: AppState, step: int) -> None:
        """Through adapters and sentences alike; the column goes to the nearest adapter."""
        items = self._items(state)
        here = self._item() or ("adapter", state.row)
        at = items.index(here) if here in items else 0
        if items:
            self._point_at(state, items[min(max(at + step, 0), len(items) - 1)])

    def reach(self, state: AppState, line: int, here: int) -> None:  # noqa: ARG002 - items are of several lines
        if line < len(self._lines) and self._lines[line][0]:
            self._point_at(state, self._lines[line])

    def _point_at(self, state: AppState, item: Item) -> None:
        about, index = item
        self.sentence = index if about == "so what" else None
        if about == "adapter":
            state.row = index
            self._face(state)

    def _beside(self, state: AppState) -> int | None:
        """The id of the adapter that the one under the cursor is shown against: the reference, or its nearest."""
        found = self.answer.of(state)
        if state.reference_at not in {None, state.row}:
            return state.reference
        entry = None if found is None else self._entry(state, found)
        return None if entry is None or entry.nearest is None else state.arrangement[entry.nearest]

    def _face(self, state: AppState) -> int | None:
        """The cursor's column to that adapter; its id."""
        beside = self._beside(state)
        if beside in state.order:
            state.col = state.order.index(beside)
        return beside

    def open_evidence(self, app: Work) -> None:
        state, found = app.state, self.answer.of(app.state)
        if found is None:
            return
        if self.sentence is not None and self.sentence < len(found.so_what):
            open_finding(app, found.so_what[self.sentence])
        elif (beside := self._face(state)) is not None:
            if beside not in state.order:
                state.search("adapters", "")
                self._face(state)
            state.tops["pair"] = 0
            app.go("pair")

    def _entry(self, state: AppState, found: Overview) -> Entry | None:
        """That of the adapter under the cursor; none if a search finds nobody."""
        if not state.order:
            return None
        here = state.arrangement.index(state.order[state.row])
        return next((entry for entry in found.entries if entry.index == here), None)

    # Painting

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        found = self.answer.of(state)
        if found is None and self.answer.newest(state):
            words = "  No rule could be applied to these numbers."
            return page([Line(), Line(words, area.ink.bold)], area.width, area.height)
        if found is None or not state.study.blocks:
            return page(_headers(state, area), area.width, area.height)
        wide = area.width >= TWO_PANES
        width = min(max(area.width - 46, 64), 100) if wide else area.width
        if self.sentence is not None and self.sentence >= len(found.so_what):
            self.sentence = None
        here = self._item() or ("adapter", state.row)
        shown = shown_of(found, state, width, area.height, here)
        lines, state.tops[self.id] = shown.fitted(here, state.tops.get(self.id, 0), area.height)
        self._lines = [(line.about, line.index) for line in lines]
        cursor = self._lines.index(here) if here in self._lines else -1
        made = [painted(line, state, area.ink, here=n == cursor) for n, line in enumerate(lines)]
        if not wide:
            return page([*made, *self._below(state, found, area, area.height - len(made))], area.width, area.height)
        panel = self._panel(state, found, area, area.width - width - 3, area.height)
        made += [Line() for _ in range(area.height - len(made))]
        for line, beside in zip(made, [*panel, *[Line()] * area.height], strict=False):
            line.to(width).add("│ ", area.ink.dim).segments.extend(beside.segments)
            line.width += beside.width
        return page(made, area.width, area.height)

    def _below(self, state: AppState, found: Overview, area: Area, room: int) -> list[Line]:
        """The evidence under the page, where there is room for some of it."""
        if room < 4:
            return []
        lines = self._panel(state, found, area, area.width - 4, room - 1)[: room - 1]
        return [Line(" " + "─" * (area.width - 2), area.ink.dim), *(_indented(line) for line in lines)]

    def _panel(self, state: AppState, found: Overview, area: Area, width: int, height: int) -> list[Line]:
        if self.sentence is not None:
            return of_sentence(state, found.so_what[self.sentence], area.ink, width, height)
        entry = self._entry(state, found)
        why = "" if entry is None else ", ".join(entry.why)
        return of_adapter(state, why, self._of_pair(state, self._beside(state)), area.ink, width)

    def _of_pair(self, state: AppState, beside: int | None) -> tuple[str, Verdict] | None:
        """The other's name, and the verdict on the two."""
        if beside is None:
            return None
        names = labels([state.study.names[at] for at in state.arrangement]).short
        return names[state.arrangement.index(beside)], state.verdict(state.order[state.row], beside)

    # Taking it out

    def table(self, state: AppState) -> Table:
        columns = ("group", "name", "norm", "effective_rank", "nearest", "cosine", "why")
        if (found := self.answer.of(state)) is None:
            return Table("overview", columns, ())
        groups = {entry.index: f"{mark}{group.letter}" for group in found.groups
                  for mark, entries in (("", group.entries), ("~ ", group.partly)) for entry in entries}  # fmt: skip
        names = [state.study.names[at] for at in state.arrangement]
        rows = [
            (groups.get(e.index, "alone"), names[e.index], tidy(e.norm), tidy(e.rank),
             "" if e.nearest is None else names[e.nearest], tidy(e.cosine), ", ".join(e.why))
            for e in found.entries
        ]  # fmt: skip
        rows += [("so what", one.text, "", "", "", "", "caution" if one.caution else "") for one in found.so_what]
        return Table("overview", columns, tuple(tuple(map(clean, row)) for row in rows))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        found = self.answer.of(state)
        more = (number.metric for one in (found.so_what if found else ()) for number in one.numbers)
        return tuple(dict.fromkeys(("cosine", "norm", "effective_rank", *more)))


def _headers(state: AppState, area: Area) -> list[Line]:
    """Who is open, until the first answer is there."""
    top = window(0, state.row, area.height - 1, state.size)
    what = "Reading the numbers …" if state.study.blocks else "Measuring …"
    what = f"Reading {clean(state.opening)} …" if state.opening else what
    lines = [Line(f"  {plural(state.size, 'adapter')}", area.ink.bold)]
    lines[0].add(rows_shown(top, area.height - 1, state.size, "rows") + f" · {what}", area.ink.dim)
    name = min(max(map(cell_len, state.names), default=0), area.width // 2) + 2
    for at in range(top, min(top + area.height - 1, state.size)):
        info, here = state.infos[at], at == state.row
        line = Line("▸   " if here else "    ", area.ink.accent).add(left(state.name(at), name), area.ink.plain)
        lines.append(
            line.add(f"rank {info.rank} · {clean(info.format)} · {clean(info.base) or 'base unknown'}", area.ink.dim)
        )
    return lines


def _overview(study: Study) -> Overview:
    """The overview; where accuracy is to decide and is not measured, the key that measures it."""
    from inspector.insights.overview import overview

    found = overview(study)
    ends = ("keep one, by accuracy.", "keep one of each, by accuracy.")
    said = (
        replace(one, text=f"{one.text[:-1]} (p runs the base).") if one.text.endswith(ends) else one
        for one in found.so_what
    )
    return replace(found, so_what=tuple(said))


def _indented(line: Line) -> Line:
    made = Line("  ")
    made.segments.extend(line.segments)
    made.width += line.width
    return made
