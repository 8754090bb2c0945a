"""Three themes, the colours of values and of adapters in them, and none at all under NO_COLOR."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from inspector.common.colours import Ramp, ink_on, shade

THEMES = ("inspector-dark", "inspector-light", "inspector-terminal")
STEPS = 6
"""Of the ramps in 256 colours, from the first that is seen to 1."""
PALETTE: dict[tuple[bool, str], tuple[int, ...]] = {
    (True, "+"): (18, 24, 25, 32, 75, 117),
    (True, "-"): (52, 88, 130, 166, 209, 216),
    (True, "grey"): (237, 240, 243, 246, 250, 254),
    (False, "+"): (189, 153, 75, 32, 25, 19),
    (False, "-"): (223, 216, 209, 166, 130, 88),
    (False, "grey"): (254, 251, 247, 243, 240, 236),
}
"""(dark, sign): palette colours near to those of `shade`, ever farther from the background."""
_FINE = 64


@lru_cache(512)
def _cell(step: int, ramp: Ramp, *, dark: bool, full: bool) -> Style:
    """The colour of a value of step/_FINE, or of step/STEPS, behind black or white text."""
    if full:
        background = Color.from_rgb(*shade(step / _FINE, ramp, dark=dark))
    else:
        sign = "grey" if ramp == "grey" else "+" if step > 0 else "-"
        background = Color.from_ansi(PALETTE[dark, sign][abs(step) - 1])
    seen = background.get_truecolor()
    return Style.from_color(Color.from_rgb(*ink_on((seen.red, seen.green, seen.blue))), background)


@lru_cache(16)
def _weighed(weight: int, sign: Style) -> Style:
    """A style without a colour for the value: dim, plain, bold, reversed."""
    return Style(dim=not weight or None, bold=weight >= 2 or None, reverse=weight == 3 or None) + sign


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
    weighed: tuple[Style, Style] | None = None
    """Of positive and negative values, if weight of type alone says how large they are."""
    dark: bool = True
    full: bool = True
    """Whether the terminal has more than 256 colours."""

    def cell(self, value: float, ramp: Ramp = "signed") -> Style:
        """How a cell of this value in [−1, 1] looks; quiet for 0 and n/a."""
        size = 0.0 if math.isnan(value) else min(abs(value), 1.0)
        if self.weighed is not None:
            weight = (size >= 0.15) + (size >= 0.5) + (size >= 0.8)
            return _weighed(weight, self.weighed[0 if value > 0 or ramp == "grey" else 1])
        step = math.floor(size * (_FINE if self.full else STEPS) + 0.5)
        return _cell(step if value > 0 else -step, ramp, dark=self.dark, full=self.full) if step else self.dim

    @property
    def blocks(self) -> bool:
        """Whether a blank cell shows its value by its background."""
        return self.weighed is None

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


_ANSI = replace(
    _ink(8, 6, 2, 3, 1, (4, 1, 2, 5, 3, 6, 8)),
    weighed=(Style(color=Color.from_ansi(4)), Style(color=Color.from_ansi(3))),
)
_INKS = {
    "inspector-dark": _ink(245, 80, 114, 221, 203, (75, 209, 79, 175, 178, 117, 250)),
    "inspector-light": replace(_ink(241, 25, 28, 94, 160, (25, 166, 29, 132, 136, 38, 240)), dark=False),
    "inspector-terminal": _ANSI,
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
    weighed=(Style(), Style()),
)


def ink_for(theme: str, *, coloured: bool, colours: str | None = "truecolor") -> Ink:
    """The styles of a theme; `colours` as Rich names what the terminal has: truecolor, 256, standard."""
    if not coloured or colours is None:
        return _COLOURLESS
    if colours in {"standard", "windows"}:
        return _ANSI
    return replace(_INKS.get(theme, _INKS[THEMES[0]]), full=colours == "truecolor")


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
