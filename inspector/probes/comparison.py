"""CKA of models with each other, at every layer: what each model's numbers need is made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from inspector.common.arrays import Floats
from inspector.probes.cka import KINDS, Moments, Side, similarity, u_centred
from inspector.probes.rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

_ALWAYS_GRAM = 256
_CHUNK = 1024
_AT_ONCE = 2**24
"""Numbers of rows or Gram matrices that are worked on at once, where one layer has no more."""
_ROOM = 2**30
"""Bytes of Gram matrices that are kept on a CPU; on a GPU it is a quarter of what is free."""

Products = tuple["Tensor", "Tensor", "Tensor", "Tensor"]
"""Of a model at a few layers: ⟨HKH,HLH⟩ and ⟨K̃,L̃⟩ with each so far, itself the last (g, m); its tr HKH, Σ(HKH)²_ii."""


class Comparison:
    """Models come one by one and are compared with those before them.

    Where rows are fewer than features, Gram matrices (n, n) are kept for all `models` if they fit, and a model's
    products with all others at all layers are one; if they do not fit they are made again, a few layers at a time.
    Where rows are more, it takes covariances (d, d) of pairs, summed over chunks of rows.
    """

    def __init__(self, models: int, device: str) -> None:
        self._models, self._device = models, device
        self._sides: list[tuple[Side, Side]] = []
        self._rows: list[Rows] = []
        self._kept: tuple[Tensor, Tensor] | None = None
        self._by_gram = True

    def add(self, rows: Rows) -> Floats:
        """`KINDS` of this model with each before it, (m, L, KINDS)."""
        import torch

        if not self._sides:
            self._by_gram = rows.count <= max(rows.width, _ALWAYS_GRAM)
            self._kept = self._room_for(rows) if self._by_gram else None
        if self._kept is None:
            self._rows.append(rows)
        parts = list(self._from_grams(rows) if self._by_gram else self._from_moments(rows))
        plain, debiased, trace, fourth = (torch.cat(part) for part in zip(*parts, strict=True))
        numbers = torch.cat([plain, debiased, trace[:, None], fourth[:, None]], 1).T.cpu().numpy()
        inner, inner_debiased = numbers[: len(plain.T)], numbers[len(plain.T) : -2]
        own = Side(inner[-1], numbers[-2], numbers[-1]), Side(inner_debiased[-1])
        found = []
        for a, b, sides in zip(inner, inner_debiased, self._sides, strict=False):
            forms = (
                similarity(x, rows.count, *both) for x, both in zip((a, b), zip(sides, own, strict=True), strict=True)
            )
            found.append([values for both in zip(*forms, strict=True) for values in both])
        self._sides.append(own)
        return np.array(found).reshape(-1, len(KINDS), rows.layers).swapaxes(1, 2)

    def _room_for(self, rows: Rows) -> tuple[Tensor, Tensor] | None:
        """Where the K̃ (L, models, n²) and the diagonals of HKH (L, models, n) go; None where they do not fit."""
        import torch

        room = torch.cuda.mem_get_info()[0] // 4 if self._device == "cuda" else _ROOM
        shape = rows.layers, self._models
        if 8 * shape[0] * shape[1] * rows.count**2 > room:
            return None
        like = torch.empty(0, dtype=torch.float64, device=self._device)
        return like.new_empty(*shape, rows.count**2), like.new_empty(*shape, rows.count)

    def _from_grams(self, rows: Rows) -> Iterator[Products]:
        """From K̃ and the diagonal k of HKH, whose row sums without it are −k:

        ⟨HKH,HLH⟩ = ⟨K̃,L̃⟩ + n/(n−2) k·l − tr HKH tr HLH/((n−1)(n−2)).
        """
        n = rows.count
        size = max(1, _AT_ONCE // (n * max(self._models * n, rows.width)))
        for at in range(0, rows.layers, size):
            K, k = self._grams(rows, slice(at, at + size))
            debiased = (K @ K[:, -1, :, None])[..., 0]
            trace = k.sum(-1)
            plain = debiased + (k @ k[:, -1, :, None])[..., 0] * n / (n - 2)
            plain -= trace * trace[:, -1:] / ((n - 1) * (n - 2))
            yield plain, debiased, trace[:, -1], k[:, -1].square().sum(-1)

    def _grams(self, rows: Rows, layers: slice) -> tuple[Tensor, Tensor]:
        """K̃ (g, m, n²) and k (g, m, n) of all models so far."""
        import torch

        if self._kept is None:
            each = zip(*(_gram(one, layers, self._device) for one in self._rows), strict=True)
            K, k = (torch.stack(part, 1) for part in each)
            return K, k
        m = len(self._sides)
        for kept, new in zip(self._kept, _gram(rows, layers, self._device), strict=True):
            kept[layers, m] = new
        return self._kept[0][layers, : m + 1], self._kept[1][layers, : m + 1]

    def _from_moments(self, rows: Rows) -> Iterator[Products]:
        import torch

        for layer in range(rows.layers):
            each = [self._moments(other, rows, layer) for other in self._rows]
            plain, debiased = (torch.stack(part) for part in ([x.plain() for x in each], [x.debiased() for x in each]))
            trace, fourth = each[-1].diagonal()
            yield plain[None], debiased[None], trace[None], fourth[None]

    def _moments(self, one: Rows, other: Rows, layer: int) -> Moments:
        found = Moments()
        for start in range(0, one.count, _CHUNK):
            part = slice(start, start + _CHUNK)
            found.add(*(side.read(layer, part, self._device) for side in (one, other)))
        return found


def _gram(rows: Rows, layers: slice, device: str) -> tuple[Tensor, Tensor]:
    """K̃ (g, n²), and the diagonal of HKH (g, n)."""
    X = rows.read(layers, slice(None), device)
    K = X @ X.mT
    k = K.diagonal(dim1=-2, dim2=-1) - 2 * K.mean(-1) + K.mean((-2, -1))[..., None]
    return u_centred(K).flatten(1), k
