"""What cannot be said, and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from inspector.insights.findings.finding import Finding, listed
from inspector.insights.pairwise import shared
from inspector.study.provenance import base_key
from inspector.study.study import Study

UNSTABLE, OFTEN = 0.9, 0.25
"""u₁ is ill-defined where σ₂/σ₁ > 0.9; told of adapters where that holds in a quarter of the modules."""
BASES = "The adapters name different bases"
NOT_RUN = {"lmc": "loss between adapters", "cka": "hidden states", "accuracy": "accuracy"}


def by_base(study: Study) -> list[tuple[int, ...]]:
    """The adapters of each base, in their order; a base under another owner's name is the same.

    Those that name none may be of any: they are with the others where these are of one base, else by themselves.
    """
    names = [base_key(adapter.base) for adapter in study.adapters]
    if len({*names} - {""}) < 2:
        return [tuple(range(len(names)))]
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name, []).append(i)
    return [tuple(group) for group in groups.values()]


def limits(study: Study) -> Iterator[Finding]:
    """Different bases, modules one side lacks, excluded modules, unstable directions, probes not run."""
    groups = by_base(study)
    if len(groups) > 1:
        bases = [base for group in groups if (base := study.adapters[group[0]].base)]
        text = f"{BASES} ({listed(bases, 4)}): they are compared within each base alone."
        if unnamed := [adapter.name for adapter in study.adapters if not adapter.base]:
            text += f" Not compared with them, since their base is not known: {listed(unnamed)}."
        yield Finding("limit", text, caution=True)
    if study.settings.modules == "union":
        yield from _one_sided(study)
    if bad := [a for a in study.adapters if a.health == "error" or a.excluded]:
        text = f"{listed(a.name for a in bad)}: some or all modules could not be used; `inspector check` says why."
        yield Finding("limit", text, caution=True)
    if unstable := _unstable(study):
        text = f"u₁ and v₁ of {listed(unstable)} are ill-defined in many modules: σ₂ nearly equals σ₁ there."
        yield Finding("limit", text, caution=True)
    if missing := [what for probe, what in NOT_RUN.items() if study.probe(probe) is None]:
        text = f"Not measured, so nothing is said of it: {listed(missing)}. The weights alone do not tell."
        yield Finding("limit", text, caution=True)


def _one_sided(study: Study) -> Iterator[Finding]:
    """The pair with the most modules of one side only; not of pairs without any in common, where none would remain."""
    pairs = [pair for pair in combinations(range(len(study.adapters)), 2) if shared(study, *pair).any()]
    if pairs and (most := study.one_sided(*(pair := max(pairs, key=lambda pair: study.one_sided(*pair))))):
        modules = int(study.present[list(pair)].any(0).sum())
        text = (
            f"Up to {most} of {modules} modules are adapted by one of a pair only and count as zeros there, which "
            "lowers cosines; --modules common leaves them out."
        )
        yield Finding("limit", text, caution=True)


def _unstable(study: Study) -> list[str]:
    sigma = study.spectra
    if sigma is None or sigma.shape[2] < 2:
        return []
    with np.errstate(invalid="ignore"):
        close = (sigma[:, :, 1] > UNSTABLE * sigma[:, :, 0]).sum(1)
    return [n for n, c, m in zip(study.names, close, study.present.sum(1), strict=True) if m and c / m >= OFTEN]
