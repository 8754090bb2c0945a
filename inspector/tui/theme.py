"""Colours: a fixed ramp that survives 256 colours, three themes, and none at all under NO_COLOR."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

RAMP = (24, 25, 31, 68, 74, 110, 153, 231, 223, 216, 215, 209, 173, 166, 130)
"""Diverging from −1 to 1; its right half serves 0 to 1."""

_ON_DARK = (75, 215, 114, 212, 221, 147, 80, 203)
_ON_LIGHT = (25, 130, 28, 125, 94, 61, 30, 160)
THEMES = ("inspector-dark", "inspector-light", "inspector-terminal")


@lru_cache(64)
def _cell(index: int) -> Style:
    """The ramp's colour behind black or white text, whichever contrasts more."""
    background = Color.from_ansi(index)

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = background.get_truecolor()
    light = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    black = (light + 0.05) / 0.05 > 1.05 / (light + 0.05)
    return Style.from_color(Color.from_ansi(16 if black else 231), background)


def ramp_index(value: float, *, diverging: bool) -> int:
    """The palette index for a value in [−1, 1] (diverging) or [0, 1]."""
    bounded = min(max(value, -1.0 if diverging else 0.0), 1.0)
    return RAMP[7 + math.floor(bounded * 7 + 0.5)]


@dataclass(frozen=True)
class Ink:
    """The styles the views write with; every distinction also shows without colour."""

    plain: Style
    dim: Style
    bold: Style
    accent: Style
    good: Style
    warn: Style
    bad: Style
    chosen: Style
    lines: tuple[Style, ...]
    coloured: bool = True

    def cell(self, value: float, *, diverging: bool) -> Style:
        """How a heatmap cell of this value looks; plain for n/a and under NO_COLOR."""
        if not self.coloured or math.isnan(value):
            return self.plain
        return _cell(ramp_index(value, diverging=diverging))

    def line(self, index: int) -> Style:
        return self.lines[index % len(self.lines)]


def _ink(dim: int, accent: int, good: int, warn: int, bad: int, lines: tuple[int, ...]) -> Ink:
    def colour(index: int, *, bold: bool = False) -> Style:
        return Style(color=Color.from_ansi(index), bold=bold or None)

    return Ink(
        plain=Style(),
        dim=colour(dim),
        bold=Style(bold=True),
        accent=colour(accent, bold=True),
        good=colour(good),
        warn=colour(warn),
        bad=colour(bad, bold=True),
        chosen=Style(bold=True, reverse=True),
        lines=tuple(colour(index) for index in lines),
    )


_INKS = {
    "inspector-dark": _ink(245, 80, 114, 221, 203, _ON_DARK),
    "inspector-light": _ink(241, 25, 28, 94, 160, _ON_LIGHT),
    "inspector-terminal": _ink(8, 6, 2, 3, 1, (4, 3, 2, 5, 6, 1, 12, 13)),
}
_COLOURLESS = Ink(
    plain=Style(),
    dim=Style(dim=True),
    bold=Style(bold=True),
    accent=Style(bold=True),
    good=Style(),
    warn=Style(bold=True),
    bad=Style(bold=True),
    chosen=Style(bold=True, reverse=True),
    lines=(Style(),),
    coloured=False,
)


def ink_for(theme: str, *, coloured: bool) -> Ink:
    return _INKS.get(theme, _INKS[THEMES[0]]) if coloured else _COLOURLESS


def themes() -> tuple[Theme, ...]:
    """The Textual themes behind the chrome and the dialogs, on palette colours throughout."""
    return (
        Theme(
            name="inspector-dark",
            primary="#5fd7d7",
            accent="#5fd7d7",
            warning="#ffd75f",
            error="#ff5f5f",
            success="#87d787",
            foreground="#d0d0d0",
            background="#1c1c1c",
            surface="#262626",
            panel="#303030",
            dark=True,
        ),
        Theme(
            name="inspector-light",
            primary="#005faf",
            accent="#005faf",
            warning="#875f00",
            error="#d70000",
            success="#008700",
            foreground="#262626",
            background="#ffffff",
            surface="#eeeeee",
            panel="#dadada",
            dark=False,
        ),
        replace(BUILTIN_THEMES["ansi-dark"], name="inspector-terminal"),
    )
