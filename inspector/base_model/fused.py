"""LoRA's product straight into the base's output, through PEFT's own seam for variants of LoRA.

PEFT's plain forward makes three temporaries as large as the output (B·h, its scaling, the sum); on a CPU, where a
small model is bound by memory, they cost more than the products. In place there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft.tuners.lora.layer import LoraVariant

if TYPE_CHECKING:
    from torch import Tensor


class Fused(LoraVariant):
    """result + s·(x Aᵀ) Bᵀ; for running only: no gradients, no dropout."""

    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **_options: Any) -> Tensor:
        """x (…, d_in) in the adapter's precision, result (…, d_out) the base's fresh output, changed in place."""
        from torch.nn.functional import linear

        A, B = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        hidden = linear(x, A)
        result = result.to(hidden.dtype)
        flat = result.view(-1, result.shape[-1])
        flat.addmm_(hidden.view(-1, hidden.shape[-1]), B.T, alpha=module.scaling[active_adapter])
        return result
