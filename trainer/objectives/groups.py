"""Groups of fresh completions: drawn, graded, and for DAPO drawn again where all rewards are equal.

Every draw's random stream follows from the data seed, the step, its place in the batch and its number in the group, so
that it depends neither on what was drawn before nor on the number of processes, and a resumed run draws the same.
Several processes tell each other which of their groups are mixed and draw again together: as one process would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.base_model.generation import Answer
from trainer.rollouts.rows import Prompt

Draw = tuple[Prompt, int]
"""A prompt and the seed of one completion of it."""
Sampler = Callable[[Sequence[Draw]], list[Answer]]
"""Completions in the order of their draws, with token ids."""
Grade = Callable[[str, str], float]
"""(completion, gold answer) -> reward."""
Gather = Callable[[list[Any]], list[Any]]
"""The lists of all processes, one after the other."""


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one prompt."""

    prompt: Prompt
    answers: tuple[Answer, ...]
    rewards: tuple[float, ...]

    @property
    def mixed(self) -> bool:
        """Whether there is anything to tell better from worse by."""
        return len(set(self.rewards)) > 1


@dataclass(frozen=True, slots=True)
class Round:
    """What one batch of completions is made of: groups to learn from, then those that only keep its size."""

    groups: tuple[Group, ...]
    learned: int
    """How many of the groups teach something; the others are masked."""
    drawn: int
    """How many groups this process drew."""
    first_reward: float
    """Mean reward of the groups that this process drew first, before any was left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which batch of completions, on which of how many processes."""

    number: int
    rank: int = 0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Groups:
    """Draws a process's share of a batch."""

    prompts: Sequence[Prompt]
    sample: Sampler
    grade: Grade
    generations: int
    seed: int
    redraws: int = 0
    """0: every group is learned from, as GRPO does. Else DAPO's dynamic sampling, at most so many times."""
    gather: Gather = list

    def round(self, chosen: Sequence[int], place: Place) -> Round:
        """One group for each of the `chosen` prompts, or for others where DAPO draws again."""
        size = len(chosen)
        first = self._drawn(chosen, place, 0, place.rank * size)
        rewards = [reward for group in first for reward in group.rewards]
        mean = sum(rewards) / len(rewards)
        if not self.redraws:
            return Round(tuple(first), size, size, mean)
        everyone: list[Group] = self.gather(first)
        kept, spare, drawn = _mixed(everyone), [g for g in everyone if not g.mixed], size
        pool = self._pool(self.gather(list(chosen)), place)
        for attempt in range(1, self.redraws + 1):
            more, pool = pool[: len(everyone) - len(kept)], pool[len(everyone) - len(kept) :]
            if not more:
                break
            start, end = (len(more) * rank // place.processes for rank in (place.rank, place.rank + 1))
            mine = self._drawn(more[start:end], place, attempt, start)
            drawn += len(mine)
            kept += _mixed(self.gather(mine))
        batch, begin = kept + spare[: len(everyone) - len(kept)], place.rank * size
        return Round(tuple(batch[begin : begin + size]), min(max(len(kept) - begin, 0), size), drawn, mean)

    def _drawn(self, chosen: Sequence[int], place: Place, attempt: int, start: int) -> list[Group]:
        """The groups of these prompts, the first of which is the batch's, or the attempt's, number `start`."""
        draws = []
        for at, number in enumerate(chosen, start):
            where = (0, at) if attempt else at  # the 0 keeps the streams of runs that began before this was written
            draws += [(self.prompts[number], self._stream(place.number, attempt, where, k))
                      for k in range(self.generations)]  # fmt: skip
        answers = self.sample(draws) if draws else []
        return [
            self._graded(self.prompts[number], answers[at * self.generations : (at + 1) * self.generations])
            for at, number in enumerate(chosen)
        ]

    def _graded(self, prompt: Prompt, answers: Sequence[Answer]) -> Group:
        return Group(prompt, tuple(answers), tuple(self.grade(answer.text, prompt.gold) for answer in answers))

    def _stream(self, *where: object) -> int:
        return int.from_bytes(hashlib.sha256(repr((self.seed, *where)).encode()).digest()[:4], "big") >> 1

    def _pool(self, chosen: Sequence[int], place: Place) -> list[int]:
        """The prompts that were not chosen, in an order of this batch's own."""
        drawn = np.random.default_rng([self.seed, 1, place.number]).permutation(len(self.prompts))
        left = set(chosen)
        return [int(n) for n in drawn if int(n) not in left]


def _mixed(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.mixed]
