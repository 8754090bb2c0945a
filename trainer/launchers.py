"""How several processes share a run: what accelerate is told by its environment, and what does not fit. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspector.errors import InspectorError
from trainer.methods import Method

_LOST = (
    "adapter weights must stay float32 (in bfloat16 most of their updates at these learning rates are lost): use DDP."
)
_OFF = {
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "every process loads the base, and compares its weights before and after",
    "FSDP_OFFLOAD_PARAMS": "the weights are gathered on the device they are on",
    "FSDP_ACTIVATION_CHECKPOINTING": "the recipe's gradient_checkpointing does the same",
}
"""accelerate's switches that FSDP2 is not run with here, and why."""


def refuse_unfit(environment: Mapping[str, str], methods: Sequence[Method]) -> None:
    """Raises InspectorError for a set-up in which adapter weights cannot stay float32, or that is not supported."""
    on = _on(environment)
    if "ACCELERATE_USE_DEEPSPEED" in on and environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        raise InspectorError(f"DeepSpeed ZeRO-3 needs one dtype, and {_LOST}")
    if "ACCELERATE_USE_FSDP" not in on:
        return
    if environment.get("FSDP_VERSION", "1") == "1":
        raise InspectorError(f"FSDP1 needs one dtype, and {_LOST}")
    for name, why in _OFF.items():
        if name in on:
            raise InspectorError(f"{name} must be off: {why}.")
    for method in methods:
        if method.data == "prompts":
            raise InspectorError(
                f"FSDP2 is not for {method.name}, which would gather the base for every token it samples: use DDP."
            )
        if method.data == "unpaired":
            raise InspectorError(
                f"FSDP2 is supported for methods on rows and on pairs, not for {method.name}: use DDP."
            )


def accumulation(environment: Mapping[str, str]) -> dict[str, Any]:
    """For accelerate: under FSDP2 gradients are summed over processes after every micro-batch.

    Put off to the last one, as it would, torch 2.13 fails on the output head, which TRL multiplies by without calling
    it ('FSDPParam' object has no attribute '_unsharded_param').
    """
    return {"sync_each_batch": True} if "ACCELERATE_USE_FSDP" in _on(environment) else {}


def _on(environment: Mapping[str, str]) -> set[str]:
    return {name for name, value in environment.items() if value.lower() in {"true", "1"}}
