"""Online GRPO and Online DAPO, which TRL computes on completions of the model as it is. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trainer.methods.base import Graded, Objective, setting


class Online(Objective):
    """Of prompts, each answered `generations` times."""

    data = "prompts"
    loss_type: ClassVar[str]
    """TRL's name of the normalisation."""
    high: ClassVar[float]
    """ε above, unless it is set."""
    generations: int
    max_new_tokens: int
    temperature: float
    top_p: float
    iterations: int
    redraws: int = 0
    overlong: float = 0.0


@dataclass(frozen=True)
class OnlineGrpo(Online):
    """−mean over completions of (1/|o|) Σ_t min(ρ_t·Â, clip(ρ_t, 1 ± ε)·Â), Â = (r − mean_g)/std_g, no KL

    Fresh completions o, eight a prompt; ρ_t = π_t/π_t(old); ε 0.2.

    ! Groups whose rewards are all equal carry no gradient, yet cost their samples.

    ! With one step on each batch of completions ρ is 1, and nothing is ever clipped.
    """

    name = "grpo"
    reduction = "completion-mean"
    loss_type, high = "grpo", 0.2
    generations: int = setting(8, "Online: completions of a prompt; batch / generations prompts a step.", least=2)
    max_new_tokens: int = setting(0, "Online: of a completion; 0: what max_length leaves.", least=0)
    temperature: float = setting(1.0, "Online: of sampling.", above=0)
    top_p: float = setting(1.0, "Online: of sampling.", above=0, most=1)
    iterations: int = setting(
        1,
        "Online: steps on one batch of completions. With 1 the ratio is 1 and nothing is ever clipped.",
        least=1,
    )
    clip_low: float = setting(0.2, "ε below: the ratio is clipped at 1 − ε.")
    clip_high: float | None = setting(None, "Unset: 0.2, and 0.28 for DAPO.")

    def arguments(self) -> dict[str, Any]:
        high = self.high if self.clip_high is None else self.clip_high
        return {
            "loss_type": self.loss_type, "scale_rewards": "group", "beta": 0.0, "epsilon": self.clip_low,
            "epsilon_high": high, "num_generations": self.generations, "num_iterations": self.iterations,
            "temperature": self.temperature, "top_p": self.top_p,
        }  # fmt: skip

    def remark(self, rows: Graded) -> str:
        """If nothing is clipped."""
        if self.iterations > 1 or not any(r > 0 for r in rows.rewards):
            return super().remark(rows)
        return (
            "One step on each batch of completions: the ratio is 1 and nothing is clipped, so that GRPO and DAPO "
            "differ by normalisation, drawing again and the length penalty alone."
        )


@dataclass(frozen=True)
class OnlineDapo(OnlineGrpo):
    """−(1/Σ|o|) Σ_t min(ρ_t·Â, clip(ρ_t, 1 − ε, 1 + ε')·Â), Â = (r − mean_g)/std_g, no KL; groups of equal rewards are
    drawn again; r falls by up to 1 over the last part of the length limit

    GRPO with ε 0.2 below and ε' 0.28 above, the mean over all tokens of the batch.

    ! Without drawing again (dynamic sampling) it is a different method under the same name.
    """  # noqa: D205 - a long formula

    name = "dapo"
    reduction = "token-mean"
    loss_type, high = "dapo", 0.28
    redraws: int = setting(
        3, "DAPO: how many times groups of equal rewards are drawn again, from other prompts.", least=0
    )
    overlong: float = setting(0.2, "DAPO: share of the length limit over which the reward falls by 1.", above=0, most=1)
