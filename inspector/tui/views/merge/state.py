"""The sum that the Merge view shows: weights, target rank, and what is known of it. No widgets, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.common.arrays import Floats
from inspector.merging.preview import Preview
from inspector.study.study import Study

METRICS = ("sum_energy_ratio", "sum_interference", "sum_energy_kept", "sum_norm")
"""What is drawn along the layers."""
STEP = 0.1


@dataclass
class Mixture:
    """Weights by adapter id, 1 where none was chosen; the rank 0 stands for the parents' largest."""

    weights: dict[int, float] = field(default_factory=dict)
    before: dict[int, float] = field(default_factory=dict)
    """The weights of adapters that were left out."""
    rank: int = 0
    metric: str = METRICS[0]
    serial: int = 0
    """Of the newest sum whose spectra were asked for."""
    done: tuple[int, int] | None = None
    """Modules of it that are added, and of how many; None where nobody adds."""
    _preview: Preview | None = None

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

    def preview(self, study: Study, order: tuple[int, ...]) -> Preview | None:
        """The sum of the adapters in this order, None before norms and cosines of modules are known.

        Those of unknown scale and activated LoRAs are in none: their weight is 0.
        The spectra stay with it until the study or a weight is another.
        """
        if not {("norm", "module"), ("cosine", "module")} <= set(study.blocks):
            return None
        shown = {at for at in order if study.adapters[at].everywhere and study.adapters[at].scaled}
        weights = tuple(self.weight(at) if at in shown else 0.0 for at in range(len(study.adapters)))
        if self._preview is None or self._preview.study is not study or self._preview.weights != weights:
            self._preview = Preview(study, weights)
            self.serial += 1
            self.done = None
        return self._preview

    def take(self, spectra: Floats) -> None:
        """The spectra of the sum shown."""
        if self._preview is not None:
            self._preview = Preview(self._preview.study, self._preview.weights, spectra)

    def target(self, preview: Preview) -> int:
        """The rank whose energy is shown."""
        return self.rank or preview.default_rank

    def step_rank(self, preview: Preview, step: int) -> None:
        most = preview.spectra.shape[1] if preview.spectra is not None else 4096
        self.rank = int(np.clip(self.target(preview) + step, 1, most))
