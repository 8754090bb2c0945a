"""The lines of an overview as the app shows them: its own colours, a cursor, only the adapters that are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from inspector.tui.state import AppState
from inspector.tui.text import Line, plural
from inspector.tui.theme import Ink
from inspector.tui.views.base import window

if TYPE_CHECKING:
    from inspector.insights.overview import Entry, Overview
    from inspector.tables.overview import OverviewLine

Item = tuple[str, int]
"""What a line is about: ("adapter", position) or ("so what", number of the sentence)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Lines of the list above, and of what follows below it."""

    above: Sequence[OverviewLine]
    below: Sequence[OverviewLine]

    def fits(self, height: int) -> bool:
        """Whether all lines fit."""
        return len(self.above) + len(self.below) <= height

    def fitted(self, item: Item, top: int, height: int) -> tuple[list[OverviewLine], int]:
        """Both if they fit, else as much of each as keeps the cursor in sight; and the first line of the list shown."""
        room = max(height - min(len(self.below), height // 2), 1)
        if self.fits(height):
            return [*self.above, *self.below], 0
        top = window(top, _at(self.above, item), room, len(self.above)) if item[0] == "adapter" else top
        top = max(min(top, len(self.above) - room), 0)
        rest = height - min(room, len(self.above))
        first = max(_at(self.below, item, last=True) - rest + 1, 0) if item[0] == "so what" else 0
        below = list(self.below[first : first + rest])
        if room < len(self.above):  # the heading says what is out of sight
            below = [replace(self.below[0], text=self._heading(top, room)), *self.below[first + 1 : first + rest]]
        return [*self.above[top : top + room], *below], top

    def _heading(self, top: int, room: int) -> Text:
        """`So what    ↓ 2 more adapters`."""
        parts = (("↑", self.above[:top]), ("↓", self.above[top + room :]))
        hidden = [(arrow, sum(line.about == "adapter" for line in part)) for arrow, part in parts]
        counts = "  ".join(f"{arrow} {plural(n, 'more adapter')}" for arrow, n in hidden if n)
        return Text.assemble((self.below[0].text.plain, "heading"), (f"   {counts}", "quiet"))


def _at(lines: Sequence[OverviewLine], item: Item, *, last: bool = False) -> int:
    """The first or the last line about an item; 0 without any."""
    found = [n for n, line in enumerate(lines) if (line.about, line.index) == item]
    return (found[-1] if last else found[0]) if found else 0


def shown_of(found: Overview, state: AppState, width: int, height: int | None = None, here: Item = ("", -1)) -> Shown:
    """All lines; those alone in one if there is no room, the cursor is elsewhere and nobody is filtered out."""
    from inspector.tables.overview import overview_lines

    found, beside = _against(found, state)
    whole = listed(overview_lines(found, width, beside=beside), state, grouped=bool(found.groups))
    alone = {state.arrangement[entry.index] for entry in found.alone}
    on_one = here[0] == "adapter" and state.order[here[1]] in alone
    if height is None or whole.fits(height) or on_one or len(state.order) < len(state.arrangement):
        return whole
    return listed(overview_lines(found, width, brief=True, beside=beside), state, grouped=bool(found.groups))


def _against(found: Overview, state: AppState) -> tuple[Overview, str]:
    """Every entry beside the reference, if there is one, and what the other adapter of an entry is."""
    block, reference = state.study.block("cosine", "global"), state.reference
    if block is None or reference is None or reference not in state.arrangement:
        return found, "nearest"
    at = state.arrangement.index(reference)

    def beside(entry: Entry) -> Entry:
        if entry.index == at:
            return replace(entry, nearest=None)
        return replace(entry, nearest=at, cosine=float(block[state.arrangement[entry.index], reference, 0]))

    groups = tuple(
        replace(group, entries=tuple(map(beside, group.entries)), partly=tuple(map(beside, group.partly)))
        for group in found.groups
    )
    return replace(found, groups=groups, alone=tuple(map(beside, found.alone))), "against"


def listed(lines: Sequence[OverviewLine], state: AppState, *, grouped: bool) -> Shown:
    """The lines whose adapters are shown, by their positions; headings of groups without any are left out."""
    places = {at: state.order.index(id_) for at, id_ in enumerate(state.arrangement) if id_ in state.order}
    start = next((n for n, line in enumerate(lines) if line.about == "so what"), len(lines) + 1) - 1
    first = next((n for n, line in enumerate(lines) if line.about == "adapter"), 0) - grouped
    above: list[OverviewLine] = []
    for n, line in enumerate(lines[:start]):
        if line.about == "adapter":
            if line.index in places:
                above.append(replace(line, index=places[line.index]))
        elif n < first or any(one.index in places for one in _group(lines[n + 1 : start])):
            above.append(line)
    return Shown(above, lines[start:])


def _group(lines: Sequence[OverviewLine]) -> list[OverviewLine]:
    """The lines up to the next heading."""
    end = next((n for n, line in enumerate(lines) if line.about != "adapter"), len(lines))
    return list(lines[:end])


def painted(line: OverviewLine, state: AppState, ink: Ink, *, here: bool) -> Line:
    """A line with the cursor in front, and a star in front of the reference."""
    bar = ink.plain
    star = False
    if line.about == "adapter":
        bar, star = ink.line(state.order[line.index]), line.index == state.reference_at
    styles = {"heading": ink.bold, "quiet": ink.dim, "bar": bar, "caution": ink.warn}
    made = Line("▸" if here else " ", ink.accent).add("*" if star else " ", ink.accent)
    base = ink.bold if here else ink.plain
    for text, style in _parts(line.text, styles, base):
        made.add(text, style)
    return made


def _parts(text: Text, styles: dict[str, Style], base: Style) -> list[tuple[str, Style]]:
    """The text after its first two cells, in pieces of one style."""
    whole = styles.get(str(text.style), base)
    cuts = sorted({2, len(text.plain), *(n for span in text.spans for n in (span.start, span.end) if n > 2)})
    return [
        (text.plain[a:b], next((styles.get(str(s.style), whole) for s in text.spans if s.start <= a < s.end), whole))
        for a, b in pairwise(cuts)
    ]
