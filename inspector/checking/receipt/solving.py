"""How a merge rounds, and the strength at which rows of a matrix have an update after that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING

from inspector.checking.receipt.matrices import Matrix, read, total
from inspector.checking.receipt.stored import Grid, Rows, Stored, dot, square

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SAMPLE = 2**16
"""Entries of the rows on which g is inverted."""
ARITHMETIC = 2.0**-8
"""ΔW may have been computed in bfloat16: B, A and their product are each rounded by up to 2⁻⁹."""
_MOST = 1024.0
"""No strength above this is looked for."""

Round = Callable[["Tensor", "Tensor", "Rows"], "Tensor"]
"""(W₀, αΔW, rows) -> Q(W₀ + αΔW)."""


def ways(base: Stored, grid: Grid) -> Iterator[Round]:
    """How a merge may have rounded: once, as it was saved; before that in bfloat16 or float16, in which it was held."""
    import torch

    yield lambda W0, delta, rows: grid.rounded(W0 + delta, rows)
    if not grid.coarse:
        return
    for kind in (torch.bfloat16, torch.float16):
        if kind in grid.kinds and base.raw.dtype == kind:
            continue

        def held(W0: Tensor, delta: Tensor, rows: Rows, kind: torch.dtype = kind) -> Tensor:
            inner = W0.to(kind).to(W0.dtype) + delta
            return grid.rounded(inner.to(kind).to(W0.dtype), rows)

        yield held


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a matrix, all of a small one."""

    rows: Rows
    W0: Tensor
    W: Tensor
    delta: Tensor
    steps: float
    """√Σ(step of the grid)²."""
    largest: float
    """Of the steps."""

    @classmethod
    def of(cls, matrix: Matrix, grid: Grid) -> Sample:
        import torch

        height, width = matrix.base.raw.shape
        n = min(height, max(1, _SAMPLE // width))
        rows = torch.linspace(0, height - 1, n).round().long()
        W0, W, parts = read(matrix, rows)
        return cls(rows, W0, W, total(parts), sqrt(grid.steps(W, rows)), _largest_step(grid, W, rows))

    @property
    def energy(self) -> float:
        return norm(self.delta) ** 2


@dataclass(frozen=True, slots=True)
class Solved:
    """g inverted on the sample, for one way of rounding."""

    way: Round
    strength: float
    rest: float
    """‖W − Q(W₀ + αΔW)‖ on the sample."""
    explained: bool

    @classmethod
    def by(cls, way: Round, sample: Sample, asked: float, of_weight: bool) -> Solved:
        energy = sample.energy
        if not energy:
            rest = norm(sample.W - way(sample.W0, sample.delta, sample.rows))
            return cls(way, 0.0, rest, rest == 0)
        target = dot(sample.W - sample.W0, sample.delta) / energy
        strength = inverse(partial(response, way, sample), target, target, 1e-4 * asked)
        rest = norm(sample.W - way(sample.W0, strength * sample.delta, sample.rows))
        weight = norm(sample.W0) if of_weight else 0.0
        return cls(way, strength, rest, rest**2 <= arithmetic(sample.steps, abs(strength) * sqrt(energy), weight))


def arithmetic(steps: float, size: float, weight: float) -> float:
    """How large ‖W − Q(W₀ + αΔW)‖² is at most from arithmetic in bfloat16 alone.

    An error e before rounding to steps u moves a share e/u of the entries by u: u·e an entry, and e² if e > u. e is up
    to 2⁻⁸ of αΔW (`size`), and of W₀ (`weight`) if ΔW comes from it.
    """
    error = ARITHMETIC * sqrt(size**2 + weight**2)
    return steps * error + error**2


def response(way: Round, sample: Sample, strength: float) -> float:
    made = way(sample.W0, strength * sample.delta, sample.rows)
    return dot(made - sample.W0, sample.delta) / sample.energy


def inverse(g: Callable[[float], float], target: float, start: float, tolerance: float) -> float:
    """The α of a rising g with g(α) = target, to the tolerance of g: steps of slope 1, else bisection."""
    at = start
    for _ in range(3):
        off = g(at) - target
        at -= off
        if abs(off) <= tolerance:
            return at
    low, high, width = at, at, 8 * tolerance
    while (at_low := g(low)) >= target and low > -_MOST:
        low, width = low - width, 2 * width
    width = 8 * tolerance
    while (at_high := g(high)) <= target and high < _MOST:
        high, width = high + width, 2 * width
    while high - low > tolerance and at_high - at_low > tolerance:
        middle = (low + high) / 2
        if (value := g(middle)) < target:
            low, at_low = middle, value
        else:
            high, at_high = middle, value
    return (low + high) / 2


def _largest_step(grid: Grid, W: Tensor, rows: Rows) -> float:
    scale = float(grid.of.scaling(rows, W).max())
    return scale * grid.step(float(W.abs().max()) / scale)


def norm(x: Tensor) -> float:
    return sqrt(square(x))
