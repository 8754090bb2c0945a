"""Checkpoints to numbers, each measured once, by the analysis that every other view has.

A group of checkpoints goes through `analyse` together: their norms, effective ranks and all cosines among them are
kept by what is on disk. A checkpoint that lands makes its run's last one another: the cosines of that run to it are
measured, nothing else. On the CPU: the GPU belongs to the training that is watched.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path

from inspector.adapters.alignment import aligned
from inspector.adapters.formats import read_adapter
from inspector.adapters.model import Adapter
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.sources import as_source
from inspector.analysis.analyse import analyse
from inspector.common.errors import CancelledError, InspectorError
from inspector.study.adapter_info import HealthIssue
from inspector.study.study import Settings, Study
from inspector.study.warnings import finding_lines
from inspector.trajectory.own import UNKNOWN, Own, history, own_of
from inspector.trajectory.result import DIFFERENT, Curve, Measured, Trajectory
from inspector.trajectory.runs import Point, Run, Stamp

_TOGETHER = 8
"""Checkpoints of one group beside the two they are compared with: pairs nobody asked for grow with its square."""
_SETTINGS = Settings(k=1, sides=(), device="cpu")

Key = tuple[Path, Stamp]


class Meter:
    """Keeps every number of every checkpoint it has seen."""

    def __init__(self, read_options: ReadOptions = DEFAULTS) -> None:
        self._read_options = read_options
        self._lock = threading.Lock()
        self._own: dict[Key, Own] = {}
        self._cosines: dict[frozenset[Key], float] = {}
        self._failed: dict[Key, str] = {}
        self._found: dict[Key, tuple[HealthIssue, ...]] = {}

    def update(
        self,
        runs: Sequence[Run],
        against: str = "",
        *,
        partial: Callable[[Trajectory, int], None] = lambda _so_far, _missing: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Trajectory:
        """The trajectory of these runs; only what is new is measured.

        `partial` receives it as far as it is, and how many numbers are missing. What cannot be read is left out, with
        a note. Raises CancelledError once `cancelled()` holds.
        """
        with self._lock:
            self._forget(runs)
            while group := self._next(runs, against):
                if cancelled():
                    raise CancelledError
                partial(*self._assembled(runs, against))
                self._measure(group)
            return self._assembled(runs, against)[0]

    def _forget(self, runs: Sequence[Run]) -> None:
        """Drop what is no longer on disk as it was."""
        there = {key(point) for run in runs for point in run.points}
        self._own = {at: own for at, own in self._own.items() if at in there}
        self._found = {at: found for at, found in self._found.items() if at in there}
        self._failed = {at: why for at, why in self._failed.items() if at in there}
        self._cosines = {pair: value for pair, value in self._cosines.items() if pair <= there}

    def _readable(self, run: Run) -> list[Point]:
        return [point for point in run.points if key(point) not in self._failed]

    def _pairs(self, runs: Sequence[Run], against: str) -> Iterable[tuple[Point, Point]]:
        """The checkpoints whose cosine is asked for."""
        other = next((self._readable(run) for run in runs if run.name == against), [])
        same = {point.step: point for point in other}
        for run in runs:
            mine = self._readable(run)
            yield from ((point, mine[-1]) for point in mine[:-1])
            if run.name != against and other:
                yield from ((point, other[-1]) for point in mine)
                yield from ((point, same[point.step]) for point in mine if point.step in same)

    def _next(self, runs: Sequence[Run], against: str) -> list[Point]:
        """Who to measure together next; nobody when all is known.

        The checkpoint that most cosines wait for, some it is to be compared with, and a second one that most of these
        wait for.
        """
        asked = [*self._pairs(runs, against), *(pair for run in runs for pair in self._kept(self._readable(run))[1])]
        missing = [pair for pair in asked if frozenset(map(key, pair)) not in self._cosines]
        if not missing:
            alone = (point for run in runs for point in self._readable(run) if key(point) not in self._own)
            return [point for point, _ in zip(alone, range(_TOGETHER), strict=False)]
        centre = _wanted(missing)
        partners = [b if a == centre else a for a, b in missing if centre in (a, b)][:_TOGETHER]
        left = [pair for pair in missing if centre not in pair and (pair[0] in partners or pair[1] in partners)]
        return list(dict.fromkeys([centre, *partners, *([_wanted(left)] if left else [])]))

    def _measure(self, group: Sequence[Point]) -> None:
        """Measure a group; where one of it cannot be read, the others alone are measured, and the group again."""
        opened = {point: adapter for point in group if (adapter := self._opened(point)) is not None}
        if len(opened) < len(group):
            return  # who is compared with whom changes
        try:
            self._keep(group, analyse(aligned(list(opened.values())), _SETTINGS))
        except InspectorError as error:
            if len(group) == 1:
                self._failed[key(group[0])] = str(error)
                return
            for point in group:
                self._measure([point])
            if not any(key(point) in self._failed for point in group):
                raise

    def _opened(self, point: Point) -> Adapter | None:
        try:
            adapter = read_adapter(
                point.folder, f"{point.run}@{point.step}", as_source(point.folder), self._read_options
            )
        except InspectorError as error:
            self._failed[key(point)] = str(error)
            return None
        if not adapter.modules:
            reasons = [finding.text for finding in adapter.info.findings if finding.severity == "error"]
            self._failed[key(point)] = reasons[0] if reasons else "no module that could be analysed"
            return None
        self._found[key(point)] = adapter.info.findings
        return adapter

    def _keep(self, group: Sequence[Point], study: Study) -> None:
        for i, point in enumerate(group):
            self._own[key(point)] = own_of(study, i)
        cosines = study.blocks["cosine", "global"][..., 0].tolist()
        for i, j in combinations(range(len(group)), 2):
            self._cosines[frozenset((key(group[i]), key(group[j])))] = cosines[i][j]

    def _assembled(self, runs: Sequence[Run], against: str) -> tuple[Trajectory, int]:
        """What is known of these runs, and how many cosines and checkpoints' own numbers are missing."""
        other = next((self._readable(run) for run in runs if run.name == against), [])
        same = {point.step: point for point in other}
        curves, notes = [], []
        for run in runs:
            mine = self._readable(run)
            measured = []
            for point in mine:
                own = self._own.get(key(point), UNKNOWN)
                ends = (mine[-1], other[-1] if other else None, same.get(point.step))
                measured.append(
                    Measured(point.step, own.norm, own.effective_rank, *(self._cosine(point, end) for end in ends))
                )
            why = {p: self._failed.get(key(p)) or self._own.get(key(p), UNKNOWN).note for p in run.points}
            notes += [f"{p.label}: {text}" for p, text in why.items() if text]
            kept = tuple(point.step for point in self._kept(mine)[0])
            known = [(point.step, self._own[key(point)]) for point in mine if key(point) in self._own]
            curves.append(Curve(run, tuple(measured), run.weights or history(known), kept))
        pairs = {frozenset(map(key, pair)) for pair in self._pairs(runs, against)}
        alone = {key(point) for run in runs for point in self._readable(run)} - self._own.keys()
        found = {run.name: [f for p in run.points for f in self._found.get(key(p), ())] for run in runs}
        lines = tuple(finding_lines({name: tuple(dict.fromkeys(own)) for name, own in found.items()}))
        return Trajectory(tuple(curves), against, tuple(notes), lines), len(pairs - self._cosines.keys()) + len(alone)

    def _kept(self, mine: Sequence[Point]) -> tuple[list[Point], list[tuple[Point, Point]]]:
        """The checkpoints that differ from the kept one before, and the last; then the pairs that are to be known."""
        kept = list(mine[:1])
        for n, point in enumerate(mine[1:], 1):
            distance = self._distance(point, kept[-1])
            if distance is None:
                return [*kept, *mine[-1:]], [(other, kept[-1]) for other in mine[n : n + _TOGETHER]]
            if distance > DIFFERENT or point == mine[-1]:
                kept.append(point)
        return kept, []

    def _distance(self, one: Point, other: Point) -> float | None:
        """‖ΔW − ΔW'‖ over the larger norm, None if not known yet; without scales, of the two at one length."""
        pair = frozenset((key(one), key(other)))
        if pair not in self._cosines:
            return None
        a, b, c = self._own[key(one)].norm, self._own[key(other)].norm, self._cosines[pair]
        if math.isnan(c):
            return 0.0 if a == b else 1.0
        if math.isnan(a) or math.isnan(b):
            a = b = 1.0
        return math.sqrt(max(a * a + b * b - 2 * a * b * c, 0.0)) / max(a, b)

    def _cosine(self, one: Point, other: Point | None) -> float:
        """1 for a checkpoint and itself unless it is zero."""
        if other is None:
            return math.nan
        if one == other:
            return 1.0 if self._own.get(key(one), UNKNOWN).effective_rank > 0 else math.nan
        return self._cosines.get(frozenset((key(one), key(other))), math.nan)


def key(point: Point) -> Key:
    """What a checkpoint's numbers are kept by."""
    return point.folder, point.stamp


def _wanted(pairs: Sequence[tuple[Point, Point]]) -> Point:
    """Who is in most pairs."""
    return Counter(point for pair in pairs for point in pair).most_common(1)[0][0]
