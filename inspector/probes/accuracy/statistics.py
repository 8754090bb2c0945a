"""Intervals and tests for shares of solved problems. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share p̂ = successes/n; (NaN, NaN) for n = 0.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), z = 1.96 [Wilson 1927]. Unlike p̂ ± z·se it stays
    within [0, 1] and has a width at 0 and at n successes.
    """
    if n == 0:
        return float("nan"), float("nan")
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided McNemar p-value from the two discordant counts; 1 without any.

    min(1, 2·P[X ≤ min(only_a, only_b)]), X ~ Binomial(only_a + only_b, ½): problems both or neither solve say
    nothing about which solves more [McNemar 1947; exact form as in Fagerland et al. 2013].
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; NaN stays NaN and does not count.

    With p₍₁₎ ≤ … ≤ p₍ₘ₎: p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1)·p₍ⱼ₎) [Holm 1979]. Those below 0.05 are
    significant with a family-wise error of 5 %, whatever depends on whatever.
    """
    values = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order])) if len(order) else []
    return [float(x) for x in adjusted]
