"""DPO, IPO, SimPO and KTO, which TRL computes: a right answer against a wrong one, or each for itself. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trainer.methods.base import Objective, setting

_WHICH = "Of a group: its first right with its first wrong answer, or every pair."


class Paired(Objective):
    """Of pairs: a right and a wrong answer to one prompt."""

    data = "pairs"
    reduction = "example-mean"
    pairs: str
    summed: ClassVar[bool] = False
    """IPO's loss of whole log-probabilities, which is not TRL's."""

    @property
    def margin(self) -> float | None:
        """γ/β in nats a token, of a loss without a reference."""
        return None


@dataclass(frozen=True)
class Dpo(Paired):
    """−log σ(β[(log π_w − log ref_w) − (log π_l − log ref_l)]), summed log-probs, mean over pairs

    A right answer w against a wrong one l to the same prompt; ref is the model with the adapter off; β 0.1. At the
    start, where B = 0, the loss is log 2.

    ! By convention the learning rate is ten times smaller than the other methods'. A shorter path then need not say
    anything about the objective: compare at the same rate too.
    """

    name = "dpo"
    beta: float = setting(0.1, "β, how strongly it is held to the reference.", above=0)
    pairs: str = setting("one", _WHICH, choices=("one", "all"))

    def arguments(self) -> dict[str, Any]:
        return {"loss_type": ["sigmoid"], "beta": self.beta}


@dataclass(frozen=True)
class Ipo(Dpo):
    """(log(π_w/ref_w)/|w| − log(π_l/ref_l)/|l| − 1/(2β))², length-normalised (TRL), mean over pairs

    DPO's pairs. The margin has a target, so that it does not grow for ever as DPO's may.

    ! The target 1/(2β) means another margin per token (ipo, as TRL has it and, it says, the authors had) than of whole
    answers (sum, as the paper's formula reads).
    """

    name = "ipo"

    def arguments(self) -> dict[str, Any]:
        return {"loss_type": ["ipo"], "beta": self.beta}


@dataclass(frozen=True)
class IpoSum(Ipo):
    """(log(π_w/ref_w) − log(π_l/ref_l) − 1/(2β))², summed log-probs, mean over pairs"""

    name = "sum"
    summed = True


@dataclass(frozen=True)
class Simpo(Paired):
    """−log σ(β·log π_w/|w| − β·log π_l/|l| − γ), mean over pairs

    DPO's pairs without a reference; β 2, γ 1.

    ! Nothing holds it to the base: where DPO stays near, it may go far.
    """

    name = "simpo"
    simpo_beta: float = setting(2.0, "β.", above=0)
    gamma: float = setting(1.0, "γ, the margin that is asked for.")
    pairs: str = setting("one", _WHICH, choices=("one", "all"))

    @property
    def margin(self) -> float:
        return self.gamma / self.simpo_beta

    def arguments(self) -> dict[str, Any]:
        return {"loss_type": ["sigmoid_norm"], "beta": self.simpo_beta}


@dataclass(frozen=True)
class Kto(Objective):
    """1 − σ(β(log π − log ref − z)) for right, 1 − σ(β(z − log π + log ref)) for wrong; z: KL of the micro-batch

    SFT's rows, each right or wrong, none paired: DPO's control with equal data. Mean over rows, β 0.1.

    ! z is estimated within a micro-batch: the one loss here that depends on how a step is cut.
    """

    name = "kto"
    data = "unpaired"
    reduction = "example-mean"
    beta: float = setting(0.1, "β, how strongly it is held to the reference.", above=0)
    weight_right: float = setting(1.0, "What a right answer's loss counts.")
    weight_wrong: float = setting(1.0, "What a wrong answer's loss counts.")

    def arguments(self) -> dict[str, Any]:
        weights = {"desirable_weight": self.weight_right, "undesirable_weight": self.weight_wrong}
        return {"beta": self.beta, **weights}
