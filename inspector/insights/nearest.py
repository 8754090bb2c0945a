"""Which published adapters one's own resemble, in which layers, how far each moved. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.claims.model import REFERENCE
from inspector.common.numbers import fixed, level
from inspector.geometry.interference import CHANCE_RATIO
from inspector.insights.findings.finding import listed, span
from inspector.insights.lineage import Similarity, fitting, start
from inspector.insights.pairwise import APART, MOSTLY, ONE, PART, pair_chance, shared
from inspector.study.study import Study
from inspector.study.table import subjects

NEAREST = 3
_LAYERS = 3
TIE = 0.02
"""Published adapters within so much of the nearest are named with it, or within its interval if that is wider."""
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Likeness:
    """One's own adapter beside a published one.

    `metric` is what fits the pair, and `value` its value over all modules: the cosine of runs that share a start of A,
    the output similarity of others. `error`: half a 95 % interval of the mean of an output similarity over modules,
    1.96·s/√m; NaN for a cosine, which is not a mean, or of one module.
    """

    name: str
    reference: str
    metric: Similarity
    value: float
    error: float
    by_cosine: bool
    """Whether the cosine says how alike they are: they share a start of A, or output similarity is not known."""
    chance: float
    """The output similarity of random updates of these ranks, in the modules both adapt; NaN for a cosine."""
    cosine: float
    layers: tuple[tuple[int, float], ...]
    """Where `metric` is highest, with its value, highest first; of layers alike the first."""
    alike: bool
    """Whether `metric` at no layer differs from the highest by more than a `TIE`."""
    norm_ratio: float
    """‖ΔW‖ of one's own over that of the published one."""

    @property
    def said(self) -> float:
        """What a sentence says of the pair."""
        return self.cosine if self.by_cosine else self.value

    @property
    def where(self) -> str:
        """`12 (0.91), 13 (0.90)`, or `all (1.00)`."""
        if self.alike:
            return f"all ({fixed(self.layers[0][1])})"
        return ", ".join(f"{layer} ({fixed(value)})" for layer, value in self.layers)


def nearest(study: Study, name: str, count: int = NEAREST) -> list[Likeness]:
    """The published adapters in a study nearest to one's own, by what fits them all, over all modules."""
    i, cosine = study.index(name), study.block("cosine", "global")
    if cosine is None:
        return []
    others = [j for j, other in enumerate(study.names) if is_reference(other) and not np.isnan(cosine[i, j, 0])]
    metric = fitting(study, ((i, j) for j in others))
    values = study.blocks[metric, "global"][i, :, 0]
    return [_likeness(study, metric, i, j) for j in sorted(others, key=lambda j: -values[j])[:count]]


def comparable(study: Study) -> bool:
    """Whether any adapter of one's own can be compared with any published one."""
    return any(nearest(study, name) for name in study.names if not is_reference(name))


def is_reference(name: str) -> bool:
    return name.startswith(REFERENCE)


def _likeness(study: Study, metric: Similarity, i: int, j: int) -> Likeness:
    layers, norm = study.block(metric, "layer"), study.block("norm", "global")
    by_layer = np.full(len(study.layers), np.nan) if layers is None else layers[i, j]
    best = [at for at in np.argsort(-np.nan_to_num(by_layer, nan=-2))[:_LAYERS] if not np.isnan(by_layer[at])]
    norms = np.full(len(study.names), np.nan) if norm is None else norm[:, 0]
    return Likeness(
        study.names[i],
        study.names[j],
        metric,
        float(study.blocks[metric, "global"][i, j, 0]),
        _error(study, i, j) if metric == "output_similarity" else float("nan"),
        metric == "cosine" or start(study, i, j) == "same",
        float(pair_chance(study, metric, i, j)[0]),
        float(study.blocks["cosine", "global"][i, j, 0]),
        tuple((study.layers[at], float(by_layer[at])) for at in best),
        len(best) > 1 and float(np.nanmax(by_layer) - np.nanmin(by_layer)) <= TIE,
        float(norms[i] / norms[j]) if norms[j] != 0 else float("nan"),
    )


def _error(study: Study, i: int, j: int) -> float:
    """1.96·s/√m of the output similarities of m modules; NaN of less than two."""
    block = study.block("output_similarity", "module")
    values = np.full(0, np.nan) if block is None else block[i, j, shared(study, i, j)]
    values = values[np.isfinite(values)]
    return _Z * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")


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
    first = found[0]
    what = "cosine" if first.by_cosine else "output similarity"
    if not (how := _how(first)):
        chance = "" if first.by_cosine or np.isnan(first.chance) else f", {level(first.chance)} by chance"
        largest = f"the largest {what} is {fixed(first.said)}, to {first.reference}{chance}"
        return f"{name} is close to none of them: {largest}."
    near = (one for one in found if one.by_cosine == first.by_cosine)
    alike = [one for one in near if one.said >= first.said - np.fmax(TIE, 0 if first.by_cosine else first.error)]
    most = f", most alike in layers {listed(str(layer) for layer, _ in sorted(first.layers))}" if first.layers else ""
    most = ", alike in all layers" if first.alike else most
    value = span([one.said for one in alike])
    if not first.by_cosine:
        value += interval(first)
        value += f" (cosine {span([one.cosine for one in alike])}, which another start of A makes small)"
    return f"{name} {how} {listed(one.reference for one in alike)}: {what} {value}{most}{_far(alike)}."


def interval(one: Likeness) -> str:
    """` ± 0.02`, or nothing if it is not known."""
    return "" if np.isnan(one.error) else f" ± {fixed(one.error)}"


def _how(first: Likeness) -> str:
    """How like the nearest one is, in words; empty if it is close to none."""
    if first.by_cosine:
        words = {ONE: "is one direction with", MOSTLY: "goes mostly the same way as", PART: "goes part of the way with"}
    else:
        chance = CHANCE_RATIO * np.nan_to_num(first.chance)
        words = {
            ONE: "writes to the same outputs as",
            MOSTLY: "writes mostly to the same outputs as",
            PART: "writes in part to the same outputs as",
            max(APART, float(chance)): "writes a little to the outputs of",
        }
    return next((text for least, text in words.items() if first.said >= least), "")


def _far(alike: Sequence[Likeness]) -> str:
    ratios = [float(f"{one.norm_ratio:.2g}") for one in alike if np.isfinite(one.norm_ratio)]
    if not ratios:
        return ""
    times = " to ".join(f"{ratio:g}" for ratio in dict.fromkeys((min(ratios), max(ratios))))
    return "; it moved as far" if times == "1" else f"; it moved {times} times as far"
