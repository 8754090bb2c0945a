"""What a probe measured, into a study; and from one study of the same adapters into the next. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from inspector.common.arrays import Floats
from inspector.study.aggregate import aggregate
from inspector.study.metrics import DEFINITIONS
from inspector.study.metrics.probes import DISTINCT, SIGNED
from inspector.study.study import ProbeInfo, Scope, Study

Blocks = Mapping[tuple[str, Scope], Floats]


def merged(study: Study, info: ProbeInfo, blocks: Blocks, *, alphas: tuple[float, ...] = (), depth: int = 0) -> Study:
    """The study with a probe's blocks; NaN in them leaves what is there.

    Numbers of the same probe that were measured otherwise (another base, other prompts) are dropped first.
    Blocks with a layer axis run over the study's layers united with the base's `depth`.
    """
    before = study.probe(info.probe)
    if before is not None and not before.comparable(info):
        study = without(study, info.probe)
    study = _deepened(study, depth)
    if alphas:
        study = _with_alphas(study, alphas)
    kept = dict(study.blocks)
    for key, values in blocks.items():
        old = kept.get(key)
        kept[key] = values if old is None else np.where(np.isnan(values), old, values)
    probes = (*(probe for probe in study.probes if probe.probe != info.probe), info)
    return aggregate(replace(study, blocks=kept, probes=probes))


def without(study: Study, probe: str) -> Study:
    """The study without the numbers of one probe."""
    blocks = {key: values for key, values in study.blocks.items() if DEFINITIONS[key[0]].probe != probe}
    return replace(study, blocks=blocks, probes=tuple(p for p in study.probes if p.probe != probe))


def with_cautions(study: Study) -> Study:
    """The study with a note at every probe of an older version, whose numbers meant something else."""
    return replace(study, probes=tuple(_noted(study, info) for info in study.probes))


def _noted(study: Study, info: ProbeInfo) -> ProbeInfo:
    caution = ""
    if info.probe.startswith("lmc") and SIGNED not in info.detail:
        caution = "its barrier intervals are of an older version and cannot contain 0: measure again"
    elif info.probe in {"cka", "lens"} and DISTINCT not in info.detail:
        what = "one shuffle of the prompts, and " if info.probe == "cka" else ""
        caution = f"of an older version: {what}tokens that all prompts share are counted: measure again"
    known = any(DEFINITIONS[metric].probe == info.probe for metric, _ in study.blocks)
    if not caution or not known or caution in info.note:
        return info
    return replace(info, note="; ".join(filter(None, (info.note, caution))))


def carried(old: Study, new: Study) -> Study:
    """The new study with the old one's probe numbers for the adapters in both, known by content."""
    where = {a.digest: i for i, a in enumerate(old.adapters) if a.digest}
    at = [(i, where[a.digest]) for i, a in enumerate(new.adapters) if a.digest in where]
    if not at or not old.probes:
        return new
    new = replace(_deepened(new, old.depth), probes=old.probes, alphas=old.alphas)
    blocks = dict(new.blocks)
    here, there = (list(positions) for positions in zip(*at, strict=True))
    for (metric, scope), values in old.blocks.items():
        definition = DEFINITIONS[metric]
        if not definition.probe:
            continue
        moved = _placed(old, new, scope, values, behind=1 if definition.indexed else 0)
        if moved is None:
            continue
        if definition.subject == "none":
            blocks[metric, scope] = moved
            continue
        axes = 1 if definition.subject == "adapter" else 2
        block = np.full((*[len(new.adapters)] * axes, *moved.shape[axes:]), np.nan)
        block[np.ix_(*[here] * axes)] = moved[np.ix_(*[there] * axes)]
        blocks[metric, scope] = block
    return aggregate(replace(new, blocks=blocks))


def _placed(old: Study, new: Study, scope: Scope, values: Floats, *, behind: int) -> Floats | None:
    """The values with their place axis over the new study's places; None when no place is in both."""
    before, after = old.places(scope), new.places(scope)
    if before == after:
        return values
    where = {place: at for at, place in enumerate(before)}
    pairs = [(n, where[place]) for n, place in enumerate(after) if place in where]
    if not pairs:
        return None
    axis = values.ndim - 1 - behind
    moved = np.moveaxis(values, axis, 0)
    out = np.full((len(after), *moved.shape[1:]), np.nan)
    out[[n for n, _ in pairs]] = moved[[o for _, o in pairs]]
    return np.moveaxis(out, 0, axis)


def _deepened(study: Study, depth: int) -> Study:
    """The study whose layers include all of a base of this depth."""
    if depth <= study.depth:
        return study
    deeper = replace(study, depth=depth)
    if deeper.layers == study.layers:
        return deeper
    blocks = dict(study.blocks)
    for (metric, scope), values in study.blocks.items():
        if scope == "layer" and DEFINITIONS[metric].probe:
            moved = _placed(study, deeper, scope, values, behind=1 if DEFINITIONS[metric].indexed else 0)
            if moved is not None:
                blocks[metric, scope] = moved
    return aggregate(replace(deeper, blocks=blocks))


def _with_alphas(study: Study, alphas: tuple[float, ...]) -> Study:
    """The study whose curves run over its own and these points."""
    union = tuple(sorted({*study.alphas, *alphas}))
    if union == study.alphas:
        return study
    at = [union.index(alpha) for alpha in study.alphas]
    blocks = dict(study.blocks)
    for (metric, scope), values in study.blocks.items():
        if DEFINITIONS[metric].index == "alpha":
            wider = np.full((*values.shape[:-1], len(union)), np.nan)
            wider[..., at] = values
            blocks[metric, scope] = wider
    return replace(study, alphas=union, blocks=blocks)
