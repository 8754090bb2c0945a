"""Which adapters and pairs charts show, in which colours and dashes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from inspector.common.text import plain
from inspector.insights.first_pairs import centre, first_pairs, with_paths
from inspector.report.document import Subject
from inspector.study.study import Study

MOST = 66
"""Pairs in charts: all of twelve adapters. Tables of pairs have all."""
_LABEL = 28


def label(name: str) -> str:
    """A name that fits beside a chart."""
    name = plain(name, 120)
    return name if len(name) <= _LABEL else f"{name[: _LABEL // 2]}…{name[-_LABEL // 2 + 1 :]}"


def adapters(study: Study, styles: Sequence[int]) -> tuple[Subject, ...]:
    """Every adapter, each in its style."""
    named = enumerate(zip(study.names, styles, strict=True))
    return tuple(Subject(f"adapter-{i}", label(name), (i,), style) for i, (name, style) in named)


def pairs(study: Study) -> tuple[Subject, ...]:
    """The pairs in charts, in the order of the adapters, each in a style of its own.

    Of the pairs drawn at first, those of the central adapter have the other one's style, as in charts of adapters.
    """
    all_pairs = list(combinations(range(len(study.adapters)), 2))
    first = first_pairs(study)
    kept = all_pairs if len(all_pairs) <= MOST else _kept(all_pairs, first)
    middle = centre(study)
    styles = {pair: pair[0] if pair[1] == middle else pair[1] for pair in first if middle in pair}
    for pair in (*first, *kept):
        styles.setdefault(pair, len(study.adapters) + len(styles))
    return tuple(
        Subject(
            f"pair-{i}-{j}", f"{label(study.names[i])} · {label(study.names[j])}", (i, j),
            styles[i, j], shown=(i, j) in first,
        )
        for i, j in kept
    )  # fmt: skip


def _kept(all_pairs: list[tuple[int, int]], first: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those drawn at first, and as many others as fit."""
    others = [pair for pair in all_pairs if pair not in first][: MOST - len(first)]
    return sorted([*first, *others])


def drawn_first(study: Study) -> str:
    """A sentence that says which pairs `first_pairs` takes, and how many there are; empty where these are all."""
    every = len(study.adapters) * (len(study.adapters) - 1) // 2
    first, paths = first_pairs(study), with_paths(study)
    if len(first) == every:
        return ""
    which = ["those whose paths were measured"] if paths else []
    if star := len(first) - len(paths):
        middle = label(study.names[centre(study)])
        which.append(f"{middle}, the adapter nearest to the others, with {star} of them, the nearest to the farthest")
    limit = f" {MOST} of them can be chosen, tables of pairs have all." if every > MOST else ""
    return f"The charts draw {len(first)} of {every} pairs at first: {' and '.join(which)}.{limit}"
