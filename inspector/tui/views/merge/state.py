"""The sum that is shown: weights, target rank, and what is known of it. No widgets, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.common.arrays import Floats
from inspector.merging.preview import Preview, no_sum
from inspector.study.study import Study

ALONG = ("sum_energy_ratio", "sum_interference", "sum_energy_kept", "sum_norm")
"""What is drawn along the layers."""
STEP, KEPT = 0.1, 16
"""Of a weight; and so many sums whose spectra are kept."""


@dataclass
class Mixture:
    """Of two adapters the share of the first; of several a weight by adapter id, 1 if none was chosen.

    The rank 0 stands for the parts' largest.
    """

    share: float = 0.5
    modules: bool = False
    """Whether the modules of the sum of two are listed."""

    weights: dict[int, float] = field(default_factory=dict)
    before: dict[int, float] = field(default_factory=dict)
    """The weights of adapters that were left out."""
    rank: int = 0
    metric: str = ALONG[0]
    serial: int = 0
    """Of the newest sum whose spectra were asked for."""
    done: tuple[int, int] | None = None
    """Modules of it that are added, and of how many; None where nobody adds."""
    _preview: Preview | None = None
    _spectra: dict[tuple[float, ...], Floats] = field(default_factory=dict)
    """Of the last sums of one study, by their weights."""

    def weight(self, adapter: int) -> float:
        return self.weights.get(adapter, 1.0)

    def step(self, adapter: int, steps: int) -> None:
        """So many steps of 0.1 more."""
        self.weights[adapter] = round(self.weight(adapter) + STEP * steps, 10) + 0.0

    def leave_out(self, adapter: int) -> None:
        """Weight 0, or the weight it had before that."""
        if self.weight(adapter):
            self.before[adapter], self.weights[adapter] = self.weight(adapter), 0.0
        else:
            self.weights[adapter] = self.before.pop(adapter, 1.0)

    def renumber(self, ids: dict[int, int]) -> None:
        """Other ids for the same adapters."""
        self.weights = {ids[at]: w for at, w in self.weights.items() if at in ids}
        self.before = {ids[at]: w for at, w in self.before.items() if at in ids}

    def step_share(self, steps: int) -> None:
        """So many steps of 0.1 more of the first of two, and less of the second."""
        self.share = float(np.clip(round(self.share + STEP * steps, 10), 0.0, 1.0))

    def of_two(self, study: Study, a: int, b: int) -> Preview | None:
        """share·ΔW_a + (1 − share)·ΔW_b; None before norms and cosines of modules are known, or if there is none."""
        weights = {a: self.share, b: round(1.0 - self.share, 10)}
        two = tuple(1.0 if at in weights else 0.0 for at in range(len(study.adapters)))
        return None if no_sum(study.adapters, two) else self._of(study, weights)

    def preview(self, study: Study, order: tuple[int, ...]) -> Preview | None:
        """The sum of the adapters in this order, None before norms and cosines of modules are known.

        Those of unknown scale and activated LoRAs are in none: their weight is 0.
        """
        shown = {at for at in order if study.adapters[at].everywhere and study.adapters[at].scaled}
        return self._of(study, {at: self.weight(at) for at in shown})

    def _of(self, study: Study, chosen: dict[int, float]) -> Preview | None:
        """The sum with these weights, and its spectra if they are known."""
        if not {("norm", "module"), ("cosine", "module")} <= set(study.blocks):
            return None
        weights = tuple(chosen.get(at, 0.0) for at in range(len(study.adapters)))
        before = self._preview
        if before is None or before.study is not study or before.weights != weights:
            if before is None or before.study is not study:
                self._spectra.clear()
            self._preview = Preview(study, weights, self._spectra.get(weights))
            self.serial += 1
            self.done = None
        return self._preview

    def take(self, spectra: Floats) -> None:
        """The spectra of the sum shown."""
        if self._preview is not None:
            self._spectra[self._preview.weights] = spectra
            if len(self._spectra) > KEPT:
                del self._spectra[next(iter(self._spectra))]
            self._preview = Preview(self._preview.study, self._preview.weights, spectra)

    def target(self, preview: Preview) -> int:
        """The rank whose energy is shown."""
        return self.rank or preview.default_rank

    def step_rank(self, preview: Preview, step: int) -> None:
        most = preview.spectra.shape[1] if preview.spectra is not None else 4096
        self.rank = int(np.clip(self.target(preview) + step, 1, most))
