"""Which published adapters one's own resemble, in which layers, how far each moved. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.claims.model import REFERENCE
from inspector.shared import pair_chance
from inspector.study import Study
from inspector.text_tables import titled

NEAREST = 3
_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Likeness:
    """One's own adapter beside a published one."""

    name: str
    reference: str
    cosine: float
    u1: float
    u1_chance: float
    """Of random directions in the modules both adapt."""
    layers: tuple[tuple[int, float], ...]
    """Where the cosine is highest, with its value, highest first."""
    norm_ratio: float
    """‖ΔW‖ of one's own over that of the published one."""

    @property
    def where(self) -> str:
        """`12 (.91), 13 (.90)`."""
        return ", ".join(f"{layer} ({value:.2f})" for layer, value in self.layers)


def nearest(study: Study, name: str, count: int = NEAREST) -> list[Likeness]:
    """The published adapters in a study nearest to one's own, by cosine over all modules."""
    i, cosine = study.index(name), study.block("cosine", "global")
    if cosine is None:
        return []
    others = [j for j, other in enumerate(study.names) if is_reference(other) and not np.isnan(cosine[i, j, 0])]
    return [_likeness(study, i, j) for j in sorted(others, key=lambda j: -cosine[i, j, 0])[:count]]


def comparable(study: Study) -> bool:
    """Whether any adapter of one's own can be compared with any published one."""
    return any(nearest(study, name) for name in study.names if not is_reference(name))


def is_reference(name: str) -> bool:
    return name.startswith(REFERENCE)


def _likeness(study: Study, i: int, j: int) -> Likeness:
    by_layer = study.blocks["cosine", "layer"][i, j]
    best = [at for at in np.argsort(-np.nan_to_num(by_layer, nan=-2))[:_LAYERS] if not np.isnan(by_layer[at])]
    norms = study.blocks["norm", "global"][:, 0]
    return Likeness(
        study.names[i],
        study.names[j],
        float(study.blocks["cosine", "global"][i, j, 0]),
        float(study.blocks["u1", "global"][i, j, 0]),
        float(pair_chance(study, "u1", i, j)[0]),
        tuple((study.layers[at], float(by_layer[at])) for at in best),
        float(norms[i] / norms[j]) if norms[j] else float("nan"),
    )


def resemblance_table(study: Study, title: str) -> Iterator[Table | str]:
    """For each adapter of one's own the nearest published ones; nothing where there are none."""
    own = [name for name in study.names if not is_reference(name)]
    if len(own) == len(study.names):
        return
    table = titled(f"nearest of {title}")
    for heading in ("adapter", "nearest"):
        table.add_column(heading)
    for heading in ("cosine", "u₁"):
        table.add_column(heading, justify="right")
    table.add_column("highest cosine in layers")
    table.add_column("‖ΔW‖ ratio", justify="right")
    levels = []
    for name in own:
        for n, found in enumerate(nearest(study, name)):
            levels.append(found.u1_chance)
            numbers = (f"{found.cosine:.3f}", f"{found.u1:.3f}", found.where, f"{found.norm_ratio:.3g}")
            table.add_row(Text("" if n else name), Text(found.reference), *numbers)
    yield table
    chance = " to ".join(dict.fromkeys(f"{level:.2g}" for level in (min(levels), max(levels)))) if levels else "n/a"
    yield (
        f"cosine over all modules; u₁ by chance: {chance}. "
        "A cosine near zero may only be another random start of A: then u₁, the output direction, still agrees."
    )
