"""What seed and learning rate do to one method, from a study: pairs that differ in one thing, and spreads. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from inspector.insights.lineage import Similarity, fitting, start
from inspector.study.adapter_info import AdapterInfo
from inspector.study.provenance import Origin, run_of
from inspector.study.study import Study

Change = Literal["seed", "learning rate", "seed and learning rate", "nothing told"]
GROUPINGS = ("method", "seed", "lr")
NOT_KNOWN = "?"


@dataclass(frozen=True, slots=True)
class Variation:
    """Two adapters of one method: what is known to differ, and how far their updates do.

    `unknown`: of seed and learning rate, what one of the two does not say, so that it may differ too.
    `norm_ratio` is ‖ΔW_b‖/‖ΔW_a‖ with the larger learning rate, else the larger norm, as b; angles in degrees, medians
    over modules. `start`: whether v₁ may be compared, decided by the digests of A₀, else by the row spaces.
    """

    method: str
    a: int
    b: int
    change: Change
    unknown: tuple[str, ...]
    start: Literal["same", "different", "unknown"]
    cosine: float
    output_similarity: float
    norm_ratio: float
    u1: float
    v1: float
    angle: float
    worst_angle: float

    @property
    def differs(self) -> str:
        """`seed`, `seed; learning rate not known`, `seed and learning rate not known`, or `nothing told`."""
        known = self.change if self.change != "nothing told" else ""
        open_ = f"{' and '.join(self.unknown)} not known" if self.unknown else ""
        return "; ".join(filter(None, (known, open_))) or "nothing told"


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the pairs within a group, and of those between its members and other groups': mean, least and largest.

    NaN where there are none. Those of which nothing tells the group are a group `?`, and compared with none.
    """

    group: str
    members: tuple[int, ...]
    within: tuple[float, float, float]
    between: tuple[float, float, float]


def variations(study: Study) -> tuple[Variation, ...]:
    """Every pair of runs of one known method, those that differ in the seed alone first, then in the rate alone."""
    methods = [adapter.origin.method for adapter in study.adapters]
    pairs = _of_two_runs(study, range(len(study.adapters)))
    found = [_variation(study, i, j) for i, j in pairs if methods[i] == methods[j] != ""]
    order = ("seed", "learning rate", "seed and learning rate", "nothing told")
    return tuple(sorted(found, key=lambda v: (order.index(v.change), len(v.unknown), v.a, v.b)))


def compared_by(study: Study) -> Similarity:
    """What `spreads` are of: cosines if all runs share a start of A, output similarities otherwise."""
    return fitting(study, _of_two_runs(study, range(len(study.adapters))))


def spreads(study: Study, by: str) -> tuple[Spread, ...]:
    """`compared_by` of runs within and between the groups of `by`: method, seed or lr. Groups of one have no within."""
    metric = compared_by(study)
    groups: dict[str, list[int]] = {}
    for i, adapter in enumerate(study.adapters):
        groups.setdefault(group_of(adapter, by), []).append(i)
    known = [i for group, members in groups.items() if group != NOT_KNOWN for i in members]
    found = []
    for group, members in groups.items():
        if group == NOT_KNOWN:
            found.append(Spread(group, tuple(members), _range([]), _range([])))
            continue
        rest = [j for j in known if j not in members]
        within = [_at(study, metric, i, j) for i, j in _of_two_runs(study, members)]
        between = [_at(study, metric, i, j) for i in members for j in rest]
        found.append(Spread(group, tuple(members), _range(within), _range(between)))
    return tuple(found)


def _of_two_runs(study: Study, members: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs but those of a run and its own checkpoints: they tell of its steps, nothing of seeds and rates."""
    sources = [adapter.source for adapter in study.adapters]
    runs = [run_of(source) for source in sources]
    return [(i, j) for i, j in combinations(members, 2) if runs[i] != runs[j] or sources[i] == sources[j]]


def group_of(adapter: AdapterInfo, by: str) -> str:
    """The group of an adapter: `sft`, `seed 42`, `lr 0.0002`, or `?` where nothing tells."""
    origin = adapter.origin
    if by == "method":
        return origin.method or NOT_KNOWN
    if by == "seed":
        return NOT_KNOWN if origin.seed is None else f"seed {origin.seed}"
    return NOT_KNOWN if origin.lr is None else f"lr {origin.lr:g}"


def _variation(study: Study, i: int, j: int) -> Variation:
    block = study.block("norm", "global")
    norm = np.full(len(study.adapters), np.nan) if block is None else block[:, 0]
    one, other = study.adapters[i].origin, study.adapters[j].origin
    rates = (0.0, 0.0) if one.lr is None or other.lr is None else (one.lr, other.lr)
    a, b = (j, i) if (rates[0], float(norm[i])) > (rates[1], float(norm[j])) else (i, j)
    angles = _angles(study, i, j)
    return Variation(
        one.method, a, b, *_change(one, other), start(study, i, j),
        _at(study, "cosine", i, j), _at(study, "output_similarity", i, j),
        float(norm[b] / norm[a]) if norm[a] > 0 else float("nan"),
        _at(study, "u1", i, j), _at(study, "v1", i, j), *angles,
    )  # fmt: skip


def difference(study: Study, i: int, j: int) -> str:
    """`same method, other seed, other start of A`: what is known to tell two runs apart, or not; empty if nothing."""
    one, other = study.adapters[i].origin, study.adapters[j].origin
    words = []
    if one.method and other.method:
        words.append("same method" if one.method == other.method else "other method")
    change, _ = _change(one, other)
    words += [] if change == "nothing told" else [f"other {change}"]
    if (begun := start(study, i, j)) != "unknown":
        words.append(f"{'same' if begun == 'same' else 'other'} start of A")
    return ", ".join(words)


def _change(one: Origin, other: Origin) -> tuple[Change, tuple[str, ...]]:
    """What is known to differ, and what is not known of both."""
    rates = None if one.lr is None or other.lr is None else one.lr != other.lr
    found = {"seed": _other_seed(one, other), "learning rate": rates}
    unknown = tuple(what for what, differs in found.items() if differs is None)
    if found["seed"] and rates:
        return "seed and learning rate", unknown
    return "seed" if found["seed"] else "learning rate" if rates else "nothing told", unknown


def _other_seed(one: Origin, other: Origin) -> bool | None:
    """Whether the seeds of data or start differ; None where one of the two does not say."""
    starts = (origin.seed if origin.init_seed is None else origin.init_seed for origin in (one, other))
    known = [a != b for a, b in ((one.seed, other.seed), tuple(starts)) if a is not None and b is not None]
    return True if any(known) else False if len(known) == 2 else None


def _at(study: Study, metric: str, i: int, j: int) -> float:
    block = study.block(metric, "global")
    return float("nan") if block is None else float(block[i, j, 0])


def _angles(study: Study, i: int, j: int) -> tuple[float, float]:
    """The smallest and the largest of the principal angles, medians over modules."""
    block = study.block("principal_angle", "global")
    known: Iterator[float] = iter(()) if block is None else (float(v) for v in block[i, j, 0] if np.isfinite(v))
    angles = list(known)
    return (angles[0], angles[-1]) if angles else (float("nan"), float("nan"))


def _range(values: list[float]) -> tuple[float, float, float]:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return (float("nan"),) * 3
    return float(np.mean(known)), min(known), max(known)
