"""What was measured of runs over their steps, and its tidy table. No torch, no files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector.trajectory.runs import LOGGED, Run

METRICS = ("norm", "effective_rank", "cosine_final", "cosine_other_final", "cosine_other_step", *LOGGED)
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

    def values(self, metric: str) -> tuple[tuple[int, float], ...]:
        """(step, value) of one metric: at the checkpoints, for what is logged at every step logged."""
        if metric in LOGGED:
            return self.run.losses if metric == "loss" else dict(self.run.held_out).get(metric, ())
        return tuple((point.step, getattr(point, metric)) for point in self.points)

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
        """Those to look at: of what is held out only what some run has measured."""
        held_out = {name for curve in self.curves for name, _ in curve.run.held_out}
        return tuple(metric for metric in METRICS if metric not in LOGGED[1:] or metric in held_out)

    @property
    def steps(self) -> tuple[int, ...]:
        """Every step some run has a checkpoint of."""
        return tuple(sorted({point.step for curve in self.curves for point in curve.points}))

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
    """Every number: by run, metric, step. Cosines with the other run only where one was chosen."""
    for curve in trajectory.curves:
        name = curve.run.name
        for metric in METRICS:
            other = trajectory.against if "other" in metric else name if metric == "cosine_final" else ""
            if "other" in metric and other in {"", name}:
                continue
            there = {at for at, _ in _curve(trajectory, other)} if metric == "cosine_other_step" else None
            for step, value in curve.values(metric):
                if there is not None and step not in there:
                    continue
                against_step = step if there is not None else trajectory.final_step(other) if other else None
                yield Row(name, step, metric, other, against_step, None if math.isnan(value) else value)


def _curve(trajectory: Trajectory, name: str) -> tuple[tuple[int, float], ...]:
    return next((curve.values("norm") for curve in trajectory.curves if curve.run.name == name), ())


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, every digit kept; n/a and what does not apply is empty."""
    return tuple("" if value is None else repr(value) if isinstance(value, float) else str(value) for value in row)
