"""What a study is printed on."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from inspector.tables.overview import STYLES
from inspector.tables.tables import UNLIMITED, Page


class StudyPage:
    """Stdout: tables of matrices within the screen's width, others as wide as they are, text within 100 columns."""

    def __init__(self) -> None:
        self._tables = Page(width=UNLIMITED)
        self._text = Page(theme=Theme(STYLES))
        self.width = max(self._text.width, 80)
        self._text.width = min(self._text.width, 100)

    @property
    def on_terminal(self) -> bool:
        return self._tables.is_terminal

    @property
    def text_width(self) -> int:
        return self._text.width

    def table(self, table: Table) -> None:
        self._tables.print(table)

    def text(self, text: str | Text) -> None:
        self._text.print(Text(text) if isinstance(text, str) else text)

    def parts(self, parts: Iterable[Table | str], before: str = "") -> None:
        """Tables and lines of text, these after `before`."""
        for part in parts:
            if isinstance(part, str):
                self.text(before + part)
            else:
                self.table(part)
