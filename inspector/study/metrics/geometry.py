"""The numbers that need only the weights of the adapters."""

from __future__ import annotations

from inspector.geometry.cosine import norm
from inspector.study.metrics.definition import FRACTION, SIGNED, Chart, Definition
from inspector.study.metrics.spectra import SPECTRA
from inspector.study.metrics.subspaces import SUBSPACES

_STACKED = "inner products and squared norms are summed over the scope's modules first, then divided"
_ROOT = "root of the sum of squares over the scope's modules"

GEOMETRY = (
    Definition(
        "cosine", "cosine", "pair", "", "⟨ΔW_a,ΔW_b⟩_F / (‖ΔW_a‖_F ‖ΔW_b‖_F), ΔW = s·B·A",
        f"{_STACKED} (the cosine of the stacked vector), never the mean of module cosines",
        "modules that only one adapter has count as zeros (union) or are left out (common)", aggregate="stacked",
        measure=lambda found: found.cosines, of_products=True, diagonal=1.0, range=SIGNED,
        shown=("map", "layers", "glance"), chart=Chart("matrix", "Cosine of the updates, over all modules"),
    ),
    Definition(
        "norm", "norm ‖ΔW‖", "adapter", "", "‖ΔW‖_F = √Σσ², with the scale s (α/r or α/√r) included", _ROOT,
        "norms published without the factor s differ by exactly s", aggregate="stacked",
        measure=lambda found: norm(found.squares), shown=("layers", "glance"), short="‖ΔW‖", scale=None,
    ),
    Definition(
        "norm_share", "share of the norm", "adapter", "", "‖ΔW_m‖_F / ‖ΔW‖_F of a module m, a layer or all", _ROOT,
        "where the scale of an adapter is unknown this stands in for its norm, if one factor is common to all modules",
        aggregate="stacked", scale=None,
    ),
    Definition(
        "energy_left_out", "energy left out", "adapter", "",
        "‖ΔW − BA‖²_F / ‖ΔW‖²_F of a dense ΔW and its part of the rank kept (--svd-rank)",
        "energies left out and whole energies are summed over the scope's modules first, then divided",
        "every other number is of the part that is kept; exact factors leave nothing out, and it is not shown",
        aggregate="stacked", range=FRACTION, shown=("glance",), short="energy left out",
    ),
    *SPECTRA,
    *SUBSPACES,
    Definition(
        "orthogonal_fraction_global", "orthogonal fraction (one coefficient)", "pair", "",
        "√(1 − cos²): what is left of a after removing the best multiple of b, over ‖a‖", _STACKED,
        "one coefficient for the whole scope; the per-module fraction is a different number", aggregate="stacked",
        diagonal=0.0, range=FRACTION, shown=("map", "layers", "glance"),
        chart=Chart("matrix", "Orthogonal fraction, one coefficient for the whole: √(1 − cos²)"),
    ),
    Definition(
        "orthogonal_fraction_module", "orthogonal fraction (per module)", "ordered", "",
        "√(Σ‖a_m − proj_b a_m‖² / Σ‖a_m‖²), a projection on b per module m",
        "residuals and norms are summed over the scope's modules first, then divided",
        "of a off b: not symmetric; the one-coefficient fraction is a different number", aggregate="stacked",
        diagonal=0.0, range=FRACTION, shown=("map", "layers", "glance"),
        chart=Chart(
            "matrix", "Orthogonal fraction, a projection per module: of the row's adapter off the column's"
        ),
    ),
    Definition(
        "energy_ratio", "energy ratio", "pair", "", "‖ΔW_a + ΔW_b‖² / (‖ΔW_a‖² + ‖ΔW_b‖²)", _STACKED,
        "1 is no interaction in energy: above it the two add up, below it they cancel; n/a where one side is zero",
        aggregate="stacked", diagonal=2.0, range=(0.0, 2.0), shown=("layers",),
    ),
)  # fmt: skip

INTERFERENCE = (
    "How two updates lie to each other, by their cosine and their top-k output subspaces over the modules that both "
    "adapt; chance is of the pair's own shapes and ranks there. aligned: cosine ≥ 0.2. opposed: cosine ≤ −0.2. shared "
    "outputs: |cosine| < 0.2, yet these subspaces overlap at least 3× chance and by at least 0.1. independent: none of "
    "these. It says nothing of behaviour: what a sum does, the loss tells."
)
