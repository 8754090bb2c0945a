"""SFT, RFT, DFT, RIFT and Offline GRPO: a weight for each row on a loss for each token. No torch until it is called.

ℓ_t = −log π_t; sg stops the gradient; r is a row's reward, positive for a right answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from inspector.common.errors import InspectorError
from trainer.methods.base import Graded, Objective, setting
from trainer.methods.rewards import binary, group_means, statistics

if TYPE_CHECKING:
    from torch import Tensor

ADDED = "b, added to every advantage; by KRAFTON's lines where all answers of a group are right."
_PROBABILITIES = ("token", "geo-mean", "sequence")


class Weighted(Objective):
    """Of rows, each with a weight. The loss of a step: Σ_t w·ℓ_t over its rows / all of its completion tokens.

    With the reduction completion-mean it is the mean over its rows of their Σ_t / their own completion tokens.
    """

    data = "rows"
    reduction = "token-mean"
    filters: ClassVar[bool] = False
    """Whether rows of weight 0 are left out; else they stay in their steps and teach nothing."""
    kl: float = 0.0
    """How many times the KL to the base is added."""
    entropy: float = 0.0
    """How many times the entropy of the next token is subtracted."""

    def weights(self, rows: Graded) -> list[float]:
        """A weight for each row."""
        return [1.0] * len(rows.rewards)

    def loss(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """(rows, tokens), 0 outside the mask: w·ℓ_t.

        `log_p` (rows, tokens) holds log π_t = log π_θ(y_t | y_<t, x) in float32, `mask` (rows, tokens) is True on
        completion tokens, `weight` is (rows,).
        """
        return (-log_p * weight[:, None]).masked_fill(~mask, 0)

    def vanished(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor | None:  # noqa: ARG002 - RIFT's
        """(rows,): those that teach nothing because float32 ends; None if that cannot be."""
        return None


@dataclass(frozen=True)
class Sft(Weighted):
    """Σ_t ℓ_t, all rollouts

    Every one is learned alike, the wrong ones too.
    """

    name = "sft"


@dataclass(frozen=True)
class Rft(Weighted):
    """Σ_t ℓ_t on r = 1

    ! A step without a right rollout has nothing to learn from: its loss is 0, not 0/0.
    """

    name = "rft"
    filters = True
    unique: bool = setting(default=False, about="Of equal answers to one prompt the first alone.")

    def weights(self, rows: Graded) -> list[float]:
        """[r > 0], with `unique` of the first of equal answers to one prompt alone."""
        return [
            float(r > 0 and not (self.unique and again)) for r, again in zip(rows.rewards, rows.repeats, strict=True)
        ]


@dataclass(frozen=True)
class Dft(Weighted):
    """Σ_t sg(π_t)·ℓ_t, all rollouts

    The gradient is −Σ_t ∇π_t.

    ! The weight π_t is small on unlikely tokens: what surprises the model teaches it least.
    """

    name = "dft"

    def loss(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """w·sg(π_t)·ℓ_t; the gate is float32."""
        return (-log_p * log_p.exp().detach() * weight[:, None]).masked_fill(~mask, 0)


class _Informed(Weighted):
    """By rewards: RIFT's variants."""

    def remark(self, rows: Graded) -> str:
        """If nothing is wrong."""
        right = all(r > 0 for r in rows.rewards) and binary(rows.graded[0])
        return "Every answer is right: RIFT is SFT here." if right else super().remark(rows)


