"""The numbers of a claim under one definition, and which of them break it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.claims.facts import DEFINED
from inspector.claims.model import Claim, ClaimSet
from inspector.claims.selection import Numbers, Selected, select
from inspector.claims.statistics import correlated, reduced
from inspector.claims.subjects import NotMeasuredError, Where
from inspector.claims.words import breakers, listed, place
from inspector.common.text import some
from inspector.study.metrics.probes import intruder_setting

_NEEDS_BASE = "needs the base"


@dataclass(frozen=True, slots=True)
class Measured:
    """A claim under one definition."""

    metric: str
    values: Numbers = ()
    """The numbers compared: selected, reduced, divided."""
    other: Numbers = ()
    """The right-hand side of `less than`."""
    selected: tuple[Selected, ...] = ()
    """What the values were made from, before the statistic and the ratio."""
    selected_other: tuple[Selected, ...] = ()
    """The same of the other side."""
    broken: tuple[int, ...] = ()
    """Which of the values break the claim; of an order, those that step back."""
    reason: str = ""
    """Why nothing can be said; empty if something can."""

    @property
    def holds(self) -> bool | None:
        """None if it cannot be said, for this reason."""
        return None if self.reason else not self.broken

    @property
    def text(self) -> str:
        """`0.86, 0.78`, `0.21 against 0.9`, those that break it by name, or why there is no number."""
        if self.holds is None:
            return self.reason
        text = listed(self.values) + (f" against {listed(self.other)}" if self.other else "")
        each = len(self.selected) == len(self.values)
        named = breakers(self.values, tuple(map(place, self.selected)), self.broken) if each else ""
        return f"{text}: {named}" if named else text


def measured(claims: ClaimSet, claim: Claim, metric: str, places: Sequence[Where], remedy: str) -> Measured:
    """One claim under one definition."""
    reasons = []
    for where in places:
        try:
            return _judged(claims, claim, metric, where, places, remedy)
        except NotMeasuredError as reason:
            text = str(reason)
            reasons.append((bool(where.missing(claim.required)), text.startswith(_NEEDS_BASE), text))
    reasons.sort(key=lambda found: found[:2])  # of several studies, what is said of the one that has the adapters
    return Measured(metric, reason=reasons[0][2] if reasons else "nothing is open")


def _judged(
    claims: ClaimSet, claim: Claim, metric: str, where: Where, places: Sequence[Where], remedy: str
) -> Measured:
    """By the numbers of one study, those of the second selector perhaps of another. Raises NotMeasuredError."""
    if missing := where.missing(claim.required):
        raise NotMeasuredError(_published(claims, missing) or _not_open(missing))
    found = _selected(claim, metric, 0, where, remedy)
    values = reduced(claim.selector, found)
    if claim.other is None:
        return Measured(metric, values, selected=found, broken=_broken(claim, values, ()))
    beside = _beside(claim, metric, where, places, remedy)
    values, other = _put_together(claim, values, reduced(claim.other, beside))
    return Measured(metric, values, other, found, beside, _broken(claim, values, other))


def _published(claims: ClaimSet, missing: Sequence[str]) -> str:
    """Said of adapters that nobody can open."""
    nowhere = [name for name in missing if not claims.adapters[claims.run(name)]]
    return f"{some(nowhere)}: not published, the set names no source" if nowhere else ""


def _not_open(missing: Sequence[str]) -> str:
    return f"{some(missing)} {'is' if len(missing) == 1 else 'are'} not open"


def _beside(claim: Claim, metric: str, where: Where, places: Sequence[Where], remedy: str) -> tuple[Selected, ...]:
    """The numbers of the second selector: of the same study, else of one measured alike, over other prompts perhaps."""
    alike = [other for other in places if other is not where and other.study.settings == where.study.settings]
    reasons = []
    for other in (where, *alike):
        try:
            return _selected(claim, metric, 1, other, remedy)
        except NotMeasuredError as reason:
            reasons.append(reason)
    raise reasons[0]


def _selected(claim: Claim, metric: str, side: int, where: Where, remedy: str) -> tuple[Selected, ...]:
    """The numbers of the first selector, or of the second. Raises NotMeasuredError if the study's are of others."""
    selector, prompts = claim.selectors[side], claim.prompts
    if side:
        metric, prompts = claim.beside(metric), selector.prompts or prompts
    if missing := where.missing(selector.required):
        raise NotMeasuredError(_not_open(missing))
    study, definition = where.study, DEFINED[metric]
    if definition.top_k and study.settings.k != claim.top_k:
        raise NotMeasuredError(f"needs top-{claim.top_k} subspaces, this study has top-{study.settings.k}")
    if definition.probe:
        info, wanted = study.probe(definition.probe), f" on {prompts}" if prompts else ""
        if info is None:
            raise NotMeasuredError(f"{_NEEDS_BASE} ({definition.probe}{wanted}): {remedy}")
        if prompts and info.prompts != prompts:
            raise NotMeasuredError(f"needs {definition.probe}{wanted}, this study has it on {info.prompts}: {remedy}")
        setting = intruder_setting(claim.top_k, claim.epsilon)
        if definition.probe == "intruders" and (info.detail or intruder_setting()) != setting:
            raise NotMeasuredError(f"needs intruders of {setting}, this study has {info.detail or intruder_setting()}")
    return select(where, metric, selector)


def _put_together(claim: Claim, values: Numbers, other: Numbers) -> tuple[Numbers, Numbers]:
    """(the numbers compared, the right-hand side): each with its own, or all with the one."""
    if claim.side == "than":
        return values, other
    if claim.side == "with":
        return correlated(values, other, ranks=claim.selector.statistic == "rank correlation"), ()
    if len(values) == 1:
        values = values * len(other)
    elif len(other) == 1:
        other = other * len(values)
    if len(values) != len(other):
        what = "divided by" if claim.side == "over" else "compared with"
        raise NotMeasuredError(f"{len(values)} numbers cannot be {what} {len(other)}")
    if claim.side == "minus":
        return tuple(a - b for a, b in zip(values, other, strict=True)), ()
    if not all(other):
        raise NotMeasuredError("what it is divided by is 0")
    return tuple(a / b for a, b in zip(values, other, strict=True)), ()


def _broken(claim: Claim, values: Numbers, other: Numbers) -> tuple[int, ...]:
    """The positions of the values that break the relation. Steps of an order may go back by the tolerance."""
    near, places = claim.tolerance, range(len(values))
    if claim.relation == "less than":
        return tuple(at for at in places if not values[at] < min(other) + near)
    if claim.relation in {"increasing", "decreasing"}:
        if len(values) < 2:
            raise NotMeasuredError("one number has no order")
        sign = 1 if claim.relation == "increasing" else -1
        return tuple(at for at in places[1:] if not sign * (values[at] - values[at - 1]) > -near)
    if claim.relation == "between":
        low, high = claim.value
        return tuple(at for at in places if not low - near <= values[at] <= high + near)
    said = claim.value * len(values) if len(claim.value) == 1 else claim.value
    off = [value - wanted for value, wanted in zip(values, said, strict=True)]
    if claim.relation == "about":
        return tuple(at for at in places if not abs(off[at]) <= near)
    sign = 1 if claim.relation == "at least" else -1
    return tuple(at for at in places if not sign * off[at] >= -near)
