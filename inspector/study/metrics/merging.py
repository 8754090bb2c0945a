"""The numbers of a weighted sum of adapters."""

from __future__ import annotations

from inspector.study.metrics.definition import Definition

_FIRST = "summed over the scope's modules first, then divided"
_ZEROS = "a module that one adapter does not change counts as its zero"

MERGING = (
    Definition(
        "merge_weight", "weight in the sum", "adapter", "", "w_i of ΔW = Σ w_i·ΔW_i",
        "one for the whole adapter", aggregate="none", scale=None,
    ),
    Definition(
        "sum_norm", "norm of the sum", "none", "", "‖Σ w_i·ΔW_i‖_F",
        "root of the sum of squares over the scope's modules", _ZEROS, aggregate="none", scale=None,
    ),
    Definition(
        "sum_cosine", "cosine to the sum", "adapter", "", "⟨Σ w_j·ΔW_j, ΔW_i⟩ / (‖Σ w_j·ΔW_j‖ ‖ΔW_i‖)",
        f"inner products and squared norms are {_FIRST} (the cosine of the stacked vectors)",
        "the larger part has the larger cosine, whatever the weights mean for behaviour", aggregate="none",
    ),
    Definition(
        "sum_energy_ratio", "energy ratio of the sum", "none", "", "‖Σ w_i·ΔW_i‖² / Σ‖w_i·ΔW_i‖²",
        _FIRST, "1 orthogonal, above 1 aligned (N for N equal parts), below 1 cancelling", aggregate="none",
    ),
    Definition(
        "sum_interference", "interference", "none", "",
        "energy that conflicting pairs cancel, over that of the parts: "
        "Σ_m Σ_{i<j} max(0, −2·w_i·w_j⟨ΔW_i,ΔW_j⟩_m) / Σ_m Σ_i ‖w_i·ΔW_i‖²_m; a pair conflicts where its weighted "
        "inner product is negative, as gradients do",
        _FIRST, "counted module by module: unlike 1 − energy ratio, agreement elsewhere does not hide it; it says "
        "nothing of parts that share outputs without opposing (see the Pair)",
        "conflict: Yu et al. 2020 (PCGrad)", aggregate="none",
    ),
    Definition(
        "sum_singular_value", "singular values of the sum", "none", "", "σ_k of Σ w_i·ΔW_i, descending",
        "per module only", index="k", aggregate="none", scale=None,
    ),
    Definition(
        "sum_rank", "rank of the sum", "none", "", "how many σ of Σ w_i·ΔW_i are not zero (at most the sum of ranks)",
        "mean over the scope's modules", aggregate="none", scale=None,
    ),
    Definition(
        "sum_energy_kept", "energy kept at rank k", "none", "",
        "Σ_{j≤k} σ_j² / Σ_j σ_j² of Σ w_i·ΔW_i: what its best approximation of rank k holds",
        f"each module truncated to rank k; squares are {_FIRST}",
        "energy of the weights: what of the behaviour stays is another question", "Eckart & Young 1936",
        index="k", aggregate="none",
    ),
)  # fmt: skip
