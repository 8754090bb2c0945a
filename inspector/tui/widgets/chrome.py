"""The lines around the views: tabs above, status and keys below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.strip import Strip

from inspector.tui.messages import Tone
from inspector.tui.text import Line, fit
from inspector.tui.theme import Ink

_SHORT = {
    "Adapters": "Adapt",
    "Size & rank": "Size",
    "Objectives": "Obj",
    "Layers": "Layer",
    "Angles": "Angle",
    "Basins": "Basin",
    "Accuracy": "Acc",
    "Trajectory": "Traj",
}
_KEYS = "1234567890WT"


def paint_tabs(titles: Sequence[str], current: int, ink: Ink, width: int) -> list[Strip]:
    """The views by number; the current one in brackets, so that it shows without colour."""
    labels, extra = list(titles), 0
    if sum(map(cell_len, labels)) + 4 * len(labels) > width:
        extra = max(cell_len(label) - cell_len(_SHORT.get(label, label)) for label in labels)
        labels = [label if at == current else _SHORT.get(label, label) for at, label in enumerate(labels)]
    if sum(map(cell_len, labels)) + 3 * len(labels) + 1 > width:
        labels = [_SHORT.get(label, label) for label in titles]
    if sum(map(cell_len, labels)) + 3 * len(labels) + 1 > width:
        labels = [label if at == current else label[:3] for at, label in enumerate(labels)]
    if sum(map(cell_len, labels)) + 3 * len(labels) + 1 > width:
        labels = [label if at == current else "" for at, label in enumerate(titles)]
    shorts = sum(cell_len(_SHORT.get(label, label)) for label in titles)
    wide = not extra or shorts + extra + 4 * len(labels) <= width  # for every current view alike
    line = Line()
    for at, label in enumerate(labels):
        text = f"{_KEYS[at]} {label}".rstrip()
        if at == current:
            line.add(f"[{text}]", ink.chosen)
        elif wide:
            line.add(f" {text} ", ink.dim)
        else:  # neighbours share the blank between them
            line.add(("" if at and at - 1 == current else " ") + text, ink.dim)
    return [line.strip(width)]


def paint_status(
    progress: tuple[str, int, int] | None, note: tuple[str, Tone], counts: str, ink: Ink, width: int
) -> list[Strip]:
    """Work in progress first, then the last report, then what is open."""
    line = Line(" ")
    if progress is not None:
        text, done, total = progress
        mark = 3 if note[1] in {"warn", "bad"} else 0
        line.add(_shortened(text, max(width - 26 - mark if total else width // 2, 20)), ink.accent)
        if total:
            filled = 8 * done // total
            line.add(" " + "█" * filled + "░" * (8 - filled), ink.accent)
        line.add(" esc cancels", ink.dim).add("  ")
    room = width - line.width - 1
    style = {"info": ink.plain, "good": ink.good, "warn": ink.warn, "bad": ink.bad}[note[1]]
    if cell_len(note[0]) <= room:
        line.add(note[0], style)
    elif room > 12:
        line.add(fit(note[0], room - 9), style).add(" w: more", ink.dim)
    elif note[1] in {"warn", "bad"} and room > 1:
        line.add("!w"[:room], style)
    line.end(counts + " ", width, ink.dim)
    return [line.strip(width)]


def _shortened(text: str, width: int) -> str:
    """What is done gives way to how fast and how long still: the head of the text is cut, not its tail."""
    head, dot, tail = text.partition(" · ")
    if not dot or cell_len(tail) + 9 > width:
        return fit(text, width)
    return fit(head, width - cell_len(tail) - 3) + dot + tail


def paint_keys(entries: Sequence[tuple[str, str]], ink: Ink, width: int) -> list[Strip]:
    """As many keys as fit, help and quit always among them; `?` shows the rest."""
    must, rest = list(entries[:2]), list(entries[2:])
    room = width - 1 - sum(cell_len(keys) + cell_len(label) + 3 for keys, label in must)
    line = Line(" ")
    for keys, label in rest:
        need = cell_len(keys) + cell_len(label) + 3
        if need > room:
            continue
        room -= need
        line.add(keys, ink.accent).add(f" {label}  ", ink.dim)
    for keys, label in must:
        line.add(keys, ink.accent).add(f" {label}  ", ink.dim)
    return [line.strip(width)]
