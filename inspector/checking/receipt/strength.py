"""The strength at which one matrix of a merged model has an update, and what is left over.

The merge stored W = Q(W₀ + αΔW), Q rounding to the values that its type has. Least squares of W − W₀ on ΔW gives α
only while ΔW is larger than the steps of Q: smaller changes of a W₀ that is on the grid itself are rounded away, and
few of them outweigh the others. So Q is applied to the base at hand: α solves g(α) = t with

    g(α) = ⟨Q(W₀ + αΔW) − W₀, ΔW⟩ / ‖ΔW‖²,   t = ⟨W − W₀, ΔW⟩ / ‖ΔW‖²,

g rising in α, and α its least squares where g is the diagonal. What is left over, ‖W − W₀ − αΔW‖, stands against
‖Q(W₀ + αΔW) − W₀ − αΔW‖ and the arithmetic of merges; anything else shows in W − Q(W₀ + αΔW).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from typing import TYPE_CHECKING

from inspector.checking.receipt.matrices import Matrix, read, total
from inspector.checking.receipt.solving import ARITHMETIC, Sample, Solved, arithmetic, inverse, norm, response, ways
from inspector.checking.receipt.stored import Grid, dot, square

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 2**18
"""Entries at a time."""
ERRORS = 4
"""Standard errors on either side of a strength."""
_HALFWAY = 0.01
"""Share of the entries of 8-bit matrices."""
_DEPENDENT = 1e3
"""Condition of updates that cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found of a matrix."""

    strength: float
    low: float
    high: float
    each: tuple[float, ...]
    """The strength of each update by itself, if they can be told apart; else empty."""
    telling: bool
    """Whether the update at the strength that is asked for could be told from none: not if it is rounded away."""
    left_over: float
    """‖W − W₀ − αΔW‖_F."""
    expected: float
    """What the precision of the merge explains of what is left over: rounding, and arithmetic in bfloat16."""
    unexplained: float
    """The norm of what is left over beyond that, 0 if nothing is."""
    size: float
    """‖ΔW‖_F."""
    change: float
    """‖W − W₀‖_F."""
    weight: float
    """‖W₀‖_F."""
    kept: float
    """The cosine of Q(W₀ + αΔW) − W₀ to ΔW at the strength that is asked for."""
    grid: str
    equal: bool
    """Whether the merged matrix is the base's, as far as its type can hold that."""

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def fitted(matrix: Matrix, asked: float) -> Fit:
    """The strength of the sum of the updates in the merged matrix."""
    grid = matrix.merged.grid()
    sample = Sample.of(matrix, grid)
    best: Solved | None = None
    for way in ways(matrix.base, grid):
        solved = Solved.by(way, sample, asked, matrix.of_weight)
        best = solved if best is None or solved.explained or solved.rest < best.rest else best
        if best.explained:
            break
    assert best is not None
    return _whole(matrix, grid, sample, best, asked)


@dataclass(slots=True)
class _Sums:
    """Over all rows, at one strength."""

    size: float = 0.0
    change: float = 0.0
    weight: float = 0.0
    steps: float = 0.0
    left: float = 0.0
    rounding: float = 0.0
    rest: float = 0.0
    spread: float = 0.0
    """‖(W − W₀ − αΔW)∘ΔW‖²: the variance of ⟨W − W₀, ΔW⟩ if the errors of entries are independent."""
    along: float = 0.0
    """⟨W − W₀ − αΔW, ΔW⟩."""
    equal: bool = True


