"""A study -> a report: the sections in their order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from inspector.claims.model import ClaimSet
from inspector.claims.verdicts import Outcome
from inspector.common.text import count, plain, some
from inspector.insights.overview import Overview, in_blocks
from inspector.insights.overview import overview as overview_of
from inspector.insights.pairwise import within_bases
from inspector.insights.short_names import in_short
from inspector.report.anonymise import published
from inspector.report.chart_subjects import drawn_first
from inspector.report.context import Context
from inspector.report.document import Note, Report, Section
from inspector.report.sections import answers, claims, overview, probed, reference, runs, similarity, sizes, subspaces
from inspector.study.study import Study


def report(
    study: Study, claim_set: ClaimSet | None = None, outcomes: Sequence[Outcome] = (), version: str = "?"
) -> Report:
    """Everything that is shown of a study, with the outcomes of a set of claims; `version` of the tool writes it.

    Without the paths of this machine: people publish reports.
    """
    whole = published(study)
    study, shared = in_short(within_bases(whole))
    found = overview_of(study)
    context = Context.of(in_blocks(study, found), found.order, _breaks(found))
    known, missing = _measured(
        (
            overview.measured(context),
            similarity.matrix(context),
            similarity.layers(context),
            similarity.directions(context),
            subspaces.angles(context),
            subspaces.overlap(context),
            sizes.sizes(context),
            sizes.spectra(context),
            probed.connectivity(context),
            probed.states(context),
            probed.depth(context),
            probed.intruders(context),
            answers.accuracy(context),
            runs.merging(context),
            runs.sensitivity(context),
            runs.kin(context),
            claims.checked(claim_set, outcomes, whole),
        ),
        alone=len(study.adapters) < 2,
    )
    sections = (overview.overview(context, missing), overview.findings(context), *known, reference.objectives())
    bases = sorted({plain(a.base, 120) for a in study.adapters if a.base})
    subtitle = f"{count(len(study.adapters), 'adapter')} of {some(bases) or 'an unnamed base'}"
    return Report(
        "What training did to the weights",
        f"{subtitle}: {some(study.names, 12)}{f'; names: {plain(shared)}' if shared else ''}",
        (*sections, reference.definitions(sections), reference.reproduce(Context.of(whole), version)),
        context.pairs,
        context.adapters,
        study.layers,
        version,
        drawn_first(context.study),
    )


def _breaks(found: Overview) -> tuple[int, ...]:
    """The rows, in blocks, with which groups begin, and those alone."""
    ends = accumulate(len(group.entries) + len(group.partly) for group in found.groups)
    return tuple(end for end in ends if end < len(found.order))


def _measured(sections: Sequence[Section], *, alone: bool) -> tuple[list[Section], list[Note]]:
    """The sections with numbers, and what the others need, a line for each kind of need."""
    without = [section for section in sections if not section.parts]
    titles: dict[str, list[str]] = {}
    probes = [section.missing for section in without if section.missing not in {"", "two adapters"}]
    for section in without:
        need = "probes" if section.missing in probes else "two adapters" if alone else section.missing
        titles.setdefault(need, []).append(section.title)
    command = f"`inspector analyze SOURCE… --probe {','.join(probes)} --base BASE --out study.json`"
    says = {
        "probes": f"Not measured: {{}}. {command} measures them.",
        "two adapters": "Two adapters are needed for: {}.",
        "": "Not in this study: {}. `inspector analyze SOURCE… --out study.json` measures them.",
    }
    notes = [Note(says[need].format("; ".join(of)), caution=need == "probes") for need, of in titles.items()]
    return [section for section in sections if section.parts], notes
