"""A watched training in the app: looked at every two seconds, measured in a thread, never in the way.

The other views show adapters that stand still: those that were newest when the app had measured them first, until
`enter` takes the newest again. A checkpoint that lands changes the trajectory alone, not what someone is reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.worker import Worker, get_current_worker

from inspector.study import Settings
from inspector.trajectory.result import Trajectory
from inspector.trajectory.runs import Run, Scanner
from inspector.tui.messages import Landed, LandingFailed
from inspector.tui.shell import Shell, nobody
from inspector.tui.state import TRAJECTORY
from inspector.tui.text import clean
from inspector.tui.workers import Meters

EVERY = 2.0
"""Seconds between two looks at the folders."""


class Watch(Shell):
    """Handlers of the view of a training, and its one background worker."""

    watcher: Worker[Any] | None = None
    scanner: Scanner | None = None
    meters = Meters()
    opened_newest = False

    def start_watching(self) -> None:
        """From now on the folders are looked at."""
        self.scanner = Scanner(*map(Path, self.state.watched.roots), wait=True)
        self.meters = Meters(self.given)
        self.state.watched.awaited = tuple(map(str, self.scanner.awaited))
        self.set_interval(EVERY, self.look)
        self.call_after_refresh(self.look)

    def look(self, *, anew: bool = False) -> None:
        """Measure what is new, unless that is being done; `anew`: the question has changed, begin again."""
        from inspector.tui.workers import follow

        if self.scanner is None or (self.watcher is not None and self.watcher.is_running and not anew):
            return
        scanner, watched, meters = self.scanner, self.state.watched, self.meters
        if watched.awaited != (awaited := tuple(map(str, scanner.awaited))):
            watched.awaited = awaited
            self.repaint()
        shown = watched.trajectory if not watched.missing and not watched.trouble else None
        against = watched.against

        def run() -> None:
            worker = get_current_worker()
            follow(scanner, meters, against, shown, self.post_message, lambda: worker.is_cancelled)

        self.watcher = self.run_worker(run, thread=True, group="watch", exclusive=True, exit_on_error=False)

    def on_landed(self, message: Landed) -> None:
        """Show it, and say in words what is new."""
        watched = self.state.watched
        before, against = watched.trajectory, watched.against
        if before is not None and message.trajectory.against != against:
            return  # of a question that has changed since
        watched.take(message.trajectory, message.missing)
        known = {curve.run.name: curve for curve in before.curves} if before else {}
        for curve in message.trajectory.curves if before else ():
            old, name = known.get(curve.run.name), clean(curve.run.name)
            if curve.run.state == "finished" and (old is None or old.run.state != "finished"):
                self.say(f"{name} has finished: {curve.run.step} steps", "good")
            elif len(curve.run.points) > len(old.run.points if old else ()):
                self.say(f"{name}: step {curve.run.points[-1].step} landed · ⏎ takes it to views 1–6")
        self._tell_new(before, message.trajectory)
        if watched.against != against:
            self.look(anew=True)
        elif not message.missing and not self.opened_newest and any(run.newest for run in self.runs):
            self.take_newest()
        self.repaint()

    def _tell_new(self, before: Trajectory | None, now: Trajectory) -> None:
        for line in now.findings:
            if before is None or line not in before.findings:
                self.say(line, "warn")
        for note in now.notes:
            if before is None or note not in before.notes:
                self.say(note, "bad")

    def on_landing_failed(self, message: LandingFailed) -> None:
        if self.state.watched.trouble != message.text:
            self.state.watched.trouble = message.text
            self.say(message.text, "bad")
            self.repaint()

    @property
    def runs(self) -> list[Run]:
        """The watched runs as they were last seen."""
        return [curve.run for curve in self.state.watched.curves]

    # Keys

    def do_go_trajectory(self) -> None:
        if self.state.watched.roots:
            self.go(TRAJECTORY)
        else:
            self.say("no training is watched: start with `inspector watch RUN`")

    def do_step_back(self) -> None:
        self.state.watched.scrub(-1)

    def do_step_on(self) -> None:
        self.state.watched.scrub(1)

    def do_next_other(self) -> None:
        self._step_other(1)

    def do_previous_other(self) -> None:
        self._step_other(-1)

    def _step_other(self, step: int) -> None:
        before = self.state.watched.against
        self.state.watched.step_other(step)
        if self.state.watched.against == before:
            self.say("there is no other run to compare with")
            return
        self.say(f"cosines with {clean(self.state.watched.against)}")
        self.look(anew=True)

    def do_take_newest(self) -> None:
        if any(run.newest for run in self.runs):
            self.take_newest()
            self.say("the other views open the newest of every run")
        else:
            self.say("there is no checkpoint yet")

    def take_newest(self) -> None:
        """Open the newest adapter of every run, in place of older ones of the same name; others stay."""
        self.opened_newest = True
        newest = {run.name.replace("=", "-"): run.newest for run in self.runs if run.newest}  # NAME=SOURCE
        sources = [f"{name}={path}" for name, path in newest.items()]
        others = [f"{info.name}={info.source}" for info in self.state.infos if info.name not in newest]
        self.loaded = {}
        self.undo.clear()
        self.state.replace_study(nobody(Settings(k=self.state.k)))
        self.open_sources(sources + others)

    def go(self, view: str) -> None:
        raise NotImplementedError

    def open_sources(self, sources: list[str]) -> None:
        raise NotImplementedError
