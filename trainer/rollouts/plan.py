"""Which completions a run consists of: every one known by its content before it is drawn. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from inspector.common.errors import InspectorError
from inspector.common.text import count, plain
from inspector.tasks.problems import Problem, Problems
from trainer.rollouts.draws import Draw, Sample, Sampling
from trainer.rollouts.fields import Message
from trainer.rollouts.rewards import Reward
from trainer.rollouts.schema import Rollout
from trainer.rollouts.teachers import Teacher


@dataclass(frozen=True, slots=True)
class Slot:
    """One completion to come: its place, and what the teacher is shown."""

    id: str
    group_id: str
    k: int
    index: int
    problem: Problem
    prompt: tuple[Message, ...]
    draw: Draw


@dataclass(frozen=True, slots=True)
class Plan:
    """The completions of a run in order: all of one prompt, then those of the next."""

    source: str
    split: str
    teacher: str
    """As the rows name it."""
    sampling: Sampling
    slots: tuple[Slot, ...]

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(slot.draw for slot in self.slots)

    def rollout(self, sample: Sample, reward: Reward) -> Rollout:
        """The row of one sample."""
        slot, how = self.slots[sample.index], self.sampling
        return Rollout(
            id=slot.id, group_id=slot.group_id, k=slot.k, source=self.source, source_index=slot.index,
            prompt=slot.prompt, completion=({"role": "assistant", "content": sample.text},),
            problem=slot.problem.question, solution=slot.problem.answer,
            reward=reward.value, reward_status=reward.status, answer_parsed=reward.parsed,
            teacher=self.teacher, temperature=how.temperature, top_p=how.top_p, max_tokens=how.max_tokens,
            seed=slot.draw.seed, finish_reason=sample.finish,
            prompt_tokens=sample.prompt_tokens, completion_tokens=sample.completion_tokens,
            created=datetime.now(UTC).isoformat(timespec="seconds"), split=self.split,
            reasoning=sample.reasoning,
        )  # fmt: skip

    def missing(self, rows: Sequence[Rollout], where: object) -> frozenset[int]:
        """The slots without a row. Raises InspectorError where the rows were drawn in another way."""
        groups = {slot.group_id for slot in self.slots}
        wanted = {slot.id for slot in self.slots}
        size = max(slot.k for slot in self.slots) + 1
        mine = (self.teacher, self.sampling.temperature, self.sampling.top_p, self.sampling.max_tokens)
        for row in rows:
            theirs = (row.teacher, row.temperature, row.top_p, row.max_tokens)
            same = theirs == mine
            if row.id not in wanted and (not same or (row.group_id in groups and row.k < size)):
                other = "another seed, other worked examples, other weights, another server or another --body"
                what = other if same else f"{_described(theirs)}; this run is {_described(mine)}"
                raise InspectorError(
                    f"{plain(where)} holds rollouts of {what}: repeat those settings, or name another file by --out."
                )
        there = {row.id for row in rows}
        return frozenset(n for n, slot in enumerate(self.slots) if slot.id not in there)


def planned(problems: Problems, teacher: Teacher, sampling: Sampling, k: int, shots: int, split: str = "train") -> Plan:
    """K draws of every problem, the same for the same arguments.

    The teacher sees `shots` worked examples before the question; the stored prompt, which is trained on, does not
    hold them. Raises InspectorError where there are not as many.
    """
    if shots > len(problems.examples):
        there = count(len(problems.examples), "worked example")
        raise InspectorError(f"{problems.name} has {there}: --shots {shots} is too many.")
    shown = Problems(problems.name, problems.problems, problems.examples[:shots])
    how = [teacher.identity, list(shown.examples), sampling.temperature, sampling.top_p, sampling.max_tokens]
    slots: list[Slot] = []
    groups: set[str] = set()
    for index, problem in enumerate(problems.problems):
        prompt = tuple(problems.messages(problem, shots=False))
        group = key(prompt, problem.answer)
        if group in groups:  # one question with and without the request for a box
            continue
        groups.add(group)
        messages = tuple(shown.messages(problem))
        for n in range(k):
            id_ = _sha([*how, sampling.seed, group, n])[:20]
            slots.append(Slot(id_, group, n, index, problem, prompt, Draw(messages, sampling.of(group, n))))
    named = f"{teacher.name}, {count(shots, 'shot')}" if shots else teacher.name
    return Plan(problems.name, split, named, sampling, tuple(slots))


def key(prompt: Sequence[Message], answer: str) -> str:
    """What a group is known by: its prompt and gold answer, in 16 digits of a sha256."""
    return _sha([list(prompt), answer])[:16]


def _sha(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _described(how: tuple[str, float, float, int]) -> str:
    teacher, temperature, top_p, tokens = how
    return f"{plain(teacher)} at temperature {temperature:g}, top-p {top_p:g}, at most {tokens} tokens"