@dataclass(frozen=True)
class Rift(_Informed):
    """r>0: r·Σ_t ℓ_t; r<0: |r|·π, linear in the probability of the negative

    rift: rewards 1 and 0 count +1 and −0.2, any others as they are. A negative counts by its probability: of each token
    (default), their geometric mean, or the whole sequence. With all rewards 1 it is SFT.

    ! The literal sequence probability underflows float32 beyond about 100 nats: negatives then vanish without a word,
    and RIFT becomes RFT.
    """

    name = "rift"
    reward_right: float = setting(1.0, "What a right answer counts, if rewards are 1 and 0 alone.")
    reward_wrong: float = setting(-0.2, "What a wrong answer counts, if rewards are 1 and 0 alone.")
    probability: str = setting(
        "token", "Of a negative: of each token, their geometric mean, or the whole sequence.", choices=_PROBABILITIES
    )

    def weights(self, rows: Graded) -> list[float]:
        """`reward_right` or `reward_wrong` if rewards are 1 and 0 alone, else the row's own."""
        if not binary(rows.graded[0]):
            return list(rows.rewards)
        return [self.reward_right if r > 0 else self.reward_wrong for r in rows.rewards]

    def remark(self, rows: Graded) -> str:
        """If rewards are graded."""
        if binary(rewards := rows.graded[0]) or not any(r > 0 for r in rewards):
            return super().remark(rows)
        none = "" if min(rewards) < 0 else ": none is negative, so that nothing is unlearned"
        return f"Rewards are not 1 and 0 alone: RIFT takes each row's own, {min(rewards):g} to {max(rewards):g}{none}."

    def loss(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """w·ℓ_t where w > 0, |w|·π where w < 0: linear in the probability, so bounded.

        The gradient of a negative is |w|·Σ_t p·∇log π_t with p the probability chosen: π_t (`token`), Π_t π_t^(1/T)
        (`geo-mean`) or Π_t π_t (`sequence`).
        """
        positive = super().loss(log_p, mask, weight.clamp(min=0))
        negative = self._probability(log_p, mask) * weight.clamp(max=0).neg()[:, None]
        return positive + negative.masked_fill(~mask, 0)

    def vanished(self, log_p: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """(rows,): negatives whose probability is exactly 0 in float32 on every token."""
        gone = (self._probability(log_p, mask).detach() == 0) | ~mask
        return gone.all(dim=1) & (weight < 0) & mask.any(dim=1)

    def afterword(self, diagnostics: Mapping[str, float]) -> str:
        """If negatives vanished."""
        if not (gone := diagnostics.get("vanished")):
            return ""
        return (
            f"{gone:.0f} of {diagnostics['negatives']:.0f} negatives had a probability of 0 in float32 and "
            "taught nothing: RIFT was RFT there. probability=token has no such limit."
        )

    def _probability(self, log_p: Tensor, mask: Tensor) -> Tensor:
        """(rows, tokens): what multiplies |w|; its sum over the mask is the row's loss.

        geo-mean counts once a token, so that it weighs as much as `token` does; sequence counts once a row, on
        the first token.
        """
        if self.probability == "token":
            return log_p.exp()
        total = log_p.masked_fill(~mask, 0).sum(dim=1, keepdim=True)
        if self.probability == "geo-mean":
            return (total / mask.sum(dim=1, keepdim=True).clamp(min=1)).exp().expand_as(log_p)
        first = mask & (mask.cumsum(dim=1) == 1)
        return total.exp() * first


@dataclass(frozen=True)
class RiftLinear(_Informed):
    """Σ_t (1 − rλ)·ℓ_t, the study's line

    rift-linear: its λ must be given. For r in {0, 1} the gradient is (1−λ)g⁺ + g⁻.
    """

    name = "rift-linear"
    rift_lambda: float | None = setting(None, "λ; it has no default.")

    def __post_init__(self) -> None:
        if self.rift_lambda is None:
            raise InspectorError(f"{self.name} needs its λ: --set rift_lambda=0.2, for one.")

    def weights(self, rows: Graded) -> list[float]:
        """1 − rλ."""
        assert self.rift_lambda is not None
        return [1 - r * self.rift_lambda for r in rows.rewards]


@dataclass(frozen=True)
class OfflineGrpo(Weighted):
    """Σ_t Â·ℓ_t, Â = r − mean_g + b, no std, no KL

    study: a group of mean r̄ gives (1−r̄+b)g⁺ + (b−r̄)g⁻.

    ! b rewards wrong answers in groups that are wrong throughout.

    ! A negative Â leaves the loss unbounded below: it can run away.
    """

    name = "study"
    without_mixed: ClassVar[str] = "Offline GRPO is b times SFT here"
    b: float = setting(0.1, ADDED)

    def weights(self, rows: Graded) -> list[float]:
        """Â = r − mean_g + b, for every group alike: equal rewards give b·SFT. The mean is over all graded rows."""
        means = group_means(*rows.graded)
        return [r - means[g] + self.b for r, g in zip(rows.rewards, rows.groups, strict=True)]

    def remark(self, rows: Graded) -> str:
        """If no group has both."""
        mixed = statistics(*rows.graded).mixed
        return super().remark(rows) if mixed else f"No group has right and wrong answers: {self.without_mixed}."
