"""The numbers that need only the weights of the adapters."""

from __future__ import annotations

from inspector.definitions.definition import Definition
from inspector.definitions.subspaces import MEAN, SUBSPACES

_STACKED = "inner products and squared norms are summed over the scope's modules first, then divided"
_RANK_TRAP = (
    "the definitions of effective rank differ by 3-5×: compare only like with like, and shares where ranks differ"
)

GEOMETRY = (
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
        "norm_share",
        "share of the norm",
        "adapter",
        "",
        "‖ΔW_m‖_F / ‖ΔW‖_F of a module m, a layer or all",
        "root of the sum of squares over the scope's modules",
        "where the scale of an adapter is unknown this stands in for its norm, if one factor is common to all modules",
        aggregate="stacked",
    ),
    Definition(
        "energy_left_out",
        "energy left out",
        "adapter",
        "",
        "‖ΔW − BA‖²_F / ‖ΔW‖²_F of a dense ΔW and its part of the rank kept (--svd-rank)",
        "energies left out and whole energies are summed over the scope's modules first, then divided",
        "every other number is of the part that is kept; exact factors leave nothing out, and it is not shown",
        aggregate="stacked",
    ),
    Definition(
        "singular_value",
        "singular values σ",
        "adapter",
        "",
        "σ_k of ΔW, descending",
        "per module only",
        index="k",
        aggregate="none",
    ),
    Definition(
        "singular_value_share",
        "singular values σ/‖ΔW‖",
        "adapter",
        "",
        "σ_k / √Σσ² of the module's ΔW, descending: the spectrum whatever the scale is",
        "per module only",
        index="k",
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
        index="k",
        aggregate="none",
    ),
    Definition(
        "effective_rank",
        "effective rank",
        "adapter",
        "",
        "exp(H(p)), p = σ/Σσ",
        MEAN,
        _RANK_TRAP,
        "Roy & Vetterli 2007",
    ),
    Definition(
        "effective_rank_share",
        "effective rank, share of the rank",
        "adapter",
        "",
        "exp(H(p)) / min(r, d_out, d_in), p = σ/Σσ: 1 where all directions are used alike",
        MEAN,
        "what adapters of different ranks are compared by: 1.3 of 2 and 2.6 of 4 are one share",
    ),
    Definition(
        "effective_rank_energy",
        "effective rank (σ²)",
        "adapter",
        "",
        "exp(H(p)), p = σ²/Σσ²",
        MEAN,
        _RANK_TRAP,
    ),
    Definition(
        "participation_ratio",
        "participation ratio",
        "adapter",
        "",
        "(Σσ²)² / Σσ⁴",
        MEAN,
        _RANK_TRAP,
    ),
    Definition("stable_rank", "stable rank", "adapter", "", "Σσ² / σ₁²", MEAN, _RANK_TRAP, "Rudelson & Vershynin 2007"),
    Definition(
        "rank_90",
        "rank for 90 % energy",
        "adapter",
        "",
        "the smallest number of σ² that hold 90 % of Σσ²",
        MEAN,
        _RANK_TRAP,
    ),
    *SUBSPACES,
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
        "1 is no interaction in energy: above it the two reinforce, below it they cancel; n/a where one side is zero",
        aggregate="stacked",
    ),
)

INTERFERENCE = (
    "What adding two updates would do, from their cosine and their top-k output subspaces over the modules that both "
    "adapt; chance is of the pair's own shapes and ranks there. "
    "reinforcing: cosine ≥ 0.2. cancelling: cosine ≤ −0.2. colliding: |cosine| < 0.2, yet these "
    "subspaces overlap at least 3× chance and by at least 0.1. independent: none of these."
)
