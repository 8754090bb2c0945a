"""The help of a view: its keys from the action table, its numbers from their definitions."""

from __future__ import annotations

from rich.text import Text

from inspector.definitions import DEFINITIONS, INTERFERENCE
from inspector.tui.actions import for_view
from inspector.tui.screens.base import View
from inspector.tui.state import AppState
from inspector.tui.theme import Ink


def help_text(view: View, state: AppState, ink: Ink) -> Text:
    """What this view shows, what its keys do, and how each of its numbers is defined."""
    text = Text()
    text.append(view.about + "\n\n")
    metrics = tuple(dict.fromkeys(view.metrics(state)))
    if metrics:
        text.append("Numbers here (definitions at the end)\n", ink.accent)
        for metric in metrics:
            text.append(f"  {DEFINITIONS[metric].title}\n")
        text.append("\n")
    text.append("Keys\n", ink.accent)
    for action in for_view(view.id):
        text.append(f"  {action.display:<10}", ink.bold)
        text.append(f"{action.label}: {action.help}\n")
    if metrics:
        text.append("\nDefinitions\n", ink.accent)
    for metric in metrics:
        _definition(text, metric, ink)
    if metrics and view.id in {"map", "pair"}:
        text.append("  interference\n", ink.bold)
        text.append(f"    {INTERFERENCE}\n")
    return text


def _definition(text: Text, metric: str, ink: Ink) -> None:
    definition = DEFINITIONS[metric]
    text.append(f"  {definition.title}", ink.bold)
    text.append(f"  ({metric} in exports)\n", ink.dim)
    text.append(f"    {definition.formula}\n")
    text.append(f"    over modules: {definition.over_modules}\n")
    if definition.trap:
        text.append(f"    ! {definition.trap}\n", ink.warn)
    if definition.source:
        text.append(f"    {definition.source}\n", ink.dim)
