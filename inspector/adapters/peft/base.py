"""The base of a PEFT adapter, where it is given: its matrices as operators, and the updates told with them."""

from __future__ import annotations

import re
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from inspector.adapters.base_weights import NUMBERS, BaseWeights
from inspector.adapters.config_file import read_json_object
from inspector.adapters.dense import lowrank
from inspector.adapters.factors import Pair, wide
from inspector.adapters.layout import stored_in_out
from inspector.errors import InspectorError
from inspector.names import strip_wrappers
from inspector.text import plain

if TYPE_CHECKING:
    from torch import Tensor

_LAYER = re.compile(r"(?:^|(?<=\.))(?:layers|layer|h)\.(\d+)(?=\.)")


class Base:
    """The base's matrices by the adapter's module paths, each (d_out, d_in) as an operator.

    `replication`: the ranges of base layers an adapter with `layer_replication` numbers its layers through.
    """

    def __init__(self, weights: BaseWeights, replication: tuple[tuple[int, int], ...] = ()) -> None:
        self.weights, self._ranges = weights, replication

    @cached_property
    def _model_type(self) -> str:
        config = self.weights.weights.files[0].parent / "config.json"
        try:
            return str(read_json_object(config)[0].get("model_type")) if config.is_file() else ""
        except InspectorError:
            return ""

    def parameter(self, path: str, name: str = "weight") -> str:
        """The name of a module's parameter in the base, its layer number that of the base."""
        path = strip_wrappers(path)
        found = _LAYER.search(path)
        if self._ranges and found and (layer := self._base_layer(int(found[1]))) is not None:
            path = f"{path[: found.start(1)]}{layer}{path[found.end(1) :]}"
        own = f"{path}.{name}"
        # A head tied to the embedding is not stored on its own.
        tied = path.rpartition(".")[2] == "lm_head" and self.weights.key(own) is None
        return "model.embed_tokens.weight" if tied else own

    def _base_layer(self, layer: int) -> int | None:
        for start, end in self._ranges:
            if layer < end - start:
                return start + layer
            layer -= max(0, end - start)
        return None

    def stored_in_out(self, path: str) -> bool:
        """Whether the base stores this module's matrix in×out."""
        return stored_in_out(strip_wrappers(path), self._model_type)

    def fault(self, path: str, d_out: int, d_in: int) -> str:
        """Why the base has no (d_out, d_in) matrix of numbers for this module, or nothing."""
        header = self.weights.header(self.parameter(path))
        if header is None:
            return f"the base {plain(self.weights.name, 80)} has no such module"
        if header.dtype not in NUMBERS:
            return "quantised in the base: give the unquantised base"
        shape = (header.shape[0], prod(header.shape[1:])) if header.shape else ()
        if shape == (d_out, d_in) or (len(header.shape) == 2 and shape == (d_in, d_out)):
            return ""
        return f"another shape in the base: {'×'.join(map(str, header.shape))}"

    def matrix(self, path: str, d_out: int, d_in: int) -> Tensor:
        """W₀ (d_out, d_in) in float32, in float64 where it is stored so; kernels are flattened."""
        W = wide(self.weights.tensor(self.parameter(path))).flatten(1)
        if W.shape != (d_out, d_in) or (d_out == d_in and self.stored_in_out(path)):
            W = W.T.contiguous()
        return W


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
