"""Rewards of completions: 1 where math-verify finds the gold answer, else 0. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.tasks.grading import Grader, Status


@dataclass(frozen=True, slots=True)
class Reward:
    """Right (1) or wrong (0), how the grading went, and what was read as the answer."""

    value: float
    status: Status
    parsed: str


def reward(grader: Grader, completion: str, gold: str) -> Reward:
    """Compare a completion with the gold answer; what cannot be read or takes too long is wrong, and says so."""
    verdict = grader.grade(completion, gold)
    return Reward(float(verdict.correct), verdict.status, verdict.parsed)
