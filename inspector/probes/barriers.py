"""Barriers of a loss curve between two adapters, in three definitions, with bootstrap intervals. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.study import Floats

KINDS = ("mean", "chord", "strict")
RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Barrier:
    """One barrier: its height, 95 % interval and the α of the maximum."""

    value: float
    low: float
    high: float
    at: float


def curve(losses: Floats, tokens: Floats) -> Floats:
    """(points,) mean loss per token: Σ losses / Σ tokens over examples; losses (points, n), tokens (n,)."""
    return np.asarray(losses.sum(axis=1) / tokens.sum())


def barriers(alphas: Sequence[float], losses: Floats, tokens: Floats) -> dict[str, Barrier]:
    """The barrier of each kind over 0 ≤ α ≤ 1; losses (points, n) summed per example, tokens (n,).

        mean    max L(α) − ½(L(0) + L(1))              Ainsworth et al. 2023
        chord   max [L(α) − ((1−α)L(0) + αL(1))]       Entezari et al. 2022
        strict  max L(α) − max(L(0), L(1))

    Intervals: percentile bootstrap over examples, the same resamples for every α, `RESAMPLES` of them.
    A maximum of noisy points is biased upwards, in the intervals too.
    Raises ValueError unless 0 and 1 are among the alphas.
    """
    grid = np.asarray(alphas, dtype=np.float64)
    inside = np.flatnonzero((grid >= 0) & (grid <= 1))
    grid, losses = grid[inside], losses[inside]
    first, last = list(grid).index(0.0), list(grid).index(1.0)
    rng = np.random.default_rng(_SEED)
    counts = rng.multinomial(len(tokens), np.full(len(tokens), 1 / len(tokens)), size=RESAMPLES).astype(np.float64)
    resampled = (counts @ losses.T) / (counts @ tokens)[:, None]
    measured = curve(losses, tokens)[None, :]
    found = {}
    for kind in KINDS:
        above = measured - _level(kind, grid, measured[:, [first]], measured[:, [last]])
        spread = (resampled - _level(kind, grid, resampled[:, [first]], resampled[:, [last]])).max(axis=1)
        low, high = np.quantile(spread, (0.025, 0.975))
        at = int(above[0].argmax())
        found[kind] = Barrier(float(above[0, at]), float(low), float(high), float(grid[at]))
    return found


def _level(kind: str, grid: Floats, zero: Floats, one: Floats) -> Floats:
    """What the curve is measured against: (resamples, points)."""
    if kind == "mean":
        return np.broadcast_to((zero + one) / 2, (len(zero), len(grid)))
    if kind == "chord":
        return np.asarray((1 - grid) * zero + grid * one)
    return np.broadcast_to(np.maximum(zero, one), (len(zero), len(grid)))
