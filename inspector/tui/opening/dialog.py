"""What to open: a path or a Hub id, completed as it is typed; what was opened before. The Hub is asked on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from inspector.common.errors import CancelledError, InspectorError
from inspector.tui.opening.offers import Offer, completed, offers
from inspector.tui.text import Line, clean, fit_left, page, plural
from inspector.tui.theme import Ink
from inspector.tui.views.base import rows_shown, window
from inspector.tui.widgets.dialogs import Dialog
from inspector.tui.widgets.painted import Painted

_AROUND, _ROWS = 11, 12
"""Lines of the dialog and the screen that are not rows of the list, and its rows at most."""


@dataclass
class Offered(Message):
    """What there is for a text; `trouble`: why the Hub has no answer."""

    serial: int
    typed: str
    found: Sequence[Offer]
    from_hub: bool = False
    trouble: str = ""


class OpenDialog(Dialog[str | None]):
    """The source to open, typed or chosen; None after escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "cancel"),
        Binding("tab", "complete", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("ctrl+f", "search", show=False, priority=True),
    ]

    def __init__(self, recent: Sequence[str], ink: Ink) -> None:
        super().__init__()
        self.recent, self.ink = tuple(recent), ink
        self.offers: Sequence[Offer] = ()
        self.at, self.top = -1, 0
        """The marked offer, -1 for what is typed; the first in sight."""
        self.serial = 0
        """Of the newest question."""
        self.shown: str | None = None
        """The text that the offers are for."""
        self._cached: tuple[str, ...] | None = None
        self._completing = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            question = "Open a path, or org/repo[@revision][:path]; NAME=… names it"
            yield Static(Text(question), classes="question")
            yield Input(compact=True, select_on_focus=False)
            yield Painted(self._paint, id="offers")
            yield Static(id="told")
            yield Static(Text("tab completes · ↑ ↓ choose · ⏎ opens · ^f asks the Hub · esc leaves"), classes="hint")

    def on_mount(self) -> None:
        self.on_resize()
        self._look()

    def on_resize(self) -> None:
        self.query_one("#offers").styles.height = max(min(_ROWS, self.app.size.height - _AROUND), 1)

    @property
    def typed(self) -> str:
        return self.query_one(Input).value

    # What is offered

    def on_input_changed(self) -> None:
        self.at = -1
        self._look()

    def _look(self) -> None:
        """In a thread: a disk may be slow to answer."""
        self.serial += 1
        self.run_worker(partial(self._find, self.typed, self.serial), thread=True, group="offers", exclusive=True,
                        exit_on_error=False)  # fmt: skip

    def _find(self, typed: str, serial: int) -> None:
        if self._cached is None:
            from inspector.adapters.hub.search import cached

            self._cached = tuple(cached())
        self.post_message(Offered(serial, typed, offers(typed, self.recent, self._cached)))

    def on_offered(self, message: Offered) -> None:
        if message.serial != self.serial:
            return
        self.shown = message.typed
        if not message.trouble:
            self.offers, self.at, self.top = message.found, -1, 0
        said = message.trouble
        if message.from_hub and not said:
            said = f"{plural(len(message.found), 'repo')} of PEFT on the Hub" if message.found else "the Hub has none"
        self._tell(said)
        if self._completing:
            self._complete()

    def _tell(self, text: str) -> None:
        self.query_one("#told", Static).update(Text(clean(text)))
        self.query_one("#offers", Painted).repaint()

    def action_search(self) -> None:
        """Ask the Hub for what is typed."""
        words = self.typed.rpartition("=")[2].strip()
        if not words:
            self._tell("type what to search the Hub for, then ^f")
            return
        self.serial += 1
        self._tell(f"asking the Hub for {words} …")
        self.run_worker(partial(self._ask, self.typed, words, self.serial), thread=True, group="offers", exclusive=True,
                        exit_on_error=False)  # fmt: skip

    def _ask(self, typed: str, words: str, serial: int) -> None:
        from inspector.adapters.hub.search import search

        front = typed[: len(typed) - len(typed.rpartition("=")[2])]
        worker = get_current_worker()
        try:
            found = search(words, lambda: worker.is_cancelled)
        except CancelledError:
            return
        except InspectorError as error:
            self.post_message(Offered(serial, typed, (), trouble=str(error)))
            return
        named = [
            Offer(f"{front}{one.repo}", "" if one.downloads is None else f"{one.downloads:,} downloads")
            for one in found
        ]
        self.post_message(Offered(serial, typed, named, from_hub=True))

    # Keys

    def action_move(self, step: int) -> None:
        self.at = min(max(self.at + step, -1), len(self.offers) - 1)
        self.query_one("#offers", Painted).repaint()

    def action_complete(self) -> None:
        """After the keys that were struck before it, which wait for the field."""
        self.query_one(Input).call_later(self._complete)

    def _complete(self) -> None:
        """The marked offer, or all that the offers have in common; else mark the next one."""
        self._completing = self.shown != self.typed
        if self._completing:  # of what is typed the offers are still to come
            return
        text = self.offers[self.at].text if self.at >= 0 else completed(self.typed, self.offers)
        if text == self.typed:
            self.action_move(1)
            return
        field = self.query_one(Input)
        field.value, field.cursor_position = text, len(text)

    def on_click(self, event: events.Click) -> None:
        """A row is marked; the marked one is opened."""
        at = self.top + event.y
        if isinstance(event.widget, Painted) and at < len(self.offers):
            again, self.at = at == self.at, at
            event.widget.repaint()
            if again:
                self.on_input_submitted()

    def on_input_submitted(self) -> None:
        self.dismiss((self.offers[self.at].text if self.at >= 0 else self.typed).strip() or None)

    def _paint(self, width: int, height: int) -> list[Strip]:
        self.top = window(self.top, max(self.at, 0), height, len(self.offers))
        shown = range(self.top, min(self.top + height, len(self.offers)))
        lines = [self._line(at, width) for at in shown]
        if extent := rows_shown(self.top, height, len(self.offers), "").removeprefix(" · "):
            lines[-1].end(extent, width, self.ink.dim)
        return page(lines, width, height)

    def _line(self, at: int, width: int) -> Line:
        offer, here = self.offers[at], at == self.at
        line = Line("▸ " if here else "  ", self.ink.accent)
        note = f"  {offer.note}" if width > 3 * cell_len(offer.note) // 2 else ""
        line.add(fit_left(clean(offer.text), width - 3 - cell_len(note)), self.ink.bold if here else self.ink.plain)
        return line.end(note, width, self.ink.dim)
