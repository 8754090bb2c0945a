"""The weights of a base model, tensor by tensor, for the updates that cannot be told without them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.config_file import read_json_object
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.study.module_id import Names

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
"""The types whose values are the weights themselves: F8 and integers need scales that stand elsewhere."""
_SHARD = re.compile(r"model-(\d{1,6})-of-(\d{1,6})\.safetensors")


def model_files(names: set[str]) -> list[str]:
    """Which of a folder's file names are a model's weights as transformers takes them.

    model.safetensors, else its shards, else whatever safetensors there are. Raises InspectorError where shards
    are missing.
    """
    if "model.safetensors" in names:
        return ["model.safetensors"]
    shards = [match for name in sorted(names) if (match := _SHARD.fullmatch(name))]
    if not shards:
        return sorted(name for name in names if name.endswith(".safetensors"))
    total = max(int(match[2]) for match in shards)
    if {int(match[1]) for match in shards} != set(range(1, total + 1)):
        raise InspectorError(f"{len(shards)} of {total} shards of the model are there: download the others.")
    return [match[0] for match in shards]


class BaseWeights:
    """The safetensors of a model's folder, found by module whatever prefix its class puts before the layers.

    `find` gives the folder, downloading it where it must; it is called when the first tensor is asked for, and
    then nothing is read but headers and the tensors asked for.
    """

    def __init__(self, name: str, find: Callable[[], Path]) -> None:
        self.name, self._find = name, find

    @cached_property
    def folder(self) -> Path:
        """The model's folder, downloaded where it must be."""
        return self._find()

    @cached_property
    def weights(self) -> Weights:
        """Headers and tensors of the model. Raises InspectorError where there are none."""
        folder = self.folder
        files = tuple(folder / name for name in model_files(Folder(folder).names))
        if not files:
            raise InspectorError(f"{plain(folder)} has no .safetensors: a base model's weights are needed there.")
        return safetensors_weights(files)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The language model's part of the config beside the weights; empty where there is none that can be read."""
        path = self.folder / "config.json"
        try:
            config = read_json_object(path)[0] if path.is_file() else {}
        except InspectorError:
            return {}
        text = config.get("text_config")
        return {**config, **text} if isinstance(text, dict) else config

    @property
    def width(self) -> int:
        """The size of the model's hidden states; 0 where the config does not tell."""
        size = self.config.get("hidden_size")
        return size if type(size) is int else 0

    @property
    def in_turns(self) -> bool:
        """Whether the rows of fused gates and up projections take turns."""
        return self.config.get("model_type") == "gpt_oss"

    @property
    def depth(self) -> int | None:
        """How many layers its config gives the language model: files may hold more, for multi-token prediction."""
        layers = self.config.get("num_hidden_layers")
        return layers if isinstance(layers, int) else None

    @cached_property
    def _names(self) -> Names:
        return Names(self.weights.headers)

    @cached_property
    def recent(self) -> Callable[[str], Tensor]:
        """A tensor by its key, the last two kept: stacks of experts are not read for each of them."""
        return lru_cache(maxsize=2)(self.weights.tensor)

    @cached_property
    def _codes(self) -> tuple[Names, dict[str, TensorHeader]]:
        integers = (header for header in self.weights.headers.values() if header.dtype[0] in "IU")
        held = {header.key.rpartition(".")[0]: header for header in integers}
        return Names(held), held

    def codes(self, module: str) -> TensorHeader | None:
        """A tensor of integers of a module: quantised weights have as many names as there are methods."""
        names, held = self._codes
        found = names.find(module)
        return None if found is None else held[found]

    def key(self, parameter: str) -> str | None:
        """The base's own name of a parameter, such as `model.layers.3.self_attn.q_proj.weight`, or None."""
        return self._names.find(parameter)

    def header(self, parameter: str) -> TensorHeader | None:
        """What the file says of a parameter, None where the base does not have it."""
        key = self.key(parameter)
        return None if key is None else self.weights.headers[key]

    def shape(self, parameter: str) -> tuple[int, ...] | None:
        """The shape of a parameter as stored, None where the base does not have it."""
        header = self.header(parameter)
        return None if header is None else header.shape

    def tensor(self, parameter: str) -> Tensor:
        """A copy of a parameter in the file's dtype. Raises InspectorError where the base does not have it."""
        key = self.key(parameter)
        if key is None:
            raise InspectorError(f"The base {plain(self.name)} has no {plain(parameter)}: is it the adapter's base?")
        return self.weights.tensor(key)
