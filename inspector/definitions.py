"""Every number the product shows, defined once: what help, tables and reports quote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Subject = Literal["adapter", "pair", "ordered", "chance"]
Aggregate = Literal["stacked", "mean", "median", "none"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: its formula, how it is aggregated over modules, and its trap."""

    metric: str
    title: str
    subject: Subject
    unit: str
    formula: str
    over_modules: str
    trap: str = ""
    source: str = ""
    indexed: bool = False
    """Whether the numbers carry a 1-based index k."""
    aggregate: Aggregate = "mean"

    @property
    def itself(self) -> float | None:
        """The value of a pair metric for an adapter and itself; None for other metrics."""
        if self.subject not in {"pair", "ordered"}:
            return None
        if self.metric == "energy_ratio":
            return 2.0
        return 0.0 if self.unit == "°" or self.metric.startswith("orthogonal") else 1.0


_STACKED = "inner products and squared norms are summed over the scope's modules first, then divided"
_MEAN = "mean over the scope's modules"
_MEDIAN = "median over the scope's modules"
_RANK_TRAP = "the definitions of effective rank differ by 3-5×: compare only like with like"
_ANGLE_TRAP = (
    "in high dimension the worst of k angles of random subspaces is near 90° too: "
    "read it against the chance level of the same (d, k)"
)
_V1_TRAP = "runs that share the random start of A agree here by construction: compare only with equal init"
_BJORCK = "Björck & Golub 1973; Knyazev & Argentati 2002"

