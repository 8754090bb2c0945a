"""Whether a claim holds in a study, under each definition its sentence allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from inspector.claims.model import Claim, ClaimSet
from inspector.claims.selection import NotMeasuredError, Numbers, Selected, Where, reduced, select
from inspector.claims.words import breakers, listed, place
from inspector.common.text import plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.metrics import DEFINITIONS
from inspector.study.metrics.probes import FEW_PROMPTS
from inspector.study.study import Study
from inspector.study.warnings import finding_lines, severe

Verdict = Literal["holds", "holds only under", "does not hold", "cannot be measured here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "holds only under", "does not hold", "cannot be measured here")
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """A claim, and what was found of it."""

    claim: Claim
    measured: tuple[Measured, ...]
    findings: Mapping[str, tuple[HealthIssue, ...]] = field(default_factory=dict)
    """The open adapters it names, as the set calls them -> what limits how their numbers may be read.

    A verdict about an update that was read in part is never shown without them.
    """
    caution: str = ""
    """What else limits it: another base, few prompts."""

    @property
    def limited(self) -> bool:
        """Whether there is a verdict, and something limits it."""
        limits = bool(self.caution) or any(self.findings.values())
        return self.verdict != "cannot be measured here" and limits

    @property
    def verdict(self) -> Verdict:
        """`holds` under every definition that could be measured, or under some, or under none."""
        said = [found.holds for found in self.measured if found.holds is not None]
        if not said:
            return "cannot be measured here"
        return "holds" if all(said) else "holds only under" if any(said) else "does not hold"

    @property
    def text(self) -> str:
        """The verdict in words, with the definitions it rests on."""
        if self.verdict != "holds only under":
            return self.verdict
        return f"holds only under {', '.join(found.metric for found in self.measured if found.holds)}"

    @property
    def reason(self) -> str:
        """Why something could not be measured; empty where everything was."""
        return "; ".join(dict.fromkeys(found.reason for found in self.measured if found.holds is None))


def evaluate(claims: ClaimSet, studies: Sequence[Study], *, remedy: str = "add --base") -> list[Outcome]:
    """Every claim against the first study that has its numbers; `remedy` is said where the base is needed."""
    aliases = claims.aliases()
    places = [Where.of(study, aliases) for study in studies]
    return [
        Outcome(
            claim,
            tuple(_measured(claims, claim, metric, places, remedy) for metric in claim.metrics),
            _findings(claim, places),
            cautions(replace(claims, claims=(claim,)), studies),
        )
        for claim in claims.claims
    ]


def _findings(claim: Claim, places: Sequence[Where]) -> dict[str, tuple[HealthIssue, ...]]:
    found: dict[str, dict[HealthIssue, None]] = {}
    for where in places:
        for name in claim.names:
            if name in where.at:
                own = where.study.adapters[where.at[name]].findings
                found.setdefault(name, {}).update(dict.fromkeys(severe(own)))
    return {name: tuple(findings) for name, findings in found.items()}


def limits(outcomes: Sequence[Outcome]) -> list[str]:
    """What limits the verdicts that were given, a line a finding: `warning: sft, dpo: …`."""
    given = (outcome.findings for outcome in outcomes if outcome.verdict != "cannot be measured here")
    return list(finding_lines({name: found for findings in given for name, found in findings.items()}))


def elsewhere(claims: ClaimSet, studies: Sequence[Study]) -> str:
    """Said of adapters that were trained on another base than the claims are about; empty where none was."""
    found: dict[str, str] = {}
    for where in (Where.of(study, claims.aliases()) for study in studies):
        used = {at for name, at in where.at.items() if any(name in claim.names for claim in claims.claims)}
        found |= {info.name: info.base for at, info in enumerate(where.study.adapters) if at in used}
    other = [name for name, base in found.items() if base not in {"", claims.base}]
    if not other or not claims.base:
        return ""
    return f"{some(other)}: not trained on {plain(claims.base)}, which the claims are about."


def cautions(claims: ClaimSet, studies: Sequence[Study]) -> str:
    """What limits the reading of these claims' verdicts: another base, few prompts; empty where nothing does."""
    asked = {DEFINITIONS[metric].probe for claim in claims.claims for metric in claim.metrics} - {"", "accuracy"}
    probes = [info for study in studies for info in study.probes if info.probe in asked and info.examples]
    few = dict.fromkeys(f"{info.probe} on {info.examples} prompts" for info in probes if info.examples < FEW_PROMPTS)
    prompts = f"{some(list(few))}: fewer than {FEW_PROMPTS} scatter more than adapters differ." if few else ""
    return " ".join(filter(None, (elsewhere(claims, studies), prompts)))


def _measured(claims: ClaimSet, claim: Claim, metric: str, places: Sequence[Where], remedy: str) -> Measured:
    """One claim under one definition."""
    reasons = []
    for where in places:
        try:
            _refuse_others(claim, metric, where, remedy)
            found = select(where, metric, claim.selector)
            beside = select(where, metric, claim.other) if claim.other else ()
            values = reduced(claim.selector, found)
            other = reduced(claim.other, beside) if claim.other else ()
            if claim.ratio:
                values, other = _ratio(values, other), ()
            return Measured(metric, values, other, found, beside, _broken(claim, values, other))
        except NotMeasuredError as reason:
            missing = bool(where.missing(claim.names))
            text = _published(claims, claim, where) or str(reason)
            reasons.append((missing, text.startswith(_NEEDS_BASE), text))
    reasons.sort(key=lambda found: found[:2])  # of several studies, what is said of the one that has the adapters
    return Measured(metric, reason=reasons[0][2] if reasons else "nothing is open")


def _published(claims: ClaimSet, claim: Claim, where: Where) -> str:
    """Said of adapters that nobody can open."""
    missing = [name for name in where.missing(claim.names) if not claims.adapters[name]]
    return f"{some(missing)}: not published, the set names no source" if missing else ""


def _refuse_others(claim: Claim, metric: str, where: Where, remedy: str) -> None:
    """Raise NotMeasuredError if the study's numbers are of something else than the claim's: adapters first."""
    if missing := where.missing(claim.names):
        raise NotMeasuredError(f"{some(missing)} {'is' if len(missing) == 1 else 'are'} not open")
    study = where.study
    if DEFINITIONS[metric].top_k and study.settings.k != claim.top_k:
        raise NotMeasuredError(f"needs top-{claim.top_k} subspaces, this study has top-{study.settings.k}")
    probe = DEFINITIONS[metric].probe
    if not probe:
        return
    info = study.probe(probe)
    wanted = f" on {claim.prompts}" if claim.prompts else ""
    if info is None:
        raise NotMeasuredError(f"{_NEEDS_BASE} ({probe}{wanted}): {remedy}")
    if claim.prompts and info.prompts != claim.prompts:
        raise NotMeasuredError(f"needs {probe}{wanted}, this study has it on {info.prompts}: {remedy}")


def _ratio(values: Numbers, other: Numbers) -> Numbers:
    """Each by its own, or all by the one."""
    if len(other) == 1:
        other = other * len(values)
    if len(values) != len(other):
        raise NotMeasuredError(f"{len(values)} numbers cannot be divided by {len(other)}")
    if not all(other):
        raise NotMeasuredError("what it is divided by is 0")
    return tuple(a / b for a, b in zip(values, other, strict=True))


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
