"""Pooled hidden states of one model, in a temporary file: memory does not grow with the number of prompts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.base_model.encode import Encoded
from inspector.base_model.hidden import States
from inspector.common.cache import cache_folder
from inspector.common.errors import InspectorError
from inspector.probes.template import template_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Rows:
    """(L, n, d): after each of L blocks one row per prompt (`last`, `mean`) or per token (`all`).

    `mean` and `all` run over the positions that the template leaves to each prompt, and never over the first token:
    its activations are orders of magnitude larger.
    """

    def __init__(self, examples: Sequence[Encoded], pooling: str, layers: int) -> None:
        self.pooling, self.layers, self.template = pooling, layers, template_of(examples, first=1)
        lengths = [len(self.template.own(len(e.ids))) if pooling == "all" else 1 for e in examples]
        self._starts = [sum(lengths[:i]) for i in range(len(lengths))]
        self.count = sum(lengths)
        self.width = 0
        self._held: Tensor | None = None

    def write(self, indices: Sequence[int], states: States, mask: Tensor) -> None:
        """Pool one batch: states are L+1 tensors (batch, length, d), the embedding first."""
        import torch

        held = self._open(states[0])
        last, own = mask.sum(1) - 1, self.template.mask(mask)
        rows = torch.arange(len(indices), device=mask.device)
        at = torch.tensor([self._starts[i] for i in indices])
        if self.pooling == "all":
            to = torch.cat([start + torch.arange(count) for start, count in zip(at, own.sum(1).tolist(), strict=True)])
            picked = own.flatten().nonzero()[:, 0]
            for layer, h in enumerate(states[1:]):
                held[layer, to] = h.flatten(0, 1)[picked.to(h.device)].cpu()
            return
        pooled = []
        for h in states[1:]:
            if self.pooling == "last":
                pooled.append(h[rows.to(h.device), last.to(h.device)])
            else:
                inside = own.to(h.device)[..., None]
                pooled.append((torch.where(inside, h.double(), 0).sum(1) / inside.sum(1)).to(held.dtype))
        held[:, at] = torch.stack([h.to(pooled[0].device) for h in pooled]).cpu()  # one transfer, for all layers

    def read(self, layers: int | slice, rows: slice | Tensor, device: str) -> Tensor:
        """Rows of some layers in float64, ([g,] rows, d), shifted by the mean of each layer's first rows.

        The shift changes no centred quantity and keeps a large common mean out of the rounding.
        """
        assert self._held is not None
        here = self._held[layers]
        shift = here[..., :256, :].to(device).double().mean(-2, keepdim=True)
        return here[..., rows, :].to(device).double() - shift

    def _open(self, like: Tensor) -> Tensor:
        if self._held is None:
            import torch

            self.width = like.shape[-1]
            dtype = torch.float32 if self.pooling == "mean" else like.dtype
            size = self.layers * self.count * self.width
            self._held = _mapped(size, dtype).view(self.layers, self.count, self.width)
        return self._held


def _mapped(size: int, dtype: torch.dtype) -> Tensor:
    """A tensor over a file that has no name any more; its space is reserved, for a mapped file has no full disk."""
    import torch

    folder = cache_folder("states")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        try:
            length = size * dtype.itemsize
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, length)
            else:
                os.truncate(handle, length)
            return torch.from_file(name, shared=True, size=size, dtype=dtype)
        finally:
            os.close(handle)
            Path(name).unlink()
    except OSError as error:
        needed = f"{size * dtype.itemsize / 1e9:.1f} GB of hidden states"
        advice = "take fewer prompts, or --pooling last"
        raise InspectorError(f"No room for {needed} in {folder} ({error.strerror}): {advice}.") from error
