"""The training losses written out, with their traps."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from textual.strip import Strip

from inspector.study.provenance import recorded_objective
from inspector.tui.navigation import ENDS
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, wrap
from inspector.tui.theme import Ink
from inspector.tui.views.base import Area, View, scrolled


@cache
def source() -> str:
    return files("inspector.study.metrics").joinpath("objectives.md").read_text(encoding="utf-8")


def page(state: AppState) -> str:
    """What open adapters were trained with that is not of the methods here, then these."""
    return "".join(dict.fromkeys(_of_their_own(info.source) for info in state.infos)) + source()


@cache
def _of_their_own(place: str) -> str:
    section = recorded_objective(place)
    formula = section.partition("    ")[2]
    return "" if _squeezed(formula) in _squeezed(source()) else section


def _squeezed(text: str) -> str:
    return "".join(text.split())


_WIDEST = 100
"""Longer lines are hard to read."""


def formatted(text: str, ink: Ink, width: int) -> list[Line]:
    """`# ` headings, indented formulas as they stand, `! ` traps, everything else wrapped; a blank before headings."""
    lines: list[Line] = []
    width = min(width, _WIDEST)
    for raw in filter(None, text.splitlines()):
        if raw.startswith("# "):
            lines += [Line()] if lines else []
            lines.append(Line(" " + raw[2:], ink.accent))
        elif raw.startswith("    "):
            lines += _formula(raw[4:], ink, width)
        elif raw.startswith("! "):
            for n, part in enumerate(wrap(raw[2:], width - 6)):
                lines.append(Line("   ! " if not n else "     ", ink.warn).add(part, ink.warn))
        else:
            lines += [Line("   " + part) for part in wrap(raw, width - 5)]
    return lines


def _formula(text: str, ink: Ink, width: int) -> list[Line]:
    """A formula on one line where it fits, else with its gaps closed and wrapped."""
    if len(text) + 6 <= width:
        return [Line("     " + text, ink.bold)]
    return [Line("     " + part, ink.bold) for part in wrap(text, width - 6)]


class ObjectivesView(View):
    id = "objectives"
    tab = "7"
    title = "Objectives"
    scrolls = True
    lists = ""
    hint = "the training losses written out, with their traps"
    about = "What the training methods minimise. Lines with ! are traps."
    actions = ENDS
    first = ("down",)
    suffix = ".txt"

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        return scrolled(formatted(page(state), area.ink, area.width), state, self.id, area)

    def table(self, state: AppState) -> Table:
        return Table("objectives", ("text",), tuple((line,) for line in page(state).splitlines()))

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ()