_ALL = (
    Definition(
        "cosine",
        "cosine",
        "pair",
        "",
        "⟨ΔW_a,ΔW_b⟩_F / (‖ΔW_a‖_F ‖ΔW_b‖_F), ΔW = s·B·A",
        f"{_STACKED} (the cosine of the stacked vector), never the mean of module cosines",
        "modules that only one adapter has count as zeros (union) or are left out (common)",
        aggregate="stacked",
    ),
    Definition(
        "norm",
        "norm ‖ΔW‖",
        "adapter",
        "",
        "‖ΔW‖_F = √Σσ², with the scale s (α/r or α/√r) included",
        "root of the sum of squares over the scope's modules",
        "norms published without the factor s differ by exactly s",
        aggregate="stacked",
    ),
    Definition(
        "singular_value",
        "singular values σ",
        "adapter",
        "",
        "σ_k of ΔW, descending",
        "per module only",
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "spectral_gap",
        "spectral gap",
        "adapter",
        "",
        "σ_k − σ_(k+1): how well the top-k subspace is separated from the rest",
        "per module only",
        "a small gap against σ₁ means the top-k subspace is not well defined",
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "effective_rank",
        "effective rank",
        "adapter",
        "",
        "exp(H(p)), p = σ/Σσ",
        _MEAN,
        _RANK_TRAP,
        "Roy & Vetterli 2007",
    ),
    Definition(
        "effective_rank_energy",
        "effective rank (σ²)",
        "adapter",
        "",
        "exp(H(p)), p = σ²/Σσ²",
        _MEAN,
        _RANK_TRAP,
    ),
    Definition(
        "participation_ratio",
        "participation ratio",
        "adapter",
        "",
        "(Σσ²)² / Σσ⁴",
        _MEAN,
        _RANK_TRAP,
    ),
    Definition(
        "stable_rank", "stable rank", "adapter", "", "Σσ² / σ₁²", _MEAN, _RANK_TRAP, "Rudelson & Vershynin 2007"
    ),
    Definition(
        "rank_90",
        "rank for 90 % energy",
        "adapter",
        "",
        "the smallest number of σ² that hold 90 % of Σσ²",
        _MEAN,
        _RANK_TRAP,
    ),
    Definition(
        "u1",
        "output direction |⟨u₁,u₁'⟩|",
        "pair",
        "",
        "abs⟨u₁,u₁'⟩ of the top left singular vectors of ΔW",
        _MEAN,
        "unstable where σ₂/σ₁ > 0.9; chance ≈ √(2/πd)",
    ),
    Definition(
        "v1",
        "input direction |⟨v₁,v₁'⟩|",
        "pair",
        "",
        "abs⟨v₁,v₁'⟩ of the top right singular vectors of ΔW",
        _MEAN,
        f"{_V1_TRAP}; unstable where σ₂/σ₁ > 0.9; chance ≈ √(2/πd)",
    ),
    Definition(
        "principal_angle",
        "principal angles (output)",
        "pair",
        "°",
        "θ_k = arccos σ_k(UᵀU') of the top-k left singular subspaces, k = 1 the smallest",
        _MEDIAN,
        _ANGLE_TRAP,
        _BJORCK,
        indexed=True,
        aggregate="median",
    ),
    Definition(
        "principal_angle_q25",
        "principal angles, lower quartile",
        "pair",
        "°",
        "first quartile of θ_k over modules",
        "25 % quantile over the scope's modules",
        _ANGLE_TRAP,
        _BJORCK,
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "principal_angle_q75",
        "principal angles, upper quartile",
        "pair",
        "°",
        "third quartile of θ_k over modules",
        "75 % quantile over the scope's modules",
        _ANGLE_TRAP,
        _BJORCK,
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "principal_angle_chance",
        "principal angles by chance",
        "chance",
        "°",
        "median of θ_k between random k-subspaces of the same dimension d (400 draws, fixed seed)",
        _MEDIAN,
        indexed=True,
        aggregate="median",
    ),
    Definition(
        "principal_angle_right",
        "principal angles (input)",
        "pair",
        "°",
        "θ_k = arccos σ_k(VᵀV') of the top-k right singular subspaces, k = 1 the smallest",
        _MEDIAN,
        f"{_ANGLE_TRAP}; {_V1_TRAP}",
        _BJORCK,
        indexed=True,
        aggregate="median",
    ),
    Definition(
        "principal_angle_right_chance",
        "principal angles (input) by chance",
        "chance",
        "°",
        "median of θ_k between random k-subspaces of the same dimension d (400 draws, fixed seed)",
        _MEDIAN,
        indexed=True,
        aggregate="median",
    ),
    Definition(
        "principal_angle_right_q25",
        "principal angles (input), lower quartile",
        "pair",
        "°",
        "first quartile of θ_k over modules",
        "25 % quantile over the scope's modules",
        _ANGLE_TRAP,
        _BJORCK,
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "principal_angle_right_q75",
        "principal angles (input), upper quartile",
        "pair",
        "°",
        "third quartile of θ_k over modules",
        "75 % quantile over the scope's modules",
        _ANGLE_TRAP,
        _BJORCK,
        indexed=True,
        aggregate="none",
    ),
    Definition(
        "subspace_overlap",
        "subspace overlap (output)",
        "pair",
        "",
        "‖UᵀU'‖²_F / k of the top-k left subspaces",
        _MEAN,
        "chance is k/d, not 0",
    ),
    Definition(
        "subspace_overlap_chance",
        "subspace overlap by chance",
        "chance",
        "",
        "k/d",
        _MEAN,
    ),
    Definition(
        "subspace_overlap_right",
        "subspace overlap (input)",
        "pair",
        "",
        "‖VᵀV'‖²_F / k of the top-k right subspaces",
        _MEAN,
        f"chance is k/d; {_V1_TRAP}",
    ),
    Definition(
        "subspace_overlap_right_chance",
        "subspace overlap (input) by chance",
        "chance",
        "",
        "k/d",
        _MEAN,
    ),
    Definition("u1_chance", "output direction by chance", "chance", "", "√(2/πd), d = d_out", _MEAN),
    Definition("v1_chance", "input direction by chance", "chance", "", "√(2/πd), d = d_in", _MEAN),
    Definition(
        "orthogonal_fraction_global",
        "orthogonal fraction (one coefficient)",
        "pair",
        "",
        "√(1 − cos²): what is left of a after removing the best multiple of b, over ‖a‖",
        _STACKED,
        "one coefficient for the whole scope; the per-module fraction is a different number",
        aggregate="stacked",
    ),
    Definition(
        "orthogonal_fraction_module",
        "orthogonal fraction (per module)",
        "ordered",
        "",
        "√(Σ‖a_m − proj_b a_m‖² / Σ‖a_m‖²), a projection on b per module m",
        "residuals and norms are summed over the scope's modules first, then divided",
        "of a off b: not symmetric; the one-coefficient fraction is a different number",
        aggregate="stacked",
    ),
    Definition(
        "energy_ratio",
        "energy ratio",
        "pair",
        "",
        "‖ΔW_a + ΔW_b‖² / (‖ΔW_a‖² + ‖ΔW_b‖²)",
        _STACKED,
        "1 is no interaction in energy: above it the two reinforce, below it they cancel",
        aggregate="stacked",
    ),
)

DEFINITIONS: dict[str, Definition] = {definition.metric: definition for definition in _ALL}

INTERFERENCE = (
    "What adding two updates would do, from their cosine and their shared output directions. "
    "reinforcing: cosine ≥ 0.2. cancelling: cosine ≤ −0.2. colliding: |cosine| < 0.2, yet the top-k "
    "output subspaces overlap at least 3× chance and by at least 0.1. independent: none of these."
)
