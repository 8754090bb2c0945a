"""The factors of one module as a PEFT folder keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.adapters.model import LoraModule, Parameter
    from inspector.adapters.updates.factors import Pair


class Factors(NamedTuple):
    """One module's ΔW = scale·B·A: B (d_out, r), A (r, d_in); of a convolution (d_out, r, 1, 1) and (r, d_in, h, w)."""

    B: Tensor
    A: Tensor
    scale: float
    parameter: Parameter | None = None
    embedding: bool | None = None
    magnitude: Tensor | None = None
    """DoRA's m (d_out): then scale·B·A is the change of direction."""

    @classmethod
    def stored(cls, pair: Pair, scale: float, module: LoraModule, magnitude: Tensor | None = None) -> Self:
        """Of the matrices B (d_out, r) and A (r, d_in·kernel) of a module: a convolution's with its kernel."""
        B, A = pair
        if kernel := module.kernel:
            B, A = B.reshape(*B.shape, *[1] * len(kernel)), A.reshape(len(A), -1, *kernel)
            magnitude = None if magnitude is None else magnitude.reshape(1, -1, *[1] * len(kernel))
        return cls(B, A, scale, module.parameter, module.embedding, magnitude)
