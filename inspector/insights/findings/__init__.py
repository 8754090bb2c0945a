"""The findings of a study in plain sentences, made from its numbers by fixed rules. No torch.

Each rule's thresholds stand at the top of its file. Where the evidence is weak, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.insights.findings.chances import chances
from inspector.insights.findings.directions import directions
from inspector.insights.findings.finding import Finding, Number
from inspector.insights.findings.limits import BASES, by_base, limits
from inspector.insights.findings.merging import merging
from inspector.insights.findings.probed import answers, losses, states
from inspector.insights.findings.representatives import representatives, standing_in
from inspector.insights.findings.runs import runs
from inspector.insights.findings.sizes import sizes
from inspector.study.study import Study

RULES = (directions, sizes, chances, losses, states, answers, merging)
"""In the order of the sentences; what seeds and rates did and what cannot be said come after them."""


def findings_of(study: Study) -> tuple[Finding, ...]:
    """Every finding of the study, in the order of the rules; adapters of different bases are not set side by side."""
    groups = by_base(study)
    said = [found for found in limits(study) if not found.text.startswith(BASES)]
    if len(groups) < 2:
        return (*_told(study), *said)
    first = [found for found in limits(study) if found.text.startswith(BASES)]
    alike = [study.subset(group) for group in groups]
    return (*first, *(found for part in alike for found in _told(part)), *said)


def _told(study: Study) -> Iterator[Finding]:
    """The findings about adapters of one base; of very many, one run of each method stands for the others."""
    chosen = representatives(study)
    few = study if len(chosen) == len(study.adapters) else study.subset(chosen)
    if few is not study:
        yield standing_in(study, chosen)
    for rule in RULES:
        yield from rule(few)
    yield from runs(study)


__all__ = ["RULES", "Finding", "Number", "findings_of"]
