"""One strength from those of many matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import median

from inspector.checking.receipt.solving import ARITHMETIC
from inspector.checking.receipt.strength import ERRORS, Fit

SAME = 0.01
"""Strengths that differ by less are one, whatever their errors: nobody merges at .99."""

_TRACE = 0.1
"""Of the strength, and of the matrices: less of both is what another update has in common with this one."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A strength and its interval, of four standard errors on either side."""

    value: float
    low: float
    high: float

    def holds(self, strength: float) -> bool:
        """Whether it may be this, which is not asked if the interval is wider than a quarter of it."""
        if self.high - self.low > max(0.5 * abs(strength), 4 * SAME):
            return False
        return self.low - SAME <= strength <= self.high + SAME


def combined(fits: Sequence[Fit]) -> Strength:
    """The mean weighted by 1/error², its error times √(χ²/(k−1)) if the strengths differ by more than their errors.

    The error from arithmetic that may shift all of them alike (2⁻⁹) is not averaged down.
    """
    if not fits:
        return Strength(0.0, -inf, inf)
    weights = [1 / max(fit.half, 1e-12) ** 2 for fit in fits]
    total = sum(weights)
    mean = sum(w * fit.strength for w, fit in zip(weights, fits, strict=True)) / total
    chi2 = ERRORS**2 * sum(w * (fit.strength - mean) ** 2 for w, fit in zip(weights, fits, strict=True))
    scatter = sqrt(max(1.0, chi2 / (len(fits) - 1))) if len(fits) > 1 else 1.0
    half = max(scatter / sqrt(total), ARITHMETIC / 2 * abs(mean))
    return Strength(mean, mean - half, mean + half)


def each(fits: Sequence[Fit], owners: Sequence[Sequence[int]], number: int) -> list[float]:
    """The strength of each adapter: the median over the matrices that tell it; empty if not all can be told."""
    found: list[list[float]] = [[] for _ in range(number)]
    for fit, adapters in zip(fits, owners, strict=True):
        alone = len(adapters) == 1
        for n, strength in zip(adapters, (fit.strength,) if alone else fit.each, strict=False):
            found[n].append(strength)
    return [median(strengths) for strengths in found] if all(found) else []


def groups(fits: Sequence[tuple[int, Fit]], asked: float) -> tuple[list[int], list[int], list[int], list[int], float]:
    """Indices of matrices with the update, without it, at another strength, and untold; and the strength of the first.

    A matrix is without it if its interval holds 0; it is untold if that holds the strength as well.
    """
    told = [(n, fit) for n, fit in fits if fit.telling or not fit.low <= 0 <= fit.high]
    untold = [n for n, fit in fits if not (fit.telling or not fit.low <= 0 <= fit.high)]
    without = [n for n, fit in told if near(fit, 0.0, asked)]
    rest = [(n, fit) for n, fit in told if n not in without]
    centre = median(fit.strength for _, fit in rest) if rest else 0.0
    if abs(centre) < _TRACE * asked and len(rest) < _TRACE * len(told):
        return [], [n for n, _ in told], [], untold, 0.0
    at = [n for n, fit in rest if near(fit, centre, asked)]
    return at, without, [n for n, _ in rest if n not in at], untold, centre


def near(fit: Fit, strength: float, asked: float) -> bool:
    """Whether the strength of a matrix may be this."""
    slack = SAME * max(asked, abs(strength))
    return fit.low - slack <= strength <= fit.high + slack


def ratios(strength: Callable[[float], bool], scale: float, rank: int) -> str:
    """What a strength that is not the one asked for may come from, in words; empty if nothing is known to give it."""
    known = {
        "half of it": 0.5,
        "twice": 2.0,
        f"√r = {sqrt(rank):.3g}: as if α/√r (rsLoRA) were its scale, which is α/r": sqrt(rank),
        f"1/√r = {1 / sqrt(rank):.3g}: as if α/r were its scale, which is α/√r (rsLoRA)": 1 / sqrt(rank),
        f"1/s = {1 / scale:.3g}: as if its scale s = {scale:.3g} were left out": 1 / scale if scale else 0.0,
        f"s = {scale:.3g}: as if its scale were applied twice": scale,
        f"r = {rank}: as if α, not α/r, were its scale": float(rank),
        f"1/r = {1 / rank:.3g}: as if it were divided by r twice": 1 / rank,
    }
    return next((words for words, value in known.items() if value and strength(value)), "")
