"""The findings of a study in plain sentences, made from its numbers by fixed rules. No torch.

Each rule's thresholds stand at the top of its file. Where the evidence is weak, nothing is said.
"""

from __future__ import annotations

from inspector.study import Study
from inspector.takeaways.chances import chances
from inspector.takeaways.directions import directions
from inspector.takeaways.limits import limits
from inspector.takeaways.merging import merging
from inspector.takeaways.probed import answers, losses, states
from inspector.takeaways.runs import runs
from inspector.takeaways.sizes import sizes
from inspector.takeaways.takeaway import Number, Takeaway

RULES = (directions, sizes, chances, losses, states, answers, merging, runs, limits)
"""In the order of the sentences."""


def takeaways(study: Study) -> tuple[Takeaway, ...]:
    """Every finding of the study, in the order of the rules."""
    return tuple(found for rule in RULES for found in rule(study))


__all__ = ["RULES", "Number", "Takeaway", "takeaways"]
