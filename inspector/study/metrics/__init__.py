"""Every number the product shows, defined once: what tables, app, report, claims and help take it from."""

from __future__ import annotations

from collections.abc import Collection

from inspector.study.metrics.definition import FRACTION, SIGNED, Definition, Place, family
from inspector.study.metrics.geometry import GEOMETRY, INTERFERENCE
from inspector.study.metrics.merging import MERGING
from inspector.study.metrics.probes import PROBES

DEFINITIONS: dict[str, Definition] = {}


def register(*definitions: Definition) -> None:
    """Add metrics, in this order, then those of their families that are not there."""
    DEFINITIONS.update({definition.metric: definition for definition in definitions})
    for definition in definitions:
        for part in family(definition):
            DEFINITIONS.setdefault(part.metric, part)


def held_for(asked: Collection[str]) -> frozenset[str]:
    """The metrics that a study must hold to show those asked for, or all: their families, what they are made of.

    What there is of single adapters is held always: it costs little, and what is wrong with them is seen there.
    """
    families = {part.metric: d for d in reversed(DEFINITIONS.values()) for part in family(d)}  # the first wins
    held = {part.metric for metric in asked or DEFINITIONS for part in family(families[metric])}
    return frozenset({"cosine"} | held | {m for m, d in DEFINITIONS.items() if d.subject == "adapter" or d.probe})


def shown_in(place: Place) -> tuple[str, ...]:
    """The metrics that are shown there among others: of pairs, then of adapters, whose shares come last."""
    found = [definition for definition in DEFINITIONS.values() if place in definition.shown]
    return tuple(d.metric for d in sorted(found, key=lambda d: (d.subject == "adapter") * (1 + (d.range == FRACTION))))


def charted(section: str) -> list[Definition]:
    """The metrics that this section of a report has a matrix of."""
    return [d for d in DEFINITIONS.values() if d.chart is not None and d.chart.section == section]


register(*GEOMETRY, *MERGING, *PROBES)

__all__ = [
    "DEFINITIONS",
    "FRACTION",
    "INTERFERENCE",
    "SIGNED",
    "Definition",
    "charted",
    "family",
    "held_for",
    "register",
    "shown_in",
]
