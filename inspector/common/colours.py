"""Colours that mean one thing in app, report and figures: a hue per sign, and a colour per adapter.

Built in OKLCH (Ottosson 2020, "A perceptual color space for image processing"): lightness, chroma and hue as seen.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

RGB = tuple[int, int, int]
Ramp = Literal["signed", "grey"]
"""`signed`: −1 to 1, its upper half also for 0 to 1; `grey`: distances and sizes from 0 to 1, which have no sign."""

POSITIVE_HUE, NEGATIVE_HUE = 245.0, 50.0
"""Degrees: blue and orange, which stay apart for every kind of colour blindness."""
DARK, LIGHT = (0x1C, 0x1C, 0x1C), (0xFF, 0xFF, 0xFF)
"""The backgrounds that zero fades into."""
_ENDS = {True: 0.82, False: 0.46}
"""Lightness at ±1, on dark and on light."""
_CHROMA = 0.15
LINES = ("#0072b2", "#d55e00", "#009e73", "#b0528a", "#c48a00", "#3d9dd6", "#4a4f57")
"""Of adapters, in the order they were opened: after Okabe & Ito 2008; pink, orange and sky darkened until a thin line
is seen on white. The eighth has the first colour again, and another dash or mark."""


@lru_cache(512)
def shade(value: float, ramp: Ramp = "signed", *, dark: bool) -> RGB:
    """The colour of a value, clipped to ±1: L = L₀ + (L₁ − L₀)·|v|, C = 0.15·√|v|, as far as sRGB has it.

    L₀ is the background's lightness: zero is not seen. Lightness follows |v| alone, the hue the sign alone.
    """
    size = min(abs(value), 1.0)
    start = lightness(DARK if dark else LIGHT)
    light = start + (_ENDS[dark] - start) * size
    hue = POSITIVE_HUE if value > 0 else NEGATIVE_HUE
    chroma = 0.0 if ramp == "grey" else min(_CHROMA * math.sqrt(size), _most_chroma(light, hue))
    red, green, blue = (round(255 * _encoded(channel)) for channel in _linear(light, chroma, hue))
    return red, green, blue


def ink_on(background: RGB) -> RGB:
    """Black or white, whichever contrasts more: at least 4.5 to 1 (WCAG 2)."""
    red, green, blue = (_decoded(channel / 255) for channel in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def lightness(colour: RGB) -> float:
    """OKLab L, 0 to 1."""
    return oklab(colour)[0]


def hue(colour: RGB) -> float:
    """OKLCH h in degrees, 0 to 360; of greys it has no meaning."""
    _, a, b = oklab(colour)
    return math.degrees(math.atan2(b, a)) % 360


def oklab(colour: RGB) -> tuple[float, float, float]:
    """(L, a, b) of an sRGB colour."""
    red, green, blue = (_decoded(channel / 255) for channel in colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def rgb(text: str) -> RGB:
    """`#0072b2` as numbers."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def hexed(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _linear(light: float, chroma: float, angle: float) -> tuple[float, float, float]:
    """Linear sRGB of OKLCH; outside 0 to 1 where sRGB lacks the colour."""
    a, b = chroma * math.cos(math.radians(angle)), chroma * math.sin(math.radians(angle))
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _most_chroma(light: float, angle: float) -> float:
    """The largest chroma that sRGB has at a lightness and hue, by bisection."""
    low, high = 0.0, 0.4
    for _ in range(24):
        middle = (low + high) / 2
        inside = all(-1e-6 <= channel <= 1 + 1e-6 for channel in _linear(light, middle, angle))
        low, high = (middle, high) if inside else (low, middle)
    return low


def _decoded(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _encoded(channel: float) -> float:
    channel = min(max(channel, 0.0), 1.0)
    return 12.92 * channel if channel <= 0.0031308 else float(1.055 * channel ** (1 / 2.4) - 0.055)
