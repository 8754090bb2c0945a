"""What one checkpoint says alone, module by module; those of a run as WeightsCallback would have recorded them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np

from inspector.common.text import count
from inspector.study.study import Study
from inspector.trajectory.weights_log import Header, Numbers, Record, WeightsLog


@dataclass(frozen=True, slots=True)
class Own:
    """Norm and effective rank over all modules, then of each; `note` says what is left out."""

    norm: float
    effective_rank: float
    note: str = ""
    modules: tuple[str, ...] = ()
    module_norm: Numbers = ()
    module_sigma1: Numbers = ()
    broken: tuple[int, ...] = ()


UNKNOWN = Own(math.nan, math.nan)


def own_of(study: Study, i: int) -> Own:
    """Of adapter i of a study."""
    at = study.present[i].nonzero()[0]
    sizes, spectra, excluded = study.sizes, study.spectra, len(study.adapters[i].excluded)
    note = f"NaN or Inf in {count(excluded, 'module')}, left out" if excluded else ""
    known = bool(study.present[i].sum() > excluded)
    norm, rank = (
        float(study.blocks[metric, "global"][i, 0]) if known else math.nan for metric in ("norm", "effective_rank")
    )
    if sizes is None or spectra is None:
        return Own(norm, rank, note)
    broken = study.excluded[i][at]
    norms, first = (np.where(broken, 0.0, np.nan_to_num(found[i][at])) for found in (sizes, spectra[..., 0]))
    paths = tuple(str(study.modules[m]) for m in at)
    return Own(
        norm, rank, note, paths, tuple(norms.tolist()), tuple(first.tolist()), tuple(broken.nonzero()[0].tolist())
    )


def history(known: Sequence[tuple[int, Own]]) -> WeightsLog | None:
    """The checkpoints by step, those with other modules than the first left out; None if there is none."""
    if not known:
        return None
    modules = known[0][1].modules
    same = [(step, own) for step, own in known if own.modules == modules]
    before = [None, *(own for _, own in same)]
    records = (
        Record(
            step,
            own.norm,
            own.effective_rank,
            module_norm=own.module_norm,
            module_sigma1=own.module_sigma1,
            still=_still(own, last) if last else (),
            broken=own.broken,
        )
        for (step, own), last in zip(same, before, strict=False)
    )
    return WeightsLog(Header(modules=modules), tuple(records))


def _still(one: Own, other: Own) -> tuple[int, ...]:
    """The modules that are the same in both, as far as norm and σ₁ tell (relative 1e-9)."""
    pairs = zip(one.module_norm, other.module_norm, one.module_sigma1, other.module_sigma1, strict=True)
    return tuple(m for m, (a, b, c, d) in enumerate(pairs) if isclose(a, b) and isclose(c, d))
