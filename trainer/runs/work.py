"""What a run computes: FLOPs of its passes and tokens of its completions, counted from rows and the base's shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.methods.base import Method
from trainer.objectives.examples import Examples, order, taken
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rows import Rows
from trainer.runs.memory import blocks


@dataclass(frozen=True, slots=True)
class Shape:
    """Numbers that a token is multiplied by, in all blocks and in the output head; `adapter`: weights that train."""

    blocks: int
    weights: float
    head: float
    heads: int
    """Heads × head size × blocks: what attention multiplies for each pair of tokens, twice."""
    adapter: int

    def forward(self, tokens: float, scored: float) -> Flops:
        """Of a row: 2 for each weight and token, 4·heads·(tokens/2) more a token for a causal attention."""
        products = 2 * (self.weights + self.adapter) * tokens
        return Flops(products, 2 * self.heads * tokens**2, 2 * self.adapter * tokens, 2 * self.head * scored)


@dataclass(frozen=True, slots=True)
class Flops:
    """Of products with weights, of attention between tokens, of the adapter alone (within the first), of the head."""

    products: float = 0.0
    attention: float = 0.0
    adapter: float = 0.0
    head: float = 0.0

    def times(self, factor: float) -> Flops:
        return Flops(*(factor * part for part in self._parts))

    def plus(self, other: Flops) -> Flops:
        return Flops(*(a + b for a, b in zip(self._parts, other._parts, strict=True)))

    def trained(self, every: int) -> Flops:
        """Forward and backward: to the inputs alone, but for the adapter's weights, whose gradients are as many more.

        Attention's backward is 2.5 forwards, the head's makes its logits again; every so many-th block is run twice.
        """
        again = 1 / every if every else 0.0
        products = (2 + again) * self.products + self.adapter
        return Flops(products, (3.5 + again) * self.attention, self.adapter, 3 * self.head)

    @property
    def blocks(self) -> float:
        return self.products + self.attention

    @property
    def _parts(self) -> tuple[float, float, float, float]:
        return self.products, self.attention, self.adapter, self.head


@dataclass(frozen=True, slots=True)
class Drawing:
    """Completions of all processes, and how long they are taken to be: as the shared ones."""

    completions: float
    batch: int
    """Drawn at once by a process."""
    prompts: Flops
    """Of reading the prompts, once for each completion."""
    prompt: float
    """Mean length."""
    longest: float
    """The mean longest one of a batch, for which the others wait."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How the rows of a step go through the model."""

    every: int
    """Every how many-th block is computed twice; 0: none."""
    together: int
    """Rows that are padded to one length; 0: none is."""
    drawn: int
    """Completions of a batch of them."""


@dataclass(frozen=True, slots=True)
class Work:
    """Of a whole run, over all processes."""

    passes: Flops
    drawing: Drawing | None = None


def shape_of(model: Any, adapter: int) -> Shape:
    """Of a base on any device, with so many weights of an adapter."""
    config, layers = model.config.get_text_config(), blocks(model)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    used = (getattr(config, "num_experts_per_tok", None) or 1) / (_experts(config) or 1)
    sizes = (p.numel() * (used if p.dim() > 2 else 1) for layer in layers for p in layer.parameters() if p.dim() > 1)
    heads = config.num_attention_heads * head * len(layers)
    return Shape(len(layers), sum(sizes), model.get_output_embeddings().weight.numel(), heads, adapter)


def _experts(config: Any) -> int:
    return next((n for key in ("num_experts", "num_local_experts") if (n := getattr(config, key, 0))), 0)


