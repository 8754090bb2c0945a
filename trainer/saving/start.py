"""Where every method starts: one adapter, A₀ from the init seed alone and B₀ = 0, written once, loaded everywhere.

PEFT's own draw depends on the dtype the base was loaded in and on what was drawn before. This one is U(−1/√d, 1/√d)
too, but from a generator seeded by (init seed, module): the same on every machine, whatever else has an adapter.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inspector.base_model import weights_digest
from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain, some
from trainer.saving.sharded import full

_PREFIX = "base_model.model."


def lora_config(rank: int, alpha: int, dropout: float, targets: Sequence[str]) -> Any:
    """PEFT's configuration of the adapter, its targets sorted."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=sorted(targets), bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip


def target_shapes(model: nn.Module, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Module -> (d_out, d_in), sorted by name, of the linear modules that `targets` name.

    Raises InspectorError for a target that is not there.
    """
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if missing := [t for t in targets if not any(name.rpartition(".")[2] == t for name in linear)]:
        ends = sorted({name.rpartition(".")[2] for name in linear})
        raise InspectorError(f"The base has no linear module {some(missing)}: its targets can be {some(ends, 12)}.")
    named = sorted(name for name in linear if name.rpartition(".")[2] in targets)
    return {name: (linear[name].out_features, linear[name].in_features) for name in named}


def initial(model: nn.Module, rank: int, targets: Sequence[str], seed: int) -> dict[str, Tensor]:
    """PEFT's key -> A₀ (rank, d_in) or B₀ (d_out, rank), float32, on the CPU."""
    found = empty(model, rank, targets)
    for key, tensor in found.items():
        if ".lora_A." in key:
            name = key.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
            word = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]
            generator = torch.Generator().manual_seed(int.from_bytes(word, "big") >> 1)
            bound = 1 / math.sqrt(tensor.shape[1])
            tensor.uniform_(-bound, bound, generator=generator)
    return found


def empty(model: nn.Module, rank: int, targets: Sequence[str]) -> dict[str, Tensor]:
    """The same keys and shapes, all 0."""
    found = {}
    for name, (outputs, inputs) in target_shapes(model, targets).items():
        found[f"{_PREFIX}{name}.lora_A.weight"] = torch.zeros(rank, inputs)
        found[f"{_PREFIX}{name}.lora_B.weight"] = torch.zeros(outputs, rank)
    return found


def written(folder: Path, tensors: Mapping[str, Tensor], note: Callable[[str], None] = lambda _text: None) -> Path:
    """The start as a file named by its content; written where it is not there yet, or is not that content any more."""
    path = folder / f"{tensors_digest(tensors)[:16]}.safetensors"
    whole = path.is_file() and _named(path) == path.stem
    if path.is_file() and not whole:
        note(f"{plain(path)} is damaged: the start it was is written anew.")
    if not whole:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InspectorError(f"Cannot write to {plain(folder)}: {error.strerror or error}.") from error
        with replacing(path) as temporary:
            save_file(dict(tensors), temporary)
    return path


def same_rows(folder: Path, key: str, digest: str) -> None:
    """Keep which token ids the rollouts of a set have become, by what makes them so (`key`).

    Raises InspectorError if they are others than those that a run of the set was begun with.
    """
    path = folder / f"rows-{hashlib.sha256(key.encode()).hexdigest()[:16]}.sha256"
    try:
        before = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(f"{digest}\n", encoding="utf-8")
        return
    except (OSError, ValueError) as error:
        raise InspectorError(f"Cannot read {plain(path)}: {plain(error, 80)}. Remove it.") from error
    if before != digest:
        raise InspectorError(
            f"The rollouts are other token ids now than those that {plain(folder.parent)} was begun with: the base's "
            "tokenizer or chat template has changed. Bring the former one back, or choose another --out."
        )


def _named(path: Path) -> str:
    """What a file of a start should be called, by its content; empty if it cannot be read."""
    try:
        return tensors_digest(load_file(path))[:16]
    except (OSError, SafetensorError):
        return ""


def load(model: Any, path: Path) -> str:
    """Put the start into the model's adapter; the sha256 of A₀.

    Raises InspectorError where it does not fit, where B₀ is not 0, or where an adapter weight is not float32: at
    learning rate 5e-6 only 9 % of A's entries ever move in bfloat16.
    """
    from peft import set_peft_model_state_dict

    tensors = load_file(path)
    outcome: Any = set_peft_model_state_dict(model, tensors)
    placed = adapter(model)
    if outcome.unexpected_keys or set(placed) != set(tensors):
        raise InspectorError(f"The start in {plain(path)} does not fit this base and recipe: remove it and run again.")
    if wrong := [name for name, p in model.named_parameters() if p.requires_grad and p.dtype != torch.float32]:
        raise InspectorError(f"Adapter weights must be float32, and {some(wrong)} are not.")
    if any(tensor.any() for name, tensor in placed.items() if "lora_B" in name):
        raise InspectorError(f"B₀ is not 0 in {plain(path)}: remove it and run again.")
    if a_digest(placed) != a_digest(tensors):
        raise InspectorError(f"A₀ was not loaded as it stands in {plain(path)}: please report this.")
    return a_digest(placed)


def adapter(model: Any) -> dict[str, Tensor]:
    """The adapter's tensors under PEFT's keys, on the CPU, in float32; all processes call it where they are sharded."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {
        name: full(tensor.detach()).to("cpu", torch.float32, copy=True).contiguous() for name, tensor in state.items()
    }


def a_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the A factors."""
    return tensors_digest({name: tensor for name, tensor in tensors.items() if "lora_A" in name})


def base_digest(model: nn.Module) -> str:
    """sha256 over the weights of the base as they are in memory, an adapter around them or not."""
    return tensors_digest(weights_digest.base_tensors(model))


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over name, dtype, shape and bytes, by name; gathered where they are sharded."""
    return weights_digest.tensors_digest(tensors, full)
