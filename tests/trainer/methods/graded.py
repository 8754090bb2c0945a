"""Rows as weights see them."""

from dataclasses import dataclass


@dataclass
class Graded:
    rewards: list[float]
    groups: list[str]

    @property
    def graded(self):
        return self.rewards, self.groups

    @property
    def repeats(self):
        return [False] * len(self.rewards)
