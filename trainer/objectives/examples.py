"""What a method learns from: the rows, pairs or labelled rows of the shared rollouts, and in which order. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inspector.common.errors import InspectorError
from inspector.common.text import count
from trainer.methods.base import Method
from trainer.methods.online import Online
from trainer.methods.preference import Paired
from trainer.methods.rewards import pairs, statistics
from trainer.methods.weighted import Weighted
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rows import Row, Rows

Columns = dict[str, Sequence[Any]]
"""Token ids are views of the rows' own."""
_IGNORED = -100
_MISSING = {
    "positive": "no row has a reward above 0",
    "negative": "every row has a reward above 0",
    "mixed": "no group has right and wrong answers",
}


class Labels(Sequence[Any]):
    """What is predicted of each row, made when it is asked for: its ids, the prompt's ignored."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, n: Any) -> Any:
        """(tokens,) of row n."""
        found = np.array(self._rows[n].ids)
        found[: self._rows[n].start] = _IGNORED
        return found


@dataclass(frozen=True, slots=True)
class Examples:
    """Columns as the trainer takes them, and where each example came from."""

    columns: Columns
    noun: str
    """row, pair or prompt."""
    tokens: tuple[int, ...]
    """Of each example, prompt included; of a prompt, with as many answers as it gets, as long as the shared ones."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of rows: least, largest, mean and standard deviation of their weights, and how many groups were cut by length."""
    left_out: int = 0
    """Prompts that leave no room for a completion."""

    def __len__(self) -> int:
        return len(self.tokens)


def examples(method: Method, recipe: Recipe, rows: Rows) -> Examples:
    """The method's examples. Raises InspectorError, before anything is trained, where nothing could be learned."""
    learned = [row for row in rows.rows if row.targets]
    gold = any(prompt.gold for prompt in rows.prompts)
    refuse_unlearnable(method, [row.reward for row in learned], [row.group for row in learned], gold=gold)
    objective = recipe.objective(method)
    if method.data == "pairs":
        return _pairs(objective, rows)
    if method.data == "prompts":
        return _prompts(objective, rows, recipe.max_length)
    return _labelled(rows) if method.data == "unpaired" else _weighted(method.name, objective, rows)


