"""What there is to learn from in rewards and groups. No torch.

`rewards` and `groups` run over the same rows; a group is all completions of one prompt. A row is positive where
r > 0.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


def group_means(rewards: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    """Group -> mean reward."""
    return {g: sum(r for r, _ in members) / len(members) for g, members in _members(rewards, groups).items()}


def binary(rewards: Sequence[float]) -> bool:
    """Whether there is nothing but right (1) and wrong (0)."""
    return set(rewards) <= {0.0, 1.0}


def pairs(rewards: Sequence[float], groups: Sequence[str], *, every: bool = False) -> list[tuple[int, int]]:
    """(right, wrong) rows of the mixed groups: the first of each, or every pair of them."""
    found = []
    for members in _members(rewards, groups).values():
        right = [n for r, n in members if r > 0]
        wrong = [n for r, n in members if r <= 0]
        both = list(itertools.product(right, wrong))
        found += both if every else both[:1]
    return found


@dataclass(frozen=True, slots=True)
class RewardStatistics:
    """What there is to learn from."""

    rows: int
    positive: int
    groups: int
    mixed: int
    """Groups with right and wrong answers."""
    all_right: int
    all_wrong: int
    mean: float


def statistics(rewards: Sequence[float], groups: Sequence[str]) -> RewardStatistics:
    """Counts over rows and groups."""
    shares = [sum(r > 0 for r, _ in members) / len(members) for members in _members(rewards, groups).values()]
    return RewardStatistics(
        rows=len(rewards),
        positive=sum(r > 0 for r in rewards),
        groups=len(shares),
        mixed=sum(0 < share < 1 for share in shares),
        all_right=sum(share == 1 for share in shares),
        all_wrong=sum(share == 0 for share in shares),
        mean=sum(rewards) / len(rewards) if rewards else 0.0,
    )


def _members(rewards: Sequence[float], groups: Sequence[str]) -> dict[str, list[tuple[float, int]]]:
    """Group -> (reward, row) of its members, in the rows' order."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for n, (r, g) in enumerate(zip(rewards, groups, strict=True)):
        found[g].append((r, n))
    return found
