"""How fast passes and sampling are: measured here on blocks of the base with random weights, or by a table of cards."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from peft import get_peft_model
from torch import Tensor, nn

from inspector.base_model.generation import Hooks, generate
from trainer.objectives import passes
from trainer.recipes.recipe import Recipe
from trainer.rollouts.draws import Sampling
from trainer.rollouts.sampling import Chooser
from trainer.runs.bases import Skeleton
from trainer.runs.cards import CARDS, LAUNCH, SHARE
from trainer.runs.lora_dtype import follow_base
from trainer.runs.memory import blocks
from trainer.runs.work import Drawing, Flops, Shape, Work, shape_of
from trainer.saving.start import lora_config

_SECONDS, _LEAST, _MOST = 3.0, 3, 40
"""How long a measurement takes, and of how many passes it is."""
_PASS = {"cpu": 6e10, "cuda": 2e13}
"""FLOPs of a measured pass, about; it has at least and at most so many tokens."""
_TOKENS = 64, 4096
_FEW, _MANY = 1, 3
"""Blocks: what more of them take is the blocks', the rest that of head and loop."""
_SHORT, _LONG = 4, 12
"""Tokens of the completions that are measured."""


@dataclass(frozen=True, slots=True)
class Speed:
    """FLOP/s in the blocks and in the head, seconds of a token of a batch of completions; and whose word that is."""

    blocks: float
    head: float
    token: float
    source: str

    def seconds(self, work: Work, processes: int) -> tuple[float, float]:
        """(of the passes, of sampling) of a run that so many processes share."""
        passes = work.passes.blocks / self.blocks + work.passes.head / self.head
        if (drawing := work.drawing) is None:
            return passes / processes, 0.0
        tokens = drawing.completions / drawing.batch * drawing.longest
        return passes / processes, (tokens * self.token + drawing.prompts.blocks / self.blocks) / processes


def of_table(name: str, shape: Shape, size: int, context: float, kept: float) -> Speed:
    """Of a GPU that is not here: `size` bytes a weight; `kept` bytes a token of completions cached, of `context` each.

    A token of a batch reads all weights and what is cached once, or waits for the kernels to be launched.
    """
    card = CARDS[name]
    read = ((shape.weights + shape.head) * size + kept * context) / card.bandwidth
    flops = SHARE * card.flops
    source = f"{flops / 1e12:.0f} TFLOP/s, {SHARE:.0%} of {name}'s data sheet: a table's value, not measured"
    return Speed(flops, flops, max(read, shape.blocks * LAUNCH), source)


def measured(base: Skeleton, recipe: Recipe, dtype: torch.dtype, tokens: int, drawing: Drawing | None) -> Speed:
    """On this machine: of rows of so many tokens, and of such completions if there are any."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layers = base.model.config.get_text_config().num_hidden_layers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about libraries
        raw, model = _few_blocks(base, recipe, dtype, device)
    shape = replace(shape_of(raw, 0), adapter=sum(p.numel() for p in model.parameters() if p.requires_grad))
    shape = replace(shape, weights=shape.weights - shape.adapter)
    flops, (least, most) = _PASS[device.type], _TOKENS
    room = min(max(int(flops / (4 * shape.weights + 6 * shape.head)), least), most)
    length = min(tokens, room)
    ids = torch.randint(3, raw.config.get_text_config().vocab_size, (room // length, length), device=device)
    took = _alternately(raw, lambda: _passed(model, ids))
    done = {n: _part(shape, n).forward(length, length).times(len(ids)).trained(0) for n in took}
    in_blocks, in_head = _apart(done, took)
    token = _token(raw, model, base.tokenizer, drawing, room) if drawing else (0.0, 0.0)
    return Speed(in_blocks, in_head, token[0] * layers + token[1], f"{in_blocks / 1e12:.2f} TFLOP/s, measured here")


def _few_blocks(base: Skeleton, recipe: Recipe, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    """The base with few blocks and random weights, and the same with the recipe's adapter, as it is trained."""
    from trl.trainer.utils import add_fused_lm_head

    config = copy.deepcopy(base.model.config)
    _shorten(config.get_text_config(), _MANY)
    with device:
        raw = type(base.model)._from_config(config, dtype=dtype)  # noqa: SLF001 - as AutoModelForCausalLM does
    add_fused_lm_head(raw)
    model = get_peft_model(raw, lora_config(recipe.rank, recipe.alpha, 0.0, recipe.targets))
    passes.unmask(raw)
    if recipe.lora_compute == "base":
        follow_base(model)
    return raw, model


