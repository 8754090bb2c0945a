"""One verdict on two adapters from all evidence: what running the base showed comes first, then their weights.

Geometry alone never says what a merge does to behaviour. Every screen, table and report has its words from here.
No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from inspector.common.numbers import fixed, level
from inspector.common.text import count
from inspector.geometry.interference import CHANCE_RATIO
from inspector.insights.evidence import Evidence, answers, between, named, own, path, states, too_few
from inspector.insights.pairwise import (
    APART,
    MOSTLY,
    ONE,
    OPPOSED,
    PART,
    added,
    other_base,
    pair_chance,
    pair_interference,
    shared,
)
from inspector.insights.sensitivity import difference
from inspector.study.study import Study

AGREE = 0.5
"""Output directions agree from this mean |⟨u₁,u₁'⟩| on."""
SMALL, UNEQUAL = 10.0, 3.0
"""So many times the smaller norm: beside it the other is next to nothing; the sizes are worth a word."""
_NONE = 0.005
"""A share of energy that is shown as 0 %."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of two adapters in one or two sentences each.

    `behaviour` is what running the base showed, empty if nothing was run; `weights` what ΔW shows. `kin`: what tells
    their runs apart, such as `same method, other seed`.
    """

    behaviour: str
    weights: str
    evidence: tuple[Evidence, ...]
    kin: str = ""
    comparable: bool = True
    """Whether the two can be set side by side and added at all."""
    few: int = 0
    """On how many prompts the base ran, if these are too few to say anything."""

    @property
    def measured(self) -> bool:
        """Whether running the base says anything of the two."""
        return bool(self.behaviour)

    @property
    def headline(self) -> str:
        """Measured evidence first; `Weights only` if nothing was run."""
        if not self.comparable:
            return self.weights
        if not self.behaviour:
            few = f" ({self.few} prompts are too few to say more)" if self.few else ""
            return f"Weights only{few}: {self.weights}"
        return f"{self.behaviour} In weights: {self.weights}"


def verdict(study: Study, i: int, j: int) -> Verdict:
    """The verdict on adapters i and j, from whatever is measured so far."""
    if trouble := _incomparable(study, i, j):
        return Verdict("", trouble, (), difference(study, i, j), comparable=False)
    behaviour, measured = _behaviour(study, i, j)
    weights, geometry = _weights(study, i, j)
    few = max(too_few(study, probe) for probe in ("lmc", "lmc_rollouts", "cka"))
    return Verdict(behaviour, weights, (*measured, *geometry), difference(study, i, j), few=few)


def verdicts(study: Study, parts: Sequence[int]) -> list[str]:
    """The verdict on two parts of a sum; of more, on the two most alike and the two least alike."""
    pairs = list(combinations(parts, 2))
    cosines = {pair: between(study, "cosine", *pair) for pair in pairs}
    if len(parts) > 2:
        known = sorted((pair for pair in pairs if not math.isnan(cosines[pair])), key=lambda pair: -cosines[pair])
        pairs = list(dict.fromkeys((*known[:1], *known[-1:])))
    return [f"{named(study, i)} ↔ {named(study, j)}: {verdict(study, i, j).headline}" for i, j in pairs]


def _incomparable(study: Study, i: int, j: int) -> str:
    """Why nothing can be said of the two; empty if something can."""
    for at in (i, j):
        if not (study.present[at] & ~study.excluded[at]).any():
            return f"{named(study, at)} has no usable module: inspector check says why."
    if other_base(study, i, j):
        bases = " and ".join(study.adapters[at].base for at in (i, j))
        return f"Different bases ({bases}): a sum fits neither, and no cosine between them counts."
    return ""


def _apart(study: Study, i: int, j: int) -> str:
    """Why the weights of the two have no cosine; empty if they have one."""
    if not (study.present[i] & study.present[j]).any():
        return "they change different modules, none in common: a sum holds both side by side, unchanged."
    if not shared(study, i, j).any():
        return "none of their common modules can be used in both, or has one shape: they cannot be compared or added."
    zero = [named(study, at) for at in (i, j) if own(study, "norm", at) == 0]
    if len(zero) == 2:
        return "both updates are zero: the base is as it was, and so is any sum."
    if zero:
        return f"ΔW of {zero[0]} is zero: it has no direction, and adding it changes nothing."
    if unscaled := [named(study, at) for at in (i, j) if not study.weighed[at]]:
        return f"the scales of the modules of {' and '.join(unscaled)} are unknown, so no cosine (--alpha gives them)."
    return "" if math.isfinite(between(study, "cosine", i, j)) else "their updates are not compared yet."


def _behaviour(study: Study, i: int, j: int) -> tuple[str, list[Evidence]]:
    """One sentence on answers, losses and hidden states, as far as they are measured, and its evidence."""
    found = [one for one in (answers(study, i, j), path(study, i, j), states(study, i, j)) if one is not None]
    text = "; ".join(map(str, found))
    return f"{text[:1].upper()}{text[1:]}." if found else "", [one.row for one in found]


