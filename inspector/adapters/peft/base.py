"""The base of a PEFT adapter, where it is given: its matrices as operators, and the updates told with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.tensors.base_experts import Experts, Piece, Weight
from inspector.adapters.tensors.layout import stored_in_out
from inspector.adapters.updates.factors import Pair, wide
from inspector.adapters.updates.low_rank import lowrank
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.study.module_id import strip_wrappers

if TYPE_CHECKING:
    from torch import Tensor

_LAYER = re.compile(r"(?:^|(?<=\.))(?:layers|layer|h)\.(\d+)(?=\.)")
_EXPERT = re.compile(r"(.+)\.(\d{1,6})\.([^.]+)", re.DOTALL)


class Base:
    """The base's matrices by the adapter's module paths, each (d_out, d_in) as an operator.

    `replication`: the ranges of base layers an adapter with `layer_replication` numbers its layers through.
    """

    def __init__(self, weights: BaseWeights, replication: Sequence[tuple[int, int]] = ()) -> None:
        self.weights, self._ranges = weights, replication
        self.experts = Experts(weights)

    def parameter(self, path: str, name: str = "weight") -> str:
        """The name of a module's parameter in the base, its layer number that of the base."""
        path = self._path(path)
        own = f"{path}.{name}"
        if path.rpartition(".")[2] != "lm_head" or self.weights.key(own) is not None:
            return own
        # A head tied to the embedding is not stored on its own.
        tied = (f"{name}.weight" for name in ("embed_tokens", "wte", "word_embeddings"))
        return next((key for key in tied if self.weights.key(key) is not None), own)

    def find(self, path: str) -> Weight | None:
        """Where the base keeps the weight of a module, or a parameter of this path; None if it has none."""
        own = self._path(path)
        if header := self.weights.header(self.parameter(path)) or self.weights.header(own):
            return Weight((Piece(header),))
        expert = _EXPERT.fullmatch(own)
        if expert and (pieces := self.experts.pieces(expert[1], int(expert[2]), expert[3])):
            return Weight(pieces)
        return Weight((Piece(codes),)) if (codes := self.weights.codes(own)) else None

    def stack(self, holder: str, name: str) -> tuple[int, Weight] | None:
        """How many experts have this projection, and the weight of the first; None where no experts are there."""
        holder = self._path(holder)
        pieces = self.experts.pieces(holder, 0, name)
        return (self.experts.count(holder, name), Weight(pieces)) if pieces else None

    def _path(self, path: str) -> str:
        """A module's path without wrappers, its layer number that of the base."""
        path = strip_wrappers(path)
        found = _LAYER.search(path)
        if self._ranges and found and (layer := self._base_layer(int(found[1]))) is not None:
            return f"{path[: found.start(1)]}{layer}{path[found.end(1) :]}"
        return path

    def _base_layer(self, layer: int) -> int | None:
        for start, end in self._ranges:
            if layer < end - start:
                return start + layer
            layer -= max(0, end - start)
        return None

    def stored_in_out(self, path: str) -> bool:
        """Whether the base stores this module's matrix in×out."""
        return stored_in_out(strip_wrappers(path), str(self.weights.config.get("model_type")))

    def fault(self, path: str, d_out: int, d_in: int) -> str:
        """Why the base has no (d_out, d_in) matrix of numbers for this module, or nothing."""
        weight = self.find(path)
        if weight is None:
            return f"the base {plain(self.weights.name, 80)} has no such module"
        if weight.quantised:
            return "quantised in the base: give the unquantised base"
        shape = weight.pieces[0].header.shape
        if weight.shape == (d_out, d_in) or (len(shape) == 2 and weight.shape == (d_in, d_out)):
            return ""
        return f"another shape in the base: {'×'.join(map(str, shape))}"

    def matrix(self, path: str, d_out: int, d_in: int) -> Tensor:
        """W₀ (d_out, d_in) in float32, in float64 where it is stored so; kernels are flattened."""
        weight = self.find(path)
        if weight is None:
            raise InspectorError(f"The base {plain(self.weights.name)} has no {plain(path)}: is it the adapter's base?")
        W = wide(weight.read(self.weights))
        if W.shape != (d_out, d_in) or (d_out == d_in and self.stored_in_out(path)):
            W = W.T
        return W.contiguous()


def dora(W: Tensor, magnitude: Tensor, s: float, pair: Pair) -> Tensor:
    """ΔW = m∘V/‖V‖_row − W₀ of V = W₀ + s·BA [DoRA, arXiv:2402.09353], as (c−1)∘W₀ + c∘sBA, c = m/‖V‖_row.

    In that form nothing is lost to the difference of two large numbers.
    """
    import torch

    B, A = (wide(factor).to(W.dtype) for factor in pair)
    direction = s * (B @ A)
    norm = torch.linalg.vector_norm(W + direction, dim=1, dtype=torch.float64)
    c = (magnitude.double().flatten() / norm)[:, None]
    delta: Tensor = (c - 1).to(W.dtype) * W + c.to(W.dtype) * direction
    return delta


def started(init: str, W: Tensor, s: float, pair: Pair) -> Pair:
    """ΔW = s·(BA − B₀A₀) at rank 2r: s·B₀A₀ is what the init took out of W₀ to start from [peft.tuners.lora.layer].

    PiSSA: s·B₀A₀ is the best rank-r part of W₀. OLoRA: B₀A₀ is Q_r·R_r of W₀ = QR. Both are told by W₀ alone.
    """
    import torch

    B, A = (wide(factor).to(W.dtype) for factor in pair)
    r = A.shape[0]
    if init == "olora":
        Q, R = torch.linalg.qr(W)
        B0, A0 = Q[:, :r], R[:r]
    else:
        B0, A0, _ = lowrank(W, r, exact=True)
        A0 = A0 / s
    return torch.cat([B, B0], 1), torch.cat([A, -A0])
