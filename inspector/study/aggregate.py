"""From module numbers to layers and the whole adapter, for all projections or chosen ones. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from inspector.common.arrays import Floats
from inspector.geometry import cosine, interference, orthogonal
from inspector.study.metrics import DEFINITIONS, held_for
from inspector.study.study import SCOPES, Scope, Study

Blocks = dict[tuple[str, Scope], Floats]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def aggregate(study: Study, projections: frozenset[str] | None = None) -> Study:
    """The study with its layer and global blocks computed from its module blocks.

    `projections` restricts the sums, means and medians to modules whose last path component is in it; without it, what
    the study holds of layers alone stays.
    """

    def stays(metric: str, scope: Scope) -> bool:
        alone = projections is None and (metric, "module") not in study.blocks
        return scope == "module" or _measured(metric) or alone

    blocks: Blocks = {key: values for key, values in study.blocks.items() if stays(*key)}
    groups: dict[Scope, Floats] = {scope: _membership(study, scope, projections) for scope in SCOPES[:2]}
    shared = {scope: _shared(study, member) for scope, member in groups.items()}
    if study.sizes is not None:
        _stacked(study, study.sizes, blocks, groups)
    for (metric, measured), values in list(blocks.items()):
        definition = DEFINITIONS[metric]
        if measured != "module" or definition.aggregate not in {"mean", "median"}:
            continue
        pairs = definition.subject == "pair"
        for scope, member in groups.items():
            counted = shared[scope] if definition.level_of else member
            if definition.aggregate == "mean":
                along = np.moveaxis(values, -1, -2) if definition.indexed else values
                (found,) = _over(along, counted, _mean, pairs=pairs)
                blocks[metric, scope] = np.moveaxis(found, -1, -2) if definition.indexed else found
                continue
            q25, blocks[metric, scope], q75 = _over(values, counted, _quartiles, pairs=pairs)
            if pairs:
                blocks[f"{metric}_q25", scope], blocks[f"{metric}_q75", scope] = q25, q75
    fill_diagonals(blocks)
    return replace(study, blocks=blocks)


def _measured(metric: str) -> bool:
    """Whether a metric's layers and whole are measured as they are, not made from modules."""
    return DEFINITIONS[metric].probe != "" and DEFINITIONS[metric].aggregate == "none"


def _membership(study: Study, scope: Scope, projections: frozenset[str] | None) -> Floats:
    """(modules, places): 1 where a module counts for a place."""
    member = np.zeros((len(study.modules), len(study.places(scope))))
    where = {layer: at for at, layer in enumerate(study.layers)}
    for m, module in enumerate(study.modules):
        if projections is not None and module.projection not in projections:
            continue
        if scope == "global":
            member[m, 0] = 1
        elif module.layer is not None:
            member[m, where[module.layer]] = 1
    return member


def _shared(study: Study, member: Floats) -> Floats:
    """Only the modules that some pair has in common: another base's modules say nothing of this one's chance."""
    common = study.present.sum(0) > 1
    return member * common[:, None] if common.any() else member


def _stacked(study: Study, sizes: Floats, blocks: Blocks, groups: dict[Scope, Floats]) -> None:
    """Metrics of the stacked vector: sum inner products and squares over modules, then divide.

    A factor that all updates of an adapter have in common, as one of unknown scale has it, is not part of any but norms
    and the energy ratio. Where modules have factors of their own, sums over several are not known.
    """
    own = np.nan_to_num(sizes) ** 2
    for metric in ("norm", "norm_share"):
        if (norms := blocks.get((metric, "module"))) is not None:
            squares = np.nan_to_num(norms) ** 2
            for scope, member in groups.items():
                lost = _unknown(study, norms, member)
                blocks[metric, scope] = np.where(lost, np.nan, cosine.norm(squares @ member))
    if ("base_norm", "module") in blocks:
        _relative(study, blocks, groups)
    if ("energy_left_out", "module") in blocks:
        _left_out(study, own, blocks, groups)
    if ("cosine", "module") in blocks:
        _pairs(study, sizes, blocks, groups)


