"""What the methods read of the tokenised rollouts: rows, their groups, and what was cut. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from inspector.common.errors import InspectorError
from inspector.common.text import count, some
from trainer.rollouts.reasoning import LEARNED, WRAP
from trainer.rollouts.schema import TRAIN
from trainer.rollouts.tokens import Encoded, Ids, Tokens


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One rollout: `ids[start:]` are learned."""

    ids: Ids
    start: int
    reward: float
    group: str
    weight: float = 1.0

    @property
    def targets(self) -> int:
        """How many tokens are learned; 0 for a masked row."""
        return len(self.ids) - self.start

    @property
    def prompt(self) -> Ids:
        return self.ids[: self.start]

    @property
    def completion(self) -> Ids:
        return self.ids[self.start :]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the online methods answer anew; `gold` grades the answers, empty where it is not known."""

    ids: Sequence[int] | Ids
    gold: str
    group: str


@dataclass(frozen=True, eq=False)
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
        named = [row.ids.tobytes() for row in self.rows]
        first = {name: n for n, name in reversed(list(enumerate(named)))}
        return [first[name] < n for n, name in enumerate(named)]

    @cached_property
    def digest(self) -> str:
        """sha256 over the token ids, where the learned ones begin, rewards, groups, and weights other than 1."""
        total = hashlib.sha256()
        for row in self.rows:
            weight = () if row.weight == 1 else (row.weight,)
            total.update(repr((tuple(row.ids.tolist()), row.start, row.reward, row.group, *weight)).encode())
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


def learned(tokens: Tokens, max_length: int, cut: str = "drop") -> Rows:
    """The rollouts of the train split as rows of at most `max_length` tokens; `cut` is drop or mask.

    Raises InspectorError where nothing is left.
    """
    found = _rows((row for row in tokens if row.split == TRAIN), max_length, cut, tokens.reasoning)
    if not any(row.targets for row in found.rows):
        others = sorted({row.split for row in tokens} - {TRAIN})
        other = f"Only rows of the split {TRAIN} are, and there are rows of {some(others)}." if others else ""
        raise InspectorError(" ".join(filter(None, ("No row is left to learn from.", found.account(), other))))
    return found


def held_out(tokens: Tokens, max_length: int, most: int) -> Rows:
    """The first `most` rollouts of any other split, none for 0, as the same rows; possibly none at all."""
    others = [row for row in tokens if row.split != TRAIN]
    return _rows(others[:most], max_length, "drop", tokens.reasoning)


def _rows(encoded: Iterable[Encoded], max_length: int, cut: str, reasoning: str) -> Rows:
    rows: list[Row] = []
    prompts: dict[str, Prompt] = {}
    left_out: list[tuple[float, str]] = []
    stopped = long = reasoned = hidden = 0
    for one in encoded:
        prompts.setdefault(one.group, Prompt(one.ids[: one.start], one.solution, one.group))
        over = not one.unended and len(one.ids) > max_length
        stopped, long = stopped + one.unended, long + over
        reasoned, hidden = reasoned + one.reasoned, hidden + one.hidden
        if not one.unended and not over:
            rows.append(Row(one.ids, one.start, one.reward, one.group, one.weight))
        elif cut == "mask":
            kept = one.ids[:max_length]
            rows.append(Row(kept, len(kept), one.reward, one.group, one.weight))
        else:
            left_out.append((one.reward, one.group))
    cut_ones = stopped, long, cut == "mask"
    return Rows(tuple(rows), *cut_ones, tuple(prompts.values()), tuple(left_out), reasoning, reasoned, hidden)
