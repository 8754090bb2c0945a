"""The factors of N adapters at M modules of one shape, side by side in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Factors = Sequence[tuple[Tensor, Tensor, float]]
"""(B_i (d_out, r_i), A_i (r_i, d_in), s_i) of the adapters at one module."""


@dataclass(frozen=True, slots=True)
class Stack:
    """M × N updates ΔW_i = s_i·B_i·A_i of one shape, ranks zero-padded to a common r.

    B: (M, d_out, N·r) = [B_1 … B_N]; A: (M, N·r, d_in) = [A_1; …; A_N]; scale: (M, N), float64.
    """

    B: Tensor
    A: Tensor
    scale: Tensor
    r: int

    @property
    def n(self) -> int:
        return self.scale.shape[1]

    @property
    def tolerance(self) -> float:
        """Singular values below this fraction of σ₁ are zero in float64 (NumPy's `matrix_rank` rule)."""
        return max(self.B.shape[1], self.A.shape[2]) * torch.finfo(torch.float64).eps

    def columns(self, i: int) -> slice:
        """Where adapter i sits among the N·r columns of B (rows of A)."""
        return slice(i * self.r, (i + 1) * self.r)


class Workspace:
    """Reuses the two large buffers from call to call: fresh pages cost as much as a product."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._buffers: dict[tuple[str, int, int, int], Tensor] = {}

    def stack(self, modules: Sequence[Factors]) -> Stack:
        """Stack the (B_i (d_out, r_i), A_i (r_i, d_in), s_i) of every module; valid until the next call."""
        (d_out, _), (_, d_in) = modules[0][0][0].shape, modules[0][0][1].shape
        n, r = len(modules[0]), max(B.shape[1] for factors in modules for B, _, _ in factors)
        B_all, A_all = self._buffer("B", len(modules), d_out, n * r), self._buffer("A", len(modules), n * r, d_in)
        for m, factors in enumerate(modules):
            for i, (B, A, s) in enumerate(factors):
                at, r_i = i * r, B.shape[1]
                B_all[m, :, at : at + r_i] = B
                A_all[m, at : at + r_i] = A
                if r_i < r:
                    B_all[m, :, at + r_i : at + r] = 0
                    A_all[m, at + r_i : at + r] = 0
                if s == 0:
                    B_all[m, :, at : at + r] = 0
        scales = [[s or 1.0 for _, _, s in factors] for factors in modules]
        return Stack(B_all, A_all, torch.tensor(scales, dtype=torch.float64, device=self.device), r)

    def _buffer(self, side: str, modules: int, rows: int, columns: int) -> Tensor:
        key = (side, modules, rows, columns)
        if key not in self._buffers:
            self._buffers = {k: b for k, b in self._buffers.items() if k[0] != side or len(self._buffers) < 8}
            self._buffers[key] = torch.empty(modules, rows, columns, dtype=torch.float64, device=self.device)
        return self._buffers[key]
