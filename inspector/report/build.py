"""A study -> a report: the sections in their order."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.claims.model import ClaimSet
from inspector.claims.verdicts import Outcome
from inspector.common.text import count, plain, some
from inspector.report.anonymise import published
from inspector.report.chart_subjects import drawn_first
from inspector.report.context import Context
from inspector.report.document import Report
from inspector.report.sections import answers, claims, overview, probed, reference, runs, similarity, sizes, subspaces
from inspector.study.study import Study


def report(
    study: Study, claim_set: ClaimSet | None = None, outcomes: Sequence[Outcome] = (), version: str = "?"
) -> Report:
    """Everything that is shown of a study, with the outcomes of a set of claims; `version` of the tool writes it.

    Without the paths of this machine: people publish reports.
    """
    study = published(study)
    context = Context.of(study)
    sections = (
        overview.findings(context),
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
        claims.checked(claim_set, outcomes, study),
        reference.objectives(),
    )
    bases = sorted({plain(a.base, 120) for a in study.adapters if a.base})
    subtitle = f"{count(len(study.adapters), 'adapter')} of {some(bases) or 'an unnamed base'}"
    return Report(
        "What training did to the weights",
        f"{subtitle}: {some(study.names, 12)}",
        (*sections, reference.definitions(sections), reference.reproduce(context, version)),
        context.pairs,
        context.adapters,
        study.layers,
        version,
        drawn_first(study),
    )
