"""The findings of a study in plain sentences, made from its numbers by fixed rules. No torch.

Each rule's thresholds stand at the top of its file. Where the evidence is weak, nothing is said.
"""

from __future__ import annotations

from inspector.study import Study
from inspector.takeaways.chances import chances
from inspector.takeaways.directions import directions
from inspector.takeaways.limits import BASES, by_base, limits
from inspector.takeaways.merging import merging
from inspector.takeaways.probed import answers, losses, states
from inspector.takeaways.runs import runs
from inspector.takeaways.sizes import sizes
from inspector.takeaways.takeaway import Number, Takeaway

RULES = (directions, sizes, chances, losses, states, answers, merging, runs)
"""In the order of the sentences; what cannot be said comes after them."""


def takeaways(study: Study) -> tuple[Takeaway, ...]:
    """Every finding of the study, in the order of the rules; adapters of different bases are not set side by side."""
    groups = by_base(study)
    said = [found for found in limits(study) if not found.text.startswith(BASES)]
    if len(groups) < 2:
        return (*(found for rule in RULES for found in rule(study)), *said)
    first = [found for found in limits(study) if found.text.startswith(BASES)]
    alike = [study.subset(group) for group in groups]
    return (*first, *(found for part in alike for rule in RULES for found in rule(part)), *said)


__all__ = ["RULES", "Number", "Takeaway", "takeaways"]
