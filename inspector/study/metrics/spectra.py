"""The numbers of one adapter's singular values: the spectrum itself, and in how many dimensions it moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inspector.common.arrays import Floats
from inspector.geometry import ranks
from inspector.study.metrics.definition import FRACTION, MEAN, Definition

_MODULES = "per module only"
_RANK_TRAP = (
    "the definitions of effective rank differ by 3-5×: compare only like with like, and shares where ranks differ"
)


def _rank(
    metric: str, title: str, formula: str, of_spectrum: Callable[[Floats], Floats], source: str = ""
) -> Definition:
    return Definition(
        metric, title, "adapter", "", formula, MEAN, _RANK_TRAP, source, of_spectrum=of_spectrum,
        shown=("layers", "size"), scale=None,
    )  # fmt: skip


SPECTRA = (
    Definition(
        "singular_value", "singular values σ", "adapter", "", "σ_k of ΔW, descending", _MODULES,
        index="k", aggregate="none", measure=lambda found: found.sigma, scale=None,
    ),
    Definition(
        "singular_value_share", "singular values σ/‖ΔW‖", "adapter", "",
        "σ_k / √Σσ² of the module's ΔW, descending: the spectrum whatever the scale is", _MODULES,
        index="k", aggregate="none", scale=None,
    ),
    Definition(
        "spectral_gap", "spectral gap", "adapter", "",
        "σ_k − σ_(k+1): how well the top-k subspace is separated from the rest", _MODULES,
        "a small gap against σ₁ means the top-k subspace is not well defined",
        index="k", aggregate="none", of_spectrum=ranks.gaps, scale=None, beside=True,
    ),
    replace(
        _rank("effective_rank", "effective rank", "exp(H(p)), p = σ/Σσ", ranks.effective_rank, "Roy & Vetterli 2007"),
        shown=("layers", "size", "glance"),
        short="effective rank",
    ),
    Definition(
        "effective_rank_share", "effective rank, share of the rank", "adapter", "",
        "exp(H(p)) / min(r, d_out, d_in), p = σ/Σσ: 1 where all directions are used alike", MEAN,
        "what adapters of different ranks are compared by: 1.3 of 2 and 2.6 of 4 are one share",
        of_spectrum=ranks.effective_rank_share, range=FRACTION, scale=None,
        shown=("layers", "size", "glance"), short="share of rank",
    ),
    _rank("effective_rank_energy", "effective rank (σ²)", "exp(H(p)), p = σ²/Σσ²", ranks.effective_rank_energy),
    _rank("participation_ratio", "participation ratio", "(Σσ²)² / Σσ⁴", ranks.participation_ratio),
    _rank("stable_rank", "stable rank", "Σσ² / σ₁²", ranks.stable_rank, "Rudelson & Vershynin 2007"),
    _rank("rank_90", "rank for 90 % energy", "the smallest number of σ² that hold 90 % of Σσ²", ranks.rank_90),
)  # fmt: skip

RANKS = tuple(d.metric for d in SPECTRA if d.trap == _RANK_TRAP)
"""Counts of directions: one place behind the point says all of them."""
