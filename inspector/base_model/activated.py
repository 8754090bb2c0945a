"""Activated LoRA as PEFT runs it: ΔW from the last invocation in a sequence on, the base before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from peft import LoraConfig
from peft.tuners.lora.variants import ALoraLinearVariant, calculate_alora_offsets

from inspector.common.errors import InspectorError

if TYPE_CHECKING:
    from torch import Tensor

_NO_TOKEN = -1


class Activated:
    """One adapter's variant of LoRA in all its layers; `begin` says which tokens the next passes begin with.

    As in PEFT's `generate`, what is generated afterwards follows the prompt: ΔW where that was invoked.
    """

    def __init__(self, invocation: Sequence[int]) -> None:
        self.invocation = tuple(invocation)
        self._config: Any = {"": LoraConfig(task_type="CAUSAL_LM", alora_invocation_tokens=list(invocation))}
        self._offsets: list[int] | None = None

    def begin(self, ids: Tensor, mask: Tensor) -> None:
        """Look for the invocation in ids (batch, length), where the mask is 1."""
        self._offsets = calculate_alora_offsets(self._config, "", ids.masked_fill(mask == 0, _NO_TOKEN))

    def forward(self, module: Any, active_adapter: str, x: Tensor, result: Tensor, **_options: Any) -> Tensor:
        """x (batch, length, d_in), result (batch, length, d_out) the base's fresh output, changed in place.

        Raises InspectorError where the model hands a layer its tokens without the sequences they are from.
        """
        if x.dim() != 3:
            raise InspectorError(
                "An activated LoRA cannot run here: a layer of the base mixes the tokens of all sequences (experts do)."
            )
        found: Tensor = ALoraLinearVariant.forward(module, active_adapter, x, result, alora_offsets=self._offsets)
        return found


def holds(prompt: Sequence[int], invocation: Sequence[int]) -> bool:
    """Whether a prompt has the invocation in it."""
    n, wanted = len(invocation), list(invocation)
    return any(list(prompt[at : at + n]) == wanted for at in range(len(prompt) - n + 1))
