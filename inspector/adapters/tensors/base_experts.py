"""The weight of a module in a base, and where a checkpoint keeps those of the experts of a mixture.

A checkpoint has the experts of a layer stacked (E, rows, columns), the gate above the up projection or by itself, or
one tensor an expert; the model in memory, and so an adapter's names, may have another of these.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from itertools import permutations
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.files.base_weights import NUMBERS, BaseWeights
from inspector.adapters.files.headers import TensorHeader

if TYPE_CHECKING:
    from torch import Tensor

FUSED = "gate_up_proj"
_GATE, _UP, _DOWN = ("gate_proj", "w1", "fc1"), ("up_proj", "w3", "fc3"), ("down_proj", "w2", "fc2")
_ALL = slice(None)
_HALVES = {**dict.fromkeys(_GATE, 0), **dict.fromkeys(_UP, 1)}
_HOLDER = re.compile(r"((?:.*\.)?experts)\.(?:(\d{1,6})\.)?", re.DOTALL)
_MXFP4 = 2
"""Numbers in a byte of `…_blocks` (E, rows, groups, bytes)."""


class Piece(NamedTuple):
    """Rows of a tensor of the base, or of one expert of a stack; `turned` where it is stored in×out."""

    header: TensorHeader
    expert: int | None = None
    turned: bool = False
    rows: slice = _ALL

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, kernels flattened."""
        shape = self.header.shape if self.expert is None else self.header.shape[1:]
        packed = _MXFP4 if len(shape) == 3 and self.header.dtype == "U8" else 1
        sizes = (shape[0], prod(shape[1:]) * packed) if shape else (0, 0)
        rows, columns = sizes[::-1] if self.turned else sizes
        return len(range(*self.rows.indices(rows))), columns

    def read(self, tensor: Tensor) -> Tensor:
        """The piece of its tensor."""
        matrix = (tensor if self.expert is None else tensor[self.expert]).flatten(1)
        return (matrix.T if self.turned else matrix)[self.rows]


