"""Tokens drawn row by row, each from a random stream of its own: what shares a batch does not matter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor

from trainer.rollouts.draws import Sampling

_FEW = 1024


class Chooser(LogitsProcessor):
    """Leaves one token a row, drawn by `draw` with the row's next uniform number."""

    def __init__(self, seeds: Sequence[int], sampling: Sampling) -> None:
        self._streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._sampling = sampling

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - the names are looked at
        u = torch.cat([torch.rand(1, generator=stream, dtype=torch.float64) for stream in self._streams])
        chosen = draw(scores, u.to(scores.device), self._sampling.temperature, self._sampling.top_p)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)


def draw(logits: Tensor, u: Tensor, temperature: float, top_p: float) -> Tensor:
    """(rows, vocabulary) and uniform numbers in [0, 1), (rows,) -> one token a row: the inverse of the distribution.

    p = softmax(logits / temperature), cut to the fewest most probable tokens that reach `top_p`; the token is the
    first whose cumulated p exceeds u of the total. Temperature 0 takes the most probable token.
    """
    if temperature == 0:
        return logits.argmax(-1)
    p = torch.softmax(logits.float() / temperature, -1)
    order = None
    if top_p < 1:
        p, order = _ranked(p, top_p)
        p = p.masked_fill(p.double().cumsum(-1) - p >= top_p, 0)
    cumulated = p.double().cumsum(-1)  # `dtype=` of cumsum takes six times as long
    total = cumulated[:, -1:]
    found = torch.searchsorted(cumulated, u[:, None] * total, right=True)
    if (found == p.shape[-1]).any():  # u·total rounded up to the total, which the last possible token reaches
        found = torch.minimum(found, (cumulated < total).sum(-1, keepdim=True))
    return (found if order is None else order.gather(1, found))[:, 0]


def _ranked(p: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The most probable tokens first, (p, tokens): at least those that reach `top_p`. All take ten times as long."""
    few = p.topk(min(_FEW, p.shape[-1]))
    if (few.values.double().sum(-1) >= top_p).all():
        return few.values, few.indices
    return p.sort(dim=-1, descending=True)
