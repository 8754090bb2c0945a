"""Matrices as a model's files store them: their values, and what storing other values there would round them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeAlias

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.tensors.base_experts import Piece, Weight
from inspector.adapters.tensors.eight_bit import EIGHT_BIT, fits, scales, spread

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Rows: TypeAlias = "slice | Tensor"
_READ = "F32"
"""The type that the header of an 8-bit tensor with its scale has here, as that of a matrix of numbers."""
_FLOATS_OF_8_BITS = frozenset({"F8_E4M3", "F8_E5M2"})


class Model(BaseWeights):
    """The weights of a model, 8-bit ones with a scale among them; others that are quantised stay codes."""

    def __init__(self, files: BaseWeights) -> None:
        super().__init__(files.name, lambda: files.folder)
        self._files = files

    @cached_property
    def _scales(self) -> Mapping[str, TensorHeader]:
        return scales(self._files.weights.headers)[0]

    @cached_property
    def weights(self) -> Weights:
        """Headers of the values; `stored` reads them."""
        found = self._files.weights
        aside = scales(found.headers)[1]
        left = {key: header for key, header in found.headers.items() if key not in aside}
        return replace(found, headers={key: self._valued(header, bool(aside)) for key, header in left.items()})

    def _valued(self, header: TensorHeader, scaled: bool) -> TensorHeader:
        if header.dtype not in EIGHT_BIT - {"U8"}:
            return header
        # A file that was cast to 8 bits has no scale at all.
        cast = not scaled and header.dtype in _FLOATS_OF_8_BITS
        return header._replace(dtype=_READ) if cast or fits(self._scales.get(header.key), header.shape) else header

    def stored(self, weight: Weight) -> Stored:
        """The matrix of a module."""
        import torch

        parts = [self._piece(piece) for piece in weight.pieces]
        if len(parts) == 1:
            return parts[0]
        found = [part.scale for part in parts]
        wide = [torch.ones(1) if scale is None else scale for scale in found]
        whole = [scale.expand_as(part.raw) for scale, part in zip(wide, parts, strict=True)]
        scale = None if all(scale is None for scale in found) else torch.cat(whole)
        return Stored(torch.cat([part.raw for part in parts]), scale)

    def _piece(self, piece: Piece) -> Stored:
        key, header = piece.header.key, self._scales.get(piece.header.key)
        raw = self._read(key) if piece.expert is None else self._stack(key)
        scale = None if header is None else spread(self._files.weights, header, tuple(raw.shape))
        if scale is not None and scale.dim():
            scale = piece.read(scale.expand_as(raw))
        return Stored(piece.read(raw), scale)

    @cached_property
    def _stack(self) -> Callable[[str], Tensor]:
        """A tensor of all experts by its key, the last kept: it is not read for each of them."""
        return lru_cache(maxsize=1)(self._read)

    def _read(self, key: str) -> Tensor:
        """Through a handle of its own: what one that stays open has read counts as memory of this process."""
        return safetensors_weights((self._files.weights.headers[key].file,)).tensor(key)


@dataclass(frozen=True, slots=True)
class Stored:
    """A matrix (rows, columns) as it is stored."""

    raw: Tensor
    scale: Tensor | None = None
    """What `raw` is multiplied with, of a shape that spreads over it."""

    @property
    def precise(self) -> bool:
        """Whether its values need float64."""
        return bool(self.raw.element_size() == 8)

    def values(self, rows: Rows) -> Tensor:
        """Rows of the matrix, in float32; in float64 if it is stored so."""
        part = self.raw[rows]
        found = part if self.precise else part.float()
        return found if self.scale is None else found * self.scaling(rows, found)

    def grid(self) -> Grid:
        """The values that it could hold.

        The narrowest type counts that has all of them: a merge in bfloat16 may be saved in float32.
        """
        import torch

        kinds = [self.raw.dtype]
        if self.scale is None and self.raw.dtype in {torch.float64, torch.float32, torch.float16}:
            narrow = (torch.bfloat16, torch.float16, torch.float32)
            kinds += next(([kind] for kind in narrow if self._holds(kind)), [])
        return Grid(tuple(dict.fromkeys(reversed(kinds))), self)

    def _holds(self, kind: torch.dtype) -> bool:
        """Whether all values are of this type."""
        step = max(1, _BLOCK // max(1, self.raw.shape[1]))
        blocks = (self.raw[top : top + step] for top in range(0, self.raw.shape[0], step))
        return all(bool((part.to(kind).to(part.dtype) == part).all()) for part in blocks)

    def scaling(self, rows: Rows, like: Tensor) -> Tensor:
        """The scale of these rows, in the type of `like`."""
        scale = self.scale
        if scale is None or not scale.dim():
            return like.new_tensor(1.0 if scale is None else float(scale))
        return (scale if scale.shape[0] == 1 else scale[rows]).to(like.dtype)


_BLOCK = 2**18
"""Entries at a time."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The values that a stored matrix can hold: those of the types, one after the other, times its scale."""

    kinds: tuple[torch.dtype, ...]
    of: Stored

    @property
    def name(self) -> str:
        """In words: `bfloat16`, `float8_e4m3fn`."""
        return str(self.kinds[0]).removeprefix("torch.")

    @property
    def coarse(self) -> bool:
        """Whether it has at most 16 bits, and was computed in as many as a rule."""
        return any(kind.itemsize < 4 for kind in self.kinds)

    @property
    def eight_bit(self) -> bool:
        return any(kind.itemsize == 1 for kind in self.kinds)

    def rounded(self, x: Tensor, rows: Rows) -> Tensor:
        """x to the nearest values, in its own type; beyond the largest that is the largest, as quantisers have it."""
        import torch

        scale = self.of.scaling(rows, x)
        x = x if self.of.scale is None else x / scale
        for kind in self.kinds:
            if kind == torch.int8:
                x = x.round().clamp_(-128, 127)
            elif kind.itemsize == 1:
                most = torch.finfo(kind).max
                x = x.clamp(-most, most).to(kind).to(x.dtype)
            elif kind != x.dtype:
                x = x.to(kind).to(x.dtype)
        return x if self.of.scale is None else x * scale

    def step(self, largest: float) -> float:
        """The distance between two neighbours among values of up to this size, without a scale."""
        import torch

        if self.kinds[-1] == torch.int8:
            return 1.0
        kinds = [torch.finfo(kind) for kind in self.kinds]
        return float(max(kind.eps for kind in kinds) * largest + max(kind.tiny * kind.eps for kind in kinds))

    def steps(self, values: Tensor, rows: Rows) -> float:
        """Σ of the squared distances between neighbours at these values, at most; of squares as large as they are."""
        scale = self.of.scaling(rows, values)
        sizes = square(values if self.of.scale is None else values / scale)
        least, growth = self.step(0.0), self.step(1.0)
        scaled = 1.0 if self.of.scale is None else square(scale) / scale.numel()
        return scaled * ((growth - least) ** 2 * sizes + least**2 * values.numel())


def square(x: Tensor) -> float:
    """Σ x²."""
    return dot(x, x)


def dot(x: Tensor, y: Tensor) -> float:
    """Σ x∘y, of a block of rows: float32 is enough for so many, and the blocks are added up in float64."""
    import torch

    return float(torch.dot(x.flatten(), y.flatten()))