class Weight(NamedTuple):
    """The weight of a module, its pieces one above the other. As stored, but for stacks, which are always out×in."""

    pieces: tuple[Piece, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return sum(piece.shape[0] for piece in self.pieces), self.pieces[0].shape[1]

    @property
    def quantised(self) -> bool:
        """Whether its numbers are codes."""
        return any(piece.header.dtype not in NUMBERS for piece in self.pieces)

    def read(self, weights: BaseWeights) -> Tensor:
        """The matrix, in the file's dtype."""
        import torch

        whole = [weights.weights.tensor if piece.expert is None else weights.recent for piece in self.pieces]
        rows = [piece.read(tensor(piece.header.key)) for piece, tensor in zip(self.pieces, whole, strict=True)]
        return rows[0] if len(rows) == 1 else torch.cat(rows)


class Experts:
    """The experts of a base by the names that adapters give them: the module that holds them, a number, a projection.

    The module is found under its own path, or as the only `experts` of its layer: Mixtral's files say
    `block_sparse_moe.experts` where the model says `mlp.experts`.
    """

    def __init__(self, weights: BaseWeights) -> None:
        self._weights = weights

    @cached_property
    def _held(self) -> dict[str, int]:
        """The modules of experts in the base, and how many experts have tensors of their own there."""
        found: dict[str, int] = {}
        for key in self._weights.weights.headers:
            if at := _HOLDER.match(key):
                found[at[1]] = max(found.get(at[1], 0), int(at[2] or -1) + 1)
        return found

    @cached_property
    def _in_layer(self) -> dict[tuple[str, ...], list[str]]:
        """Those modules by the numbers in their paths."""
        found: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in self._held:
            found[_numbers(path)].append(path)
        return found

    def count(self, holder: str, name: str) -> int:
        """How many experts have this projection; 0 where the base has none."""
        if not (pieces := self.pieces(holder, 0, name)):
            return 0
        header, expert = pieces[0][:2]
        own = _HOLDER.match(header.key)
        return header.shape[0] if expert is not None else self._held[own[1]] if own else 0

    def pieces(self, holder: str, e: int, name: str) -> tuple[Piece, ...]:
        """Where a projection of an expert is: by itself, in a stack, as parts of its own, or as a part of another."""
        if found := self._pieces(holder, e, name):
            return found
        if holder.rpartition(".")[2] != "experts":
            return ()
        only = self._in_layer.get(_numbers(holder), [])
        return self._pieces(only[0], e, name) if len(only) == 1 else self._by_shape(holder, e, name)

    @cached_property
    def _pairs(self) -> dict[tuple[str, ...], list[tuple[TensorHeader, TensorHeader]]]:
        """Numbers in the path -> stacks by twos, shaped as gates above up projections and as down projections."""
        stacks: dict[tuple[str, ...], list[TensorHeader]] = defaultdict(list)
        for header in self._weights.weights.headers.values():
            if len(header.shape) == 3:
                stacks[_numbers(header.key)].append(header)
        return {at: [pair for pair in permutations(those, 2) if _belong(*pair)] for at, those in stacks.items()}

    def _by_shape(self, holder: str, e: int, name: str) -> tuple[Piece, ...]:
        """Of a stack under a name of its own, such as `input_linear.weight`: the only pair of the layer that fits."""
        pairs = self._pairs.get(_numbers(holder), [])
        if len(pairs) != 1 or name not in {FUSED, *_DOWN}:
            return ()
        whole, down = pairs[0]
        header = whole if name == FUSED else down
        return (Piece(header, e, turned=whole.shape[1] == down.shape[2]),) if e < header.shape[0] else ()

    def _pieces(self, place: str, e: int, name: str) -> tuple[Piece, ...]:
        names = next((names for names in (_GATE, _UP, _DOWN) if name in names), (name,))
        for own in names:
            if header := self._weights.header(f"{place}.{e}.{own}.weight"):
                return (Piece(header),)
            if header := self._stack(place, own):
                return (Piece(header, e, self._turned(place, header)),) if e < header.shape[0] else ()
        if name == FUSED:
            gate, up = self._pieces(place, e, _GATE[0]), self._pieces(place, e, _UP[0])
            return (*gate, *up) if gate and up else ()
        header = self._stack(place, FUSED) if name in _HALVES else None
        if header is None or e >= header.shape[0]:
            return ()
        whole = Piece(header, e, self._turned(place, header))
        return (whole._replace(rows=self._half(whole.shape[0], _HALVES[name])),)

    def _stack(self, place: str, name: str) -> TensorHeader | None:
        header = self._weights.header(f"{place}.{name}") or self._weights.header(f"{place}.{name}_blocks")
        return header if header is not None and len(header.shape) > 2 else None

    def _half(self, rows: int, half: int) -> slice:
        if self._weights.in_turns:
            return slice(half, None, 2)
        return slice(half * rows // 2, (half + 1) * rows // 2)

    def _turned(self, place: str, header: TensorHeader) -> bool:
        """Whether the stacks here are stored in×out: gates read the model's width, and down projections write it."""
        if len(header.shape) != 3:
            return False  # MXFP4 blocks are out×in
        width = self._weights.width
        for name in (FUSED, *_GATE, *_UP, *_DOWN):
            stack = self._stack(place, name)
            if stack is not None and len(stack.shape) == 3 and stack.shape[1] != stack.shape[2]:
                return stack.shape[2 if name in _DOWN else 1] == width
        return False


def _belong(whole: TensorHeader, down: TensorHeader) -> bool:
    """Whether the stacks are (E, 2F, H) and (E, H, F), or both turned."""
    (E, rows, columns), (other, d_out, d_in) = whole.shape, down.shape
    return other == E and ((rows, columns) == (2 * d_in, d_out) or (rows, columns) == (d_in, 2 * d_out))


def _numbers(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split(".") if part.isdecimal())
