"""KRAFTON's Offline GRPO, a line for their post and one for the code it came with. No torch until it is called.

krafton-ai.github.io/blog/llm_post_training_en and github.com/krafton-ai/Offline-GRPO. Nobody knows the teacher's
probabilities, so that π_t stands for the ratio. Â is that of a whole row, in `weight`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.methods.base import BELOW, KL, Graded, setting
from trainer.methods.rewards import group_means
from trainer.methods.weighted import ADDED, OfflineGrpo

if TYPE_CHECKING:
    from torch import Tensor


class _Krafton(OfflineGrpo):
    """What both have."""

    reduction = "completion-mean"
    without_mixed = "b alone teaches here"

    def weights(self, rows: Graded) -> list[float]:
        """Â, plus b in groups whose answers are all right."""
        means, spreads = group_means(*rows.graded), self._spreads(rows)
        wrong = {g for r, g in zip(*rows.graded, strict=True) if r <= 0}
        return [
            (r - means[g]) / spreads.get(g, 1.0) + (0.0 if g in wrong else self.b)
            for r, g in zip(rows.rewards, rows.groups, strict=True)
        ]

    def _spreads(self, rows: Graded) -> dict[str, float]:  # noqa: ARG002 - the post's
        """Group -> what its advantages are divided by, where that is not 1."""
        return {}


@dataclass(frozen=True)
class KraftonPost(_Krafton):
    """(1/|o|) Σ_t [−min(π_t·Â, max(π_t, 1 − ε)·Â) + κ·KL_t], Â = (r − mean_g)/std_g, + b in all-right groups

    krafton-post, their post's line: mean over completions o; ε 0.2 (ours), κ 0.1, b 0.5; KL_t to the model with the
    adapter off.

    ! A wrong answer's token is unlearned only if its probability is above 1 − ε.
    """

    name = "krafton-post"
    b: float = setting(0.5, ADDED)
    kl: float = setting(0.1, KL)
    clip_low: float = setting(0.2, BELOW)

    def loss(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """−min(π_t·Â, max(π_t, 1 − ε)·Â)."""
        p, advantage = log_p.exp(), weight[:, None]
        clipped = p.clamp(min=1 - self.clip_low)
        return -(p * advantage).minimum(clipped * advantage).masked_fill(~mask, 0)

    def _spreads(self, rows: Graded) -> dict[str, float]:
        """Standard deviations (n − 1); equal rewards have none, and an advantage of 0."""
        groups: dict[str, list[float]] = {}
        for r, g in zip(*rows.graded, strict=True):
            groups.setdefault(g, []).append(r)
        return {g: statistics.stdev(rewards) for g, rewards in groups.items() if len(set(rewards)) > 1}


@dataclass(frozen=True)
class KraftonCode(_Krafton):
    """(1/L) Σ_t −π_t·Â + (1/|o|) Σ_t [κ·KL_t − η·H_t], Â = r − mean_g, + b in all-right groups

    krafton-code, what their code runs: no std, no clip, mean over completions o; L 31,744 (the longest they allow),
    κ 0.2, b 0.1, η 0.001 of the entropy H_t. As if each micro-batch of theirs held one answer.

    ! L divides the advantages alone: with answers of 1,000 tokens the KL weighs 32 times what it would with their mean.
    """

    name = "krafton-code"
    kl: float = setting(0.2, KL)
    entropy: float = setting(0.001, "η, how many times the entropy of the next token is subtracted.")
    response_length: int = setting(31744, "L, which the sum over an answer's tokens is divided by.", least=1)

    def loss(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """−π_t·Â·|o|/L, which the mean over an answer's tokens makes 1/L."""
        tokens = mask.sum(dim=1, keepdim=True)
        return (-log_p.exp() * weight[:, None] * tokens / self.response_length).masked_fill(~mask, 0)
