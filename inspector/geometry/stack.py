"""The factors of N adapters at one module, side by side in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stack:
    """N updates ΔW_i = s_i·B_i·A_i of one shape, ranks zero-padded to a common r.

    B: (d_out, N·r) = [B_1 … B_N]; A: (N·r, d_in) = [A_1; …; A_N]; scale: (N,), float64.
    """

    B: Tensor
    A: Tensor
    scale: Tensor
    r: int

    @property
    def n(self) -> int:
        return self.scale.numel()

    @property
    def tolerance(self) -> float:
        """Singular values below this fraction of σ₁ are zero in float64 (NumPy's `matrix_rank` rule)."""
        return max(self.B.shape[0], self.A.shape[1]) * torch.finfo(torch.float64).eps

    def columns(self, i: int) -> slice:
        """Where adapter i sits among the N·r columns of B (rows of A)."""
        return slice(i * self.r, (i + 1) * self.r)


class Workspace:
    """Reuses the two large buffers from module to module: fresh pages cost as much as a product."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._buffers: dict[tuple[str, int, int], Tensor] = {}

    def stack(self, factors: Sequence[tuple[Tensor, Tensor, float]]) -> Stack:
        """Stack (B_i (d_out, r_i), A_i (r_i, d_in), s_i); valid until the next call."""
        d_out, d_in = factors[0][0].shape[0], factors[0][1].shape[1]
        n, r = len(factors), max(B.shape[1] for B, _, _ in factors)
        B_all, A_all = self._buffer("B", d_out, n * r), self._buffer("A", n * r, d_in)
        for i, (B, A, s) in enumerate(factors):
            at, r_i = i * r, B.shape[1]
            B_all[:, at : at + r_i].copy_(B)
            A_all[at : at + r_i].copy_(A)
            B_all[:, at + r_i : at + r].zero_()
            A_all[at + r_i : at + r].zero_()
            if s == 0:
                B_all[:, at : at + r].zero_()
        scale = torch.tensor([s or 1.0 for _, _, s in factors], dtype=torch.float64, device=self.device)
        return Stack(B_all, A_all, scale, r)

    def _buffer(self, side: str, rows: int, columns: int) -> Tensor:
        key = (side, rows, columns)
        if key not in self._buffers:
            self._buffers = {k: b for k, b in self._buffers.items() if k[0] != side or len(self._buffers) < 8}
            self._buffers[key] = torch.empty(rows, columns, dtype=torch.float64, device=self.device)
        return self._buffers[key]