def _summed(matrix: Matrix, grid: Grid, solved: Solved) -> tuple[_Sums, Tensor, Tensor]:
    """The sums, ⟨W − Q(W₀ + αΔW), ΔW_i⟩ of each update i, and ⟨ΔW_i, ΔW_j⟩."""
    import torch

    sums, k, (height, width) = _Sums(), len(matrix.updates), matrix.base.raw.shape
    inner, gram = torch.zeros(k, dtype=torch.float64), torch.zeros(k, k, dtype=torch.float64)
    step = max(1, _BLOCK // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        W0, W, parts = read(matrix, rows)
        delta = total(parts)
        meant = solved.strength * delta
        made = solved.way(W0, meant, rows)
        rest, change = W - made, W - W0
        left = change - meant
        sums.rounding += square(made.sub_(W0).sub_(meant))
        sums.size += square(delta)
        sums.change += square(change)
        sums.weight += square(W0)
        sums.steps += grid.steps(W, rows)
        sums.left += square(left)
        sums.rest += square(rest)
        sums.along += dot(left, delta)
        sums.spread += square(left.mul_(delta))
        sums.equal = sums.equal and bool((change == 0).all() or (grid.rounded(W0, rows) == W).all())
        inner += torch.tensor([dot(rest, part) for part in parts], dtype=torch.float64)
        if k > 1:
            flat = torch.stack([part.flatten() for part in parts]).double()
            gram += flat @ flat.T
    return sums, inner, gram


def _whole(matrix: Matrix, grid: Grid, sample: Sample, solved: Solved, asked: float) -> Fit:
    """All rows at the strength of the sample, which what they leave over corrects."""
    sums, inner, gram = _summed(matrix, grid, solved)
    alpha, low, high, kept, telling = solved.strength, -inf, inf, 0.0, False
    size = sqrt(sums.size)
    allowed = arithmetic(sqrt(sums.steps), abs(alpha) * size, sqrt(sums.weight) * matrix.of_weight)
    # Few entries that move are a Poisson variable. Quantisers differ in what is halfway between two of their values.
    # Of several updates that are merged one by one, each rounds.
    allowed += ERRORS * sample.largest * (sqrt(allowed) + ERRORS * sample.largest)
    allowed += _HALFWAY * grid.eight_bit * sums.steps
    allowed += (len(inner) - 1) * sums.steps / 12 + 2.0**-44 * sums.weight
    if sample.energy:
        error = ERRORS * sqrt(sums.spread) / sums.size
        goal = (at_alpha := response(solved.way, sample, alpha)) + float(inner.sum()) / sums.size
        g = partial(response, solved.way, sample)
        near = alpha + goal - at_alpha
        tolerance = max(error / 16, 1e-6 * asked)
        alpha = inverse(g, goal, near, tolerance)
        low, high = (inverse(g, goal + e, alpha + e, tolerance) for e in (-error, error))
        made = solved.way(sample.W0, asked * sample.delta, sample.rows) - sample.W0
        kept = dot(made, sample.delta) / ((norm(made) or 1.0) * sqrt(sample.energy))
        telling = g(asked) - g(0.0) > 1.5 * error
    moved = alpha - solved.strength
    left = max(0.0, sums.left - 2 * moved * sums.along + moved**2 * sums.size)
    systematic = ARITHMETIC / 2 * max(abs(alpha), asked)
    return Fit(
        0.0 if sums.equal else alpha,
        low - systematic,
        high + systematic,
        _apart(gram, inner, solved.strength),
        telling,
        sqrt(left),
        sqrt(sums.rounding + allowed),
        0.0 if sums.equal else sqrt(max(0.0, sums.rest - allowed)),
        size,
        sqrt(sums.change),
        sqrt(sums.weight),
        kept,
        grid.name,
        sums.equal,
    )


def _apart(gram: Tensor, inner: Tensor, alpha: float) -> tuple[float, ...]:
    """The strength of each update, if their directions are not nearly dependent."""
    import torch

    if len(inner) < 2:
        return ()
    sizes = gram.diagonal().sqrt()
    if not bool((sizes > 0).all()) or float(torch.linalg.cond(gram / sizes[:, None] / sizes)) > _DEPENDENT:
        return ()
    return tuple((alpha + torch.linalg.solve(gram, inner)).tolist())
