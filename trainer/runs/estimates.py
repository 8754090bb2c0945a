"""`--dry-run`: what a run would do, counted from rows and the base's config; no weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inspector.base_model.generation import AUTO_BATCH
from inspector.common.console import say
from inspector.common.text import count, duration
from trainer.methods.base import Method
from trainer.methods.online import Online
from trainer.methods.rewards import RewardStatistics
from trainer.objectives.examples import Examples, order, taken, widest
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rows import Rows
from trainer.runs import memory
from trainer.runs.bases import Skeleton
from trainer.runs.cards import CARDS
from trainer.runs.launchers import Split, main_process, split
from trainer.runs.speed import Speed, measured, of_table
from trainer.runs.work import Cut, Work, shape_of, work
from trainer.saving import start


class Planner:
    """Plans runs. How fast they are is measured here once for each base, or is that of `gpu`, one of the table."""

    def __init__(self, processes: int, gpu: str = "", *, elsewhere: bool = False) -> None:
        """`elsewhere`: a server samples."""
        self._processes, self._gpu, self._elsewhere = processes, gpu, elsewhere
        self._speeds: dict[tuple[object, ...], Speed] = {}

    def lines(
        self, method: Method, recipe: Recipe, base: Skeleton, found: Examples, rows: Rows, told: RewardStatistics
    ) -> list[str]:
        """The plan of one run, in words and numbers."""
        cut, seen, objective = split(recipe, self._processes), taken(method, recipe), recipe.objective(method)
        online = method.data == "prompts"
        tokens = sum(found.tokens[n] for n in order(len(found), seen, recipe.data_seed))
        tokens *= objective.iterations if online else 1
        trained = sum(t.numel() for t in _adapter(base, recipe))
        reported = "" if recipe.reported == recipe.steps else f"; its adapter is that of step {recipe.reported:,}"
        shared = "1 process" if cut.processes == 1 else f"{cut.processes} processes"
        at_once = min(AUTO_BATCH["cuda" if self._on_gpu else "cpu"], recipe.batch // cut.processes)
        needed, every = self._memory(method, recipe, base, found, cut, trained)
        if online and not self._elsewhere:
            cached = at_once * widest(method, recipe, found) * self._cached(base, recipe)
            needed = max(needed, self._fixed(base, recipe, trained) + cached)
        together = 0 if self._on_gpu and method.data == "rows" else cut.micro_batch
        todo = work(method, recipe, found, rows, shape_of(base.model, trained), Cut(every, together, at_once))
        return [
            f"{method.name} ({objective.name}): {objective.formula}",
            *_examples(found, told),
            *([_sampling(objective, found)] if online else []),
            f"  steps     {recipe.steps:,}, {seen / len(found):.2f} epochs, {tokens:,} tokens{reported}",
            f"  batch     {recipe.batch} = {cut.micro_batch} × {cut.accumulation} accumulated × {shared}",
            f"  adapter   {trained / 1e6:.2f}M weights of {base.parameters / 1e6:.0f}M, float32",
            f"  memory    about {needed / 1e9:.1f} GB a process",
            self._time(base, recipe, rows, todo),
        ]

    @property
    def _on_gpu(self) -> bool:
        return bool(self._gpu) or torch.cuda.is_available()

    def _dtype(self, recipe: Recipe) -> torch.dtype:
        if recipe.dtype == "auto":
            return torch.bfloat16 if self._on_gpu else torch.float32
        return torch.bfloat16 if recipe.dtype == "bfloat16" else torch.float32

    def _fixed(self, base: Skeleton, recipe: Recipe, trained: int) -> float:
        """Bytes of the base and the adapter, each of whose weights takes 16: itself, its gradient, two moments."""
        return base.parameters * self._dtype(recipe).itemsize + trained * 16

    def _cached(self, base: Skeleton, recipe: Recipe) -> float:
        """Bytes of the keys and values of a token, while completions are drawn."""
        config = base.model.config.get_text_config()
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        keys = (getattr(config, "num_key_value_heads", None) or config.num_attention_heads) * head
        return 2.0 * int(keys) * int(config.num_hidden_layers) * self._dtype(recipe).itemsize

    def _memory(
        self, method: Method, recipe: Recipe, base: Skeleton, found: Examples, cut: Split, trained: int
    ) -> tuple[float, int]:
        """(bytes, every how many-th block is computed twice) of the base, the adapter and the largest pass."""
        fixed = self._fixed(base, recipe, trained)
        kept = memory.estimated(base.model.config.get_text_config(), self._dtype(recipe).itemsize)
        need = memory.needed(method, recipe, found, cut, on_gpu=self._on_gpu)
        if not self._on_gpu:
            every = 1 if recipe.gradient_checkpointing is None else recipe.gradient_checkpointing
            return fixed + need * kept.peak(every), every
        free = CARDS[self._gpu].memory if self._gpu else memory.unused(torch.device("cuda"))
        plan = memory.planned(kept, free - fixed, need, recipe.gradient_checkpointing)
        tokens = recipe.micro_tokens or plan.tokens if method.data == "rows" else need
        return fixed + kept.bytes(plan.every, tokens), plan.every

    def _time(self, base: Skeleton, recipe: Recipe, rows: Rows, todo: Work) -> str:
        """Of the passes and of sampling, and how it is known how fast they are."""
        drawing = None if self._elsewhere else todo.drawing
        speed = self._speed(base, recipe, rows, Work(todo.passes, drawing))
        passes, sampling = speed.seconds(Work(todo.passes, drawing), self._processes)
        text = f"  time      about {duration(passes + sampling)} at {speed.source}"
        if drawing:
            share = sampling / (passes + sampling)
            text += f"; {share:.0%} of it to sample, if answers are as long as the shared ones"
        elif todo.drawing:
            text += ", and the time in which the server samples"
        return text

    def _speed(self, base: Skeleton, recipe: Recipe, rows: Rows, todo: Work) -> Speed:
        drawing, dtype = todo.drawing, self._dtype(recipe)
        key = (recipe.base, dtype, recipe.rank, recipe.targets, recipe.lora_compute, drawing is not None)
        if key not in self._speeds:
            if self._gpu:
                kept = self._cached(base, recipe) * drawing.batch if drawing else 0.0
                context = drawing.prompt + drawing.longest / 2 if drawing else 0.0
                self._speeds[key] = of_table(self._gpu, shape_of(base.model, 0), dtype.itemsize, context, kept)
            else:
                if main_process():
                    say("Measuring how fast blocks of this base are here …")
                tokens = sum(len(row.ids) for row in rows.rows) // len(rows.rows)
                self._speeds[key] = measured(base, recipe, dtype, tokens, drawing)
        return self._speeds[key]


def _examples(found: Examples, told: RewardStatistics) -> list[str]:
    return [
        f"  rows      {told.rows:,} of {told.groups:,} prompts, {told.positive:,} right, {told.mixed:,} mixed groups",
        f"  examples  {len(found):,} {found.noun}s, {sum(found.tokens):,} tokens, the longest {max(found.tokens):,}",
        *([_weights(found)] if found.weights else []),
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
