"""FSDP2: what it shards (DTensors) gathered and put back, so that files are those of an unsharded run.

Every function here is one that all processes call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor

from inspector.common.errors import InspectorError
from inspector.common.text import plain

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def is_sharded(model: Any) -> bool:
    """Whether FSDP2 holds the weights; it does once training has begun."""
    return any(isinstance(p, DTensor) for p in model.parameters())


def full(tensor: Tensor) -> Tensor:
    """All of it, on every process."""
    if not isinstance(tensor, DTensor):
        return tensor
    whole: Tensor = tensor.full_tensor()
    return whole


def keep_float32(accelerator: Any) -> None:
    """Sum gradients over processes in float32, and leave outputs as they are.

    accelerate's own policy rounds both to bfloat16, log-probs included: 1 % of an update after four steps.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        compute = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
        plugin.mixed_precision_policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)


class Sharded:
    """Mixed into a trainer: checkpoints hold whole tensors, whoever holds which part while training."""

    args: Any
    model: Any
    optimizer: Any
    lr_scheduler: Any

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The adapter."""
        if is_sharded(self.model):
            self._save(output_dir)  # type: ignore[attr-defined]
        else:
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not is_sharded(self.model):
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        state = get_optimizer_state_dict(self.model, self.optimizer, options=_WHOLE)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / "optimizer.pt")
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / "scheduler.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        state = torch.load(Path(checkpoint) / "optimizer.pt", map_location="cpu", weights_only=True)
        named = any(isinstance(key, str) for key in state["state"])
        if named != is_sharded(self.model):
            raise InspectorError(
                f"The checkpoint {plain(checkpoint)} was written with{'' if named else 'out'} FSDP2: go on as the run "
                "was begun."
            )
        if not named:
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        set_optimizer_state_dict(self.model, self.optimizer, state, options=_WHOLE)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / "scheduler.pt", weights_only=True))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if is_sharded(self.model):
            _put(self.model, load_file(Path(resume_from_checkpoint) / "adapter_model.safetensors"))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]


def _put(model: Any, tensors: Mapping[str, Tensor]) -> None:
    from peft import get_peft_model_state_dict

    for name, part in get_peft_model_state_dict(model, save_embedding_layers=False).items():
        whole = tensors[name].to(part.device, part.dtype)
        with torch.no_grad():
            part.copy_(distribute_tensor(whole, part.device_mesh, part.placements))
