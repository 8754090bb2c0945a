"""Groups of fresh completions: drawn, graded, and for DAPO drawn again where all rewards are equal.

Every draw's random stream follows from the data seed, the step, its place in the batch and its number in the group, so
that it depends neither on what was drawn before nor on the number of processes, and a resumed run draws the same.
Processes share a batch by its completions, so that a group may straddle them; where groups are drawn again they tell
each other all rewards, and draw together as one process would.
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
class Graded:
    """One completion of a prompt."""

    prompt: Prompt
    answer: Answer
    reward: float


@dataclass(frozen=True, slots=True)
class Round:
    """A process's share of a batch of completions: those to learn from, then those that only keep its size."""

    completions: tuple[Graded, ...]
    learned: int
    """How many of them teach something; the others are masked."""
    drawn: int
    """How many completions this process drew."""
    first_reward: float
    """Mean reward of those that this process drew first, before any was left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which batch of completions, on which of how many processes."""

    number: int
    rank: int = 0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Groups:
    """Draws a process's share of a batch, whose first and last group may be shared with its neighbours."""

    prompts: Sequence[Prompt]
    sample: Sampler
    grade: Grade
    generations: int
    seed: int
    redraws: int = 0
    """0: every group is learned from, as GRPO does. Else DAPO's dynamic sampling, at most so many times."""
    gather: Gather = list

    def round(self, chosen: Sequence[int], place: Place) -> Round:
        """A completion for each of `chosen`, the prompts of this process's part of a batch that lists each G times.

        Where DAPO draws again they may be of other prompts.
        """
        begin, end = place.rank * len(chosen), (place.rank + 1) * len(chosen)
        first = self._drawn(chosen, place, 0, begin)
        mean = sum(one.reward for one in first) / len(first)
        if not self.redraws:
            return Round(tuple(first), len(first), len(first), mean)
        everyone: list[Graded] = self.gather(first)
        kept, spare = self._parted(everyone)
        drawn, pool = len(first), self._pool(self.gather(list(chosen)), place)
        for attempt in range(1, self.redraws + 1):
            lacking = (len(everyone) - len(kept)) // self.generations
            more, pool = pool[:lacking], pool[lacking:]
            if not more:
                break
            repeated = [number for number in more for _ in range(self.generations)]
            start, stop = (len(repeated) * rank // place.processes for rank in (place.rank, place.rank + 1))
            mine = self._drawn(repeated[start:stop], place, attempt, start)
            drawn += len(mine)
            kept += self._parted(self.gather(mine))[0]
        learned = min(max(len(kept) - begin, 0), len(chosen))
        return Round(tuple((kept + spare)[begin:end]), learned, drawn, mean)

    def _drawn(self, chosen: Sequence[int], place: Place, attempt: int, start: int) -> list[Graded]:
        """Completions of these prompts, the first of which is the batch's, or the attempt's, number `start`."""
        draws = []
        for at, number in enumerate(chosen, start):
            group, k = divmod(at, self.generations)
            where = (0, group) if attempt else group  # the 0 keeps the streams of runs that began before it was there
            draws.append((self.prompts[number], self._stream(place.number, attempt, where, k)))
        answers = self.sample(draws) if draws else []
        return [
            Graded(prompt, answer, self.grade(answer.text, prompt.gold))
            for (prompt, _), answer in zip(draws, answers, strict=True)
        ]

    def _parted(self, completions: Sequence[Graded]) -> tuple[list[Graded], list[Graded]]:
        """Those of groups in which there is something to tell better from worse by, and the others."""
        mixed: list[Graded] = []
        equal: list[Graded] = []
        for first in range(0, len(completions), self.generations):
            group = completions[first : first + self.generations]
            (mixed if len({one.reward for one in group}) > 1 else equal).extend(group)
        return mixed, equal

    def _stream(self, *where: object) -> int:
        return int.from_bytes(hashlib.sha256(repr((self.seed, *where)).encode()).digest()[:4], "big") >> 1

    def _pool(self, chosen: Sequence[int], place: Place) -> list[int]:
        """The prompts that were not chosen, in an order of this batch's own."""
        drawn = np.random.default_rng([self.seed, 1, place.number]).permutation(len(self.prompts))
        left = set(chosen)
        return [int(n) for n in drawn if int(n) not in left]