def work(method: Method, recipe: Recipe, found: Examples, rows: Rows, shape: Shape, cut: Cut) -> Work:
    """Passes with their padding, attention and references; of an online method also its completions.

    Those are taken to be as long as the shared ones, and their groups to be mixed as often.
    """
    objective = recipe.objective(method)
    laid = order(len(found), taken(method, recipe), recipe.data_seed)
    if method.data == "prompts":
        return _online(objective, found, rows, shape, cut, laid)
    widths = _widths(method, found)
    share = sum(row.targets for row in rows.rows) / sum(len(row.ids) for row in rows.rows)
    sides = 2 if method.data == "pairs" else 1

    def forward(numbers: Sequence[int], batch: int, *, ranked: bool) -> Flops:
        padded = _padded([widths[n] for n in numbers], batch, cut.together, ranked=ranked)
        scored = share * sum(found.tokens[n] for n in numbers)
        passes = _sum([shape.forward(width, 0).times(sides * count) for width, count in padded.items()])
        return passes.plus(shape.forward(0, scored))

    seen = forward(laid, recipe.batch, ranked=method.data != "unpaired")
    passes = seen.trained(cut.every)
    if method.data == "pairs" and objective.margin is None:  # its reference, once
        passes = passes.plus(forward(range(len(found)), len(found), ranked=False))
    if method.data == "unpaired":  # its reference, and both again for the KL
        passes = passes.plus(seen.times(3))
    if getattr(objective, "kl", 0):
        passes = passes.plus(seen)
    return Work(passes)


def _online(objective: Any, found: Examples, rows: Rows, shape: Shape, cut: Cut, laid: Sequence[int]) -> Work:
    """Of an online method, whose steps read each batch of completions `iterations` times."""
    lengths = sorted(min(row.targets, objective.max_new_tokens) for row in rows.rows)
    mean, prompts = sum(lengths) / len(lengths), Counter(len(found.columns["ids"][n]) for n in laid)
    seen = _sum([shape.forward(n + mean, mean).times(count * objective.generations) for n, count in prompts.items()])
    passes = seen.times(objective.iterations).trained(cut.every)
    if objective.kl:
        passes = passes.plus(seen.times(objective.iterations))
    if objective.iterations > 1:  # by the model that drew them
        passes = passes.plus(seen)
    prompt = sum(n * count for n, count in prompts.items()) / len(laid)
    drawn = _drawn(rows, objective.redraws) * objective.generations * len(laid)
    read = shape.forward(prompt, 1).times(drawn)
    return Work(passes, Drawing(drawn, cut.drawn, read, prompt, longest(lengths, cut.drawn)))


def _widths(method: Method, found: Examples) -> Sequence[int]:
    """Tokens of each example, of a pair those of its longer side."""
    if method.data != "pairs":
        return found.tokens
    sides = (found.columns[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))
    return [len(prompt) + max(len(right), len(wrong)) for prompt, right, wrong in zip(*sides, strict=True)]


def _padded(widths: Sequence[int], batch: int, together: int, *, ranked: bool) -> Counter[int]:
    """How many rows are of which width once so many of a batch are as long as their longest; `ranked`: that first."""
    found: Counter[int] = Counter()
    for at in range(0, len(widths), batch):
        step = sorted(widths[at : at + batch], reverse=True) if ranked else widths[at : at + batch]
        for first in range(0, len(step), together or 1):
            part = step[first : first + (together or 1)]
            found[max(part)] += len(part)
    return found


def longest(lengths: Sequence[int], batch: int) -> float:
    """Mean largest of `batch` draws from sorted lengths: Σ x_i·((i/n)ᵇ − ((i−1)/n)ᵇ)."""
    n = len(lengths)
    return sum(x * ((i / n) ** batch - ((i - 1) / n) ** batch) for i, x in enumerate(lengths, 1))


def _drawn(rows: Rows, redraws: int) -> float:
    """Groups drawn for each one that is kept first: Σ_k (1 − m)ᵏ, m the share of mixed groups."""
    rewards: dict[str, set[float]] = {}
    for reward, group in zip(*rows.graded, strict=True):
        rewards.setdefault(group, set()).add(reward)
    equal = sum(len(found) == 1 for found in rewards.values()) / len(rewards)
    return sum(equal**attempt for attempt in range(redraws + 1))


def _sum(parts: Sequence[Flops]) -> Flops:
    total = Flops()
    for part in parts:
        total = total.plus(part)
    return total
