"""What is wrong, or odd, with an adapter: the rules, for the app and for `inspector check` alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np

from inspector.adapters.model import Adapter
from inspector.adapters.readers.full import FORMAT
from inspector.common.arrays import Floats
from inspector.common.text import plain
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId
from inspector.study.study import Study

ROBUST_Z, FACTOR = 3.5, 3.0
"""An outlier is both: further than 3.5 robust z-scores [Iglewicz & Hoaglin 1993], and by a factor of 3 or more."""
NEEDED = ("norm", "singular_value", "stable_rank")
"""The numbers of each module that the values are told from."""
_FEWEST = 5
"""Modules of one kind from which on a median means something."""
_ONE_DIRECTION, _MANY = 1.1, 4
"""A stable rank below 1.1, of an update whose rank could be 4 or more."""
_MUCH = 0.05
"""The share of the energy of ΔW, ‖ΔW‖²_F, from which on what a low rank leaves out is a warning."""
_QUANTISED = re.compile(
    r"(?i)(?<![a-z0-9])(quanti[sz]ed|bnb|gptq|awq|gguf|exl2|nf4|fp8|w4a16|w8a8|int[48]|q?[48][-_]?bits?)(?![a-z0-9])"
)
_PATH = re.compile(r"[~/.\\]|[A-Za-z]:[\\/]|[^/]+/[^/]+/")


@dataclass(frozen=True, slots=True)
class Values:
    """What the values of an adapter's factors show, module by module."""

    modules: tuple[ModuleId, ...]
    """All that were measured."""
    dead: tuple[ModuleId, ...]
    """ΔW is exactly zero."""
    unscaled: Mapping[ModuleId, str]
    """Of those, the ones whose scale is 0, and where that comes from: `α/r = 0/16`."""
    nonfinite: tuple[ModuleId, ...]
    outliers: Mapping[ModuleId, float]
    """‖ΔW‖ as a multiple of the median of the same module in the other layers."""
    collapsed: tuple[ModuleId, ...]
    """One direction holds nearly all of ΔW though the rank would allow more."""
    whole_model: bool
    """Whether it is a full fine-tune: there a module without an update was frozen, and that is not a fault."""
    left_out: float
    """The share of ‖ΔW‖²_F of the whole that the rank kept of it leaves out."""

    def findings(self) -> tuple[HealthIssue, ...]:
        """One a rule that does not hold."""
        found = [*self._dead()]
        if self.nonfinite:
            left_out = "left out of every number; the training diverged or the file is damaged"
            found.append(HealthIssue("error", f"NaN or Inf in {self._some(self.nonfinite)}: {left_out}"))
        if self.outliers:
            ends = [f"{id_} {factor:.2g}×" for id_, factor in self.outliers.items()]
            text = f"‖ΔW‖ far from the median of the same module in the other layers: {self._some(self.outliers, ends)}"
            found.append(HealthIssue("warning", text))
        if self.collapsed:
            text = f"stable rank below {_ONE_DIRECTION} in {self._some(self.collapsed)}: nearly one direction"
            found.append(HealthIssue("info", text))
        if self.left_out > _MUCH:
            text = f"{self.left_out:.2%} of the energy of ΔW is left out: a higher --svd-rank keeps more of it"
            found.append(HealthIssue("warning", text))
        return tuple(found)

    def _dead(self) -> Iterator[HealthIssue]:
        """By cause: a scale of 0, or factors that are."""
        every = len(self.dead) == len(self.modules)
        untrained = [id_ for id_ in self.dead if id_ not in self.unscaled]
        if self.unscaled:
            where = "every module" if not untrained and every else self._some(self.unscaled)
            why = f"the scale is 0 ({next(iter(self.unscaled.values()))}), whatever the factors hold"
            yield HealthIssue("error" if every else "warning", f"ΔW is exactly zero in {where}: {why}")
        if untrained and self.whole_model and not every:
            yield HealthIssue("info", f"frozen, ΔW is exactly zero: {self._some(untrained)}")
        elif untrained and every and not self.unscaled:
            yield HealthIssue("error", "ΔW is exactly zero in every module: it was never trained")
        elif untrained:
            text = f"ΔW is exactly zero in {self._some(untrained)}: not trained there"
            yield HealthIssue("error" if every else "warning", text)

    def _some(self, these: Collection[ModuleId], shown: Sequence[str] = ()) -> str:
        """`8 of 32 modules (one layer in 4: 0.q_proj, 0.v_proj, 4.q_proj, …)`."""
        names = list(shown) or [str(id_) for id_ in these]
        more = ", …" if len(names) > 3 else ""
        pattern = f"{found}: " if (found := _pattern(set(these), self.modules)) else ""
        return f"{len(these)} of {len(self.modules)} modules ({pattern}{', '.join(names[:3])}{more})"


