"""What is known of each method before training: its variants, its formula, the data it learns from. No torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from inspector.common.errors import InspectorError
from inspector.common.text import plain

Data = Literal["rows", "pairs", "unpaired", "prompts"]
"""What a step reads: of the shared rollouts, or their prompts alone, which are answered anew."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way a method is written down."""

    name: str
    formula: str
    settings: tuple[str, ...] = ()
    """The recipe's fields that it reads beside those all methods read."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method; its first variant is the default."""

    name: str
    data: Data
    source: str
    variants: tuple[Variant, ...]
    needs: tuple[Literal["positive", "negative", "mixed"], ...] = ()
    """Without these among the rows there is nothing to learn."""

    def variant(self, name: str) -> Variant:
        """The variant of this name, the default for an empty one. Raises InspectorError."""
        for variant in self.variants:
            if name in {variant.name, ""}:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise InspectorError(f"{self.name} has no variant {plain(name)!r}: choose {known}.")


_DPO = "−log σ(β[(log π_w − log ref_w) − (log π_l − log ref_l)]), summed log-probs, mean over pairs"
_IPO = "([(log π_w − log ref_w)/|w| − (log π_l − log ref_l)/|l|] − 1/(2β))², mean over pairs"
_SIMPO = "−log σ(β·log π_w/|w| − β·log π_l/|l| − γ), mean over pairs"
_KTO = "1 − σ(β(log π − log ref − z)) for right, 1 − σ(β(z − log π + log ref)) for wrong; z: KL of the micro-batch"
_GRPO = "−mean over completions of (1/|o|) Σ_t min(ρ_t·Â, clip(ρ_t, 1 ± ε)·Â), Â = (r − mean_g)/std_g, no KL"
_DAPO = (
    "−(1/Σ|o|) Σ_t min(ρ_t·Â, clip(ρ_t, 1 − ε, 1 + ε')·Â), Â = (r − mean_g)/std_g, no KL; groups of equal rewards are "
    "drawn again; r falls by up to 1 over the last part of the length limit"
)
_SAMPLES = ("generations", "max_new_tokens", "temperature", "top_p", "iterations", "clip_low", "clip_high")

METHODS = {
    method.name: method
    for method in (
        Method("sft", "rows", "", (Variant("sft", "Σ_t ℓ_t, all rollouts"),)),
        Method("rft", "rows", "Yuan 2023", (Variant("rft", "Σ_t ℓ_t on r = 1", ("unique",)),), ("positive",)),
        Method("dft", "rows", "Wu 2025, arXiv:2508.05629", (Variant("dft", "Σ_t sg(π_t)·ℓ_t, all rollouts"),)),
        Method(
            "rift",
            "rows",
            "Liu 2026, arXiv:2601.09253",
            (
                Variant(
                    "rift",
                    "r>0: r·Σ_t ℓ_t; r<0: |r|·π, linear in the probability of the negative",
                    ("reward_right", "reward_wrong", "probability"),
                ),
                Variant("rift-linear", "Σ_t (1 − rλ)·ℓ_t, the study's line", ("rift_lambda",)),
            ),
        ),
        Method(
            "offline-grpo",
            "rows",
            "the study; KRAFTON 2025",
            (
                Variant("study", "Σ_t Â·ℓ_t, Â = r − mean_g + b, no std, no KL", ("b",)),
                Variant(
                    "krafton", "Σ_t −π_t·Â + κ·KL(π‖ref), Â = r − mean_g, + b in all-right groups", ("b", "kl")
                ),
            ),
        ),
        Method("dpo", "pairs", "Rafailov 2023", (Variant("dpo", _DPO, ("beta", "pairs")),), ("mixed",)),
        Method(
            "kto", "unpaired", "Ethayarajh 2024, arXiv:2402.01306",
            (Variant("kto", _KTO, ("beta", "weight_right", "weight_wrong")),), ("positive", "negative"),
        ),
        Method("ipo", "pairs", "Azar 2023, arXiv:2310.12036", (Variant("ipo", _IPO, ("beta", "pairs")),), ("mixed",)),
        Method(
            "simpo", "pairs", "Meng 2024, arXiv:2405.14734",
            (Variant("simpo", _SIMPO, ("simpo_beta", "gamma", "pairs")),), ("mixed",),
        ),
        Method(
            "online-grpo", "prompts", "Shao 2024, arXiv:2402.03300", (Variant("grpo", _GRPO, _SAMPLES),),
        ),
        Method(
            "online-dapo", "prompts", "Yu 2025, arXiv:2503.14476",
            (Variant("dapo", _DAPO, (*_SAMPLES, "redraws", "overlong")),),
        ),
    )
}  # fmt: skip

STUDY = ("sft", "rft", "dft", "rift", "offline-grpo", "dpo", "online-grpo", "online-dapo")
"""What `all` runs, in this order."""


def method(name: str) -> Method:
    """The method of this name. Raises InspectorError with the nearest one."""
    if name in METHODS:
        return METHODS[name]
    close = difflib.get_close_matches(name, METHODS, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InspectorError(f"No method {plain(name)!r}: there are {', '.join(METHODS)}, and all.{hint}")


def chosen(name: str) -> tuple[Method, ...]:
    """The method of this name, or those of `all`."""
    return tuple(METHODS[n] for n in STUDY) if name == "all" else (method(name),)