def taken(method: Method, recipe: Recipe) -> int:
    """How many examples a whole run reads."""
    if method.data == "prompts":
        online: Online = recipe.objective(method)
        return -(-recipe.steps // online.iterations) * (recipe.batch // online.generations)
    return recipe.steps * recipe.batch


def widest(method: Method, recipe: Recipe, found: Examples) -> int:
    """Tokens of the longest example with its padding; of a prompt with one completion."""
    if method.data == "pairs":
        sides = (found.columns[key] for key in ("prompt_ids", "chosen_ids", "rejected_ids"))
        return max(2 * (len(prompt) + max(len(right), len(wrong))) for prompt, right, wrong in zip(*sides, strict=True))
    if method.data == "prompts":
        return max(map(len, found.columns["ids"])) + int(recipe.objective(method).max_new_tokens)
    return max(found.tokens)


def order(size: int, length: int, seed: int) -> list[int]:
    """`length` examples of `size`: one permutation an epoch, each drawn from (seed, epoch).

    The steps take them as they come, so that a step's rows do not depend on how it is cut into micro-batches, on
    the number of processes, or on an interruption.
    """
    epochs = -(-length // size)
    drawn = [np.random.default_rng([seed, epoch]).permutation(size) for epoch in range(epochs)]
    return [int(n) for n in np.concatenate(drawn)[:length]]


def by_length(laid: Sequence[int], tokens: Sequence[int], batch: int, processes: int = 1, dealt: int = 1) -> list[int]:
    """The same steps of `batch` examples, within each the longest first, dealt to the processes `dealt` at a time.

    Neighbours then are of one length, and next to nothing is padded. A step's gradient is a mean over the step,
    whatever the order in it.
    """
    found = []
    for at in range(0, len(laid), batch):
        ranked = sorted(laid[at : at + batch], key=lambda n: -tokens[n])
        for process in range(processes):
            found += [n for place, n in enumerate(ranked) if place // dealt % processes == process]
    return found


def refuse_unlearnable(method: Method, rewards: Sequence[float], groups: Sequence[str], *, gold: bool) -> None:
    """Raise InspectorError where rows of these rewards and groups hold nothing the method learns from.

    `gold`: whether any of them has a gold answer.
    """
    if method.data == "prompts" and not gold:
        raise InspectorError(
            "The rollouts have no gold answers (`answer` or `solution`) by which new ones could be graded: only "
            "offline methods can learn from them."
        )
    told = statistics(rewards, groups)
    there = {"positive": told.positive > 0, "negative": told.positive < told.rows, "mixed": told.mixed > 0}
    for need in method.needs:
        if not there[need]:
            raise InspectorError(
                f"{method.name} has nothing to learn here: {_MISSING[need]} ({count(told.rows, 'row')}, "
                f"{told.positive} of them right, {count(told.groups, 'group')}). Sample more, or easier, prompts."
            )


def weight_note(method: Method, rows: Rows) -> str:
    """What becomes of the rows' weights; empty if all are 1."""
    odd = [row.weight for row in rows.rows if row.weight != 1]
    if not odd:
        return ""
    does = (
        f"what {method.name} gives a row is multiplied by its weight" if method.data == "rows"
        else f"{method.name} does not read that column, and takes all rows alike"
    )  # fmt: skip
    return f"{count(len(odd), 'row')} of a weight other than 1 ({min(odd):g} to {max(odd):g}): {does}."


def _weighted(name: str, objective: Weighted, rows: Rows) -> Examples:
    found = objective.weights(rows)
    if len(found) != len(rows.rows) or not np.isfinite(found).all():
        raise InspectorError(f"{name} must give a finite weight for each of {count(len(rows.rows), 'row')}.")
    found = [weight * row.weight for weight, row in zip(found, rows.rows, strict=True)]
    kept = [n for n, weight in enumerate(found) if weight or not objective.filters]
    if not any(found[n] and rows.rows[n].targets for n in kept):
        raise InspectorError(f"{name} has nothing to learn here: every row's weight is 0.")
    chosen = [rows.rows[n] for n in kept]
    columns: Columns = {
        "input_ids": [row.ids for row in chosen],
        "labels": Labels(chosen),
        "weight": [found[n] for n in kept],
    }
    learned = [found[n] for n in kept if rows.rows[n].targets]
    spread = {
        "least": min(learned), "largest": max(learned), "mean": float(np.mean(learned)), "std": float(np.std(learned)),
        "groups_cut": rows.groups_cut,
    }  # fmt: skip
    return Examples(columns, "row", tuple(len(row.ids) for row in chosen), spread)


def _pairs(objective: Paired, rows: Rows) -> Examples:
    learned = [row for row in rows.rows if row.targets]
    chosen = pairs([r.reward for r in learned], [r.group for r in learned], every=objective.pairs == "all")
    both: Sequence[tuple[Row, Row]] = [(learned[w], learned[l]) for w, l in chosen]  # noqa: E741 - w wins, l loses
    for right, wrong in both:
        if not np.array_equal(right.prompt, wrong.prompt):
            raise InspectorError(f"Group {right.group!r} holds answers to different prompts: one prompt a group.")
    columns: Columns = {
        "prompt_ids": [right.prompt for right, _ in both],
        "chosen_ids": [right.completion for right, _ in both],
        "rejected_ids": [wrong.completion for _, wrong in both],
    }
    return Examples(columns, "pair", tuple(len(right.ids) + len(wrong.ids) for right, wrong in both))


def _labelled(rows: Rows) -> Examples:
    learned = [row for row in rows.rows if row.targets]
    columns: Columns = {
        "prompt_ids": [row.prompt for row in learned],
        "completion_ids": [row.completion for row in learned],
        "label": [row.reward > 0 for row in learned],
    }
    return Examples(columns, "row", tuple(len(row.ids) for row in learned))


def _prompts(objective: Online, rows: Rows, max_length: int) -> Examples:
    graded = [prompt for prompt in rows.prompts if prompt.gold]
    limit = objective.max_new_tokens
    chosen = [prompt for prompt in graded if len(prompt.ids) + limit <= max_length]
    if not chosen:
        raise InspectorError(
            f"Every prompt is longer than the {max_length - limit} tokens that max_new_tokens, {limit}, leaves of "
            f"max_length, {max_length}: raise that, or lower max_new_tokens."
        )
    answer = sum(row.targets for row in rows.rows) / max(sum(row.targets > 0 for row in rows.rows), 1)
    columns: Columns = {"ids": [prompt.ids for prompt in chosen], "gold": [prompt.gold for prompt in chosen]}
    tokens = tuple(round(objective.generations * (len(p.ids) + min(answer, limit))) for p in chosen)
    return Examples(columns, "prompt", tokens, left_out=len(graded) - len(chosen))
