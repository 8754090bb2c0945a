"""Which adapters and pairs charts show, in which colours and dashes."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.text import plain
from inspector.report.document import Subject
from inspector.study.study import Study

MOST = 66
"""Pairs in charts: all of twelve adapters. Tables of pairs have all."""
SHOWN = 7
"""Lines that one chart can show in colours of their own."""
_LABEL = 28


def label(name: str) -> str:
    """A name that fits beside a chart."""
    name = plain(name, 120)
    return name if len(name) <= _LABEL else f"{name[: _LABEL // 2]}…{name[-_LABEL // 2 + 1 :]}"


def adapters(study: Study) -> tuple[Subject, ...]:
    """Every adapter, each in a style of its own."""
    return tuple(Subject(f"adapter-{i}", label(name), (i,), i) for i, name in enumerate(study.names))


def pairs(study: Study) -> tuple[Subject, ...]:
    """The pairs in charts, those drawn at first with the first styles; in the order of the adapters."""
    all_pairs = list(combinations(range(len(study.adapters)), 2))
    first = chosen(study)
    kept = all_pairs if len(all_pairs) <= MOST else _kept(all_pairs, first)
    order = [*first, *(pair for pair in kept if pair not in first)]
    return tuple(
        Subject(
            f"pair-{i}-{j}", f"{label(study.names[i])} · {label(study.names[j])}", (i, j),
            order.index((i, j)), shown=(i, j) in first,
        )
        for i, j in kept
    )  # fmt: skip


def _kept(all_pairs: list[tuple[int, int]], first: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those drawn at first, and as many others as fit."""
    others = [pair for pair in all_pairs if pair not in first][: MOST - len(first)]
    return sorted([*first, *others])


def chosen(study: Study) -> list[tuple[int, int]]:
    """The pairs drawn at first.

    Those whose paths were measured, where that was asked of a few; then the most central adapter with others, from the
    nearest to the farthest.
    """
    found = _with_paths(study)
    rest = [pair for pair in _star(study) if pair not in found]
    free = SHOWN - len(found)
    if len(rest) > free:
        rest = [rest[round(at)] for at in np.linspace(0, len(rest) - 1, free)]
    return [*found, *rest]


def drawn_first(study: Study) -> str:
    """A sentence that says which pairs `chosen` takes, and how many there are; empty where these are all."""
    every = len(study.adapters) * (len(study.adapters) - 1) // 2
    first, paths = chosen(study), _with_paths(study)
    if len(first) == every:
        return ""
    which = ["those whose paths were measured"] if paths else []
    if star := len(first) - len(paths):
        centre = label(study.names[_centre(study)])
        which.append(f"{centre}, the adapter nearest to the others, with {star} of them, the nearest to the farthest")
    limit = f" {MOST} of them can be chosen, tables of pairs have all." if every > MOST else ""
    return f"The charts draw {len(first)} of {every} pairs at first: {' and '.join(which)}.{limit}"


def _with_paths(study: Study) -> list[tuple[int, int]]:
    """The pairs whose paths were measured; none where that was asked of many."""
    curves = study.block("lmc_loss", "global")
    if curves is None:
        return []
    known = np.asarray(np.isfinite(curves[:, :, 0]).any(-1))
    measured = [(i, j) for i, j in combinations(range(len(study.adapters)), 2) if known[i, j]]
    return measured if len(measured) <= SHOWN else []


def _near(study: Study) -> Floats:
    cosine = study.block("cosine", "global")
    return np.eye(len(study.adapters)) if cosine is None else np.nan_to_num(cosine[:, :, 0])


def _centre(study: Study) -> int:
    """The adapter whose cosines sum to the most."""
    return int(np.argmax(_near(study).sum(1)))


def _star(study: Study) -> list[tuple[int, int]]:
    """The centre with every other adapter, the nearest first."""
    centre, near = _centre(study), _near(study)
    others = sorted((j for j in range(len(near)) if j != centre), key=lambda j: -float(near[centre, j]))
    return [(min(centre, j), max(centre, j)) for j in others]
