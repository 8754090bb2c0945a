"""Why an adapter stands where it does: another seed, rate or start than the run beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import isfinite

from inspector.insights.findings.finding import own_values
from inspector.insights.lineage import Lineage, lineage
from inspector.insights.sensitivity import Variation, variations
from inspector.study.study import Study


def notes(study: Study, names: Sequence[str]) -> Callable[[int, int | None], tuple[str, ...]]:
    """The reasons of an adapter (its index, that of the nearest), in the given names; none where nothing tells."""
    changed, norms, kin = variants(study), own_values(study, "norm"), lineage(study)

    def note(i: int, nearest: int | None) -> tuple[str, ...]:
        said = []
        if norms[i] == 0:
            said.append("ΔW is zero")
        elif nearest is None and len(study.adapters) > 1:
            said.append("nothing to compare")
        if not study.scaled[i]:
            said.append("scale unknown")
        if i in changed:
            said += _change(study, i, changed[i], nearest, names)
        elif kin is not None and nearest is not None and _other_start(kin, i):
            said.append("other start of A")
        return tuple(said)

    return note


def variants(study: Study) -> dict[int, Variation]:
    """The adapters that are another run of a method, each beside its most usual run: that by the commonest rate, seed.

    Of runs that differ in one thing before those that differ in two.
    """
    rates = Counter(adapter.origin.lr for adapter in study.adapters)
    seeds = Counter(adapter.origin.seed for adapter in study.adapters)

    def usual(i: int) -> tuple[int, int]:
        origin = study.adapters[i].origin
        return rates[origin.lr], seeds[origin.seed]

    found: dict[int, Variation] = {}
    for v in sorted(variations(study), key=lambda v: (v.change == "seed and learning rate", min(v.a, v.b))):
        one, other = sorted((v.a, v.b))
        variant = one if usual(one) < usual(other) else other
        if v.change != "nothing told":
            found.setdefault(variant, v)
    return found


def _change(study: Study, i: int, v: Variation, nearest: int | None, names: Sequence[str]) -> tuple[str, ...]:
    """`other seed`, then `u₁ 0.81`; `10× rate` or `1/10 rate`; of whom, unless that is the nearest."""
    other = v.a if v.b == i else v.b
    of = "" if other == nearest else f" of {names[other]}"
    if v.change == "seed":
        return (f"other seed{of}", *([f"u₁ {v.u1:.2f}"] if isfinite(v.u1) else []))
    if v.change == "learning rate":
        own, its = (study.adapters[n].origin.lr or 0.0 for n in (i, other))  # known of both, and above 0
        return ((f"{own / its:.2g}× rate" if own > its else f"1/{its / own:.2g} rate") + of,)
    return (f"other seed and rate{of}",)


def _other_start(kin: Lineage, i: int) -> bool:
    """Whether an adapter is the only one of its start beside a larger group of one."""
    return len(kin.groups[0]) > 1 and i not in kin.groups[0] and kin.apart((i,), kin.groups[0])
