"""Colours and dashes of figures: those of print, each also the name of a CSS variable, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inspector.common.colours import LINES

INK, SOFT, GRID = "#1b1f24", "#5b6570", "#d5dae0"
PALETTE = LINES
VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--grid"} | {c: f"--c{n}" for n, c in enumerate(PALETTE)}
POSITIVE, NEGATIVE = PALETTE[0], PALETTE[1]
_DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5))
_MARKERS = "os^DvPX"

RC: dict[str, Any] = {
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 9.5, "svg.fonttype": "none", "pdf.fonttype": 42,
    "text.parse_math": False, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT, "xtick.color": SOFT,
    "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "grid.color": GRID, "axes.grid": True,
    "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "lines.linewidth": 1.5, "lines.markersize": 4, "legend.frameon": False, "legend.fontsize": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How one subject is drawn: no two of 28 look alike, also without colours."""

    colour: str
    dashes: tuple[float, ...]
    marker: str


def style_of(n: int) -> Style:
    """The n-th style; −1 is the base's, in the colour of text."""
    if n < 0:
        return Style(SOFT, (), "o")
    return Style(PALETTE[n % 7], _DASHES[n // 7 % 4], _MARKERS[(n + n // 28) % 7])
