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

    def outputs(self) -> Tensor:
        """B of each, (M, N, d_out, r), a view."""
        return self.B.view(*self.B.shape[:2], self.n, self.r).transpose(1, 2)

    def inputs(self) -> Tensor:
        """Aᵀ of each, (M, N, d_in, r), a view."""
        return self.A.view(-1, self.n, self.r, self.A.shape[2]).mT


class Workspace:
    """Reuses the two large buffers from call to call: fresh pages cost as much as a product."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._buffers: dict[str, Tensor] = {}

    def stack(self, modules: Sequence[Factors]) -> Stack:
        """Stack the (B_i (d_out, r_i), A_i (r_i, d_in), s_i) of every module; valid until the next call.

        The rank of an adapter is the same at all of them. Its factors travel as they are stored, all B in one piece and
        all A in another, and become float64 on the device.
        """
        (d_out, _), (_, d_in) = modules[0][0][0].shape, modules[0][0][1].shape
        ranks = [B.shape[1] for B, _, _ in modules[0]]
        n, r = len(ranks), max(ranks)
        B_all = self._buffer("B", len(modules), d_out, n * r)
        A_all = self._buffer("A", len(modules), n * r, d_in)
        scales = torch.tensor([[s for _, _, s in factors] for factors in modules], dtype=torch.float64)
        stack = Stack(B_all, A_all, torch.where(scales == 0, 1.0, scales).to(self.device), r)
        outputs, inputs = stack.outputs(), stack.inputs()
        for i, updates in enumerate(zip(*modules, strict=True)):
            outputs[:, i, :, : ranks[i]] = self._moved([B for B, _, _ in updates])
            inputs[:, i, :, : ranks[i]] = self._moved([A for _, A, _ in updates]).mT
            if ranks[i] < r:
                outputs[:, i, :, ranks[i] :] = 0
                inputs[:, i, :, ranks[i] :] = 0
            for m, (_, _, s) in enumerate(updates):
                if s == 0:
                    outputs[m, i] = 0
        return stack

    def _moved(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors of one shape as one on the device, by one transfer."""
        if len(tensors) == 1:
            return tensors[0][None].to(self.device)
        if len({tensor.dtype for tensor in tensors}) > 1:
            tensors = [tensor.double() for tensor in tensors]
        like, pinned = tensors[0], self.device.type == "cuda"
        together = torch.empty(len(tensors), *like.shape, dtype=like.dtype, pin_memory=pinned)
        return torch.stack(list(tensors), out=together).to(self.device, non_blocking=pinned)

    def _buffer(self, side: str, *shape: int) -> Tensor:
        size = shape[0] * shape[1] * shape[2]
        if side not in self._buffers or self._buffers[side].numel() < size:
            self._buffers.pop(side, None)
            self._buffers[side] = torch.empty(size, dtype=torch.float64, device=self.device)
        return self._buffers[side][:size].view(shape)
