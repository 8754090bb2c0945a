"""One judged claim as JSON has it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from inspector.claims.facts import DEFINED
from inspector.claims.model import Selector
from inspector.claims.selection import Selected
from inspector.claims.verdicts import Outcome
from inspector.claims.words import published


def as_object(outcome: Outcome) -> dict[str, Any]:
    """The claim, its verdict, and the numbers of every definition."""
    claim = outcome.claim
    side = claim.side
    return {
        "id": claim.id,
        "statement": claim.statement,
        "location": claim.cited.text,
        "unpublished": claim.unpublished,
        "selector": _selector(claim.selector),
        **({side: _selector(claim.other)} if claim.other else {}),
        "statistic": claim.selector.statistic,
        "relation": claim.relation,
        "value": list(claim.value),
        "tolerance": claim.tolerance,
        "published": published(claim),
        "verdict": outcome.text,
        "reason": outcome.reason,
        "caution": outcome.caution,
        "findings": [
            {"adapter": name, **asdict(finding)} for name, found in outcome.findings.items() for finding in found
        ],
        "definitions": [
            {
                "metric": found.metric,
                "formula": DEFINED[found.metric].formula,
                "numbers": [_number(one, found.metric) for one in found.selected],
                **({side: [_number(n, claim.beside(found.metric)) for n in found.selected_other]} if side else {}),
                "measured": list(found.values),
                "against": list(found.other),
                "holds": found.holds,
                "broken": list(found.broken),
                "reason": found.reason,
            }
            for found in outcome.measured
        ],
        "contradicts": list(claim.contradicts),
        "disagreements": list(claim.disagreements),
        "limits": list(claim.limits),
    }


def _selector(selector: Selector) -> dict[str, Any]:
    """What was said of it in the set; nothing of what was not."""
    found = {name: value for name, value in asdict(selector).items() if value not in ((), None, "")}
    return found | ({"where": dict(selector.where)} if selector.where else {})


def _number(one: Selected, metric: str) -> dict[str, Any]:
    """`{a, b, layer, module, k, value}`: those that a number has."""
    names = ("a", "b") if len(one.names) == 2 else ("adapter",)
    found: dict[str, Any] = dict(zip(names, one.names, strict=False))
    if one.place.layer is not None:
        found["layer"] = one.place.layer
    if one.place.path:
        found["module"] = one.place.path
    if one.index is not None:
        found[DEFINED[metric].index] = one.index
    return found | {"value": one.value}
