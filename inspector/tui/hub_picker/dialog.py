"""Which adapters of a repo to download: a list with sizes, any number of them to choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.strip import Strip
from textual.widgets import Static

from inspector.common.text import in_bytes
from inspector.tui.text import Line, clean, fit_left, page, plural, right
from inspector.tui.theme import Ink
from inspector.tui.views.base import rows_shown, window
from inspector.tui.widgets.dialogs import Dialog
from inspector.tui.widgets.painted import Painted

_AROUND = 8
"""Lines of the dialog and the screen that are not rows of the list."""


@dataclass(frozen=True, slots=True)
class Row:
    """One adapter: its path in the repo, the bytes of its files, whether they are here, and why it cannot be opened."""

    path: str
    format: str
    size: int
    here: bool
    refused: bool = False


class Picker(Dialog[tuple[int, ...]]):
    """The positions of the chosen rows: with none chosen, that of the cursor; after escape, none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(())", "cancel"),
        ("enter", "accept", "open"),
        ("space", "choose", "choose"),
        ("a", "all", "all or none"),
        ("up,k", "move(-1)", "up"),
        ("down,j", "move(1)", "down"),
        ("pageup", "page(-1)", "page up"),
        ("pagedown", "page(1)", "page down"),
        ("home", "move(-1000000)", "first"),
        ("end", "move(1000000)", "last"),
    ]

    def __init__(self, source: str, rows: Sequence[Row], ink: Ink) -> None:
        super().__init__()
        self.source, self.rows, self.ink = source, tuple(rows), ink
        self.at = self.top = 0
        self.chosen: set[int] = set()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(id="picked", classes="question")
            yield Painted(self._paint, id="picks")
            yield Static(Text("space chooses · a all · ⏎ opens · esc cancels"), classes="hint")

    def on_mount(self) -> None:
        self._arrange(self.app.size.height)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange(event.size.height)

    def _arrange(self, height: int) -> None:
        self.query_one("#picks").styles.height = max(min(len(self.rows), height - _AROUND), 1)
        self._show()

    def _show(self) -> None:
        """What is in the repo, then what is chosen: two lines of one height each."""
        total = sum(row.size for row in self.rows)
        missing = sum(self.rows[at].size for at in self.chosen if not self.rows[at].here)
        chosen = f"{len(self.chosen)} chosen, {in_bytes(missing)} to download" if self.chosen else "none chosen"
        height = self.query_one("#picks").size.height or len(self.rows)
        seen = rows_shown(window(self.top, self.at, height, len(self.rows)), height, len(self.rows), "rows")
        head = f"{plural(len(self.rows), 'adapter')}, {in_bytes(total)} · {chosen}{seen}"
        title = fit_left(clean(self.source), max(self.query_one("#picks").size.width, 20))
        self.query_one("#picked", Static).update(Text(f"{title}\n{head}", no_wrap=True))
        self.query_one("#picks", Painted).repaint()

    def _paint(self, width: int, height: int) -> list[Strip]:
        self.top = window(self.top, self.at, height, len(self.rows))
        shown = range(self.top, min(self.top + height, len(self.rows)))
        return page([self._line(at, width) for at in shown], width, height)

    def _line(self, at: int, width: int) -> Line:
        row, here = self.rows[at], at == self.at
        mark = "✗" if row.refused else "x" if at in self.chosen else " "
        end = f" {clean(row.format)} {right(in_bytes(row.size), 9)} {'here' if row.here else '    '}"
        line = Line("▸ " if here else "  ", self.ink.accent).add(f"[{mark}] ", self.ink.bold)
        style = self.ink.dim if row.refused else self.ink.bold if here else self.ink.plain
        line.add(fit_left(clean(row.path) or "(top folder)", max(width - line.width - len(end) - 1, 8)), style)
        return line.end(end, width, self.ink.dim)

    def action_move(self, step: int) -> None:
        self.at = min(max(self.at + step, 0), len(self.rows) - 1)
        self._show()

    def action_page(self, step: int) -> None:
        self.action_move(step * max(self.query_one("#picks").size.height - 1, 1))

    def action_choose(self) -> None:
        if not self.rows[self.at].refused:
            self.chosen ^= {self.at}
        self.action_move(1)

    def action_all(self) -> None:
        everyone = {at for at, row in enumerate(self.rows) if not row.refused}
        self.chosen = set() if self.chosen == everyone else everyone
        self._show()

    def action_accept(self) -> None:
        self.dismiss(tuple(sorted(self.chosen)) or (self.at,))
