"""A claim and its numbers in words."""

from __future__ import annotations

from inspector.claims.model import Claim
from inspector.claims.selection import Numbers, Selected

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
    """What is compared with the published number: `cosine`, `ratio of norm`, `range of lens_depth`."""
    statistic = claim.selector.statistic
    extremes = {"argmin layer": "layer of least", "argmax layer": "layer of largest"}
    words = extremes.get(statistic, f"{statistic} of") if statistic != "each" else "ratio of" if claim.ratio else ""
    return f"{words} {metric}".strip()


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
