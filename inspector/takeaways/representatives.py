"""Who stands for the runs of a method where there are many adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from inspector.sensitivity import method_of
from inspector.study import AdapterInfo, Study
from inspector.takeaways.takeaway import Takeaway, listed

MANY = 12
"""More adapters than these are told of by one run a method, where seeds and learning rates tell the runs apart."""


def representatives(study: Study) -> tuple[int, ...]:
    """One adapter a method, by the learning rate and seed that most have; all adapters where none can stand in."""
    everyone = tuple(range(len(study.adapters)))
    methods: dict[str, list[int]] = {}
    for i, adapter in enumerate(study.adapters):
        methods.setdefault(method_of(adapter), []).append(i)
    apart = all(len({_run(study.adapters[i]) for i in runs}) == len(runs) for runs in methods.values())
    if len(everyone) <= MANY or not 1 < len(methods) < len(everyone) or not apart:
        return everyone
    usual = Counter(_run(adapter) for adapter in study.adapters)
    seeds = Counter(adapter.origin.seed for adapter in study.adapters)

    def common(i: int) -> tuple[int, int]:
        run = _run(study.adapters[i])
        return usual[run], seeds[run[1]]

    return tuple(sorted(max(runs, key=common) for runs in methods.values()))


def standing_in(study: Study, chosen: Sequence[int]) -> Takeaway:
    """That only these are told of, and where the others are."""
    them = listed(study.names[i] for i in chosen)
    text = (
        f"{len(study.adapters)} adapters are runs of {len(chosen)} methods: {them} stand for them in what follows, "
        "with the learning rate and seed that most have; what seed and rate do is told after."
    )
    return Takeaway("limit", text, caution=True)


def _run(adapter: AdapterInfo) -> tuple[float | None, int | None]:
    return adapter.origin.lr, adapter.origin.seed
