"""Digests of tensors in memory: which weights a model runs with, whatever files they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_PREFIX = "base_model.model."


def base_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The base's weights by the base's own names, adapters around it or not."""
    return {
        name.removeprefix(_PREFIX).replace(".base_layer.", "."): tensor
        for name, tensor in model.state_dict().items()
        if "lora_" not in name
    }


def tensors_digest(tensors: Mapping[str, Tensor], whole: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> str:
    """sha256 over name, dtype, shape and bytes, by name; `whole` is called for one tensor at a time."""
    import torch

    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = whole(tensors[name].detach())
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
