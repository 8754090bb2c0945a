"""The reference for whole studies: every metric at every scope, from dense float64 updates."""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import scipy.linalg

from inspector.adapters.model import Adapter
from inspector.definitions import DEFINITIONS
from inspector.names import ModuleId
from inspector.study import SCOPES, Scope, Study
from tests.geometry.oracle import Dense

Blocks = dict[tuple[str, str], np.ndarray]
Update = Dense | None

ADAPTER = ("norm", "effective_rank", "effective_rank_energy", "participation_ratio", "stable_rank", "rank_90")
STACKED = ("cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "energy_ratio")
MEANS = ("u1", "v1", "subspace_overlap", "subspace_overlap_right", "row_space_overlap")
ANGLES = ("principal_angle", "principal_angle_right")
SPREADS = tuple(f"{metric}_{quartile}" for metric in ANGLES for quartile in ("q25", "q75"))


def updates(adapters: Sequence[Adapter], modules: Sequence[ModuleId]) -> list[list[Update]]:
    """ΔW of each adapter at each module: None where it has none, or one with NaN."""

    def dense(adapter: Adapter, module: ModuleId) -> Update:
        if module not in adapter.modules:
            return None
        B, A = (factor.double().numpy() for factor in adapter.load(module))
        if not (np.isfinite(B).all() and np.isfinite(A).all()):
            return None
        return Dense.of((B, A, adapter.modules[module].scale.value), np.linalg.matrix_rank(B @ A))

    return [[dense(adapter, module) for module in modules] for adapter in adapters]


def expected(study: Study, adapters: Sequence[Adapter], projections: Collection[str] | None = None) -> Blocks:
    """All pair metrics and all sums and means over (these) modules, NaN where nothing is known."""
    dense = updates(adapters, study.modules)
    has = np.array([[module in adapter.modules for module in study.modules] for adapter in adapters])
    found: Blocks = {}
    for scope in SCOPES:
        places = places_of(study, scope, projections)
        for metric in ADAPTER:
            found[metric, scope] = np.array(
                [
                    [_of_adapter(metric, row, h, place, scope) for place in places]
                    for row, h in zip(dense, has, strict=True)
                ]
            )
        names = (*STACKED, *MEANS, *ANGLES, *(SPREADS if scope != "module" else ()))
        n, k = len(adapters), study.settings.k
        for metric in names:
            found[metric, scope] = np.full((n, n, len(places), *([k] if metric in ANGLES + SPREADS else [])), np.nan)
        for i, j in ((i, j) for i in range(n) for j in range(n) if i != j):
            for at, place in enumerate(places):
                numbers = _of_pair(study, dense, has, i, j, place, range(len(study.modules)) if scope != "module" else place)
                for metric in names:
                    found[metric, scope][i, j, at] = numbers[metric]
        for metric in names:
            for i, norms in enumerate(found["norm", scope]):
                found[metric, scope][i, i, norms > 0] = DEFINITIONS[metric].itself
    return found


def places_of(study: Study, scope: Scope, projections: Collection[str] | None = None) -> list[list[int]]:
    """The modules of each place, by index."""
    if scope == "module":
        return [[m] for m in range(len(study.modules))]
    counted = [m for m, module in enumerate(study.modules) if projections is None or module.projection in projections]
    layers = [place.layer for place in study.places(scope)]
    return [[m for m in counted if scope == "global" or study.modules[m].layer == layer] for layer in layers]


def _of_adapter(metric: str, row: list[Update], has: np.ndarray, place: list[int], scope: str) -> float:
    known = [row[m] for m in place if row[m] is not None]
    if metric == "norm":
        unknown = not has.any() or ((has[place].any() or scope == "module") and not known)
        return np.nan if unknown else float(np.sqrt(sum(np.sum(d.W**2) for d in known)))
    return _mean(_rank(metric, d.sigma[: d.rank]) for d in known if d.rank)


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


def _of_pair(
    study: Study, dense: list[list[Update]], has: np.ndarray, i: int, j: int, place: list[int], meeting: Sequence[int]
) -> dict:
    """Every metric of one pair at one place; the stacked ones only of pairs that meet somewhere in `meeting`."""
    k = study.settings.k
    one, other = ([dense[a][m] for m in place] for a in (i, j))
    broken = [any(has[a, m] and dense[a][m] is None for a in (i, j)) for m in place]
    both = [_comparable(a, b) for a, b in zip(one, other, strict=True)]
    single = [(a is None) != (b is None) for a, b in zip(one, other, strict=True)]
    in_union = study.settings.modules == "union"
    counted = [not b and (two or (in_union and s)) for b, two, s in zip(broken, both, single, strict=True)]
    vectors = [_stacked(a, b) for a, b, c in zip(one, other, counted, strict=True) if c]
    meet = any(_comparable(dense[i][m], dense[j][m]) for m in meeting)
    found = _of_vectors(vectors) if meet and vectors else dict.fromkeys(STACKED, np.nan)
    measured = [(a, b) for a, b, two in zip(one, other, both, strict=True) if two and a.rank and b.rank]
    found |= {metric: _mean(_subspaces(metric, a, b, k) for a, b in measured) for metric in MEANS}
    for metric, side in zip(ANGLES, ("U", "V"), strict=True):
        angles = np.array([_angles(getattr(a, side), getattr(b, side), a.rank, b.rank, k) for a, b in measured])
        for end, q in (("", 50), ("_q25", 25), ("_q75", 75)):
            values = np.full(k, np.nan)
            for n in range(k):
                column = angles[:, n][~np.isnan(angles[:, n])] if len(angles) else []
                values[n] = np.percentile(column, q) if len(column) else np.nan
            found[f"{metric}{end}"] = values
    return found


def _comparable(a: Update, b: Update) -> bool:
    return a is not None and b is not None and a.W.shape == b.W.shape


def _stacked(a: Update, b: Update) -> tuple[np.ndarray, np.ndarray]:
    """The two as vectors, zeros where one has none."""
    shape = (a or b).W.shape
    x, y = (np.zeros(shape) if d is None else d.W for d in (a, b))
    return x.ravel(), y.ravel()


def _of_vectors(parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    x, y = (np.concatenate(side) for side in zip(*parts, strict=True))
    size_x, size_y = np.linalg.norm(x), np.linalg.norm(y)
    energy = np.linalg.norm(x + y) ** 2 / (size_x**2 + size_y**2) if size_x + size_y else np.nan
    if not (size_x and size_y):
        return dict.fromkeys(STACKED, np.nan) | {"energy_ratio": energy}
    residuals = [a if not b.any() else a - (a @ b) / (b @ b) * b for a, b in parts]
    return {
        "cosine": x @ y / size_x / size_y,
        "orthogonal_fraction_global": np.linalg.norm(x - (x @ y) / (y @ y) * y) / size_x,
        "orthogonal_fraction_module": np.sqrt(sum(r @ r for r in residuals)) / size_x,
        "energy_ratio": energy,
    }


def _subspaces(metric: str, a: Dense, b: Dense, k: int) -> float:
    if metric in {"u1", "v1"}:
        x, y = ((d.U if metric == "u1" else d.V)[:, 0] for d in (a, b))
        return abs(float(x @ y))
    x, y = ((d.U if metric == "subspace_overlap" else d.V)[:, : d.rank] for d in (a, b))
    if metric != "row_space_overlap":
        x, y = x[:, :k], y[:, :k]
    return float(np.linalg.norm(x.T @ y) ** 2 / min(x.shape[1], y.shape[1]))


def _angles(U: np.ndarray, W: np.ndarray, rank: int, other: int, k: int) -> np.ndarray:
    """(k,) degrees, ascending, NaN beyond the smaller rank."""
    found = np.sort(np.degrees(scipy.linalg.subspace_angles(U[:, : min(rank, k)], W[:, : min(other, k)])))
    return np.pad(found, (0, k - len(found)), constant_values=np.nan)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return float(np.mean(known)) if known else float("nan")
