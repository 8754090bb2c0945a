"""The parts of the view of a training: its curves, the numbers beneath, what is waited for."""

from __future__ import annotations

import math
from datetime import datetime

from rich.cells import cell_len

from inspector.common.numbers import fixed
from inspector.common.text import some
from inspector.trajectory.result import Curve
from inspector.trajectory.runs import Run
from inspector.tui.text import NA, Line, clean, fit, general, right, wrap
from inspector.tui.views.base import Area, rows_shown, window
from inspector.tui.views.trajectory.state import Watched, joined, series, together
from inspector.tui.widgets.plot import LETTERS, Lines, limits_of

_TITLES = {
    "norm": "norm ‖ΔW‖",
    "effective_rank": "effective rank",
    "cosine_final": "cosine to its own last checkpoint",
    "cosine_other_final": "cosine to the last of {}",
    "cosine_other_step": "cosine to {} at the same step",
    "cosine_last": "cosine to its checkpoint before",
    "cosine_reference": "cosine to the reference adapter",
    "loss": "loss",
    "nll_right": "held-out right answers, nats a token",
    "nll_wrong": "held-out wrong answers, nats a token",
    "accuracy": "share of held-out problems solved",
}
_CELL = 8


def clock(run: Run) -> str:
    """When its last checkpoint landed: `14:03:59`, with the day where it was another."""
    at = datetime.fromtimestamp(run.points[-1].landed).astimezone()
    today = at.date() == datetime.now().astimezone().date()
    return f"{at:%H:%M:%S}" if today else f"{at:%Y-%m-%d %H:%M}"


def shown(metric: str, value: float) -> str:
    """A number that leaves a blank in its cell: a cosine to three digits, for it ends near 1."""
    if math.isnan(value):
        return NA
    if metric.startswith("cosine"):
        return fixed(value, 3)
    return f"{value:.3g}".replace("-", "−") if metric == "loss" else general(value)


def title_of(watched: Watched, width: int) -> str:
    return _TITLES[watched.metric].format(fit(clean(watched.against), width // 3) or "another run")


def waiting(watched: Watched, area: Area) -> list[Line]:
    """What there is to wait for."""
    if watched.awaited:
        folder = "folder" if len(watched.awaited) == 1 else "folders"
        what = f"Waiting for the {folder} {clean(some(watched.awaited))}: the --out of a training, or a run in it."
    elif watched.missing:
        what = "Measuring …"
    elif not watched.curves:
        where = clean(some(watched.roots))
        what = f"Waiting for the first run in {where}: a folder that inspector train began, or with checkpoint-N in it."
    elif watched.metric.startswith("cosine_other") and len(watched.curves) < 2:
        what = "There is one run here: a second one is needed to compare with."
    elif watched.metric == "loss":
        what = "No loss was logged yet."
    elif watched.steps:
        what = "Not defined for any checkpoint so far."
    else:
        names = clean(some([f"{curve.run.name} ({_progress(curve, wide=True)})" for curve in watched.curves]))
        what = f"Waiting for the first checkpoint of {names}. M shows the loss meanwhile."
    return [Line(), *(Line("  " + part, area.ink.bold) for part in wrap(what, area.width - 4))]


def curves_of(watched: Watched, width: int) -> Lines:
    """Curves over the union of their steps; straight between a run's own checkpoints."""
    metric, each = watched.metric, together(watched, width)
    found = [series(curve, metric, each) for curve in watched.curves]
    grid = sorted({step for known in found for step, _ in known} | {0.0})
    curves = tuple(joined(grid, known) for known in found)
    bounded = metric.startswith("cosine")
    limits = limits_of(curves, floor=0.0 if metric == "norm" else None, roof=1.0 if bounded else None)
    cursor = float(watched.at) if watched.at is not None and watched.at <= grid[-1] else None
    return Lines(tuple(grid), curves, (), limits, cursor, watched.row, tuple(f"{step:.0f}" for step in grid))


def table_of(watched: Watched, top: int, height: int, area: Area) -> list[Line]:
    """The metric at as many steps as fit, those around the cursor: a line a run."""
    names = [clean(curve.run.name) for curve in watched.curves]
    label = min(max(map(cell_len, names)), max(area.width // 4, 8))
    wide = area.width >= 76
    column = label + 4 + (15 if wide else 9)
    steps, at = watched.steps, watched.at
    fit_in = max((area.width - column - 1) // _CELL, 1)
    first = window(0, steps.index(at), fit_in, len(steps)) if at is not None else 0
    seen = steps[first : first + fit_in]
    extent = rows_shown(top, height, len(names), "runs").removeprefix(" · ")
    header = Line(f"   {extent}", area.ink.dim).to(column)
    for step in seen:
        header.add(right(str(step), _CELL), area.ink.accent if step == at else area.ink.dim)
    lines = [header]
    for n in range(top, min(top + height, len(names))):
        curve, here = watched.curves[n], n == watched.row
        style = area.ink.bold if here else area.ink.plain
        line = Line("▸" if here else " ", area.ink.accent)
        line.add(f"{LETTERS[n % 26]} ", area.ink.line(n) + area.ink.bold).add(fit(names[n], label), style)
        line.to(label + 4).add(_progress(curve, wide=wide), area.ink.dim).to(column)
        for step in seen:
            value = shown(watched.metric, curve.at(watched.metric, step))
            line.add(right(value, _CELL), area.ink.bold if here and step == at else area.ink.plain)
        lines.append(line)
    return lines


def _progress(curve: Curve, *, wide: bool) -> str:
    """`training 37/60`, `finished`; where there is little room, `37/60`."""
    run = curve.run
    if run.state == "finished":
        return run.state
    return f"{run.state} " * wide + f"{run.step}" + (f"/{run.steps}" if run.steps else "")
