"""Rollouts as token ids: made once, the same ids for every method. No torch.

A row is the prompt as the chat template opens the answer, the completion, and the end-of-text token. Nothing
follows it: templates of the ChatML family add a newline there, which a model that samples never writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspector.base_model.encode import prompt_ids
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain, some
from trainer.rollouts.reasoning import LEARNED, WRAP, joined, opens, parts
from trainer.rollouts.schema import TRAIN, Rollout

_TAG = 8
"""Tokens at the end of a prompt in which its last tag stands."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rollout: `ids[start:]` are learned."""

    ids: tuple[int, ...]
    start: int
    reward: float
    group: str
    weight: float = 1.0

    @property
    def targets(self) -> int:
        """How many tokens are learned; 0 for a masked row."""
        return len(self.ids) - self.start

    @property
    def prompt(self) -> list[int]:
        return list(self.ids[: self.start])

    @property
    def completion(self) -> list[int]:
        return list(self.ids[self.start :])


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the online methods answer anew; `gold` grades the answers, empty where it is not known."""

    ids: tuple[int, ...]
    gold: str
    group: str


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows, and what was cut: by the teacher's token limit, or longer than fits."""

    rows: tuple[Row, ...]
    cut: int = 0
    too_long: int = 0
    masked: bool = False
    """Whether the cut ones stand among the rows, without targets, or were left out."""
    prompts: tuple[Prompt, ...] = ()
    """One a group, in the order of the rollouts; also of groups whose rows were all left out."""
    left_out: tuple[tuple[float, str], ...] = ()
    """Reward and group of the rows that were."""
    reasoning: str = WRAP
    """What became of a teacher's reasoning."""
    reasoned: int = 0
    """How many rollouts have some, those too that were left out."""
    hidden: int = 0
    """How many had some that the server did not send."""

    @property
    def rewards(self) -> list[float]:
        return [row.reward for row in self.rows]

    @property
    def groups(self) -> list[str]:
        return [row.group for row in self.rows]

    @property
    def graded(self) -> tuple[list[float], list[str]]:
        """Rewards and groups of all rows, those too that were left out."""
        rewards, groups = zip(*self.left_out, strict=True) if self.left_out else ((), ())
        return [*self.rewards, *rewards], [*self.groups, *groups]

    @property
    def groups_cut(self) -> int:
        """How many groups have rows that are learned and others that were left out, or masked, for their length."""
        whole = {row.group for row in self.rows if row.targets}
        return len(whole & {*(group for _, group in self.left_out), *(r.group for r in self.rows if not r.targets)})

    @property
    def repeats(self) -> list[bool]:
        """Whether a row before has the same completion of the same prompt."""
        first = {row.ids: n for n, row in reversed(list(enumerate(self.rows)))}
        return [first[row.ids] < n for n, row in enumerate(self.rows)]

    @property
    def digest(self) -> str:
        """sha256 over the token ids, where the learned ones begin, rewards, groups, and weights other than 1."""
        total = hashlib.sha256()
        for row in self.rows:
            weight = () if row.weight == 1 else (row.weight,)
            total.update(repr((row.ids, row.start, row.reward, row.group, *weight)).encode())
        return total.hexdigest()

    def account(self) -> str:
        """What became of cut rows and of reasoning, in words; empty where there is neither."""
        told = []
        if cut := self.cut + self.too_long:
            done = "kept in their groups without a loss" if self.masked else "left out"
            told.append(
                f"{count(cut, 'row')} {done}: {self.cut} cut by the teacher's token limit, "
                f"{self.too_long} longer than max_length."
            )
        if self.reasoned:
            others = ", ".join(how for how in LEARNED if how != self.reasoning)
            told.append(
                f"{count(self.reasoned, 'row')} with a teacher's reasoning, which is {LEARNED[self.reasoning]} "
                f"(--reasoning {self.reasoning}; else {others})."
            )
        if self.hidden:
            told.append(
                f"{count(self.hidden, 'row')} with more tokens, by the server's count, than the text can hold: "
                "reasoning that it did not send, so that the answer alone is learned."
            )
        return " ".join(told)


def tokenised(
    rollouts: Sequence[Rollout], tokenizer: Any, max_length: int, cut: str = "drop", reasoning: str = WRAP
) -> Rows:
    """The rollouts of the train split as rows of at most `max_length` tokens; `cut` is drop or mask.

    `reasoning` is a key of `LEARNED`. Raises InspectorError where nothing is left, and for a row whose chat the
    template refuses.
    """
    found = _rows(
        [(n, r) for n, r in enumerate(rollouts, 1) if r.split == TRAIN], tokenizer, max_length, cut, reasoning
    )
    if not any(row.targets for row in found.rows):
        others = sorted({r.split for r in rollouts} - {TRAIN})
        other = f"Only rows of the split {TRAIN} are, and there are rows of {some(others)}." if others else ""
        raise InspectorError(" ".join(filter(None, ("No row is left to learn from.", found.account(), other))))
    return found


def held_out(rollouts: Sequence[Rollout], tokenizer: Any, max_length: int, most: int, reasoning: str = WRAP) -> Rows:
    """The first `most` rollouts of any other split, none for 0, as the same rows; possibly none at all."""
    others = [(n, r) for n, r in enumerate(rollouts, 1) if r.split != TRAIN]
    return _rows(others[:most], tokenizer, max_length, "drop", reasoning)


def _rows(rollouts: Sequence[tuple[int, Rollout]], tokenizer: Any, max_length: int, cut: str, reasoning: str) -> Rows:
    end = tokenizer.eos_token_id
    if end is None:
        raise InspectorError("The base's tokenizer has no end-of-text token: a completion could not be ended.")
    rows: list[Row] = []
    prompts: dict[str, Prompt] = {}
    left_out: list[tuple[float, str]] = []
    stopped = long = reasoned = 0
    known: dict[int, int] = {}  # one int object for a token id, not one for each place where it stands
    for number, rollout in rollouts:
        opening = _opening(tokenizer, rollout, number)
        prompts.setdefault(rollout.group_id, Prompt(tuple(opening), rollout.solution, rollout.group_id))
        thought = bool(parts(rollout)[0])
        text = joined(rollout, reasoning, opened=thought and opens(tokenizer.decode(opening[-_TAG:])))
        reasoned += thought
        body = [*opening, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        short = rollout.unended
        body = list(map(known.setdefault, body, body))
        ids = body if short else [*body, end]
        over = not short and len(ids) > max_length
        stopped, long = stopped + short, long + over
        if not short and not over:
            rows.append(Row(tuple(ids), len(opening), rollout.reward, rollout.group_id, rollout.weight))
        elif cut == "mask":
            kept = tuple(ids[:max_length])
            rows.append(Row(kept, len(kept), rollout.reward, rollout.group_id, rollout.weight))
        else:
            left_out.append((rollout.reward, rollout.group_id))
    hidden = sum(rollout.hidden for _, rollout in rollouts)
    cut_ones = stopped, long, cut == "mask"
    return Rows(tuple(rows), *cut_ones, tuple(prompts.values()), tuple(left_out), reasoning, reasoned, hidden)


def _opening(tokenizer: Any, rollout: Rollout, number: int) -> list[int]:
    from jinja2 import TemplateError

    try:
        return prompt_ids(tokenizer, rollout.prompt)
    except (TemplateError, KeyError) as error:
        raise InspectorError(
            f"Rollout {number} (id {plain(rollout.id, 40)}): the base's chat template refuses its prompt "
            f"({plain(error, 80)})."
        ) from error
