"""From module numbers to layers and the whole adapter, for all projections or chosen ones. No torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inspector.common.arrays import Floats
from inspector.geometry import cosine, interference, orthogonal
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import SCOPES, Scope, Study

Blocks = dict[tuple[str, Scope], Floats]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def aggregate(study: Study, projections: frozenset[str] | None = None) -> Study:
    """The study with its layer and global blocks computed from its module blocks.

    `projections` restricts the sums, means and medians to modules whose last path component is in it.
    """
    blocks: Blocks = {key: values for key, values in study.blocks.items() if key[1] == "module" or _measured(key[0])}
    groups: dict[Scope, Floats] = {scope: _membership(study, scope, projections) for scope in SCOPES[:2]}
    shared = {scope: _shared(study, member) for scope, member in groups.items()}
    if study.sizes is not None:
        _stacked(study, study.sizes, blocks, groups)
    for (metric, _), values in list(blocks.items()):
        kind = DEFINITIONS[metric].aggregate
        for scope, member in groups.items():
            counted = shared[scope] if DEFINITIONS[metric].level_of else member
            if kind == "mean":
                blocks[metric, scope] = _mean(values, counted)
            elif kind == "median":
                quartiles = _quantiles(values, counted, (0.25, 0.5, 0.75))
                blocks[metric, scope] = quartiles[1]
                if DEFINITIONS[metric].subject == "pair":
                    blocks[f"{metric}_q25", scope], blocks[f"{metric}_q75", scope] = quartiles[0], quartiles[2]
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
    if ("cosine", "module") not in blocks:
        return
    counted = study.usable
    if study.settings.modules == "common":
        counted = counted & study.present[:, None] & study.present[None, :]
    square_a = own[:, None] * counted
    square_b = np.swapaxes(square_a, 0, 1)
    inner = np.nan_to_num(blocks["cosine", "module"] * (sizes[:, None] * sizes[None, :]))
    residual = orthogonal.residual_square(inner, square_a, square_b)
    shared = np.asarray(study.present[:, None] & study.present[None, :] & study.usable)
    meet = np.any(shared, axis=-1, keepdims=True) & _both(study.weighed)
    sums: dict[Scope, Floats | None] = {"module": None, **groups}
    for scope, group in sums.items():
        inner_s, a, b, left = (x if group is None else x @ group for x in (inner, square_a, square_b, residual))
        both = meet if scope != "module" else shared
        cos = np.where(both, cosine.cosine(inner_s, a, b), np.nan)
        blocks["cosine", scope] = cos
        blocks["orthogonal_fraction_global", scope] = orthogonal.fraction_global(cos)
        blocks["orthogonal_fraction_module", scope] = np.where(
            np.isnan(cos), np.nan, orthogonal.fraction_module(left, a)
        )
        scaled = both & _both(study.scaled)
        blocks["energy_ratio", scope] = np.where(scaled, interference.energy_ratio(inner_s, a, b), np.nan)


def _both(of: Flags) -> Flags:
    """(N, N, 1): whether it holds of either."""
    return (of[:, None] & of[None, :])[..., None]


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


def _mean(values: Floats, member: Floats) -> Floats:
    """Mean over the modules of each place, NaN left out: (..., modules) -> (..., places)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        out: Floats = (np.nan_to_num(values) @ member) / (known.astype(float) @ member)
    return out


def _quantiles(values: Floats, member: Floats, q: tuple[float, ...]) -> list[Floats]:
    """Quantiles over the modules of each place, NaN left out: (..., modules, k) -> (..., places, k) per q."""
    out = [np.full((*values.shape[:-2], member.shape[1], values.shape[-1]), np.nan) for _ in q]
    for place in range(member.shape[1]):
        chosen = np.sort(values[..., member[:, place] > 0, :], axis=-2)  # NaN sorts last
        if chosen.shape[-2] == 0:
            continue
        last = (~np.isnan(chosen)).sum(axis=-2, keepdims=True) - 1
        for at, quantile in enumerate(q):
            position = quantile * np.maximum(last, 0)
            low = np.floor(position).astype(int)
            below = np.take_along_axis(chosen, low, axis=-2)
            above = np.take_along_axis(chosen, np.minimum(low + 1, np.maximum(last, 0)), axis=-2)
            out[at][..., place, :] = (below + (position - low) * (above - below))[..., 0, :]
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
