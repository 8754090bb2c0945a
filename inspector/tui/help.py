"""The help of a view: its keys from its actions, its numbers from their definitions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from inspector.study.metrics import DEFINITIONS
from inspector.tui.actions import Action
from inspector.tui.state import AppState
from inspector.tui.text import wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import View

_KEYS = 12


def help_text(view: View, everywhere: Sequence[Action], state: AppState, ink: Ink, width: int) -> Text:
    """How to read the view, the keys that are its own, how its numbers are defined, the keys that work everywhere."""
    text = Text()
    text.append("How to read it\n", ink.accent)
    _paragraph(text, view.about, ink.plain, width)
    for term, meaning in view.terms:
        text.append(f"  {term}\n", ink.bold)
        _paragraph(text, meaning, ink.plain, width, 4)
    text.append("\nKeys of this view\n", ink.accent)
    for action in view.actions:
        _key(text, action, ink, width)
    metrics = tuple(dict.fromkeys(view.metrics(state)))
    if metrics:
        text.append("\nNumbers of this view\n", ink.accent)
    for metric in metrics:
        _definition(text, metric, ink, width)
    text.append("\nKeys everywhere\n", ink.accent)
    for action in everywhere:
        _key(text, action, ink, width)
    return text


def _paragraph(text: Text, words: str, style: Style, width: int, indent: int = 0) -> None:
    for line in wrap(words, width - indent):
        text.append(" " * indent + line + "\n", style)


def _key(text: Text, action: Action, ink: Ink, width: int) -> None:
    for n, line in enumerate(wrap(f"{action.label}: {action.help}", width - _KEYS - 2)):
        text.append(f"  {action.display if not n else '':<{_KEYS}}", ink.bold)
        text.append(line + "\n")


def _definition(text: Text, metric: str, ink: Ink, width: int) -> None:
    definition = DEFINITIONS[metric]
    exported = f"({metric} in exports)"
    beside = cell_len(definition.title) + cell_len(exported) + 4 <= width
    _paragraph(text, definition.title, ink.bold, width, 2)
    if beside:
        text.right_crop(1)
    text.append(f"  {exported}\n" if beside else f"    {exported}\n", ink.dim)
    _paragraph(text, definition.formula, ink.plain, width, 4)
    _paragraph(text, f"over modules: {definition.over_modules}", ink.plain, width, 4)
    if definition.trap:
        _paragraph(text, f"! {definition.trap}", ink.warn, width, 4)
    if definition.source:
        _paragraph(text, definition.source, ink.dim, width, 4)
