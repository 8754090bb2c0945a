"""What pairs of adapters share: top directions, principal angles, subspaces, and their chance levels."""

from __future__ import annotations

import numpy as np

from inspector.common.arrays import Floats
from inspector.geometry import chance, ranks
from inspector.study.metrics.definition import DEGREES, FRACTION, MEAN, Chance, Chart, Definition, Side, family

_MEDIAN = "median over the scope's modules"
_ANGLE_TRAP = (
    "in high dimension the worst of k angles of random subspaces is near 90° too: "
    "read it against the chance level of the same dimensions"
)
_CHANCE = "for the ranks r, r' of a pair at a module"
_V1_TRAP = "runs that share the random start of A agree here by construction: compare only with equal init"
_BJORCK = "Björck & Golub 1973; Knyazev & Argentati 2002"


def _top(sigma: Floats, k: int) -> Floats:
    return ranks.rank(sigma).clip(max=k)


def _whole(sigma: Floats, _k: int) -> Floats:
    return ranks.rank(sigma)


def _spread(sigma: Floats, _k: int) -> Floats:
    return np.nan_to_num(ranks.participation_ratio(sigma))


def _direction(metric: str, side: Side, where: str, d: str, trap: str) -> Definition:
    """The agreement of the top singular vectors of one side, whatever their signs."""
    vector = "u₁" if side == "left" else "v₁"
    return Definition(
        metric, f"{where} direction |⟨{vector},{vector}'⟩|", "pair", "",
        f"abs⟨{vector},{vector}'⟩ of the top {side} singular vectors of ΔW", MEAN,
        f"{trap}unstable where σ₂/σ₁ > 0.9; chance ≈ √(2/πd)",
        measure=lambda found: found.u1 if side == "left" else found.v1, diagonal=1.0, range=FRACTION, side=side,
        chance=Chance(
            f"{where} direction by chance", f"√(2/πd), d = {d}", lambda d, _p, _q: chance.direction_chance(d), _whole
        ),
        shown=("map", "layers", "glance"), short=f"{vector} {where}",
        chart=Chart(
            "directions", f"|⟨{where} direction {vector}⟩|, mean over modules",
            f"Agreement of the top {where} direction {vector} by layer",
        ),
    )  # fmt: skip


def _angle(metric: str, side: Side, where: str, products: str, trap: str) -> Definition:
    """The principal angles of one side."""
    formula = f"median of θ_k between random subspaces of min(k, r) and min(k, r') dimensions {_CHANCE} (400 draws)"
    of = " (input)" if side == "right" else ""
    return Definition(
        metric, f"principal angles ({where})", "pair", "°",
        f"θ_k = arccos σ_k({products}) of the top {side} singular subspaces, each of its own min(k, r); "
        "k = 1 the smallest",
        _MEDIAN, trap, _BJORCK, index="k", aggregate="median",
        measure=lambda found: found.angles[side], diagonal=0.0, range=DEGREES, scale=90.0,
        side=side, one_side=True, top_k=True,
        chance=Chance(f"principal angles{of} by chance", formula, chance.angle_chances, _top),
        shown=("layers",) if side == "left" else (),
        chart=Chart(
            "angles", f"{where} subspaces",
            f"Smallest principal angle ({where}) by layer, median over the layer's modules",
        ),
    )  # fmt: skip


def _overlap(metric: str, side: Side, where: str, products: str, trap: str) -> Definition:
    """The overlap of the top-k subspaces of one side."""
    of = " (input)" if side == "right" else ""
    return Definition(
        metric, f"subspace overlap ({where})", "pair", "",
        f"‖{products}‖²_F over the smaller dimension of the top {side} subspaces, of min(k, r) and min(k, r')",
        MEAN, trap,
        measure=lambda found: found.overlap_left if side == "left" else found.overlap_right,
        diagonal=1.0, range=FRACTION, side=side, top_k=True,
        chance=Chance(
            f"subspace overlap{of} by chance", f"max(min(k, r), min(k, r'))/d {_CHANCE}", chance.overlap_chance, _top
        ),
        shown=("map", "layers", "glance") if side == "left" else ("map", "layers"), short=f"overlap {where}",
        chart=Chart("overlap", f"Overlap of the top-k {where} subspaces"),
    )  # fmt: skip


def _similarity(metric: str, side: Side, where: str, square: str, trap: str) -> Definition:
    """How alike what two updates write, or read, is: whatever random start they had."""
    return Definition(
        metric, f"{where} similarity", "pair", "",
        f"⟨P,P'⟩_F / (‖P‖_F ‖P'‖_F), P = {square}: Σσ_a²σ_b'²⟨{'u_a,u_b' if side == 'left' else 'v_a,v_b'}'⟩² / "
        "√(Σσ⁴ Σσ'⁴)",
        MEAN, trap,
        measure=lambda found: found.similar_left if side == "left" else found.similar_right,
        diagonal=1.0, range=FRACTION, side=side,
        chance=Chance(
            f"{where} similarity by chance",
            f"√(n n')/{'d_out' if side == 'left' else 'd_in'}, n = (Σσ²)²/Σσ⁴, of a pair at a module",
            chance.similarity_chance, _spread,
        ),
        shown=("map", "layers"), short=f"sim. {where}",
        chart=Chart(
            "matrix", f"{where.capitalize()} similarity, mean over modules", f"{where.capitalize()} similarity by layer"
        ),
    )  # fmt: skip


U1 = _direction("u1", "left", "output", "d_out", "")
V1 = _direction("v1", "right", "input", "d_in", f"{_V1_TRAP}; ")
ANGLE = _angle("principal_angle", "left", "output", "UᵀU'", _ANGLE_TRAP)
ANGLE_RIGHT = _angle("principal_angle_right", "right", "input", "VᵀV'", f"{_ANGLE_TRAP}; {_V1_TRAP}")
OVERLAP = _overlap("subspace_overlap", "left", "output", "UᵀU'", "chance is the larger dimension over d, not 0")
OVERLAP_RIGHT = _overlap(
    "subspace_overlap_right", "right", "input", "VᵀV'", f"chance is the larger dimension over d; {_V1_TRAP}"
)
ROWS = Definition(
    "row_space_overlap", "row-space overlap", "pair", "",
    "‖VᵀV'‖²_F / min(r, r') over all right singular vectors: the row spaces of A and A'", MEAN,
    "high for runs that share the random start of A or are one run: a fingerprint of lineage, not of learning",
    measure=lambda found: found.rows, diagonal=1.0, range=FRACTION, side="right",
    chance=Chance("row-space overlap by chance", f"max(r, r')/d_in {_CHANCE}", chance.overlap_chance, _whole),
)  # fmt: skip

OUTPUTS = _similarity(
    "output_similarity", "left", "output", "ΔWΔWᵀ",
    "of outputs alone: runs of one loss from other random starts of A agree here though their cosine is near 0",
)  # fmt: skip
INPUTS = _similarity("input_similarity", "right", "input", "ΔWᵀΔW", _V1_TRAP)
SUBSPACES = tuple(
    part
    for definition in (U1, V1, ANGLE, ANGLE_RIGHT, OVERLAP, OVERLAP_RIGHT, ROWS, OUTPUTS, INPUTS)
    for part in family(definition)
)
