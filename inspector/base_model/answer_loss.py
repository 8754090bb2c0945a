"""The loss of gold answers under what is active on a base, text by text, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from inspector.base_model.attach import Attached
from inspector.base_model.encode import Encoded
from inspector.base_model.logprobs import local
from inspector.common.arrays import Floats


@dataclass(frozen=True, slots=True)
class Loss:
    """−Σ ln p of the answer's tokens of every text, and how many these are."""

    sums: Floats
    tokens: Floats

    @property
    def mean(self) -> float:
        """Cross-entropy per token, in nats."""
        return float(self.sums.sum() / self.tokens.sum())

    def beyond(self, other: Loss) -> tuple[float, float]:
        """How much larger it is than the other of the same texts, and the standard error of that (over texts)."""
        apart, n = self.sums - other.sums, len(self.sums)
        mean = float(apart.sum() / self.tokens.sum())
        scatter = float(((apart - mean * self.tokens) ** 2).sum())
        return mean, sqrt(scatter * n / max(1, n - 1)) / float(self.tokens.sum())


def answer_loss(attached: Attached, texts: Sequence[Encoded], done: Callable[[int], None] = lambda _n: None) -> Loss:
    """Of the tokens from `start` on, under what is active."""
    logs = local(attached, texts, done)
    sums = [-sum(row[text.start - 1 :]) for row, text in zip(logs, texts, strict=True)]
    return Loss(np.array(sums), np.array([text.targets for text in texts], dtype=float))
