"""`inspector watch` without a terminal: every number once, tab separated; or whether something has gone wrong."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.common.errors import InspectorError
from inspector.common.spreadsheet import cell
from inspector.common.text import count, plain, some
from inspector.trajectory.milestones import milestones
from inspector.trajectory.result import COLUMNS, Trajectory, cells, rows
from inspector.trajectory.runs import Run, Scanner


def print_once(roots: Sequence[Path], against: str = "", read_options: ReadOptions = DEFAULTS) -> int:
    """The table on stdout, on stderr what limits it and what was left out; 3 if something was.

    Raises InspectorError where there is no such folder or run, or no checkpoint in any.
    """
    from inspector.trajectory.measure import Meter

    runs = Scanner(*roots).scan(time.time())
    _refuse_other(runs, against)
    if not any(run.points or run.weights for run in runs):
        what = f"of {some([run.name for run in runs])} " if runs else ""
        raise InspectorError(f"No checkpoint {what}in {some(roots)} yet: on a terminal `inspector watch` waits for it.")
    trajectory = Meter(read_options).update(runs, against)
    told = [f"{curve.run.name}: {text}" for curve in trajectory.curves for text in milestones(curve)]
    told += [f"{run.name}: {run.own}." for run in runs if run.own]
    for note in (*trajectory.findings, *trajectory.notes, *told):
        sys.stderr.write(f"{plain(note)}\n")
    if not trajectory.steps:
        raise InspectorError(f"No checkpoint in {some(roots)} could be read.")
    sys.stdout.write(table(trajectory))
    return 3 if trajectory.notes else 0


def kinds_of(text: str) -> list[str]:
    """`nan,spike` as its parts. Raises InspectorError for one that is none."""
    from inspector.trajectory.alarms import KINDS

    kinds = [part.strip() for part in text.split(",")]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise InspectorError(f"--fail-on {plain(unknown[0])!r} is none of {', '.join(KINDS)}.")
    return kinds


def print_alarms(roots: Sequence[Path], kinds: Sequence[str], read_options: ReadOptions = DEFAULTS) -> int:
    """A line on stdout for everything that has gone wrong in a run, and 1; or that nothing has, and 0.

    Raises InspectorError if there is nothing to judge by, or a checkpoint cannot be read.
    """
    from inspector.trajectory.alarms import SPIKE_AFTER, alarms
    from inspector.trajectory.measure import Meter

    runs = Scanner(*roots).scan(time.time())
    if not any(run.points or run.weights for run in runs):
        raise InspectorError(f"Nothing to judge in {some(roots)}: no checkpoint, and no record of WeightsCallback.")
    trajectory = Meter(read_options).update(runs)
    found, records, judged = [], 0, 0
    for curve in trajectory.curves:
        if curve.history is None:
            continue
        judged += 1
        found += [f"{curve.run.name}: {alarm}" for alarm in alarms(curve.history, kinds)]
        records += len(curve.history.records)
        if "spike" in kinds and curve.history.header.modules and len(curve.history.records) <= SPIKE_AFTER:
            sys.stderr.write(f"{plain(curve.run.name)}: too few records, or checkpoints, to tell a spike.\n")
    for note in trajectory.notes:
        sys.stderr.write(f"{plain(note)}\n")
    if not found and trajectory.notes:
        return 3
    nothing = f"No {', '.join(kinds)} in {count(judged, 'run')}, {count(records, 'record')}."
    sys.stdout.write("".join(f"{plain(line, 1000)}\n" for line in found or [nothing]))
    return 1 if found else 0


def table(trajectory: Trajectory) -> str:
    """Header and rows, tab separated."""
    lines = [COLUMNS, *(tuple(cell(plain(text)) for text in cells(row)) for row in rows(trajectory))]
    return "".join("\t".join(line) + "\n" for line in lines)


def refuse_unknown(roots: Sequence[Path], against: str) -> None:
    """Raise InspectorError where there is no such run; a folder that is not there yet, or empty, may still get some."""
    if runs := Scanner(*roots, wait=True).scan(time.time()):
        _refuse_other(runs, against)


def _refuse_other(runs: Sequence[Run], against: str) -> None:
    names = [run.name for run in runs]
    if against and against not in names:
        raise InspectorError(f"No run {plain(against)!r} here: --against takes one of {some(names, 8) or 'none yet'}.")
