"""The reference for whole studies: every metric at every scope, from dense float64 updates."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from inspector.adapters.model import Adapter
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import SCOPES, Scope, Study
from tests.geometry.oracle import Dense, similarity

Blocks = dict[tuple[str, str], np.ndarray]
BROKEN = "NaN"
Update = Dense | str | None
"""ΔW of one adapter at one module: None where it has none."""

ADAPTER = ("norm", "effective_rank", "effective_rank_energy", "participation_ratio", "stable_rank", "rank_90")
STACKED = ("cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "energy_ratio")
MEANS = (
    "u1", "v1", "subspace_overlap", "subspace_overlap_right", "row_space_overlap", "output_similarity",
    "input_similarity",
)  # fmt: skip
ANGLES = ("principal_angle", "principal_angle_right")
SPREADS = tuple(f"{metric}_{quartile}" for metric in ANGLES for quartile in ("q25", "q75"))


def updates(adapters: Sequence[Adapter], modules: Sequence[ModuleId]) -> list[list[Update]]:
    """ΔW of each adapter at each module."""

    def dense(adapter: Adapter, module: ModuleId) -> Update:
        if module not in adapter.modules:
            return None
        B, A = (factor.double().numpy() for factor in adapter.load(module))
        if not (np.isfinite(B).all() and np.isfinite(A).all()):
            return BROKEN
        return Dense.of((B, A, adapter.modules[module].scale.value), np.linalg.matrix_rank(B @ A))

    return [[dense(adapter, module) for module in modules] for adapter in adapters]


def expected(study: Study, adapters: Sequence[Adapter], projections: Collection[str] | None = None) -> Blocks:
    """All pair metrics and all sums and means over (these) modules, NaN where nothing is known."""
    dense, n, k = updates(adapters, study.modules), len(adapters), study.settings.k
    pairs = [_Pair(study, dense, i, j) for i in range(n) for j in range(n) if i != j]
    found: Blocks = {}
    for scope in SCOPES:
        places = places_of(study, scope, projections)
        for metric in ADAPTER:
            numbers = [[_of_adapter(metric, row, p, scope) for p in places] for row in dense]
            found[metric, scope] = np.array(numbers)
        names = (*STACKED, *MEANS, *ANGLES, *(SPREADS if scope != "module" else ()))
        blocks = {m: np.full((n, n, len(places), *([k] if m in ANGLES + SPREADS else [])), np.nan) for m in names}
        for pair in pairs:
            for at, place in enumerate(places):
                for metric, value in (pair.stacked(place, scope) | pair.subspaces(place, scope)).items():
                    blocks[metric][pair.i, pair.j, at] = value
        for metric, block in blocks.items():
            for i, norms in enumerate(found["norm", scope]):
                block[i, i, norms > 0] = DEFINITIONS[metric].diagonal
            found[metric, scope] = block
    return found


def places_of(study: Study, scope: Scope, projections: Collection[str] | None = None) -> list[list[int]]:
    """The modules of each place, by index."""
    if scope == "module":
        return [[m] for m in range(len(study.modules))]
    counted = [m for m, module in enumerate(study.modules) if projections is None or module.projection in projections]
    layers = [place.layer for place in study.places(scope)]
    return [[m for m in counted if scope == "global" or study.modules[m].layer == layer] for layer in layers]


def _of_adapter(metric: str, row: list[Update], place: list[int], scope: Scope) -> float:
    known = [d for m in place if isinstance(d := row[m], Dense)]
    if metric != "norm":
        return _mean(_rank(metric, d.sigma[: d.rank]) for d in known if d.rank)
    adapts = any(d is not None for d in row) and (scope != "module" or row[place[0]] is not None)
    if not adapts or (not known and any(row[m] is BROKEN for m in place)):
        return np.nan
    return float(np.sqrt(sum(np.sum(d.W**2) for d in known)))


def _rank(metric: str, sigma: np.ndarray) -> float:
    p, q = sigma / sigma.sum(), sigma**2 / np.sum(sigma**2)
    if metric == "rank_90":
        return 1 + next(m for m in range(len(q)) if q[: m + 1].sum() >= 0.9 - 1e-12)
    by_name: dict[str, Callable[[], float]] = {
        "effective_rank": lambda: np.exp(-np.sum(p * np.log(p))),
        "effective_rank_energy": lambda: np.exp(-np.sum(q * np.log(q))),
        "participation_ratio": lambda: np.sum(sigma**2) ** 2 / np.sum(sigma**4),
        "stable_rank": lambda: np.sum(sigma**2) / sigma[0] ** 2,
    }
    return float(by_name[metric]())


class _Pair:
    """What two adapters (a row and a column of the blocks) have at each module."""

    def __init__(self, study: Study, dense: list[list[Update]], i: int, j: int) -> None:
        self.i, self.j, self.k, self.union = i, j, study.settings.k, study.settings.modules == "union"
        self.sides = list(zip(dense[i], dense[j], strict=True))
        self.both = [isinstance(a, Dense) and isinstance(b, Dense) and a.W.shape == b.W.shape for a, b in self.sides]
        self.measured = [
            _subspaces(a, b, self.k) if both and a.rank and b.rank else None
            for (a, b), both in zip(self.sides, self.both, strict=True)
        ]

    def stacked(self, place: list[int], scope: Scope) -> dict[str, float]:
        """Of the vectors over the modules that count, of a pair that meets somewhere (or at the one module)."""
        parts = [_vectors(*self.sides[m]) for m in place if self.both[m] or (self.union and self._one_sided(m))]
        meets = any(self.both[m] for m in place) if scope == "module" else any(self.both)
        return _of_vectors(parts) if meets and parts else dict.fromkeys(STACKED, np.nan)

    def _one_sided(self, m: int) -> bool:
        return sorted(type(d).__name__ for d in self.sides[m]) == ["Dense", "NoneType"]

    def subspaces(self, place: list[int], scope: Scope) -> dict[str, Any]:
        """Means over the modules, and medians and quartiles of the angles that there are."""
        known = [numbers for m in place if (numbers := self.measured[m]) is not None]
        found: dict[str, Any] = {metric: _mean(numbers[metric] for numbers in known) for metric in MEANS}
        for metric in ANGLES:
            angles = np.array([numbers[metric] for numbers in known]).reshape(-1, self.k)
            columns = [column[~np.isnan(column)] for column in angles.T]
            three = [np.percentile(c, (25, 50, 75)) if len(c) else np.full(3, np.nan) for c in columns]
            low, found[metric], high = np.transpose(three)
            if scope != "module":
                found |= {f"{metric}_q25": low, f"{metric}_q75": high}
        return found


def _vectors(a: Update, b: Update) -> tuple[np.ndarray, np.ndarray]:
    """The two as vectors, zeros where one has none."""
    shape = next(d.W.shape for d in (a, b) if isinstance(d, Dense))
    x, y = (d.W if isinstance(d, Dense) else np.zeros(shape) for d in (a, b))
    return x.ravel(), y.ravel()


def _of_vectors(parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    x, y = (np.concatenate(side) for side in zip(*parts, strict=True))
    size_x, size_y = np.linalg.norm(x), np.linalg.norm(y)
    if not (size_x and size_y):
        return dict.fromkeys(STACKED, np.nan)
    residuals = [a if not b.any() else a - (a @ b) / (b @ b) * b for a, b in parts]
    return {
        "cosine": x @ y / size_x / size_y,
        "orthogonal_fraction_global": np.linalg.norm(x - (x @ y) / (y @ y) * y) / size_x,
        "orthogonal_fraction_module": np.sqrt(sum(r @ r for r in residuals)) / size_x,
        "energy_ratio": np.linalg.norm(x + y) ** 2 / (size_x**2 + size_y**2),
    }


def _subspaces(a: Dense, b: Dense, k: int) -> dict[str, Any]:
    found: dict[str, Any] = {"row_space_overlap": _overlap(a.V[:, : a.rank], b.V[:, : b.rank])}
    found["output_similarity"] = similarity(a.W, b.W)
    found["input_similarity"] = similarity(a.W.T, b.W.T)
    for x, y, top, overlap, angles in (
        (a.U, b.U, "u1", "subspace_overlap", "principal_angle"),
        (a.V, b.V, "v1", "subspace_overlap_right", "principal_angle_right"),
    ):
        found[top] = abs(float(x[:, 0] @ y[:, 0]))
        found[overlap] = _overlap(x[:, : min(a.rank, k)], y[:, : min(b.rank, k)])
        found[angles] = _angles(x, y, a.rank, b.rank, k)
    return found


def _overlap(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(x.T @ y) ** 2 / min(x.shape[1], y.shape[1]))


def _angles(U: np.ndarray, W: np.ndarray, rank: int, other: int, k: int) -> np.ndarray:
    """(k,) degrees, ascending, NaN beyond the smaller rank."""
    found = np.sort(np.degrees(scipy.linalg.subspace_angles(U[:, : min(rank, k)], W[:, : min(other, k)])))
    return np.pad(found, (0, k - len(found)), constant_values=np.nan)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return float(np.mean(known)) if known else float("nan")
