"""One of a few words in a dialog: all of them in sight, the chosen one in brackets, arrows move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget


class Choice(Widget):
    """The chosen value is `value`; it moves with ← → and space."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [("left,h", "step(-1)", "previous"), ("right,l,space", "step(1)", "next")]

    @dataclass
    class Changed(Message):
        """Another word was chosen."""

        choice: Choice

    def __init__(self, options: Sequence[tuple[str, str]], value: str, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.options = tuple(options)
        known = [option for option, _ in self.options]
        self.value = value if value in known else known[0]

    def render(self) -> Text:
        """`[one] two  three`, the chosen one reversed while the field has the focus, `▸` before it without colours."""
        text = Text("▸" if self.has_focus and self.app.no_color else "", no_wrap=True)
        for option, label in self.options:
            here = option == self.value
            style = Style(bold=True, reverse=self.has_focus or None) if here else Style()
            text.append(f"[{label}]" if here else f" {label} ", style)
        return text

    def action_step(self, step: int) -> None:
        known = [option for option, _ in self.options]
        self.value = known[(known.index(self.value) + step) % len(known)]
        self.refresh()
        self.post_message(self.Changed(self))
