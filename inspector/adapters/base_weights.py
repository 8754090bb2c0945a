"""The weights of a base model, tensor by tensor, for the updates that cannot be told without them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.weights import Weights, safetensors_weights
from inspector.errors import InspectorError
from inspector.names import ModuleId, canonical
from inspector.text import plain

if TYPE_CHECKING:
    from torch import Tensor


class BaseWeights:
    """The safetensors of a model's folder, found by module whatever prefix its class puts before the layers.

    `find` gives the folder, downloading it where it must; it is called when the first tensor is asked for, and
    then nothing is read but headers and the tensors asked for.
    """

    def __init__(self, name: str, find: Callable[[], Path]) -> None:
        self.name, self._find = name, find

    @cached_property
    def weights(self) -> Weights:
        """Headers and tensors of the model. Raises InspectorError where there are none."""
        folder = self._find()
        files = tuple(sorted(folder.glob("*.safetensors")))
        if not files:
            raise InspectorError(f"{plain(folder)} has no .safetensors: a base model's weights are needed there.")
        return safetensors_weights(files)

    @cached_property
    def _keys(self) -> dict[ModuleId, str]:
        return {canonical(key): key for key in self.weights.headers}

    def key(self, parameter: str) -> str | None:
        """The base's own name of a parameter, such as `model.layers.3.self_attn.q_proj.weight`, or None."""
        wanted = canonical(parameter)
        if wanted in self._keys:
            return self._keys[wanted]
        ends = [k for id_, k in self._keys.items() if wanted.layer is None is id_.layer and _same_end(k, parameter)]
        return ends[0] if len(ends) == 1 else None

    def shape(self, parameter: str) -> tuple[int, ...] | None:
        """The shape of a parameter as stored, None where the base does not have it."""
        key = self.key(parameter)
        return None if key is None else self.weights.headers[key].shape

    def tensor(self, parameter: str) -> Tensor:
        """A copy of a parameter in the file's dtype. Raises InspectorError where the base does not have it."""
        key = self.key(parameter)
        if key is None:
            raise InspectorError(f"The base {plain(self.name)} has no {plain(parameter)}: is it the adapter's base?")
        return self.weights.tensor(key)


def _same_end(key: str, parameter: str) -> bool:
    """Whether one of two paths is the end of the other: `embed_tokens.weight`, `model.embed_tokens.weight`."""
    return f".{key}".endswith(f".{parameter}") or f".{parameter}".endswith(f".{key}")
