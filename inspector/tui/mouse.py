"""What clicks and the wheel do: what the keys under them would. In a browser, and with --mouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

from inspector.tui.actions import Action, footer

if TYPE_CHECKING:
    from inspector.tui.shell import Shell

CURSOR = "▸"
"""What stands before the line that the cursor is on, in every list."""


def clicked(app: Shell, area: str, text: str, x: int, y: int) -> None:
    """A click on cell (x, y) of an area that shows this text."""
    lines = text.split("\n")
    line = lines[y] if y < len(lines) else ""
    at = _character(line, x)
    if area == "tabs":
        _press(app, _tab(line, at))
    elif area == "views":
        _turn(app, line, at)
    elif area == "keys":
        _run(app, _entry(app, line, at))
    elif area == "slider":
        _slide(app, line, at)
    elif area == "body":
        _choose(app, lines, x, y)


def scrolled(app: Shell, step: int) -> None:
    """One notch of the wheel: a row, of a text three."""
    app.view.move(app.state, step * (3 if app.view.scrolls else 1))
    app.repaint()


def _character(line: str, x: int) -> int:
    """The index of the character on a cell."""
    return next((n for n in range(len(line)) if cell_len(line[: n + 1]) > x), len(line))


def _tab(line: str, at: int) -> str:
    """The key of the tab on the character: its name follows it."""
    keys = [found for found in re.finditer(r"(?<![^\s\[])\d(?=\s|$)", line) if found.start() <= at + 1]
    return keys[-1].group() if keys and at < len(line.rstrip()) else ""


def _press(app: Shell, key: str) -> None:
    if key:
        _run(app, next((action for action in app.everywhere if key in action.keys.split()), None))


def _turn(app: Shell, line: str, at: int) -> None:
    """To the view of the tab whose title is on the character."""
    for view in app.views_of(app.view.tab):
        start = max(line.find(f"[{view.title}]"), line.find(f" {view.title} "))
        if 0 <= start <= at <= start + len(view.title) + 1:
            app.go(view.id)
            app.repaint()
            return


def _run(app: Shell, action: Action | None) -> None:
    if action is not None:
        app.action_act(action.id)


def _entry(app: Shell, line: str, at: int) -> Action | None:
    """The action whose keys and name are on the character."""
    for action in (*app.everywhere, *app.view.actions):
        for keys, label in footer((action,), (action.id,)):
            start = f"{line}  ".find(f" {keys} {label}  ")
            if 0 <= start < at <= start + len(keys) + len(label) + 1:
                return action
    return None


def _slide(app: Shell, line: str, at: int) -> None:
    """The layer under the pointer."""
    first, last = line.find("◂") + 1, line.find("▸") - 1
    if 0 < first <= at <= last:
        app.state.set_layer(round((at - first) / max(last - first, 1) * (len(app.state.layers) - 1)))
        app.repaint()


def _choose(app: Shell, lines: list[str], x: int, y: int) -> None:
    """The cursor to the line, or the cell of a map; where it is already, what ⏎ does there."""
    before = (app.state.row, app.state.col)
    picked = app.view.pick(app.state, x, y)
    marked = next((n for n, line in enumerate(lines) if line.lstrip().startswith(CURSOR)), None)
    if before == (app.state.row, app.state.col) if picked else marked == y:
        _run(app, next((action for action in app.view.actions if "enter" in action.keys.split()), None))
    elif picked:
        app.repaint()
    elif marked is not None and y < len(lines) and lines[y].strip():
        app.view.reach(app.state, y, marked)
        app.repaint()
