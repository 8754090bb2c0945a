"""`inspector watch` without a terminal: every number once, tab separated."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.common.errors import InspectorError
from inspector.common.spreadsheet import cell
from inspector.common.text import plain, some
from inspector.trajectory.result import COLUMNS, Trajectory, cells, rows
from inspector.trajectory.runs import Run, Scanner


def print_once(roots: Sequence[Path], against: str = "", read_options: ReadOptions = DEFAULTS) -> int:
    """The table on stdout, on stderr what limits it and what was left out; 3 if something was.

    Raises InspectorError where there is no such folder or run, or no checkpoint in any.
    """
    from inspector.trajectory.measure import Meter

    runs = Scanner(*roots).scan(time.time())
    _refuse_other(runs, against)
    if not any(run.points for run in runs):
        what = f"of {some([run.name for run in runs])} " if runs else ""
        raise InspectorError(f"No checkpoint {what}in {some(roots)} yet: on a terminal `inspector watch` waits for it.")
    trajectory = Meter(read_options).update(runs, against)
    reported = [f"{plain(run.name)}: {run.own}." for run in runs if run.own]
    for note in (*trajectory.findings, *trajectory.notes, *reported):
        sys.stderr.write(f"{note}\n")
    if not any(curve.points for curve in trajectory.curves):
        raise InspectorError(f"No checkpoint in {some(roots)} could be read.")
    sys.stdout.write(table(trajectory))
    return 3 if trajectory.notes else 0


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
