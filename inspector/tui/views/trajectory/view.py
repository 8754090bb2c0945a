"""A training over its steps: a line a run, the numbers beneath, and everything about one checkpoint."""

from __future__ import annotations

import math

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.text import some
from inspector.trajectory.milestones import milestones
from inspector.trajectory.result import COLUMNS, Trajectory, cells, rows
from inspector.tui.actions import cycled
from inspector.tui.adapter_list import AdapterList
from inspector.tui.messages import ForView
from inspector.tui.navigation import METRIC
from inspector.tui.state import AppState
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, fit, general, page, plural, wrap
from inspector.tui.views.base import Area, View, window
from inspector.tui.views.trajectory.parts import clock, curves_of, shown, table_of, title_of, waiting
from inspector.tui.views.trajectory.state import Watched, together
from inspector.tui.views.trajectory.watcher import KEYS, Watcher
from inspector.tui.widgets.plot import plot

_LEAST_PLOT = 6


class TrajectoryView(View):
    id = "trajectory"
    tab = "7"
    title = "Training"
    lists = ""
    hint = "a training over its steps, where one is watched (inspector watch RUN)"
    about = (
        "Every checkpoint of the watched runs, over all modules; new ones appear by themselves. A run's last one is "
        "the newest there is, so its cosines move while it trains. The loss is what log.jsonl says of each step, drawn "
        "as means where there are more steps than columns; held-out NLL and accuracy are there if they are measured. A "
        "run without its record that has written nothing for "
        "three times the longest gap between its checkpoints (at least two minutes) is called stopped. The other "
        "views show the adapters that were newest at the start; enter takes the newest again. Space on two checkpoints "
        "opens them as a pair. Settled: from that step on, every checkpoint's cosine to the last is at least .99. To "
        "keep: each differs from the kept one before by more than 10 % of the larger norm."
    )
    actions = (*METRIC, *KEYS)

    def __init__(self) -> None:
        self.watcher = Watcher()

    def there(self, state: AppState) -> bool:
        return bool(state.watched.roots)

    def enter(self, app: AdapterList) -> None:
        if self.there(app.state):
            app.go(self.id)
        else:
            app.say("no training is watched: start with `inspector watch RUN`")

    def start(self, app: AdapterList) -> None:
        if self.there(app.state):
            self.watcher.start(app)

    def receive(self, app: AdapterList, message: ForView) -> None:
        self.watcher.take(app, message)

    def cycle(self, state: AppState, step: int) -> None:
        trajectory = state.watched.trajectory or Trajectory(())
        state.watched.metric = cycled(trajectory.metrics, state.watched.metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        against = ["--against", state.watched.against] if state.watched.against else []
        return ["inspector", "watch", *state.watched.roots, "--table", *against]

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        watched = state.watched
        curves = watched.curves
        head = [self._head(watched, area), *self._news(watched, area)]
        if not curves:
            return page([*head, *waiting(watched, area)], area.width, area.height)
        below = self._detail(watched, area)
        room = area.height - len(head) - len(below) - 1
        fits = room - min(len(curves), 3) >= _LEAST_PLOT
        height = max(min(len(curves), room - _LEAST_PLOT if fits else room), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), watched.row, height, len(curves))
        table = table_of(watched, top, height, area)
        drawn = plot(curves_of(watched, area.width), area.ink, area.width, room - height) if fits else []
        if not any(math.isfinite(value) for curve in curves for _, value in curve.values(watched.metric)):
            drawn = [*waiting(watched, area), *[Line()] * area.height][: max(room - height, 0)]
        return page([*head, *drawn, *table, *below], area.width, area.height)

    def _head(self, watched: Watched, area: Area) -> Line:
        """The metric, and how much of it there is."""
        each = together(watched, area.width)
        means = f", means of {each}" if each > 1 else ""
        line = Line(f" {title_of(watched, area.width)} over steps{means}", area.ink.bold)
        points = sum(len(curve.points) for curve in watched.curves)
        parts = [f" · {plural(len(watched.curves), 'run')}", f" · {plural(points, 'checkpoint')}"]
        if watched.missing:
            parts.insert(0, f" · measuring, {plural(watched.missing, 'number')} to go")
        for part in parts:
            if line.width + cell_len(part) <= area.width:
                line.add(part, area.ink.dim)
        return line

    def _news(self, watched: Watched, area: Area) -> list[Line]:
        """Who trains, has finished, has stopped; and what landed last."""
        if watched.trouble:
            return [Line(" " + part, area.ink.bad) for part in wrap(clean(watched.trouble), area.width - 2)]
        runs = [curve.run for curve in watched.curves]
        parts = []
        for kind in ("training", "stopped", "finished"):
            if these := [run for run in runs if run.state == kind]:
                names = ", ".join(clean(run.name) for run in these)
                parts.append(f"{kind} {names if len(names) <= area.width // 4 else len(these)}")
        if runs and watched.awaited:
            parts.append(f"waiting for {plural(len(watched.awaited), 'folder')}")
        if watched.trajectory and watched.trajectory.notes:
            parts.append(f"! {plural(len(watched.trajectory.notes), 'note')} (w)")
        if landed := [run for run in runs if run.points]:
            last = max(landed, key=lambda run: run.points[-1].landed)
            parts.append(f"last landed: {clean(last.name)} step {last.points[-1].step} at {clock(last)}")
        lines = [Line()]
        for part in parts:
            dot = " · " if lines[-1].width else " "
            if lines[-1].width + cell_len(dot + part) > area.width:
                lines.append(Line())
                dot = " "
            lines[-1].add(dot + part)
        return lines[: 2 if area.height > 14 else 1]

    def _detail(self, watched: Watched, area: Area) -> list[Line]:
        """The run under the cursor at the step under the cursor, in every metric, in two lines; then its milestones."""
        curve, step = watched.curves[watched.row], watched.at
        name, other = fit(clean(curve.run.name), area.width // 4), fit(clean(watched.against), area.width // 5)
        known = [at for at, _ in curve.values("norm")]
        if step not in known:
            step = known[-1] if known else None
        if step is None:
            return [Line(f" {name}: no checkpoint yet"), Line()]
        size = f"‖ΔW‖ {general(curve.at('norm', step))} · eff.rank {general(curve.at('effective_rank', step))}"
        cosines = [f"own last {shown('cosine', curve.at('cosine_final', step))}"]
        if other and watched.against != curve.run.name:
            last, same = (shown("cosine", curve.at(f"cosine_other_{which}", step)) for which in ("final", "step"))
            cosines.append(f"to {other}: last {last}, same step {same}")
        first = Line(" ").add(f"{name} step {step}", area.ink.bold).add(f" · {size}")
        loss = curve.at("loss", step)
        first.add("" if math.isnan(loss) else f" · loss {general(loss)}")
        first.add(" · the run's own" if step == curve.run.reported else "")
        lines = [first, Line(f" cosine: {' · '.join(cosines)}")]
        if area.height > 14 and not watched.missing and (told := milestones(curve)):
            lines += [Line(" " + part) for part in wrap(clean(" ".join(told)), area.width - 2)[:2]]
        return lines

    def move(self, state: AppState, step: int) -> None:
        state.watched.move(step)

    def table(self, state: AppState) -> Table:
        """Every number of every run, one a row."""
        trajectory = state.watched.trajectory
        found = tuple(tuple(map(clean, cells(row))) for row in rows(trajectory)) if trajectory else ()
        return Table(f"trajectory of {clean(some(state.watched.roots))}", COLUMNS, found)

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("norm", "effective_rank", "cosine")
