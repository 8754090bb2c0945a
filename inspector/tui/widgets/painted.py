"""A widget whose lines come from a function; a repaint sends only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Paint = Callable[[int, int], list[Strip]]
_GAP = 8  # moving the terminal's cursor costs about as many bytes as rewriting this many cells


class Painted(Widget):
    """Line-API widget over `paint(width, height)`, which returns `height` strips of `width` cells."""

    can_focus = False

    def __init__(self, paint: Paint, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._paint = paint
        self._strips: list[Strip] = []

    def on_resize(self, event: events.Resize) -> None:
        self._strips = self._painted(event.size.width, event.size.height)
        self.refresh()

    def _painted(self, width: int, height: int) -> list[Strip]:
        """Neighbours of one style as one segment: fewer escape codes."""
        return [strip.simplify() for strip in self._paint(width, height)]

    def repaint(self) -> list[Region]:
        """Paint again and refresh what differs; the regions that do."""
        width, height = self.size
        if not width or not height or not self.display:
            self._strips = []
            return []
        before, self._strips = self._strips, self._painted(width, height)
        if len(before) != len(self._strips):
            self.refresh()
            return [Region(0, 0, width, height)]
        regions = [
            Region(start, y, end - start, 1)
            for y, (old, new) in enumerate(zip(before, self._strips, strict=True))
            if old != new
            for start, end in changed_spans(old, new)
        ]
        if regions:
            self.refresh(*regions)
        return regions

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if y >= len(self._strips):
            return Strip.blank(self.size.width, base)
        return self._strips[y].apply_style(base)

    @property
    def text(self) -> str:
        """What is on the widget, as text."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """One entry a cell; the second cell of a wide character is empty."""
    cells: list[tuple[str, Style | None]] = []
    for segment in strip:
        if segment.cell_length == len(segment.text):
            cells += [(char, segment.style) for char in segment.text]
            continue
        for char in segment.text:
            width = max(Strip([type(segment)(char)]).cell_length, 0)
            cells += [(char, segment.style), ("", segment.style)][:width]
    return cells


def changed_spans(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Where two lines differ, as [start, end) columns; spans closer than a cursor move are joined."""
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return [(0, max(len(before), len(after)))]
    spans: list[tuple[int, int]] = []
    for x, (one, other) in enumerate(zip(before, after, strict=True)):
        if one == other:
            continue
        if spans and x - spans[-1][1] < _GAP:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((x, x + 1))
    return spans