_OF_PAIRS = ("cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "energy_ratio")


def _pairs(study: Study, sizes: Floats, blocks: Blocks, groups: dict[Scope, Floats]) -> None:
    """Of pairs: an adapter beside all others at a time, so that memory is that of what is kept."""
    own, cosines, held = np.nan_to_num(sizes) ** 2, blocks["cosine", "module"], held_for(study.settings.metrics)
    groups = groups | ({"module": np.empty(0)} if "module" in study.settings.scopes else {})
    made = {
        (metric, scope): np.full((len(own), len(own), len(study.places(scope))), np.nan)
        for scope in groups
        for metric in _OF_PAIRS
        if metric in held and (metric, scope) != ("cosine", "module")
    }
    for i, beside in enumerate(cosines):
        usable = study.usable_with(i)
        shared = study.present[i] & study.present & usable
        counted = shared if study.settings.modules == "common" else usable
        a, b = own[i] * counted, own * counted
        inner = np.nan_to_num(beside * (sizes[i] * sizes))
        parts = inner, a, b, orthogonal.residual_square(inner, a, b)
        meet = np.any(shared, axis=-1, keepdims=True) & (study.weighed[i] & study.weighed)[:, None]
        scaled = (study.scaled[i] & study.scaled)[:, None]
        for scope, group in groups.items():
            both, sums = (shared, parts) if scope == "module" else (meet, tuple(part @ group for part in parts))
            for metric, values in zip(_OF_PAIRS, _of_sums(sums, both, both & scaled), strict=True):
                if (metric, scope) in made:
                    made[metric, scope][i] = values
    blocks.update(made)


def _of_sums(sums: tuple[Floats, ...], both: Flags, scaled: Flags) -> tuple[Floats, ...]:
    """(N, places) of each of `_OF_PAIRS`, where both have something there, or a known scale."""
    inner, a, b, left = sums
    cos = np.where(both, cosine.cosine(inner, a, b), np.nan)
    off = np.where(np.isnan(cos), np.nan, orthogonal.fraction_module(left, a))
    return cos, orthogonal.fraction_global(cos), off, np.where(scaled, interference.energy_ratio(inner, a, b), np.nan)


def _unknown(study: Study, norms: Floats, member: Floats) -> Flags:
    """(N, places): where an adapter has modules and none is measured; everywhere for one without any module."""
    here, known = study.present @ member > 0, np.isfinite(norms) @ member > 0
    return np.asarray((here & ~known) | ~np.any(study.present, axis=1, keepdims=True))


def _relative(study: Study, blocks: Blocks, groups: dict[Scope, Floats]) -> None:
    """‖ΔW‖/‖W₀‖ over the modules each adapter has."""
    base = np.nan_to_num(blocks["base_norm", "module"]) ** 2
    own = np.nan_to_num(blocks["norm", "module"]) ** 2
    here = study.present & (base > 0)
    sums: dict[Scope, Floats | None] = {"module": None, **groups}
    for scope, group in sums.items():
        update, weights = ((x * here if group is None else (x * here) @ group) for x in (own, base))
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks["norm_relative", scope] = np.where(study.scaled[:, None], np.sqrt(update / weights), np.nan)
        if group is not None:
            blocks["base_norm", scope] = np.where((base > 0) @ group > 0, np.sqrt(base @ group), np.nan)


def _left_out(study: Study, kept: Floats, blocks: Blocks, groups: dict[Scope, Floats]) -> None:
    """Σ(energy left out) / Σ(whole energy); the whole of a module is ‖kept‖²/(1 − left out)."""
    share = blocks["energy_left_out", "module"]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(share < 1, kept * share / (1 - share), 0.0)
        for scope, group in groups.items():
            found = (left @ group) / ((left + kept) @ group)
            blocks["energy_left_out", scope] = np.where(study.weighed[:, None], found, np.nan)


def _over(
    values: Floats, member: Floats, summary: Callable[[Floats, Floats], tuple[Floats, ...]], *, pairs: bool
) -> tuple[Floats, ...]:
    """The summaries over the modules of each place; of pairs an adapter beside those after it at a time."""
    if not pairs:
        return summary(values, member)
    out: tuple[Floats, ...] = ()
    for i, beside in enumerate(values):
        found = summary(beside[i:], member)
        out = out or tuple(np.empty((len(values), *part.shape)) for part in found)
        for whole, part in zip(out, found, strict=True):
            whole[i, i:] = whole[i:, i] = part
    return out or summary(values, member)


def _mean(values: Floats, member: Floats) -> tuple[Floats]:
    """Mean over the modules of each place, NaN left out: (..., modules) -> (..., places)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return ((np.nan_to_num(values) @ member) / (known.astype(float) @ member),)


def _quartiles(values: Floats, member: Floats) -> tuple[Floats, ...]:
    """Quartiles over the modules of each place, NaN left out: (..., modules, k) -> (..., places, k) of each."""
    out = tuple(np.full((*values.shape[:-2], member.shape[1], values.shape[-1]), np.nan) for _ in range(3))
    for place in range(member.shape[1]):
        chosen = np.sort(values[..., member[:, place] > 0, :], axis=-2)  # NaN sorts last
        if chosen.shape[-2] == 0:
            continue
        last = np.maximum((~np.isnan(chosen)).sum(axis=-2, keepdims=True) - 1, 0)
        for of, quantile in zip(out, (0.25, 0.5, 0.75), strict=True):
            position = quantile * last
            low = np.floor(position).astype(int)
            below = np.take_along_axis(chosen, low, axis=-2)
            above = np.take_along_axis(chosen, np.minimum(low + 1, last), axis=-2)
            of[..., place, :] = (below + (position - low) * (above - below))[..., 0, :]
    return out


def fill_diagonals(blocks: dict[tuple[str, Scope], Floats]) -> None:
    """Write what every pair metric is of an adapter with itself, wherever it is not zero."""
    for (metric, scope), values in blocks.items():
        diagonal = DEFINITIONS[metric].diagonal
        norm, rank = blocks.get(("norm", scope)), blocks.get(("effective_rank", scope))
        if diagonal is None or norm is None:
            continue
        at = np.arange(len(norm))
        known = norm > 0 if rank is None else (norm > 0) | np.isfinite(rank)  # the norm of some has no known scale
        filled = np.where(known, diagonal, np.nan)
        values[at, at] = filled[..., None] if values.ndim == 4 else filled
