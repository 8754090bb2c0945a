"""What stands where nothing is open: the demo, what was opened before, and how to open something else."""

from __future__ import annotations

from inspector.common.assets import DEMO
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, fit_left, plural, wrap
from inspector.tui.theme import Ink

_RECENT = 5


def nothing_open(state: AppState, ink: Ink, width: int) -> list[Line]:
    """Lines for an app without adapters: what it waits for, or which keys open what."""
    if state.opening:
        return [Line(f"  Reading {clean(state.opening)} …", ink.bold)]
    if state.watched.roots:
        text = "No checkpoint is there yet: the newest adapter of every run opens here as soon as one lands."
        return [Line("  " + part, ink.bold) for part in wrap(text, width - 4)]
    many = plural(len(DEMO), "adapter")
    lines = [Line("  No adapter is open.", ink.bold), Line()]
    for key, text in (
        ("d", f"opens the demo: {many} of a small model, with everything measured"),
        ("o", "opens a path, or a Hub id org/repo[@revision][:path]; tab completes it"),
    ):
        parts = wrap(text, width - 6)
        lines += [Line("  ").add(key, ink.accent).add(f"  {parts[0]}"), *(Line(f"     {part}") for part in parts[1:])]
    if state.recent:
        lines += [Line(), Line("  Recent, and listed by o:", ink.dim)]
        lines += [Line("     " + fit_left(clean(source), width - 7), ink.dim) for source in state.recent[:_RECENT]]
    return lines
