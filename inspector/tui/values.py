"""How a metric's values look on screens: as text, as a colour, as a cell without any."""

from __future__ import annotations

import math

from inspector.common.colours import Ramp
from inspector.study.metrics import DEFINITIONS, FRACTION, SIGNED, shown_in
from inspector.tui.text import NA, decimal, degrees, general

DECADES = 2.0
"""Sizes are coloured by their logarithm, from a hundredth of the largest."""
_MORE, _LESS = " ░▒▓█", " −=≡≣"


def of_adapters(metric: str) -> bool:
    return DEFINITIONS[metric].subject == "adapter"


def apart(metric: str) -> bool:
    """Whether a pair is less alike the larger the number is."""
    definition = DEFINITIONS[metric]
    return definition.diagonal == 0 or definition.unit == "°"


def number(metric: str, value: float) -> str:
    """A value in the digits it deserves: `0.86`, `41.2°`, ranks `6.1`, sizes `1.44`."""
    definition = DEFINITIONS[metric]
    if math.isnan(value):
        return NA
    if definition.unit == "°":
        return degrees(value)
    if definition.range in {SIGNED, FRACTION}:
        return decimal(value)
    if definition.subject == "adapter" and (metric in shown_in("size") or definition.range is not None):
        return f"{value:.1f}"
    return general(value) if definition.range is None and definition.scale is None else decimal(value)


def shaded(metric: str, value: float, largest: float = math.nan) -> tuple[float, Ramp]:
    """What a value is coloured by, in [−1, 1]; `largest`: of the sizes beside it.

    Angles: 1 − θ/90°. Energy ratios: their distance from 1. Sizes: 1 + log₁₀(v/largest)/2, at least 0.
    """
    definition = DEFINITIONS[metric]
    if definition.unit == "°":
        return 1 - value / 90, "signed"
    if definition.range == (0.0, 2.0):
        return value - 1, "signed"
    if definition.subject == "adapter" and definition.range != FRACTION:
        if not value > 0 or not largest > 0:
            return math.nan if math.isnan(value) else 0.0, "grey"
        return max(1 + math.log10(value / largest) / DECADES, 0.0), "grey"
    return value, "grey" if apart(metric) or definition.subject == "adapter" else "signed"


def glyph(share: float) -> str:
    """One character for a value in [−1, 1], heavier the larger: `░▒▓█` above 0, `−=≡≣` below, blank near it."""
    if math.isnan(share):
        return NA
    return (_MORE if share > 0 else _LESS)[min(math.floor(abs(share) * 5), 4)]
