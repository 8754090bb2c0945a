"""Bars in eighths of a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int) -> str:
    """A bar of `share` of `width` cells, padded to it; blank for NaN."""
    if math.isnan(share) or width <= 0:
        return " " * max(width, 0)
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[part] if part else "")
    return (text or ("▏" if share > 0 else "")).ljust(width)


def decades(values: Iterable[float]) -> tuple[float, float]:
    """log₁₀ of the ends of a scale around sizes: whole powers of ten, two at least."""
    known = [math.log10(v) for v in values if math.isfinite(v) and v > 0]
    high = math.ceil(max(known, default=0.0) - 1e-9)
    return min(math.floor(min(known, default=-2.0) + 1e-9), high - 2), high


def log_share(value: float, ends: tuple[float, float]) -> float:
    """How far along that scale a size is: 0 for a zero, NaN for n/a."""
    if not value > 0:
        return 0.0 if value == 0 else math.nan
    return (math.log10(value) - ends[0]) / (ends[1] - ends[0])


def log_axis(ends: tuple[float, float], width: int) -> str:
    """The powers of ten over bars of that width, as many as there is room for: `0.01    0.1    1     10`."""
    low, high = int(ends[0]), int(ends[1])
    stride = next(step for step in range(1, high - low + 2) if (high - low) / step * 7 <= width or step > high - low)
    cells = [" "] * width
    for power in range(low, high + 1, stride):
        text = f"{10.0**power:g}"
        start = round((power - low) / (high - low) * (width - 1))
        start = min(start, width - len(text))
        if start >= 0 and all(cell == " " for cell in cells[max(start - 1, 0) : start + len(text)]):
            cells[start : start + len(text)] = text
    return "".join(cells)
