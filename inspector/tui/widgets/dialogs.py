"""Small questions over the views: a line of text, yes or no, a page to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen, ScreenResultType
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.widgets.input import Selection

_WIDEST, _MARGIN = 100, 6
"""Cells of a reader at most (it takes 96 % of the screen), and those of its border, padding and scroll bar."""


class Dialog(ModalScreen[ScreenResultType]):
    """A screen that is left once: the second of two quick keys must not take another screen with it.

    The focus moves before the next key is looked at, or what was typed ahead would go to the field before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]

    replaces = False
    """Whether what is typed into a field replaces its value, rather than being added."""

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        """The value is selected before the next key is looked at, as Input's own `select_on_focus` does not."""
        fresh = widget is not self.focused and not from_app_focus
        super().set_focus(widget, scroll_visible, from_app_focus)
        if fresh and self.replaces and isinstance(widget, Input):
            widget.selection = Selection(0, len(widget.value))

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Prompt(Dialog[str | None]):
    """Ask for one line of text; escape gives None. `replace`: what is typed replaces the value."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "cancel")]

    def __init__(self, question: str, value: str = "", *, replace: bool = False) -> None:
        super().__init__()
        self.question, self.value, self.replaces = question, value, replace

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self.question), classes="question")
            yield Input(self.value, compact=True, select_on_focus=False)
            yield Static(Text("enter accepts · escape cancels"), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)


class FindLine(Dialog[None]):
    """One line at the bottom: what is typed is searched for at once; enter keeps it, escape shows everything again."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "clear", "clear")]

    def __init__(self, listed: str, value: str, find: Callable[[str], None]) -> None:
        super().__init__()
        self.listed, self.value, self.find = listed, value, find

    def compose(self) -> ComposeResult:
        with Horizontal(id="find"):
            yield Static(Text(f" / {self.listed}: "), id="finding")
            yield Input(self.value, compact=True, select_on_focus=False)
            yield Static(Text("⏎ keeps · esc clears "), id="kept")

    def on_input_changed(self, event: Input.Changed) -> None:
        self.find(event.value)

    def on_input_submitted(self) -> None:
        self.dismiss()

    def action_clear(self) -> None:
        self.find("")
        self.dismiss()


class Confirm(Dialog[bool]):
    """Ask yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "dismiss(True)", "yes"),
        ("n", "dismiss(False)", "no"),
        ("escape", "dismiss(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self.question), classes="question")
            yield Static(Text("y yes · n no"), classes="hint")


class Reader(Dialog[None]):
    """A page of text to scroll, wrapped for the width there is: `write(cells)` gives it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,question_mark,enter", "dismiss", "close"),
        ("j", "scroll(1)", "down"),
        ("k", "scroll(-1)", "up"),
    ]

    def __init__(self, title: str, write: Callable[[int], Text]) -> None:
        super().__init__()
        self.heading, self.write = title, write

    def compose(self) -> ComposeResult:
        with Vertical(classes="reader"):
            yield Static(Text(f"{self.heading}   (↑ ↓ scroll · esc closes)"), classes="question")
            with VerticalScroll():
                yield Static(id="text")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#text", Static).update(self.write(max(min(event.size.width * 24 // 25, _WIDEST) - _MARGIN, 20)))

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
