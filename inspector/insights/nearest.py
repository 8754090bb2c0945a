"""Which published adapters one's own resemble, in which layers, how far each moved. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.claims.model import REFERENCE
from inspector.insights.findings.finding import listed, span
from inspector.insights.findings.runs import AGREE
from inspector.insights.pairwise import MOSTLY, ONE, PART, pair_chance
from inspector.study.study import Study
from inspector.study.table import subjects

NEAREST = 3
_LAYERS = 3
TIE = 0.02
"""Published adapters within so much of the nearest are named with it."""


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
    """Where the cosine is highest, with its value, highest first; of layers alike the first."""
    alike: bool
    """Whether the cosine of no layer differs from the highest by more than a `TIE`."""
    norm_ratio: float
    """‖ΔW‖ of one's own over that of the published one."""

    @property
    def where(self) -> str:
        """`12 (.91), 13 (.90)`, or `all (1.00)`."""
        if self.alike:
            return f"all ({self.layers[0][1]:.2f})"
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
    layers, u1, norm = study.block("cosine", "layer"), study.block("u1", "global"), study.block("norm", "global")
    by_layer = np.full(len(study.layers), np.nan) if layers is None else layers[i, j]
    best = [at for at in np.argsort(-np.nan_to_num(by_layer, nan=-2))[:_LAYERS] if not np.isnan(by_layer[at])]
    norms = np.full(len(study.names), np.nan) if norm is None else norm[:, 0]
    return Likeness(
        study.names[i],
        study.names[j],
        float(study.blocks["cosine", "global"][i, j, 0]),
        float("nan") if u1 is None else float(u1[i, j, 0]),
        float(pair_chance(study, "u1", i, j)[0]),
        tuple((study.layers[at], float(by_layer[at])) for at in best),
        len(best) > 1 and float(np.nanmax(by_layer) - np.nanmin(by_layer)) <= TIE,
        float(norms[i] / norms[j]) if norms[j] != 0 else float("nan"),
    )


def told_subjects(study: Study, subject: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """The subjects of a metric, without pairs of two published adapters: nobody asked for these, exports have them."""
    mixed = len(own(study)) > 0
    for a, b, at in subjects(study, subject):
        if not (mixed and b and is_reference(a) and is_reference(b)):
            yield a, b, at


def own(study: Study) -> list[int]:
    """The adapters that are not published ones."""
    return [i for i, name in enumerate(study.names) if not is_reference(name)]


def answer(study: Study, name: str) -> str:
    """One sentence: which published adapter one's own is like, where most, and how much farther it moved."""
    found = nearest(study, name, len(study.adapters))
    if not found:
        return f"{name} has nothing in common with them that could be compared."
    first, by_u1 = found[0], max(found, key=lambda one: np.nan_to_num(one.u1, nan=-1))
    if first.cosine < PART:
        text = f"{name} is close to none of them: the largest cosine is {first.cosine:.2f}, to {first.reference}"
        alike = [one for one in found if one.u1 >= max(AGREE, by_u1.u1 - TIE)]
        if not alike:
            return f"{text}."
        chance = f", {by_u1.u1_chance:.2g} by chance" if np.isfinite(by_u1.u1_chance) else ""
        return (
            f"{text}. Yet it writes to the top directions of {_them(alike)} (u₁ {span([one.u1 for one in alike])}"
            f"{chance}), as another random start of A would{_far(alike)}."
        )
    how = "is one direction with" if first.cosine >= ONE else "goes mostly the same way as"
    if first.cosine < MOSTLY:
        how = "goes part of the way with"
    alike = [one for one in found if one.cosine >= first.cosine - TIE]
    most = f", most alike in layers {listed(str(layer) for layer, _ in sorted(first.layers))}" if first.layers else ""
    most = ", alike in all layers" if first.alike else most
    return f"{name} {how} {_them(alike)}: cosine {span([one.cosine for one in alike])}{most}{_far(alike)}."


def _them(alike: Sequence[Likeness]) -> str:
    return listed(one.reference for one in alike)


def _far(alike: Sequence[Likeness]) -> str:
    ratios = [float(f"{one.norm_ratio:.2g}") for one in alike if np.isfinite(one.norm_ratio)]
    if not ratios:
        return ""
    times = " to ".join(f"{ratio:g}" for ratio in dict.fromkeys((min(ratios), max(ratios))))
    return "; it moved as far" if times == "1" else f"; it moved {times} times as far"
