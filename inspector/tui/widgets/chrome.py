"""The lines around the views: tabs above, status and keys below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.strip import Strip

from inspector.tui.messages import Tone
from inspector.tui.text import Line, fit, plural
from inspector.tui.theme import Ink


def paint_tabs(tabs: Sequence[tuple[str, str]], current: int, ink: Ink, width: int) -> list[Strip]:
    """The tabs by (digit, title), or digits beside the current title; that one in brackets, to show uncoloured."""
    keys = [(key, title if at == current else "") for at, (key, title) in enumerate(tabs)]
    for cells, apart in ((tabs, 2), (tabs, 1), (keys, 2)):
        if sum(cell_len(f"{key} {title}".rstrip()) for key, title in cells) + apart * (len(cells) - 1) + 2 <= width:
            break
    line = Line()
    for at, (key, title) in enumerate(cells):
        if at == current:
            line.add(f"[{key} {title}]", ink.chosen)
        else:  # neighbours share the blank between them where there is one only
            line.add("" if at == current + 1 and apart == 1 else " ").add(key, ink.accent)
            line.add(f" {title}".rstrip() + " " * (apart - 1), ink.dim)
    return [line.strip(width)]


def paint_views(titles: Sequence[str], current: int, ink: Ink, width: int) -> list[Strip]:
    """The views of the tab, the current one in brackets, and the key that leads to the next."""
    line = Line(" ")
    for at, title in enumerate(titles):
        line.add(f"[{title}]" if at == current else f" {title} ", ink.bold if at == current else ink.dim)
    return [line.end("v next ", width, ink.dim).strip(width)]


def paint_status(
    progress: tuple[str, int, int] | None,
    note: tuple[str, Tone],
    unread: int,
    counts: Sequence[str],
    ink: Ink,
    width: int,
) -> list[Strip]:
    """Work in progress, then the last report, or how many errors nobody has read, then as many counts as fit."""
    if not note[0] and unread:
        note = (f"{plural(unread, 'error')}: w reads {'it' if unread == 1 else 'them'}", "bad")
    line = Line(" ")
    if progress is not None:
        text, done, total = progress
        mark = 3 if note[1] in {"warn", "bad"} else 0
        line.add(_shortened(text, max(width - 26 - mark if total else width // 2, 20)), ink.accent)
        if total:
            filled = 8 * done // total
            line.add(" " + "█" * filled + "░" * (8 - filled), ink.accent)
        line.add(" esc cancels" if line.width + 12 <= width else "", ink.dim).add("  ")
    room = width - line.width - 1
    style = {"info": ink.plain, "good": ink.good, "warn": ink.warn, "bad": ink.bad}[note[1]]
    if cell_len(note[0]) <= room:
        line.add(note[0], style)
    elif room > 12:
        line.add(fit(note[0], room - 9), style).add(" w: more", ink.dim)
    elif note[1] in {"warn", "bad"} and room > 1:
        line.add("!w"[:room], style)
    known = [" · ".join(counts[:n]) for n in range(len(counts), 0, -1)]
    fitting = next((text for text in known if line.width + cell_len(text) + 2 <= width), "")
    return [line.end(fitting + " ", width, ink.dim).strip(width)]


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
