"""Which positions of the prompts are their own, and which are the template that all of them share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from inspector.base_model.encode import Encoded
from inspector.common.text import count

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Template:
    """How many tokens all prompts begin with, and how many they end with: system turn, request, mark of the answer.

    The states of a common beginning are the same rows for every prompt, and those of a common end nearly so.
    """

    start: int = 0
    end: int = 0

    def own(self, length: int) -> range:
        """The positions of a prompt of this many tokens that are not shared: one at least."""
        return range(self.start, length - self.end)

    def mask(self, mask: Tensor) -> Tensor:
        """(batch, length) bool: the own positions of prompts that `mask` pads on the right."""
        import torch

        at = torch.arange(mask.shape[1], device=mask.device)
        return (at >= self.start) & (at < mask.sum(1, keepdim=True) - self.end)

    @property
    def words(self) -> str:
        """` without the first 23 tokens and the last 5 tokens of every prompt`; empty if nothing is left out."""
        parts = [f"the {end} {count(n, 'token')}" for end, n in (("first", self.start), ("last", self.end)) if n]
        return f" without {' and '.join(parts)} of every prompt" if parts else ""


def template_of(examples: Sequence[Encoded], *, first: int = 0) -> Template:
    """What all prompts share, and the `first` tokens in any case; every prompt keeps one position or more.

    If there are not two different prompts, nothing shows which part is the template.
    """
    prompts = list(dict.fromkeys(example.ids for example in examples))
    several = len(prompts) > 1
    room = min(map(len, prompts)) - 1
    start = min(max(_alike(prompts) if several else 0, first), room)
    return Template(start, min(_alike([ids[::-1] for ids in prompts]), room - start) if several else 0)


def distinct(examples: Sequence[Encoded], template: Template, *, each_token: bool) -> tuple[int, int]:
    """(rows that differ, rows) of one row a prompt, or one each own token.

    A row is known by the tokens up to it: with the same ones before it, a causal model computes the same state.
    """
    if not each_token:
        return len({example.ids for example in examples}), len(examples)
    found: dict[tuple[int, int], int] = {}
    rows: set[int] = set()
    total = 0
    for example in examples:
        node, own = 0, template.own(len(example.ids))
        total += len(own)
        for at, token in enumerate(example.ids[: own.stop]):
            node = found.setdefault((node, token), len(found) + 1)
            if at in own:
                rows.add(node)
    return len(rows), total


def _alike(prompts: Iterable[Sequence[int]]) -> int:
    """How many tokens all of them begin with."""
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False)))
