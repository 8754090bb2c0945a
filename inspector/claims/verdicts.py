"""Whether a claim holds in a study, under each definition its sentence allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from inspector.claims.facts import DEFINED
from inspector.claims.measuring import Measured, measured
from inspector.claims.model import Claim, ClaimSet
from inspector.claims.subjects import Where
from inspector.common.text import plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.metrics.probes import FEW_PROMPTS
from inspector.study.study import Study
from inspector.study.warnings import finding_lines, severe

Verdict = Literal["holds", "holds only under", "does not hold", "cannot be measured here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "holds only under", "does not hold", "cannot be measured here")


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
    def refuted(self) -> bool:
        """Whether it does not hold, of adapters it is about: others do not refute it where those are unpublished."""
        return self.verdict == "does not hold" and not self.claim.unpublished

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
            tuple(measured(claims, claim, metric, places, remedy) for metric in claim.metrics),
            _findings(claim, places),
            _cautions(claims, claim, studies, places),
        )
        for claim in claims.claims
    ]


def _cautions(claims: ClaimSet, claim: Claim, studies: Sequence[Study], places: Sequence[Where]) -> str:
    return " ".join(filter(None, (_reach(claim, places), cautions(replace(claims, claims=(claim,)), studies))))


def _reach(claim: Claim, places: Sequence[Where]) -> str:
    """Said of a claim about all adapters of a kind where not all that may be are open."""
    asked = dict.fromkeys(name for selector in claim.selectors if selector.filtered for name in selector.names)
    shut = min((where.missing(list(asked)) for where in places), key=len, default=[])
    if not shut:
        return ""
    return f"Of the adapters it may be about, {len(asked) - len(shut)} of {len(asked)} are open."


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
    asked = {DEFINED[metric].probe for c in claims.claims for metric, _, _ in c.asked()} - {"", "accuracy"}
    probes = [info for study in studies for info in study.probes if info.probe in asked and info.examples]
    few = dict.fromkeys(f"{info.probe} on {info.examples} prompts" for info in probes if info.examples < FEW_PROMPTS)
    prompts = f"{some(list(few))}: fewer than {FEW_PROMPTS} scatter more than adapters differ." if few else ""
    return " ".join(filter(None, (elsewhere(claims, studies), prompts)))
