"""How much of a GPU's memory a pass takes, and so how many tokens it may hold and which blocks are computed twice.

What a block keeps for the backward pass is measured, on one short row; with a causal attention that stores no
tokens × tokens it grows by the token. A block that keeps nothing is computed again from its input.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.methods.base import Method
from trainer.objectives.examples import Examples, widest
from trainer.recipes.recipe import Recipe
from trainer.runs.launchers import Split

_ROW = 256
"""Tokens of the row that is measured."""
ENOUGH, _MOST = 8192, 16_384
"""Tokens of a pass: blocks are computed twice for so many, and a pass is never of more."""
_SHARE = 0.85
"""Of the free memory; the rest is what an allocator cannot use for passes of other sizes."""
_FIXED = 1 << 30
"""Bytes that do not grow with the tokens: tiles of the output head, workspaces."""
_INTERVALS = (0, 4, 2, 1)
"""Every how many-th block keeps nothing, from the fastest to the smallest; 0: none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes a token."""

    block: float
    """Of what one block keeps for the backward pass."""
    inputs: float
    """Of what enters it."""
    blocks: int

    def peak(self, every: int) -> float:
        """Of a pass where every so many-th block keeps nothing: what is kept, and what a block's backward needs.

        The output head's gradient is as large as the gradients of a block.
        """
        without = -(-self.blocks // every) if every else 0
        kept = (self.blocks - without) * self.block + without * self.inputs
        return kept + (2 if every else 1) * self.block

    def bytes(self, every: int, tokens: int) -> int:
        """Of a pass of so many tokens."""
        return int(self.peak(every) * tokens) + _FIXED


@dataclass(frozen=True, slots=True)
class Plan:
    """How the passes of a run use the memory."""

    every: int
    """Every how many-th block keeps nothing; 0: none."""
    tokens: int
    """Of a pass at most; 0: no limit."""
    bytes: int = 0
    """Of the GPU, with a pass of so many tokens; 0: not estimated."""

    def __str__(self) -> str:
        blocks = {0: "no block", 1: "every block"}.get(self.every, f"one block in {self.every}")
        return f"passes of up to {self.tokens:,} tokens, {blocks} computed twice: about {self.bytes / 1e9:.0f} GB"


def needed(method: Method, recipe: Recipe, found: Examples, cut: Split, *, on_gpu: bool) -> int:
    """Tokens that a pass must hold: a micro-batch of the longest; where rows are taken by tokens, enough of them."""
    if method.data != "rows" or not on_gpu:
        return cut.micro_batch * widest(method, recipe, found)
    step = cut.micro_batch * cut.accumulation * sum(found.tokens) // len(found)
    return recipe.micro_tokens or max(min(step, ENOUGH), *found.tokens)


def planned(kept: Kept, free: float, need: int, every: int | None = None) -> Plan:
    """The fastest plan whose passes hold `need` tokens in `free` bytes, else the smallest; `every` where it is set."""
    for interval in _INTERVALS if every is None else (every,):
        tokens = int((_SHARE * free - _FIXED) / kept.peak(interval))
        if tokens >= need:
            break
    return Plan(interval, max(min(tokens, max(_MOST, need)), 1))


def estimated(config: Any, size: int) -> Kept:
    """What the blocks of a decoder with gated MLPs keep, `size` bytes a number, by what autograd stores of them.

    Norms a float32 copy of their input; attention q, k, v and its output, twice; the MLP both sides of its gate and
    the gate's activation; adapters on the attention what enters it. Norms of q and k, where a base has them, more.
    """
    width, heads = config.hidden_size, config.num_attention_heads
    head = getattr(config, "head_dim", None) or width // heads
    queries, keys = heads * head, (getattr(config, "num_key_value_heads", None) or heads) * head
    norms = 4 * 2 * width + (4 * (queries + keys) if config.model_type.startswith("qwen3") else 0)
    attention = size * (width + 3 * queries + 2 * keys)
    return Kept(norms + attention + 3 * size * config.intermediate_size, size * width, config.num_hidden_layers)


def measured(model: Any) -> Kept:
    """What the blocks of the model, its adapter attached, keep for the backward pass of one row."""
    owned = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    storages: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage takes the place of another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            storages[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    ids = torch.arange(_ROW, device=model.device)[None] % model.config.get_text_config().vocab_size
    was, count = model.training, max(len(blocks(model)), 1)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = model.train().get_base_model().base_model(input_ids=ids, use_cache=False).last_hidden_state
    model.train(was)
    return Kept(sum(storages.values()) / _ROW / count, hidden.shape[-1] * hidden.element_size(), count)


def blocks(model: nn.Module) -> list[Any]:
    """The model's decoder layers."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def recompute(model: Any, every: int) -> None:
    """Whenever checkpointing is switched on: of every so many-th block alone; 0: of none.

    `model` is the base. transformers has an argument for this from 5.20 on, which TRL's sampling loses again.
    """
    switch = model._set_gradient_checkpointing  # noqa: SLF001

    @functools.wraps(switch)
    def switched(*args: Any, **more: Any) -> None:
        switch(*args, **more)
        for number, block in enumerate(blocks(model)):
            if not every or number % every:
                block.gradient_checkpointing = False

    model._set_gradient_checkpointing = switched  # noqa: SLF001


def unused(device: torch.device) -> int:
    """Bytes of a GPU that are free, those that torch holds without using them among them."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + held