def _weights(study: Study, i: int, j: int) -> tuple[str, list[Evidence]]:
    """How the two updates lie to each other, how large they are, and what of their sum cancels."""
    if why := _apart(study, i, j):
        return why, []
    cosine = between(study, "cosine", i, j)
    norms = (own(study, "norm", i), own(study, "norm", j))
    both = added(study, i, j)
    same = 1 - cosine <= 1e-12 and abs(norms[0] / norms[1] - 1) <= 1e-9
    text = "the same update twice" if same else f"{_direction(cosine)} (cosine {fixed(cosine)})"
    if abs(cosine) < PART:
        text += _outputs(study, i, j, cosine)
    if not math.isnan(both.cancelled) and cosine < ONE:
        share = f"{100 * both.cancelled:.0f} % of their energy"
        text += (
            "; nothing cancels in a sum" if both.cancelled <= _NONE else f"; opposed modules cancel {share} in a sum"
        )
    text += f"{_sizes(study, (i, j), norms, (both.to_a, both.to_b))}."
    if unscaled := [named(study, at) for at in (i, j) if not study.scaled[at]]:
        text += f" The scale of {' and '.join(unscaled)} is unknown: no size, no sum (--alpha gives it)."
    return _so_far(study, i, j, text), _geometry(study, i, j, cosine, norms, both.cancelled)


def _direction(cosine: float) -> str:
    """The words for a cosine over all modules."""
    if cosine <= OPPOSED:
        return "opposed" if cosine <= -ONE else "opposed in part"
    words = {
        ONE: "one direction", MOSTLY: "mostly one direction", PART: "part of the way together", APART: "a little alike",
    }  # fmt: skip
    return next((text for least, text in words.items() if cosine >= least), "different directions")


def _outputs(study: Study, i: int, j: int, cosine: float) -> str:
    """That they write to the same outputs, though their cosine is small; empty if they do not, or it is not known."""
    u1, chance = between(study, "u1", i, j), float(pair_chance(study, "u1", i, j)[0])
    if u1 >= max(AGREE, CHANCE_RATIO * np.nan_to_num(chance)):
        return f" {'yet' if abs(cosine) < APART else 'and'} the same outputs (u₁ {u1:.2f}{_by_chance(chance)})"
    if (found := pair_interference(study, i, j)).kind == "shared outputs":
        return f" yet overlapping outputs ({found.overlap:.2f}{_by_chance(found.chance)})"
    return ""


def _sizes(study: Study, at: tuple[int, int], norms: tuple[float, float], cosines: tuple[float, float]) -> str:
    """Who moved how much farther; of one ten times smaller, how little of it a sum shows."""
    if not all(norm > 0 for norm in norms):
        return ""
    large = int(norms[1] > norms[0])
    ratio, names = norms[large] / norms[1 - large], [named(study, i) for i in at]
    if ratio < UNEQUAL:
        return ""
    if ratio < SMALL or not cosines[large] >= 1 - 2 * _NONE:
        return f"; {names[large]} moved {ratio:.1f} times as far"
    how = f"{names[1 - large]} moved {ratio:.3g} times less far: adding it changes next to nothing of {names[large]}"
    return f"; {how} (cosine of the sum to it {fixed(cosines[large])})"


def _geometry(
    study: Study, i: int, j: int, cosine: float, norms: tuple[float, float], cancelled: float
) -> list[Evidence]:
    """The rows of evidence out of the weights."""
    rows = [Evidence("direction", f"cosine {fixed(cosine)}", fixed(0), "cosine")]
    start = next((part for part in difference(study, i, j).split(", ") if part.endswith("start of A")), "")
    for what, name, metric in (
        ("writes to", "u₁", "u1"),
        ("", "subspace", "subspace_overlap"),
        ("", "similarity", "output_similarity"),
        ("reads from", "v₁", "v1"),
    ):
        if not math.isnan(value := between(study, metric, i, j)):
            chance = float(pair_chance(study, metric, i, j)[0])
            note = start if metric == "v1" else ""
            rows.append(Evidence(what, f"{name} {value:.2f}", level(chance), metric, note))
    if all(norm > 0 for norm in norms):
        times = max(norms) / min(norms)
        note = f"{times:.3g} times" if times >= UNEQUAL else ""
        sizes = " : ".join(f"{norm:#.3g}".rstrip(".") for norm in norms)
        rows.append(Evidence("size", f"‖ΔW‖ {sizes}", "", "norm", note))
    if not math.isnan(cancelled):
        rows.append(Evidence("opposed", f"{100 * cancelled:.1f} % of the energy", "", "energy_ratio"))
    if one_sided := study.one_sided(i, j):
        here = int(shared(study, i, j).sum())
        note = "counted as zeros" if study.settings.modules == "union" else "left out"
        rows.append(Evidence("modules", f"{here} in both, {one_sided} in one", "", "cosine", note))
    return rows


def _so_far(study: Study, i: int, j: int, text: str) -> str:
    """That not all of their modules are measured yet."""
    if study.sizes is None:
        return text
    here = (study.present[[i, j]] & ~study.excluded[[i, j]]).any(0)
    missing = int((np.isnan(study.sizes[[i, j]]) & study.present[[i, j]] & ~study.excluded[[i, j]]).any(0).sum())
    return f"so far ({int(here.sum()) - missing} of {count(int(here.sum()), 'module')}) {text}" if missing else text


def _by_chance(chance: float) -> str:
    return "" if math.isnan(chance) else f", {level(chance)} by chance"