def _apart(done: Mapping[int, Flops], took: Mapping[int, float]) -> tuple[float, float]:
    """FLOP/s in the blocks, by what more of them take, and in the head; of both together if noise hides that."""
    together = (done[_MANY].blocks + done[_MANY].head) / took[_MANY]
    more = took[_MANY] - took[_FEW]
    if more < took[_MANY] / 10:
        return together, together
    in_blocks = (done[_MANY].blocks - done[_FEW].blocks) / more
    rest = took[_FEW] - done[_FEW].blocks / in_blocks
    return in_blocks, done[_FEW].head / rest if rest > 0 else together


def _passed(model: Any, ids: Tensor) -> None:
    """A pass forward and backward."""
    model(input_ids=ids, labels=ids, use_cache=False, fused_lm_head=True).log_probs.sum().backward()
    model.zero_grad(set_to_none=True)


def _token(raw: Any, model: Any, tokenizer: Any, drawing: Drawing, room: int) -> tuple[float, float]:
    """Seconds for a token of a batch of completions: (of a block, of the rest); its cache is as long as on average."""
    context = round(drawing.prompt + drawing.longest / 2)
    rows = max(min(drawing.batch, 4 * room // context), 1)
    prompts = torch.randint(3, raw.config.get_text_config().vocab_size, (rows, context)).tolist()
    hooks = Hooks(choose=lambda chosen: Chooser(list(chosen), Sampling(_LONG)))
    model.eval()

    def drawn(limit: int) -> None:
        list(generate(model, tokenizer, prompts, limit, rows, hooks=hooks))

    took = [_alternately(raw, partial(drawn, limit)) for limit in (_SHORT, _LONG)]
    each = {n: _more(took[0][n], took[1][n]) * drawing.batch / rows for n in took[0]}
    block = max(each[_MANY] - each[_FEW], 0) / (_MANY - _FEW)
    return block, max(each[_FEW] - _FEW * block, 0)


def _more(short: float, long: float) -> float:
    """Seconds of a token, by what more of them take; of all that the long ones take if noise hides that."""
    more = long - short
    return more / (_LONG - _SHORT) if more > long / 10 else long / _LONG


def _alternately(raw: Any, work: Callable[[], Any]) -> dict[int, float]:
    """Seconds of `work` with few and with many blocks, the median of several times in turn."""
    found: dict[int, list[float]] = {_FEW: [], _MANY: []}
    with _blocks(raw) as first:
        began = time.monotonic()
        while len(found[_MANY]) <= _LEAST or (time.monotonic() - began < _SECONDS and len(found[_MANY]) < _MOST):
            for n, took in found.items():
                first(n)
                took.append(_clocked(work))
    return {n: median(took[1:]) for n, took in found.items()}  # the first is to warm up


def _clocked(work: Callable[[], Any]) -> float:
    began = _now()
    work()
    return _now() - began


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _blocks(raw: Any) -> Iterator[Callable[[int], None]]:
    """Sets how many of its blocks the model has."""
    every = blocks(raw)
    holder, name = next(
        (module, name)
        for module in raw.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) and child[0] is every[0]
    )

    def first(n: int) -> None:
        setattr(holder, name, nn.ModuleList(every[:n]))
        raw.config.get_text_config().num_hidden_layers = n

    try:
        yield first
    finally:
        first(len(every))


def _shorten(config: Any, layers: int) -> None:
    config.num_hidden_layers = layers
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = list(kinds)[:layers]


def _part(shape: Shape, n: int) -> Shape:
    """The first n blocks of it."""
    share = n / shape.blocks
    return replace(
        shape, blocks=n, weights=shape.weights * share, heads=int(shape.heads * share),
        adapter=int(shape.adapter * share),
    )  # fmt: skip
