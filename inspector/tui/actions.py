"""What an action is: keys, name, help, and what it does. Keys, footer, palette and help are made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from textual.binding import Binding
from textual.events import Key

T = TypeVar("T")
_KEY_NAMES = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "enter": "⏎", "space": "␣", "escape": "esc", "delete": "del",
    "exclamation_mark": "!", "slash": "/", "asterisk": "*", "pageup": "PgUp", "pagedown": "PgDn", "ctrl+p": "^p",
    "ctrl+z": "^z",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the user can do. `weight` above 0 asks for a place in the footer, larger first."""

    id: str
    keys: str
    label: str
    help: str
    act: Callable[[Any, Any], object]
    """What it does, given the view that is shown and the app."""
    weight: int = 0
    footer_keys: str = ""
    """The keys of a whole group, where the footer shows one entry for it; those on the way, where it has none."""
    footer_label: str = ""
    """And its name there."""

    @property
    def display(self) -> str:
        """The keys as people know them: `↑/k`."""
        return "/".join(_KEY_NAMES.get(key, key) for key in self.keys.split()) or self.footer_keys


def footer(actions: Sequence[Action], first: Sequence[str]) -> list[tuple[str, str]]:
    """(keys, label) of a footer: help and quit, then the ids in `first`, then the most useful."""
    here = [action for action in actions if action.weight or action.id in first]
    wanted = sorted(here, key=lambda a: (a.weight < 98, a.id not in first, -a.weight))
    return [(action.footer_keys or action.display, action.footer_label or action.label) for action in wanted]


def named(event: Key) -> str:
    """A key that was pressed, as the help would name it."""
    return _KEY_NAMES.get(event.key, event.character if event.is_printable and event.character else event.key)


def bindings(actions: Iterable[Action]) -> list[Binding]:
    """The keys of every action; which of them act is decided by the view shown.

    With priority a key has acted before the next one is looked at: what was typed ahead over a slow line goes to
    the dialog that it opened.
    """
    return [
        Binding(",".join(action.keys.split()), f"app.act('{action.id}')", action.label, show=False, priority=True)
        for action in actions
        if action.keys and action.id != "palette"  # Textual's own
    ]


def cycled(choices: Sequence[T], current: T, step: int) -> T:
    """The choice after the current one, or before it; the first, or last, after none of them."""
    at = choices.index(current) if current in choices else -1 if step > 0 else 0
    return choices[(at + step) % len(choices)]
