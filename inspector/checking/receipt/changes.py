"""What of a merged model differs from the base where no adapter is, and whether a change is of low rank."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from inspector.checking.receipt.matrices import Matrix, read, total
from inspector.checking.receipt.solving import ways
from inspector.checking.receipt.stored import Stored, square

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK, _SIDE = 2**18, 512
_NOTICED = 0.01
"""Share of entries a step away: fewer are values halfway between two of the grid, rounded the other way."""


@dataclass(frozen=True, slots=True)
class Change:
    """One matrix, which the adapter has no module in."""

    name: str
    changed: bool
    """Whether it is the base's other than by the rounding of the merged model's type."""
    size: float
    """‖W − W₀‖_F."""
    weight: float
    """‖W₀‖_F."""


def change(name: str, base: Stored, merged: Stored) -> Change:
    """Compare a matrix with the base's, rounded as a merge would have rounded it."""
    import torch

    height, width = base.raw.shape
    step = max(1, _BLOCK // width)
    bare = base.raw.dtype == merged.raw.dtype and base.scale is None and merged.scale is None
    if bare and torch.equal(base.raw, merged.raw):
        weight = sum(square(base.values(slice(top, top + step))) for top in range(0, height, step))
        return Change(name, changed=False, size=0.0, weight=sqrt(weight))
    grid = merged.grid()
    size = weight = steps = 0.0
    rests = [0.0 for _ in ways(base, grid)]
    for top in range(0, height, step):
        rows = slice(top, top + step)
        W0, W, _ = read(Matrix(base, merged, ()), rows)
        size, weight = size + square(W - W0), weight + square(W0)
        steps += grid.steps(W, rows)
        rests = [
            rest + square(W - way(W0, torch.zeros_like(W0), rows))
            for rest, way in zip(rests, ways(base, grid), strict=True)
        ]
    return Change(name, min(rests) > _NOTICED * steps, sqrt(size), sqrt(weight))


def participation(left: Tensor, noise: float) -> float:
    """How far a change L is from low rank, seen as L + Z (m, n) with Z of independent entries of variance `noise`.

    (Σσ²)² / Σσ⁴ of L over mn/(m + n), which is that of a Gaussian matrix: 1 for such, at most r(m + n)/mn at rank r.
    E‖ZZᵀ‖² = noise²·mn(m + n + 1) and 2(m + n + 1)·noise·‖L‖² are taken off Σσ⁴. If Z outweighs L, only that the
    largest singular value stands out from those of noise, σ₁² > 2v(√m + √n)² at v a mean entry's square, is told: 0,
    else infinite.
    """
    import torch

    m, n = left.shape
    whole = square(left)
    energy = whole - m * n * noise
    short = left.double() if m <= n else left.double().T
    gram = short @ short.T
    if energy <= whole / 2:
        largest = float(torch.linalg.eigvalsh(gram)[-1])
        return 0.0 if largest > 2 * whole / (m * n) * (sqrt(m) + sqrt(n)) ** 2 > 0 else inf
    fourth = square(gram) - 2 * (m + n + 1) * noise * energy - noise**2 * m * n * (m + n + 1)
    return energy**2 / fourth * (m + n) / (m * n) if fourth > 0 else inf


def spread_of(matrix: Matrix, strength: float) -> float:
    """The participation of what is left over at a strength, on at most 512 rows and columns."""
    import torch

    height, width = matrix.base.raw.shape
    rows = torch.linspace(0, height - 1, min(height, _SIDE)).round().long()
    columns = torch.linspace(0, width - 1, min(width, _SIDE)).round().long()
    W0, W, parts = read(matrix, rows)
    left = W - W0
    if parts:
        left = left - strength * total(parts)
    return participation(left[:, columns], matrix.merged.grid().steps(W, rows) / W.numel() / 12)
