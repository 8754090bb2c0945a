"""The token-level losses, as pure functions of what one forward pass gives.

`log_p` (rows, tokens) holds log π_t = log π_θ(y_t | y_<t, x) in float32, `mask` (rows, tokens) is True on completion
tokens, `weight` (rows,) is a row's weight, reward or advantage (weights.py). Each loss returns (rows, tokens), zero
outside the mask; `token_mean` makes a number of it. ℓ_t = −log π_t; sg stops the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

PROBABILITIES = ("token", "geo-mean", "sequence")
"""What RIFT may take for the probability of a negative."""


def weighted(log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """w·ℓ_t: SFT with w = 1, RFT with w = [r = 1], RIFT-linear with w = 1 − rλ, Offline GRPO with w = Â."""
    return (-log_p * weight[:, None]).masked_fill(~mask, 0)


def dft(log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """w·sg(π_t)·ℓ_t, whose gradient is −w·∇π_t [Wu 2025, arXiv:2508.05629]. The gate is float32."""
    return (-log_p * log_p.exp().detach() * weight[:, None]).masked_fill(~mask, 0)


def rift(log_p: Tensor, mask: Tensor, reward: Tensor, probability: str = "token") -> Tensor:
    """r·ℓ_t where r > 0, |r|·π where r < 0: linear in the probability, so bounded [Liu 2026, arXiv:2601.09253].

    The gradient of a negative is |r|·Σ_t w·∇log π_t with w the probability chosen: π_t (`token`), Π_t π_t^(1/T)
    (`geo-mean`) or Π_t π_t (`sequence`). The last underflows float32 beyond about 100 nats: see `vanished`.
    """
    positive = weighted(log_p, mask, reward.clamp(min=0))
    negative = _probability(log_p, mask, probability) * reward.clamp(max=0).neg()[:, None]
    return positive + negative.masked_fill(~mask, 0)


def vanished(log_p: Tensor, mask: Tensor, reward: Tensor, probability: str = "sequence") -> Tensor:
    """(rows,): negatives whose probability is exactly 0 in float32 on every token, so that they teach nothing."""
    gone = (_probability(log_p, mask, probability).detach() == 0) | ~mask
    return gone.all(dim=1) & (reward < 0) & mask.any(dim=1)


def policy_gradient(log_p: Tensor, mask: Tensor, advantage: Tensor) -> Tensor:
    """−Â·π_t, Offline GRPO as in [KRAFTON 2025]."""
    return (-log_p.exp() * advantage[:, None]).masked_fill(~mask, 0)


def kl(log_p: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """k3 = exp(δ) − δ − 1 with δ = log π_ref − log π_t: unbiased for KL(π‖π_ref) under π, never negative.

    `reference` (rows, tokens) holds log π_ref, that of the base with the adapter switched off.
    """
    delta = reference - log_p
    return (delta.exp() - delta - 1).masked_fill(~mask, 0)


def token_mean(per_token: Tensor, tokens: Tensor | int) -> Tensor:
    """Σ / N, where N counts the completion tokens of the whole optimizer step: all micro-batches, all ranks.

    A step without one is 0, not 0/0.
    """
    return per_token.sum() / torch.as_tensor(tokens).clamp(min=1)


def _probability(log_p: Tensor, mask: Tensor, kind: str) -> Tensor:
    """(rows, tokens): what multiplies |r|; its sum over the mask is the row's loss.

    geo-mean counts once a token, so that it weighs as much as `token` does; sequence counts once a row, on
    the first token.
    """
    if kind == "token":
        return log_p.exp()
    total = log_p.masked_fill(~mask, 0).sum(dim=1, keepdim=True)
    if kind == "geo-mean":
        return (total / mask.sum(dim=1, keepdim=True).clamp(min=1)).exp().expand_as(log_p)
    first = mask & (mask.cumsum(dim=1) == 1)
    return total.exp() * first
