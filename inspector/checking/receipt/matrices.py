"""A matrix of a base and of a merged model, with the updates that it should have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.checking.receipt.stored import Rows, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Update:
    """ΔW of one adapter as the base stores the matrix: B (rows, r) and A (r, columns), or all of it."""

    adapter: int
    B: Tensor
    A: Tensor | None = None

    def at(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """Rows of ΔW."""
        B = self.B[rows].to(dtype)
        return B if self.A is None else B @ self.A.to(dtype)


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix in base and merged model, and the updates that it should have."""

    base: Stored
    merged: Stored
    updates: Sequence[Update]
    of_weight: bool = False
    """Whether ΔW itself comes from W₀, as DoRA's does: then its arithmetic rounds in proportion to W₀."""


def read(matrix: Matrix, rows: Rows) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Rows of W₀, of W, and of each update."""
    W0, W = matrix.base.values(rows), matrix.merged.values(rows)
    if W0.dtype != W.dtype:
        W0, W = W0.double(), W.double()
    return W0, W, [update.at(rows, W.dtype) for update in matrix.updates]


def total(parts: Sequence[Tensor]) -> Tensor:
    """Their sum."""
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])
