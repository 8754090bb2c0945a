"""What running the base showed of two adapters: answers, the loss along their path, hidden states. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.labels import labels
from inspector.common.numbers import fixed, level
from inspector.study.metrics.probes import FEW_PROMPTS, LOSSES
from inspector.study.study import Scope, Study

FLAT = 0.01
"""A rise below this share of the larger endpoint's loss is not a barrier."""
ALIKE, PARTED = 0.95, 0.7
"""Hidden states whose least CKA of any layer is so high are alike, and so low have parted."""
SIGNIFICANT = 0.05
_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of evidence: what it is of, its value and its level by chance in words, the metric, and a remark."""

    what: str
    value: str
    chance: str
    metric: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """The accuracies of a and b, and how likely chance alone parts them so far (McNemar, after Holm); NaN: no test."""

    names: tuple[str, str]

    a: float
    b: float
    p: float

    @property
    def differ(self) -> bool:
        return self.p < SIGNIFICANT

    def __str__(self) -> str:
        test = "no common problems" if math.isnan(self.p) else f"McNemar p = {self.p:.1g} after Holm"
        if not self.differ:
            return f"accuracy does not tell them apart ({100 * self.a:.1f} and {100 * self.b:.1f} %, {test})"
        better, worse = self.names if self.a > self.b else self.names[::-1]
        high, low = (100 * share for share in sorted((self.a, self.b), reverse=True))
        return f"accuracy differs: {better} solves more than {worse} ({high:.1f} against {low:.1f} %, {test})"

    @property
    def row(self) -> Evidence:
        test = "no common problems" if math.isnan(self.p) else f"p = {self.p:.2g} (McNemar, Holm)"
        return Evidence("accuracy", f"{100 * self.a:.1f} : {100 * self.b:.1f} %", "", "accuracy", test)


@dataclass(frozen=True, slots=True)
class Path:
    """Losses of α·ΔW_a + (1−α)·ΔW_b: at the ends, at α = ½ (NaN if not measured), and the largest on the way.

    `strict` and `chord`: the barrier above both ends and above the straight line, each with its 95 % interval.
    """

    suffix: str
    a: float
    b: float
    middle: float
    top: float
    strict: tuple[float, float, float]
    chord: tuple[float, float, float]

    @property
    def floor(self) -> float:
        """What is not a rise yet."""
        return FLAT * max(self.a, self.b)

    @property
    def barrier(self) -> bool:
        """Whether the loss rises above both ends."""
        return self.strict[0] > self.floor

    @property
    def bulge(self) -> bool:
        """Whether it rises above the straight line between the ends."""
        return self.chord[0] > self.floor

    @property
    def better(self) -> bool:
        """Whether the average of the two has a lower loss than either."""
        return self.middle < min(self.a, self.b) - self.floor

    @property
    def level(self) -> bool:
        """Whether the ends themselves are alike: half their difference is not a barrier above their mean."""
        return abs(self.a - self.b) <= 2 * self.floor

    def __str__(self) -> str:
        middle = "" if math.isnan(self.middle) else f", {self.middle:.2f} averaged"
        ends = f"loss{' of rollouts' if self.suffix else ''} {self.a:.2f} and {self.b:.2f}{middle}"
        if self.barrier:
            sure = "perhaps a barrier" if self.strict[1] <= 0 else "a barrier parts them"
            return f"{sure} ({ends}, up to {interval(self.strict)} above both)"
        if self.bulge:
            return f"no barrier above both, but a bulge ({ends}, up to {interval(self.chord)} above a straight line)"
        if self.better:
            return f"no barrier, and averaged a lower loss than either ({ends})"
        return f"no barrier ({ends})" if self.level else f"no barrier, only unequal ends ({ends})"

    @property
    def row(self) -> Evidence:
        value = " – ".join(f"{x:.2f}" for x in (self.a, self.middle, self.b) if not math.isnan(x))
        note = f"{interval(self.strict)} above both" if self.barrier else "no barrier"
        return Evidence("loss", value, "", f"lmc_loss{self.suffix}", note)


@dataclass(frozen=True, slots=True)
class States:
    """The least CKA of any layer, that layer, its level by chance, and the first layer where states part if they do."""

    metric: str
    least: float
    layer: int
    chance: float
    first: int

    @property
    def alike(self) -> bool:
        return self.least >= ALIKE

    @property
    def parted(self) -> bool:
        return self.least < PARTED

    def __str__(self) -> str:
        name = "debiased CKA" if self.metric == "cka_debiased" else "CKA"
        if self.alike:
            return f"hidden states alike in every layer ({name} at least {floored(self.least)})"
        if self.parted:
            return f"hidden states part from layer {self.first} on ({name} {fixed(self.least)} in layer {self.layer})"
        return f"hidden states differ somewhat ({name} {fixed(self.least)} in layer {self.layer})"

    @property
    def row(self) -> Evidence:
        value = f"CKA ≥ {floored(self.least)}" if self.alike else f"CKA {fixed(self.least)}"
        return Evidence("states", value, level(self.chance), self.metric, f"lowest in layer {self.layer}")


def answers(study: Study, i: int, j: int) -> Answers | None:
    """The accuracies of both and their test; None if either was not measured."""
    a, b = (own(study, "accuracy", at) for at in (i, j))
    return (
        None
        if math.isnan(a + b)
        else Answers((study.names[i], study.names[j]), a, b, between(study, "mcnemar_p_holm", i, j))
    )


def path(study: Study, i: int, j: int) -> Path | None:
    """The path from j (α = 0) to i (α = 1): of the gold answer, else of rollouts; None if neither says anything."""
    for suffix in LOSSES:
        curves = study.block(f"lmc_loss{suffix}", "global")
        if curves is None or too_few(study, f"lmc{suffix}"):
            continue
        losses = {a: float(v) for a, v in zip(study.alphas, curves[i, j, 0], strict=True) if 0 <= a <= 1}
        known = {a: loss for a, loss in losses.items() if not math.isnan(loss)}
        if {0, 1} <= set(known):
            strict, chord = (_interval(study, f"barrier_{kind}", suffix, i, j) for kind in ("strict", "chord"))
            middle = known.get(_MIDDLE, math.nan)
            return Path(suffix, known[1], known[0], middle, max(known.values()), strict, chord)
    return None


def states(study: Study, i: int, j: int) -> States | None:
    """The hidden states of a pair by debiased CKA, else by the plain one; None if neither says anything."""
    for metric in ("cka_debiased", "cka"):
        block = study.block(metric, "layer")
        if block is None or too_few(study, "cka"):
            continue
        values: Floats = block[i, j]
        if np.isfinite(values).any():
            at = int(np.nanargmin(values))
            first = int(np.flatnonzero(values <= max(ALIKE - (ALIKE - PARTED) / 2, values[at]))[0])
            chance = between(study, f"{metric}_null", i, j, "layer", at)
            return States(metric, float(values[at]), study.layers[at], chance, study.layers[first])
    return None


def too_few(study: Study, probe: str) -> int:
    """On how many prompts a probe ran if these are too few to say anything, else 0."""
    info = study.probe(probe)
    return info.examples if info is not None and info.examples < FEW_PROMPTS else 0


def interval(of: tuple[float, float, float]) -> str:
    """`0.31 (95 % interval -0.02 to 0.55)`; without the interval if there is none."""
    value, low, high = of
    known = "" if math.isnan(low + high) else f" (95 % interval {fixed(low)} to {fixed(high)})"
    return f"{fixed(value)}{known}"


def floored(value: float) -> str:
    """Two digits, rounded down: what is at least so much."""
    return fixed(math.floor(100 * value + 1e-9) / 100)


def _interval(study: Study, metric: str, suffix: str, i: int, j: int) -> tuple[float, float, float]:
    value, low, high = (between(study, f"{metric}{bound}{suffix}", i, j) for bound in ("", "_low", "_high"))
    return value, low, high


def named(study: Study, i: int) -> str:
    """The name of an adapter, without what all names of the study share."""
    return labels(study.names).short[i]


def own(study: Study, metric: str, i: int) -> float:
    """A number of one adapter over all modules; NaN if it was not measured."""
    block = study.block(metric, "global")
    return math.nan if block is None else float(block[i, 0])


def between(study: Study, metric: str, i: int, j: int, scope: Scope = "global", place: int = 0) -> float:
    """A number of a pair over all modules, or at a layer; NaN if it was not measured."""
    block = study.block(metric, scope)
    return math.nan if block is None else float(block[i, j, place])
