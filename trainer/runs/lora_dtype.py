"""In which dtype an adapter's products run; its weights, their gradients and moments are float32 either way.

PEFT casts what enters an adapter to the dtype of its weights, float32. Under autocast that is cast back to bfloat16
again: two copies of every input, and the same bits as without them.
"""

from __future__ import annotations

from typing import Any

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional


class Float32Master(nn.Linear):
    """x·Wᵀ in the dtype of x, with a float32 W."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(…, d_in) -> (…, d_out)."""
        return functional.linear(input, self.weight.to(input.dtype))


def follow_base(model: Any) -> None:
    """Let the products of the model's adapter run in the dtype of what they read, the base's."""
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = False
            for factor in (*layer.lora_A.values(), *layer.lora_B.values()):
                factor.__class__ = Float32Master
