"""What the app knows of a watched training, and what of it is looked at. No widgets, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspector.trajectory.result import Curve, Trajectory
from inspector.trajectory.runs import Point


@dataclass
class Watched:
    """Folders of runs over their steps; `roots` is empty where nothing is watched."""

    roots: tuple[str, ...] = ()
    trajectory: Trajectory | None = None
    missing: int = 0
    """Numbers still being measured."""
    metric: str = "norm"
    against: str = ""
    row: int = 0
    step: int | None = None
    """The step under the cursor, None to follow the newest."""
    marked: tuple[str, int] | None = None
    """Run and step of the checkpoint that the next one is compared with."""
    awaited: tuple[str, ...] = ()
    """The folders that are not there yet."""
    trouble: str = ""
    """Why a folder cannot be read, while that is so."""

    @property
    def curves(self) -> tuple[Curve, ...]:
        return self.trajectory.curves if self.trajectory else ()

    @property
    def steps(self) -> tuple[int, ...]:
        return self.trajectory.steps if self.trajectory else ()

    @property
    def at(self) -> int | None:
        """The step shown: the cursor's, else the newest of all."""
        return self.step if self.step in self.steps else self.steps[-1] if self.steps else None

    @property
    def point(self) -> Point | None:
        """The checkpoint under the cursor, None where the run has none of that step."""
        points = self.curves[self.row].run.points if self.curves else ()
        return next((point for point in points if point.step == self.at), None)

    def mark(self) -> tuple[Point, Point] | None:
        """Mark the checkpoint under the cursor, or unmark it; if another one is marked, the two, by step."""
        here, there = self.point, self.marked
        points = {(p.run, p.step): p for curve in self.curves for p in curve.run.points}
        if here is None:
            return None
        if there is None or there == (here.run, here.step) or there not in points:
            self.marked = None if there == (here.run, here.step) else (here.run, here.step)
            return None
        self.marked = None
        one, other = sorted((points[there], here), key=lambda point: point.step)
        return one, other

    def take(self, trajectory: Trajectory, missing: int) -> None:
        """Other numbers: the cursor stays on its run."""
        name = self.curves[self.row].run.name if self.curves else ""
        self.trajectory, self.missing, self.trouble = trajectory, missing, ""
        names = [curve.run.name for curve in self.curves]
        self.row = names.index(name) if name in names else min(self.row, max(len(names) - 1, 0))
        if self.against not in names:
            self.against = names[1] if len(names) > 1 else ""

    def move(self, step: int) -> None:
        """The next or previous run."""
        self.row = min(max(self.row + step, 0), max(len(self.curves) - 1, 0))

    def scrub(self, step: int) -> None:
        """The next or previous checkpoint; beyond the last one the newest is followed."""
        if self.at is None:
            return
        at = max(self.steps.index(self.at) + step, 0)
        self.step = self.steps[at] if at < len(self.steps) - 1 else None

    def step_other(self, step: int) -> None:
        """Take cosines with the next or previous run."""
        names = [curve.run.name for curve in self.curves]
        if len(names) > 1:
            self.against = names[((names.index(self.against) if self.against in names else -1) + step) % len(names)]


def together(watched: Watched, width: int) -> int:
    """How many steps' losses are drawn as their mean: a log may have more steps than the screen has columns."""
    last = max((curve.run.losses[-1][0] for curve in watched.curves if curve.run.losses), default=0)
    return max(-(-last // max(width, 20)), 1) if watched.metric == "loss" else 1


def series(curve: Curve, metric: str, each: int) -> list[tuple[float, float]]:
    """(step, value) to draw; means stand in the middle of their steps."""
    known = [(float(step), value) for step, value in curve.values(metric) if math.isfinite(value)]
    if each == 1:
        return known
    bins: dict[int, list[float]] = {}
    for step, value in known:
        bins.setdefault(int(step - 1) // each, []).append(value)
    return [(at * each + (each + 1) / 2, sum(values) / len(values)) for at, values in sorted(bins.items())]


def joined(grid: list[float], known: list[tuple[float, float]]) -> tuple[float, ...]:
    if not known:
        return (math.nan,) * len(grid)
    steps, values = zip(*known, strict=True)
    return tuple(np.interp(grid, steps, values, left=math.nan, right=math.nan).tolist())
