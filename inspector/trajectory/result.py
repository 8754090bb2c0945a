"""What was measured of runs over their steps, and its tidy table. No torch, no files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector.trajectory.runs import LOGGED, Run
from inspector.trajectory.weights_log import WeightsLog

SETTLED = 0.99
DIFFERENT = 0.1
"""‖ΔW_a − ΔW_b‖ over the larger of the two norms."""

RECORDED = ("cosine_last", "cosine_reference")
"""What only WeightsCallback knows: the cosine with the checkpoint before, and with the reference adapter."""
METRICS = ("norm", "effective_rank", "cosine_final", "cosine_other_final", "cosine_other_step", *RECORDED, *LOGGED)
COLUMNS = ("run", "step", "metric", "against", "against_step", "value")


@dataclass(frozen=True, slots=True)
class Measured:
    """One checkpoint's numbers over all modules; NaN where not measured yet, or not defined (a zero update)."""

    step: int
    norm: float = math.nan
    """‖ΔW‖_F, the scale included."""
    effective_rank: float = math.nan
    """Mean over modules of exp(H(σ/Σσ))."""
    cosine_final: float = math.nan
    """Of ΔW with that of the run's own last checkpoint."""
    cosine_other_final: float = math.nan
    """With that of the other run's last checkpoint."""
    cosine_other_step: float = math.nan
    """With that of the other run's checkpoint of the same step."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A run and its readable checkpoints, by step."""

    run: Run
    points: tuple[Measured, ...]
    history: WeightsLog | None = None
    """Module by module: as WeightsCallback recorded it, else of the checkpoints; None without either."""
    kept: tuple[int, ...] = ()
    """The steps of the checkpoints that differ: the first, each beyond `DIFFERENT` of the kept one before, the last."""

    @property
    def settled(self) -> int | None:
        """The first step from which on every checkpoint's cosine to the last is at least `SETTLED`; None if none."""
        steps = [point.step for point in self.points]
        low = [n for n, point in enumerate(self.points) if not point.cosine_final >= SETTLED]
        first = low[-1] + 1 if low else 0
        return steps[first] if first < len(steps) - 1 else None

    def values(self, metric: str) -> tuple[tuple[int, float], ...]:
        """(step, value) of one metric: at the checkpoints and where it was recorded; of the log where it is there."""
        if metric in LOGGED:
            return self.run.losses if metric == "loss" else dict(self.run.held_out).get(metric, ())
        records = self.run.weights.records if self.run.weights else ()
        found = {record.step: getattr(record, metric, math.nan) for record in records}
        if metric not in RECORDED:
            found = {step: value for step, value in found.items() if not math.isnan(value)}
            found |= {point.step: getattr(point, metric) for point in self.points}
        return tuple(sorted(found.items()))

    def at(self, metric: str, step: int) -> float:
        """The value at a step, NaN where there is none."""
        return next((value for at, value in reversed(self.values(metric)) if at == step), math.nan)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """All runs of a folder. `against`: the other run of the cosines, empty for none; `notes`: what was left out."""

    curves: tuple[Curve, ...]
    against: str = ""
    notes: tuple[str, ...] = field(default=())
    findings: tuple[str, ...] = ()
    """What limits how the numbers may be read, a line each."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those there can be numbers of: what WeightsCallback or an evaluation knows only where there was one."""
        there = {name for curve in self.curves for name, _ in curve.run.held_out}
        there |= {name for curve in self.curves if curve.run.weights for name in RECORDED}
        return tuple(metric for metric in METRICS if metric in there or metric not in {*RECORDED, *LOGGED[1:]})

    @property
    def steps(self) -> tuple[int, ...]:
        """Every step some run has a checkpoint or a record of."""
        return tuple(sorted({step for curve in self.curves for step, _ in curve.values("norm")}))

    def final_step(self, name: str) -> int | None:
        """The last step of a run's readable checkpoints."""
        return next((c.points[-1].step for c in self.curves if c.run.name == name and c.points), None)


class Row(NamedTuple):
    """One number. `against` and its step are set for cosines; n/a is None."""

    run: str
    step: int
    metric: str
    against: str
    against_step: int | None
    value: float | None


def rows(trajectory: Trajectory) -> Iterator[Row]:
    """Every number: by run, metric, step. Cosines with another run, or a reference, only where there is one."""
    for curve in trajectory.curves:
        name = curve.run.name
        for metric in METRICS:
            other, steps = _against(trajectory, curve, metric)
            if metric.startswith("cosine_") and (other == "" or (other == name and "other" in metric)):
                continue
            for step, value in curve.values(metric):
                if metric not in {"cosine_other_step", "cosine_last"} or step in steps:
                    yield Row(name, step, metric, other, steps.get(step), None if math.isnan(value) else value)


def _against(trajectory: Trajectory, curve: Curve, metric: str) -> tuple[str, dict[int, int | None]]:
    """What a metric's cosines are with: its name, and which step of it by step."""
    name, steps = curve.run.name, [step for step, _ in curve.values(metric)]
    if metric == "cosine_reference":
        return curve.history.header.reference if curve.history else "", {}
    if metric == "cosine_last":
        records = curve.history.records if curve.history else ()
        return name, {record.step: record.last_step for record in records if record.last_step}
    if metric == "cosine_final":
        return name, dict.fromkeys(steps, trajectory.final_step(name))
    if metric == "cosine_other_final":
        return trajectory.against, dict.fromkeys(steps, trajectory.final_step(trajectory.against))
    if metric == "cosine_other_step":
        return trajectory.against, {step: step for step, _ in _curve(trajectory, trajectory.against)}
    return "", {}


def _curve(trajectory: Trajectory, name: str) -> tuple[tuple[int, float], ...]:
    """(step, norm) of a run's checkpoints."""
    return next((tuple((p.step, p.norm) for p in c.points) for c in trajectory.curves if c.run.name == name), ())


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, every digit kept; n/a and what does not apply is empty."""
    return tuple("" if value is None else repr(value) if isinstance(value, float) else str(value) for value in row)
