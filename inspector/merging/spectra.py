"""One pass over the weights: the singular values of a weighted sum, module by module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from inspector.adapters.model import Adapter
from inspector.analysis.analyse import device_named
from inspector.common.arrays import Floats
from inspector.common.errors import CancelledError
from inspector.merging.preview import addable
from inspector.study.module_id import ModuleId
from inspector.study.study import Study

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.geometry.merging import Terms


def parents(adapters: Sequence[Adapter], weights: Sequence[float], module: ModuleId) -> list[tuple[Adapter, float]]:
    """The adapters that change this module, with their weights; without those of weight 0."""
    return [(a, w) for a, w in zip(adapters, weights, strict=True) if w and module in a.modules]


def terms(
    adapters: Sequence[Adapter], weights: Sequence[float], module: ModuleId
) -> list[tuple[Tensor, Tensor, float]]:
    """(B_i, A_i, w_i·s_i) of those adapters."""
    return [(*a.load(module), w * a.modules[module].scale.known) for a, w in parents(adapters, weights, module)]


def spectra(
    adapters: Sequence[Adapter],
    study: Study,
    weights: Sequence[float],
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Floats:
    """σ (M, R) of Σ w_iΔW_i at the study's modules, zeros beyond the rank and where nothing can be added.

    `adapters` are the study's, in its order. Raises CancelledError as soon as `cancelled()` holds.
    """
    if cancelled():
        raise CancelledError("Cancelled before the sum was measured.")
    from inspector.geometry.merging import spectrum
    from inspector.geometry.plan import plan
    from inspector.geometry.threads import in_threads

    device = device_named(device)
    widths = [sum(a.modules[m].rank for a, _ in parents(adapters, weights, m)) for m in study.modules]
    sigma = np.zeros((len(study.modules), max(widths, default=0) or 1))
    largest = np.abs(np.array(weights))[:, None] * np.nan_to_num(study.blocks["norm", "module"])
    some = np.flatnonzero(addable(study, weights) & (np.array(widths, dtype=int) > 0)).tolist()

    def one(of: tuple[Terms, float]) -> Tensor:
        return spectrum(*of, device).cpu()

    how = plan(device, int(study.shapes.max(initial=0)), max(widths, default=0))
    loaded = ((terms(adapters, weights, study.modules[m]), float(largest[:, m].max())) for m in some)
    with closing(in_threads(loaded, one, how.workers, how.each)) as found:
        for m in range(len(study.modules)):
            if cancelled():
                raise CancelledError("Cancelled before the sum was measured.")
            if m in some:
                values = next(found).numpy()
                sigma[m, : len(values)] = values
            progress(m + 1, len(study.modules))
    return sigma
