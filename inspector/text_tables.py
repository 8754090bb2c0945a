"""How every table on stdout looks."""

from __future__ import annotations

import math
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNLIMITED = 100_000
"""The width of what is read in a pipe, or scrolled."""


class Page(Console):
    """Stdout without markup or guessed highlights; a reader that leaves (`| head`) is no error of ours."""

    def __init__(self, width: int | None = None, **more: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, width=width, **more)

    def on_broken_pipe(self) -> None:
        """What the command line ends silently with, in place of rich's exit code 1."""
        raise BrokenPipeError


def titled(title: str) -> Table:
    """An empty table; a title wider than its columns stays on one line."""
    heading = Text(title, no_wrap=True, overflow="ignore") if title else None
    return Table(title=heading, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def number(value: float, digits: int = 3) -> str:
    """A number with fixed digits; n/a for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"