def values(study: Study, i: int, adapter: Adapter | None = None) -> Values:
    """The values of adapter i, from the numbers of its modules; the `adapter` itself tells which have no scale."""
    present = study.present[i]
    assert study.sizes is not None
    assert study.spectra is not None
    norm, sigma, stable = study.sizes[i], study.spectra[i], study.blocks["stable_rank", "module"][i]
    left_out = study.block("energy_left_out", "global")
    roomy = (~np.isnan(sigma)).sum(axis=-1) >= _MANY

    def where(mask: Floats) -> tuple[ModuleId, ...]:
        return tuple(id_ for id_, here in zip(study.modules, present & mask, strict=True) if here)

    return Values(
        modules=where(np.ones_like(present)),
        dead=(dead := where(norm == 0)),
        unscaled={id_: scale.origin for id_ in dead if adapter and (scale := adapter.modules[id_].scale).value == 0},
        nonfinite=where(study.excluded[i]),
        outliers=_outliers({id_: n for id_, n in zip(study.modules, norm, strict=True) if n > 0}),
        collapsed=where(roomy & (stable < _ONE_DIRECTION)),
        whole_model=study.adapters[i].format == FORMAT,
        left_out=0.0 if left_out is None else float(left_out[i, 0]),
    )


def with_value_findings(study: Study, adapters: Sequence[Adapter]) -> Study:
    """The study of these adapters whose findings hold what their values show as well."""
    found = [values(study, i, adapter).findings() for i, adapter in enumerate(adapters)]
    infos = (replace(info, findings=info.findings + more) for info, more in zip(study.adapters, found, strict=True))
    return replace(study, adapters=tuple(infos))


def _outliers(norms: Mapping[ModuleId, float]) -> dict[ModuleId, float]:
    """Module -> its norm over the median, where log‖ΔW‖ lies far from that of the same module in the other layers.

    z = 0.6745 |x − median| / MAD, MAD the median absolute deviation.
    """
    kinds: dict[str, list[ModuleId]] = defaultdict(list)
    for id_ in norms:
        kinds[id_.path].append(id_)
    found: dict[ModuleId, float] = {}
    for ids in (ids for ids in kinds.values() if len(ids) >= _FEWEST):
        x = np.log([norms[id_] for id_ in ids])
        away = x - np.median(x)
        far = (0.6745 * abs(away) > ROBUST_Z * np.median(abs(away))) & (abs(away) >= log(FACTOR))
        found |= {id_: float(np.exp(d)) for id_, d, out in zip(ids, away, far, strict=True) if out}
    return found


def _pattern(these: set[ModuleId], modules: Sequence[ModuleId]) -> str:
    """`all of k_proj`, `one layer in 4`, `all of layers 3-7`, or nothing."""
    ends = {id_.projection for id_ in these}
    if len(these) > 1 and these == {id_ for id_ in modules if id_.projection in ends}:
        return f"all of {', '.join(sorted(ends))}" if len(ends) < len({id_.projection for id_ in modules}) else ""
    layers = sorted({id_.layer for id_ in these if id_.layer is not None})
    steps = {b - a for a, b in pairwise(layers)}
    if len(layers) < 3 or len(steps) > 1 or these != {id_ for id_ in modules if id_.layer in layers}:
        return ""
    return f"one layer in {steps.pop()}" if steps != {1} else f"all of layers {layers[0]}-{layers[-1]}"


def base_note(name: str) -> str:
    """What the name of an adapter's base tells of it, or nothing."""
    if not name:
        return "not named in its config: which model it changes cannot be told"
    if _PATH.match(name):
        here = "which is here" if Path(name).expanduser().exists() else "which is not here"
        return f"named by a path, {here}: others cannot find it"
    if quantised := _QUANTISED.search(name):
        return f"a quantised copy by its name ({plain(quantised[1])}): ΔW was trained beside rounded weights"
    return ""
