"""`--dry-run`: what a run would do, counted from rows and the base's config; no weights are loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from inspector.common.text import count, duration
from trainer.methods.base import Method
from trainer.methods.online import Online
from trainer.methods.rewards import RewardStatistics
from trainer.objectives.examples import Examples, order, taken, widest
from trainer.recipes.recipe import Recipe
from trainer.runs import memory
from trainer.runs.bases import Skeleton
from trainer.runs.launchers import split
from trainer.saving import start


def lines(
    method: Method, recipe: Recipe, shape: Skeleton, found: Examples, told: RewardStatistics, processes: int
) -> list[str]:
    """The plan of one run, in words and numbers."""
    cut = split(recipe, processes)
    seen = taken(method, recipe)
    online = method.data == "prompts"
    tokens = sum(found.tokens[n] for n in order(len(found), seen, recipe.data_seed))
    objective = recipe.objective(method)
    tokens *= objective.iterations if online else 1
    trained = sum(t.numel() for t in _adapter(shape, recipe))
    reported = "" if recipe.reported == recipe.steps else f"; its adapter is that of step {recipe.reported:,}"
    shared = "1 process" if cut.processes == 1 else f"{cut.processes} processes"
    needed, every = _memory(shape, recipe, trained, cut.micro_batch * widest(method, recipe, found))
    seconds, flops = _time(shape, _dtype(recipe), tokens, method, every)
    return [
        f"{method.name} ({objective.name}): {objective.formula}",
        f"  rows      {told.rows:,} of {told.groups:,} prompts, {told.positive:,} right, {told.mixed:,} mixed groups",
        f"  examples  {len(found):,} {found.noun}s, {sum(found.tokens):,} tokens, the longest {max(found.tokens):,}",
        *([_weights(found)] if found.weights else []),
        *([_sampling(objective, found)] if online else []),
        f"  steps     {recipe.steps:,}, {seen / len(found):.2f} epochs, {tokens:,} tokens{reported}",
        f"  batch     {recipe.batch} = {cut.micro_batch} × {cut.accumulation} accumulated × {shared}",
        f"  adapter   {trained / 1e6:.2f}M weights of {shape.parameters / 1e6:.0f}M, float32",
        f"  memory    about {needed / 1e9:.1f} GB a process",
        f"  time      about {duration(seconds)} at the {flops / 1e12:.2f} TFLOP/s that a matrix product reaches here"
        + (", and the time to sample" if online else ""),
    ]


def _weights(found: Examples) -> str:
    told = found.weights
    cut = f"; {count(int(told['groups_cut']), 'group')} with answers cut by length" if told["groups_cut"] else ""
    return (
        f"  weights   {told['least']:.3g} to {told['largest']:.3g}, mean {told['mean']:.3g}, standard deviation "
        f"{told['std']:.3g}{cut}"
    )


def _sampling(objective: Online, found: Examples) -> str:
    out = f"; {count(found.left_out, 'prompt')} too long for that left out" if found.left_out else ""
    return (
        f"  sampling  {objective.generations} completions a prompt, of up to {objective.max_new_tokens:,} tokens{out}"
    )


def _adapter(shape: Skeleton, recipe: Recipe) -> Sequence[torch.Tensor]:
    with torch.device("meta"):
        return list(start.empty(shape.model, recipe.rank, recipe.targets).values())


def _memory(shape: Skeleton, recipe: Recipe, trained: int, tokens: int) -> tuple[float, int]:
    """(bytes, every how many-th block is computed twice) of the base, the adapter and a pass of so many tokens.

    An adapter's weight takes 16 bytes: itself, its gradient, two moments.
    """
    dtype = _dtype(recipe)
    fixed = shape.parameters * dtype.itemsize + trained * 16
    kept = memory.estimated(shape.model.config.get_text_config(), dtype.itemsize)
    every = recipe.gradient_checkpointing
    if every is None and torch.cuda.is_available():
        every = memory.planned(kept, memory.unused(torch.device("cuda")) - fixed, tokens).every
    every = 1 if every is None else every
    return fixed + tokens * kept.peak(every), every


def _time(shape: Skeleton, dtype: torch.dtype, tokens: int, method: Method, every: int) -> tuple[float, float]:
    """(seconds, FLOP/s): 4 FLOP a weight and token (forward, backward to the inputs), 2 more where it is done twice.

    Scoring the reference adds a forward pass where there is one.
    """
    passes = 4 + (2 / every if every else 0) + (2 if method.data == "unpaired" else 0)
    speed = _speed(dtype)
    return passes * shape.parameters * tokens / speed, speed


def _speed(dtype: torch.dtype) -> float:
    """FLOP/s of one product of square matrices, the best of three."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def _dtype(recipe: Recipe) -> torch.dtype:
    if recipe.dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32
