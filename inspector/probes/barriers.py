"""Barriers of a loss curve between two adapters, in three definitions, with bootstrap intervals. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats

KINDS = ("mean", "chord", "strict")
RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and its 95 % percentile bootstrap interval over examples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Barrier(Interval):
    """The height of one barrier, and the α̂ of its maximum."""

    at: float


def curve(losses: Floats, tokens: Floats) -> Floats:
    """(points,) mean loss per token: Σ losses / Σ tokens over examples; losses (points, n), tokens (n,)."""
    return np.asarray(losses.sum(axis=1) / tokens.sum())


def barriers(alphas: Sequence[float], losses: Floats, tokens: Floats) -> dict[str, Barrier]:
    """The barrier of each kind over 0 ≤ α ≤ 1; losses (points, n) summed per example, tokens (n,).

        mean    max L(α) − ½(L(0) + L(1))              Ainsworth et al. 2023
        chord   max [L(α) − ((1−α)L(0) + αL(1))]       Entezari et al. 2022
        strict  max L(α) − max(L(0), L(1))

    Intervals are of the signed L(α̂) − level at the α̂ of the data, so they can contain 0: a maximum taken anew
    in every resample, or ½|L(0) − L(1)|, is never negative. α̂ was chosen as the highest of noisy points, so the
    height and both ends of its interval are biased upwards: a lower end above 0 is not a test. At an endpoint the
    chord's value is 0 in every resample. Raises ValueError unless 0 and 1 are among the alphas.
    """
    grid = np.asarray(alphas, dtype=np.float64)
    inside = np.flatnonzero((grid >= 0) & (grid <= 1))
    grid, losses = grid[inside], losses[inside]
    first, last = list(grid).index(0.0), list(grid).index(1.0)
    measured, resampled = curve(losses, tokens)[None, :], _resampled(losses, tokens)
    found = {}
    for kind in KINDS:
        above, spread = (
            points - _level(kind, grid, points[:, [first]], points[:, [last]]) for points in (measured, resampled)
        )
        at = int(above[0].argmax())
        found[kind] = Barrier(float(above[0, at]), *_interval(spread[:, at]), float(grid[at]))
    return found


def difference(one: Floats, zero: Floats, tokens: Floats) -> Interval:
    """L(1) − L(0) with its sign, from the losses (n,) of both ends, paired by example."""
    losses = np.stack([one, zero])
    measured, resampled = curve(losses, tokens), _resampled(losses, tokens)
    return Interval(float(measured[0] - measured[1]), *_interval(resampled[:, 0] - resampled[:, 1]))


def _resampled(losses: Floats, tokens: Floats) -> Floats:
    """(resamples, points) the curve over examples drawn with replacement, the same draws for every point."""
    rng = np.random.default_rng(_SEED)
    counts = rng.multinomial(len(tokens), np.full(len(tokens), 1 / len(tokens)), size=RESAMPLES).astype(np.float64)
    return np.asarray((counts @ losses.T) / (counts @ tokens)[:, None])


def _interval(resampled: Floats) -> tuple[float, float]:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(low), float(high)


def _level(kind: str, grid: Floats, zero: Floats, one: Floats) -> Floats:
    """What the curve is measured against: (resamples, points)."""
    if kind == "mean":
        return np.broadcast_to((zero + one) / 2, (len(zero), len(grid)))
    if kind == "chord":
        return np.asarray((1 - grid) * zero + grid * one)
    return np.broadcast_to(np.maximum(zero, one), (len(zero), len(grid)))
