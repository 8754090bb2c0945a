"""The first page about a study: groups of one update, what stands alone, what limits the reading, what follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from inspector.common.labels import labels
from inspector.common.text import count, plain
from inspector.insights.nearest import own
from inspector.insights.overview.groups import groups
from inspector.insights.overview.model import Entry, Group, Overview
from inspector.insights.overview.reasons import notes
from inspector.insights.overview.so_what import so_what
from inspector.study.study import Study


def overview(study: Study) -> Overview:
    """The overview of a study, of what is measured so far; of one's own adapters where published ones are beside them.

    Sentences use the short names of `labels`, their numbers whole names.
    """
    who = tuple(own(study)) or tuple(range(len(study.adapters)))
    found = labels([study.names[i] for i in who])
    names = list(study.names)
    for i, name in zip(who, found.short, strict=True):
        names[i] = name
    made, alone = groups(study, who, notes(study, names))
    return Overview(
        who, found, facts(study, who), made, alone, so_what(study, made, who, names), *measured(study)
    )  # fmt: skip


def in_blocks(study: Study, found: Overview | None = None) -> Study:
    """The study with its adapters in the order of its overview, group by group; published ones come last."""
    order = (overview(study) if found is None else found).order
    return study.subset((*order, *(i for i in range(len(study.adapters)) if i not in order)))


def measured(study: Study) -> tuple[int, int]:
    """How many modules are measured for every adapter that has them, of how many there are."""
    total, sizes = len(study.modules), study.sizes
    if sizes is None or all(adapter.digest for adapter in study.adapters):
        return total, total
    known = np.isfinite(sizes) | ~study.present | study.excluded
    return int(known.all(0).sum()), total


def facts(study: Study, who: Sequence[int]) -> tuple[str, ...]:
    """What the adapters have in common: how many of which base, their rank, targets and health."""
    infos = [study.adapters[i] for i in who]
    bases = Counter(info.base.rstrip("/").rpartition("/")[2] for info in infos if info.base)
    of = f" of {plain(next(iter(bases)), 60)}" if len(bases) == 1 else f" of {len(bases)} bases" if bases else ""
    ranks = sorted({info.rank for info in infos}, key=len)
    said = [f"{count(len(infos), 'adapter')}{of}", f"rank {ranks[0]}" if len(ranks) == 1 else "several ranks"]
    projections = [projection.removesuffix("_proj") for projection in study.projections]
    said.append(" ".join(projections) if len(projections) <= 7 else count(len(projections), "projection"))
    ill = [info for info in infos if info.health != "ok"]
    said.append("all healthy" if not ill else f"{len(ill)} not healthy")
    return tuple(said)


__all__ = ["Entry", "Group", "Overview", "in_blocks", "overview"]
