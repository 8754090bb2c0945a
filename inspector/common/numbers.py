"""Numbers as people read them: the same digits and the same minus on screens, in tables, sentences and reports."""

from __future__ import annotations

import math


def fixed(value: float, digits: int = 2, unknown: str = "n/a") -> str:
    """So many decimal places: `0.86`, `−0.16`, `0.00`; what is not known in words."""
    return unknown if math.isnan(value) else f"{value:z.{digits}f}".replace("-", "−")


def level(value: float, unknown: str = "") -> str:
    """A level by chance: two digits of small ones, `0.0092`; `0.00` of none."""
    small = 0.0005 <= abs(value) < 0.1
    return f"{value:.2g}".replace("-", "−") if small else fixed(value, 2, unknown)
