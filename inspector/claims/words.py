"""A claim and its numbers in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.claims.model import Claim, Selector
from inspector.claims.selection import Numbers, Selected

if TYPE_CHECKING:
    from inspector.claims.verdicts import Outcome

MOST = 3
"""So many of those that break a claim are named."""


def published(claim: Claim) -> str:
    """What the publication says, as a relation: `≈ 0.977 ± 0.01`, `0.94 – 0.98`, `increasing: 2.06, 4.93`."""
    said, near = listed(claim.value), f" ± {number(claim.tolerance)}" if claim.tolerance else ""
    if claim.relation == "between":
        said = f"{number(claim.value[0])} – {number(claim.value[1])}"
    before = {"about": "≈ ", "at least": "≥ ", "at most": "≤ ", "between": ""}.get(claim.relation)
    if before is not None:
        return f"{before}{said}{near}"
    return f"{claim.relation}{f': {said}' if said else ''}{near}"


def quantity(claim: Claim, metric: str) -> str:
    """What is compared with the published number: `cosine`, `ratio of norm`, `fraction of cosine above 0.9`."""
    said = _reduced(claim.selector, metric)
    if claim.other is None or claim.side == "than":
        return said
    beside = claim.beside(metric)
    if claim.side == "with":
        return f"{claim.selector.statistic} of {metric} and {beside}"
    what = "ratio" if claim.side == "over" else "difference"
    return f"{what} of {said}" if beside == metric else f"{what} of {said} and {beside}"


def _reduced(selector: Selector, metric: str) -> str:
    statistic = selector.statistic
    words = {"argmin layer": "layer of least", "argmax layer": "layer of largest", "each": ""}
    if selector.q is not None:
        words["quantile"] = f"{number(selector.q)} quantile of"
    said = f"{words.get(statistic, f'{statistic} of')} {metric}".strip()
    if selector.that is None:
        return said
    return f"{said} {selector.that.bound} {' and '.join(map(number, selector.that.value))}"


def contradictions(outcomes: Sequence[Outcome]) -> list[str]:
    """`a (≥ 0.97: does not hold) against b (≈ 0.967: holds)`: the pairs of claims that cannot both hold."""
    by_id = {outcome.claim.id: outcome for outcome in outcomes}
    found: dict[frozenset[str], str] = {}
    for outcome in outcomes:
        for other in outcome.claim.contradicts:
            if other in by_id:
                both = f"{_judged(outcome)} against {_judged(by_id[other])}"
                found.setdefault(frozenset((outcome.claim.id, other)), both)
    return list(found.values())


def _judged(outcome: Outcome) -> str:
    return f"{outcome.claim.id} ({published(outcome.claim)}: {outcome.text})"


def listed(values: Numbers, most: int = 5) -> str:
    """The numbers, or how many there are and between what."""
    if len(values) <= most:
        return ", ".join(map(number, values))
    return f"{len(values)} numbers, {number(min(values))} … {number(max(values))}"


def number(value: float) -> str:
    """Three significant digits, whole numbers whole."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.3g}"


def place(one: Selected) -> str:
    """`dpo ↔ rft, layer 3, k 1`: what a number is of."""
    where = f"layer {one.place.layer}" if one.place.layer is not None and not one.place.path else str(one.place)
    known = one.place.layer is not None or one.place.path
    index = "" if one.index is None else f"at {number(one.index)}"
    return ", ".join(filter(None, (one.label, where if known else "", index)))


def breakers(values: Numbers, labels: tuple[str, ...], broken: tuple[int, ...]) -> str:
    """`dpo ↔ online-grpo -0.158, 1 of 7`: which of the numbers break a claim; empty of one number alone."""
    if not labels or not broken or len(values) < 2:
        return ""
    named = [f"{labels[at]} {number(values[at])}".strip() for at in broken[:MOST]]
    return f"{', '.join(named)}{' …' if len(broken) > MOST else ''}, {len(broken)} of {len(values)}"
