"""Whether an adapter runs on the base it was trained on, as its run.json records it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.adapters.model import Adapter
from inspector.base_model.base import Base
from inspector.base_model.weights_digest import base_tensors, tensors_digest
from inspector.common.text import plain
from inspector.study.provenance import recorded_base

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 12
"""Digits of a digest that tell two apart on a screen."""


class TrainedOn:
    """Compares a base with what adapters were trained on; its weights are digested once for each dtype."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._digests: dict[str, str] = {}

    def other(self, adapter: Adapter) -> str:
        """One sentence if the adapter was trained on other weights than the base's; empty if not, or if unknown.

        The same files are the same base; else the weights in memory are compared, in the dtype of training.
        """
        recorded = recorded_base(adapter.files[0].parent) if adapter.files else None
        if recorded is None or not recorded.weights or recorded.files == self._base.digest:
            return ""
        here = self._digest(recorded.dtype)
        if here in {"", recorded.weights}:
            return ""
        return (
            f"{plain(adapter.info.name)} was trained on another base than {self._base.name}: its run.json has "
            f"{plain(recorded.weights[:_SHOWN])} as the digest of the base's weights, here it is {here[:_SHOWN]}"
        )

    def _digest(self, dtype: str) -> str:
        """Of the weights in a dtype; empty if what is in memory does not tell it."""
        here = self._base.dtype
        if dtype != here and not (here == "float32" and dtype in {"bfloat16", "float16"}):
            return ""
        if dtype not in self._digests:
            tensors = base_tensors(self._base.model)
            offloaded = any(tensor.is_meta for tensor in tensors.values())
            self._digests[dtype] = "" if offloaded else tensors_digest(tensors, lambda tensor: _cast(tensor, dtype))
        return self._digests[dtype]


def _cast(tensor: Tensor, dtype: str) -> Tensor:
    import torch

    return tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
