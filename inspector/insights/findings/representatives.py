"""Who stands for the runs of a method where there are many adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from inspector.insights.findings.finding import Finding, listed
from inspector.study.adapter_info import AdapterInfo
from inspector.study.study import Study

MANY = 12
"""More adapters than these are told of by one run a method, where seeds and learning rates tell the runs apart."""


def representatives(study: Study) -> tuple[int, ...]:
    """One adapter a method, by the learning rate and seed that most have; all adapters where none can stand in.

    None can where the method of some is not known, or where nothing tells the runs of one apart.
    """
    everyone = tuple(range(len(study.adapters)))
    methods: dict[str, list[int]] = {}
    for i, adapter in enumerate(study.adapters):
        methods.setdefault(adapter.origin.method, []).append(i)
    apart = all(_apart(study, *pair) for runs in methods.values() for pair in combinations(runs, 2))
    if len(everyone) <= MANY or not 1 < len(methods) < len(everyone) or "" in methods or not apart:
        return everyone
    usual = Counter(_run(adapter) for adapter in study.adapters)
    seeds = Counter(adapter.origin.seed for adapter in study.adapters)

    def common(i: int) -> tuple[int, int]:
        run = _run(study.adapters[i])
        return usual[run], seeds[run[1]]

    return tuple(sorted(max(runs, key=common) for runs in methods.values()))


def standing_in(study: Study, chosen: Sequence[int]) -> Finding:
    """That only these are told of, and where the others are."""
    them = listed(study.names[i] for i in chosen)
    text = (
        f"{len(study.adapters)} adapters are runs of {len(chosen)} methods: {them} stand for them in what follows, "
        "with the learning rate and seed that most have; what seed and rate do is told after."
    )
    return Finding("limit", text, caution=True)


def _apart(study: Study, i: int, j: int) -> bool:
    """Whether learning rate or seed are known to differ."""
    both = zip(_run(study.adapters[i]), _run(study.adapters[j]), strict=True)
    return any(a is not None and b is not None and a != b for a, b in both)


def _run(adapter: AdapterInfo) -> tuple[float | None, int | None]:
    return adapter.origin.lr, adapter.origin.seed
