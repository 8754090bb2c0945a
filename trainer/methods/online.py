"""Online GRPO with its kin, and Online DAPO, which TRL computes on completions of the model as it is. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trainer.methods.base import BELOW, KL, Graded, Objective, setting

_ABOVE = "ε above: the ratio is clipped at 1 + ε."
_MANY = 0.05
"""A share of completions cut by the limit that is worth a word."""


class Online(Objective):
    """Of prompts, each answered `generations` times."""

    data = "prompts"
    loss_type: ClassVar[str]
    """TRL's name of the normalisation."""
    scale: ClassVar[str] = "group"
    """TRL's name of what advantages are divided by."""
    level: ClassVar[str] = "token"
    """TRL's name of what has a ratio."""
    generations: int
    max_new_tokens: int
    temperature: float
    top_p: float
    iterations: int
    redraws: int = 0
    overlong: float = 0.0
    overlong_penalty: float = 0.0


@dataclass(frozen=True)
class OnlineGrpo(Online):
    """(1/|o|) Σ_t [−min(ρ_t·Â, clip(ρ_t, 1 ± ε)·Â) + κ·KL_t], Â = (r − mean_g)/std_g, mean over completions

    Fresh completions o, eight a prompt; ρ_t = π_t/π_t(old); ε 0.2, κ 0. KL_t to ref, the model with the adapter off, is
    ρ_t·(exp δ − δ − 1) with δ = log ref_t − log π_t: TRL's, whose gradient (published without ρ_t) is that of the KL.

    ! Groups whose rewards are all equal carry no gradient, yet cost their samples.

    ! With one step on each batch of completions ρ is 1, and nothing is ever clipped.
    """

    name = "grpo"
    reduction = "completion-mean"
    loss_type = "grpo"
    generations: int = setting(8, "Online: completions of a prompt; batch / generations prompts a step.", least=2)
    max_new_tokens: int = setting(
        2048, "Online: of a completion; prompts that leave less of max_length are left out.", least=1
    )
    temperature: float = setting(1.0, "Online: of sampling.", above=0)
    top_p: float = setting(1.0, "Online: of sampling.", above=0, most=1)
    iterations: int = setting(
        1,
        "Online: steps on one batch of completions. With 1 the ratio is 1 and nothing is ever clipped.",
        least=1,
    )
    clip_low: float = setting(0.2, BELOW)
    clip_high: float = setting(0.2, _ABOVE)
    kl: float = setting(0.0, KL)
    mask_truncated: bool = setting(
        default=False, about="Online: completions cut at max_new_tokens are graded, but not learned from."
    )

    def arguments(self) -> dict[str, Any]:
        return {
            "loss_type": self.loss_type, "scale_rewards": self.scale, "importance_sampling_level": self.level,
            "beta": self.kl, "epsilon": self.clip_low, "epsilon_high": self.clip_high,
            "mask_truncated_completions": self.mask_truncated, "num_generations": self.generations,
            "num_iterations": self.iterations, "temperature": self.temperature, "top_p": self.top_p,
            "max_completion_length": self.max_new_tokens,
        }  # fmt: skip

    def remark(self, rows: Graded) -> str:
        """If nothing is clipped."""
        if self.iterations > 1 or not any(r > 0 for r in rows.rewards):
            return super().remark(rows)
        return (
            "One step on each batch of completions: the ratio is 1 and nothing is clipped, so that GRPO and its kin "
            "differ by normalisation, DAPO also by drawing again and the length penalty."
        )

    def afterword(self, diagnostics: Mapping[str, float]) -> str:
        """If the limit cut many."""
        if (clipped := diagnostics.get("clipped", 0.0)) < _MANY:
            return ""
        done = "not learned from" if self.mask_truncated else "learned from as they stand: see mask_truncated"
        return f"{clipped:.0%} of the completions were cut at max_new_tokens, {self.max_new_tokens}, and {done}."


@dataclass(frozen=True)
class DrGrpo(OnlineGrpo):
    """(1/L) Σ_t [−min(ρ_t·Â, clip(ρ_t, 1 ± ε)·Â) + κ·KL_t], Â = r − mean_g, mean over completions

    dr-grpo [Liu 2025, arXiv:2503.20783]: divided by the limit L, max_new_tokens, not by a completion's own length, and
    by no spread of the rewards.
    """

    name = "dr-grpo"
    reduction = "limit-mean"
    loss_type, scale = "dr_grpo", "none"


@dataclass(frozen=True)
class Gspo(OnlineGrpo):
    """−min(s·Â, clip(s, 1 − ε, 1 + ε')·Â) + (κ/|o|) Σ_t KL_t, s = (Π_t ρ_t)^(1/|o|), mean over completions

    gspo [Zheng 2025, arXiv:2507.18071]: one ratio a completion, the geometric mean of its tokens' ones, else
    GRPO; ε 3e-4, ε' 4e-4.
    """

    name = "gspo"
    level = "sequence"
    clip_low: float = setting(3e-4, BELOW)
    clip_high: float = setting(4e-4, _ABOVE)


@dataclass(frozen=True)
class OnlineDapo(OnlineGrpo):
    """(1/Σ|o|) Σ_t [−min(ρ_t·Â, clip(ρ_t, 1 − ε, 1 + ε')·Â) + κ·KL_t], Â = (r − mean_g)/std_g; groups of equal rewards
    are drawn again; r falls by up to p over the last part of the length limit

    GRPO with ε 0.2 below and ε' 0.28 above, the mean over all tokens of the batch; p 0.5, half of what right and wrong
    answers are apart, as published (1, for rewards of ±1).

    ! Without drawing again (dynamic sampling) it is a different method under the same name.
    """  # noqa: D205 - a long formula

    name = "dapo"
    reduction = "token-mean"
    loss_type = "dapo"
    clip_high: float = setting(0.28, _ABOVE)
    redraws: int = setting(
        3, "DAPO: how many times groups of equal rewards are drawn again, from other prompts.", least=0
    )
    overlong: float = setting(0.2, "DAPO: share of the length limit over which the reward falls.", above=0, most=1)
    overlong_penalty: float = setting(0.5, "DAPO: p, how far it falls; right is 1 and wrong 0.", least=0)
