"""How processes share a run and its steps: what their environment says, and what does not fit. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector.common.errors import InspectorError
from trainer.methods.base import Method
from trainer.recipes.recipe import Recipe

_LARGEST_MICRO_BATCH = 8

_LOST = (
    "adapter weights must stay float32 (in bfloat16 most of their updates at these learning rates are lost): use DDP."
)
_OFF = {
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "every process loads the base, and compares its weights before and after",
    "FSDP_OFFLOAD_PARAMS": "the weights are gathered on the device they are on",
    "FSDP_ACTIVATION_CHECKPOINTING": "the recipe's gradient_checkpointing does the same",
}
"""accelerate's switches that FSDP2 is not run with here, and why."""
_ALONE = {
    "micro_tokens": "its processes make each pass together; set micro_batch",
    "compile_blocks": "its blocks are gathered as they are called",
    "eval_task": "it would gather the base for every token it samples; use `inspector eval` on the checkpoints",
}
"""Settings that FSDP2 is not run with, and why."""


@dataclass(frozen=True, slots=True)
class Split:
    """One optimizer step: micro_batch × accumulation × processes = batch."""

    micro_batch: int
    accumulation: int
    processes: int


def process_count() -> int:
    """How many share the work."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def main_process() -> bool:
    """Whether this process writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def split(recipe: Recipe, processes: int) -> Split:
    """How a step is cut. Raises InspectorError where the batch does not divide."""
    share, rest = divmod(recipe.batch, processes)
    if rest:
        raise InspectorError(f"batch {recipe.batch} does not divide by {processes} processes: change one of them.")
    micro = recipe.micro_batch or max(n for n in range(1, _LARGEST_MICRO_BATCH + 1) if share % n == 0)
    if share % micro:
        raise InspectorError(f"micro_batch {micro} does not divide {_shared(recipe, processes)}: change one of them.")
    return Split(micro, share // micro, processes)


def refuse_uncut(method: Method, recipe: Recipe, processes: int) -> None:
    """Raises InspectorError for a batch that cannot be cut into the parts that the method needs."""
    cut = split(recipe, processes)
    for name, why in _ALONE.items():
        if getattr(recipe, name) and sharded(os.environ):
            raise InspectorError(f"{name} is not for FSDP2: {why}.")
    if method.data == "unpaired" and cut.micro_batch < 2:
        raise InspectorError(
            f"{method.name} estimates its reference point within a micro-batch: set micro_batch to 2 or more."
        )
    if method.data == "prompts" and recipe.batch % (each := recipe.objective(method).generations):
        raise InspectorError(
            f"batch {recipe.batch} makes no whole groups of {each} completions: change batch or generations."
        )


def refuse_unfit(environment: Mapping[str, str], method: Method) -> None:
    """Raises InspectorError for a set-up in which adapter weights cannot stay float32, or that it does not support."""
    on = _on(environment)
    if "ACCELERATE_USE_DEEPSPEED" in on and environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        raise InspectorError(f"DeepSpeed ZeRO-3 needs one dtype, and {_LOST}")
    if not sharded(environment):
        return
    if environment.get("FSDP_VERSION", "1") == "1":
        raise InspectorError(f"FSDP1 needs one dtype, and {_LOST}")
    for name, why in _OFF.items():
        if name in on:
            raise InspectorError(f"{name} must be off: {why}.")
    if method.data == "prompts":
        raise InspectorError(
            f"FSDP2 is not for {method.name}, which would gather the base for every token it samples: use DDP."
        )
    if method.data == "unpaired":
        raise InspectorError(f"FSDP2 is supported for methods on rows and on pairs, not for {method.name}: use DDP.")


def sharded(environment: Mapping[str, str]) -> bool:
    """Whether FSDP2 shards the base over the processes."""
    return "ACCELERATE_USE_FSDP" in _on(environment)


def casts(environment: Mapping[str, str]) -> bool:
    """Whether what wraps the base casts it, FSDP2 or DeepSpeed, and takes the dtype from the trainer's settings."""
    return sharded(environment) or "ACCELERATE_USE_DEEPSPEED" in _on(environment)


def accumulation(environment: Mapping[str, str]) -> dict[str, Any]:
    """For accelerate: under FSDP2 gradients are summed over processes after every micro-batch.

    Put off to the last one, as it would, torch 2.13 fails on the output head, which TRL multiplies by without calling
    it ('FSDPParam' object has no attribute '_unsharded_param').
    """
    return {"sync_each_batch": True} if sharded(environment) else {}


def _shared(recipe: Recipe, processes: int) -> str:
    each = f" ({recipe.batch // processes} on each of {processes} processes)" if processes > 1 else ""
    return f"batch {recipe.batch}{each}"


def _on(environment: Mapping[str, str]) -> set[str]:
    return {name for name, value in environment.items() if value.lower() in {"true", "1"}}
