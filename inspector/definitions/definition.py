"""What one metric is: its formula, how it is aggregated, its trap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Subject = Literal["adapter", "pair", "ordered", "none"]
Aggregate = Literal["stacked", "mean", "median", "none"]
Index = Literal["", "k", "alpha"]
Probe = Literal["", "weights", "lmc", "lmc_rollouts", "cka", "lens", "intruders", "accuracy"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: its formula, how it is aggregated over modules, and its trap."""

    metric: str
    title: str
    subject: Subject
    unit: str
    formula: str
    over_modules: str
    trap: str = ""
    source: str = ""
    index: Index = ""
    """What else the numbers run over: a 1-based k, or α along a path."""
    aggregate: Aggregate = "mean"
    """How layers and the whole follow from modules; `none`: every scope is measured as it is."""
    probe: Probe = ""
    """The probe that measures it with the base model; empty: from the adapters' weights alone."""

    @property
    def indexed(self) -> bool:
        """Whether each place holds several numbers."""
        return self.index != ""

    @property
    def itself(self) -> float | None:
        """The value of a pair metric for an adapter and itself; None where that says nothing."""
        if self.subject not in {"pair", "ordered"} or self.probe:
            return None
        if self.metric == "energy_ratio":
            return 2.0
        return 0.0 if self.unit == "°" or self.metric.startswith("orthogonal") else 1.0
