"""What seed and learning rate did, and who shares a start."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.lineage import lineage
from inspector.sensitivity import Variation, variations
from inspector.study import Study
from inspector.takeaways.directions import ONE
from inspector.takeaways.takeaway import Number, Takeaway, listed, of_pair

AGREE = 0.5
"""Output directions agree from this mean |⟨u₁,u₁'⟩| on."""


def runs(study: Study) -> Iterator[Takeaway]:
    """Pairs of one method that differ in one thing, then lineage."""
    for variation in variations(study):
        if np.isfinite(variation.cosine) and variation.change == "seed":
            yield _seed(study, variation)
        elif np.isfinite(variation.cosine) and variation.change == "learning rate":
            yield _rate(study, variation)
    yield from _starts(study)


def _seed(study: Study, v: Variation) -> Takeaway:
    a, b = study.names[v.a], study.names[v.b]
    if v.u1 >= AGREE and v.cosine < ONE:
        told = f"the same top output directions (u₁ {v.u1:.2f}) though the cosine is {v.cosine:.2f}"
    else:
        told = f"cosine {v.cosine:.2f}, u₁ {v.u1:.2f}"
    start = {
        "same": f", v₁ {v.v1:.2f} from one start A₀",
        "different": f"; v₁ {v.v1:.2f} compares two random starts, not what was learned",
        "unknown": f"; v₁ {v.v1:.2f} may only be read if both share A₀, which nothing tells",
    }[v.start]
    numbers = tuple(of_pair(study, metric, v.a, v.b) for metric in ("cosine", "u1", "v1"))
    return Takeaway("runs", f"Another seed of {v.method} ({a}, {b}): {told}{start}.", numbers)


def _rate(study: Study, v: Variation) -> Takeaway:
    rates = [study.adapters[i].origin.lr or float("nan") for i in (v.a, v.b)]
    how = "rescales the update" if v.cosine >= ONE else "turns the update, it does not only rescale it"
    text = (
        f"{rates[1] / rates[0]:.3g} times the learning rate of {v.method} ({study.names[v.a]}, {study.names[v.b]}) "
        f"{how}: cosine {v.cosine:.2f}, norm {v.norm_ratio:.1f} times."
    )
    norm = Number("norm", float(study.blocks["norm", "global"][v.b, 0]), study.names[v.b])
    return Takeaway("runs", text, (of_pair(study, "cosine", v.a, v.b), norm))


def _starts(study: Study) -> Iterator[Takeaway]:
    """Groups by start; a folder whose checkpoints come from several runs is pointed out."""
    found = lineage(study)
    if found is None or len(study.adapters) < 2:
        return
    shared = [group for group in found.groups if len(group) > 1]
    if len(shared) == 1 and len(shared[0]) == len(study.adapters):
        text = (
            "All share one random start of A or come from one run, so that input directions (v₁) agree in part anyway."
        )
        yield Takeaway("runs", text, _overlaps(study, shared[0]), caution=True)
    elif shared:
        groups = "; ".join(listed(study.names[i] for i in group) for group in shared)
        text = f"These share a start of A or a run: {groups}. Compare input directions (v₁) within them only."
        yield Takeaway("runs", text, tuple(n for group in shared for n in _overlaps(study, group)), caution=True)
    if _checkpoints(study) and len(found.groups) > 1:
        text = (
            f"The checkpoints of one folder come from {len(found.groups)} different starts, so more than one run wrote "
            f"there: {'; '.join(listed(study.names[i] for i in group) for group in found.groups[:4])}."
        )
        yield Takeaway("runs", text, (), caution=True)


def _overlaps(study: Study, group: tuple[int, ...]) -> tuple[Number, ...]:
    return tuple(of_pair(study, "row_space_overlap", group[0], i) for i in group[1:])


def _checkpoints(study: Study) -> bool:
    """Whether all adapters are checkpoint-N of one folder."""
    places = [adapter.source.rpartition("/") for adapter in study.adapters]
    return len({folder for folder, _, _ in places}) == 1 and all(n.startswith("checkpoint-") for *_, n in places)
