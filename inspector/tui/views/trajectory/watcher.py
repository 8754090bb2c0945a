"""A watched training in the app: looked at every two seconds, measured in a thread, never in the way.

The other views show adapters that stand still: those that were newest when the app had measured them first, until
`enter` takes the newest again. A checkpoint that lands changes the trajectory alone, not what someone is reading.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message
from textual.worker import Worker, get_current_worker

from inspector.common.errors import CancelledError, InspectorError
from inspector.study.study import Settings
from inspector.trajectory.alarms import KINDS as ALARMS
from inspector.trajectory.alarms import alarms
from inspector.trajectory.result import Trajectory
from inspector.trajectory.runs import Run, Scanner
from inspector.tui.actions import Action
from inspector.tui.adapter_list import AdapterList, nobody
from inspector.tui.messages import ForView
from inspector.tui.text import clean
from inspector.tui.workers import Cancelled, Post

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions
    from inspector.trajectory.measure import Meter

EVERY = 2.0
"""Seconds between two looks at the folders."""


@dataclass
class Landed(ForView):
    """What a watched training has come to; `missing` numbers are still being measured."""

    view: ClassVar[str] = "trajectory"
    trajectory: Trajectory
    missing: int = 0

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Landed)


@dataclass
class LandingFailed(ForView):
    """Why the watched folder could not be looked at, in words."""

    view: ClassVar[str] = "trajectory"
    text: str


class Meters:
    """The one Meter of the app, made by the first thread that asks: it keeps what it has measured."""

    def __init__(self, read_options: ReadOptions | None = None) -> None:
        self._read_options = read_options
        self._lock = threading.Lock()
        self._meter: Meter | None = None

    def get(self) -> Meter:
        from inspector.adapters.options import DEFAULTS
        from inspector.trajectory.measure import Meter

        with self._lock:
            self._meter = self._meter or Meter(self._read_options or DEFAULTS)
            return self._meter


def follow(
    scanner: Scanner, meters: Meters, against: str, shown: Trajectory | None, post: Post, cancelled: Cancelled
) -> None:
    """One look at a watched folder: what is new is measured; where nothing is, nothing is posted."""
    try:
        runs = scanner.scan(time.time())
        if shown is not None and shown.against == against and [curve.run for curve in shown.curves] == list(runs):
            return
        done = meters.get().update(
            runs, against, partial=lambda so_far, missing: post(Landed(so_far, missing)), cancelled=cancelled
        )
        post(Landed(done))
    except CancelledError:
        return
    except InspectorError as error:
        post(LandingFailed(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a reader or torch raises must not end the app
        post(LandingFailed(f"The watch stumbled: {type(error).__name__}: {error}"))


class Watcher:
    """The one background worker of the view, and what it found."""

    def __init__(self) -> None:
        self._worker: Worker[Any] | None = None
        self._meters = Meters()
        self._opened_newest = False
        self.scanner: Scanner | None = None

    def start(self, app: AdapterList) -> None:
        """From now on the folders are looked at."""
        self.scanner = Scanner(*map(Path, app.state.watched.roots), wait=True)
        self._meters = Meters(app.read_options)
        app.state.watched.awaited = tuple(map(str, self.scanner.awaited))
        app.set_interval(EVERY, partial(self.look, app))
        app.call_after_refresh(self.look, app)

    def look(self, app: AdapterList, *, anew: bool = False) -> None:
        """Measure what is new, unless that is being done; `anew`: the question has changed, begin again."""
        if self.scanner is None or (self._worker is not None and self._worker.is_running and not anew):
            return
        scanner, watched, meters = self.scanner, app.state.watched, self._meters
        if watched.awaited != (awaited := tuple(map(str, scanner.awaited))):
            watched.awaited = awaited
            app.repaint()
        shown = watched.trajectory if not watched.missing and not watched.trouble else None
        against = watched.against

        def run() -> None:
            worker = get_current_worker()
            follow(scanner, meters, against, shown, app.post_message, lambda: worker.is_cancelled)

        self._worker = app.run_worker(run, thread=True, group="watch", exclusive=True, exit_on_error=False)

    def take(self, app: AdapterList, message: ForView) -> None:
        """Show what it found."""
        if isinstance(message, Landed):
            self._landed(app, message)
        elif isinstance(message, LandingFailed) and app.state.watched.trouble != message.text:
            app.state.watched.trouble = message.text
            app.say(message.text, "bad")
            app.repaint()

    def _landed(self, app: AdapterList, message: Landed) -> None:
        """Show it, and say in words what is new."""
        watched = app.state.watched
        before, against = watched.trajectory, watched.against
        if before is not None and message.trajectory.against != against:
            return  # of a question that has changed since
        watched.take(message.trajectory, message.missing)
        known = {curve.run.name: curve for curve in before.curves} if before else {}
        for curve in message.trajectory.curves if before else ():
            old, name = known.get(curve.run.name), clean(curve.run.name)
            if curve.run.state == "finished" and (old is None or old.run.state != "finished"):
                app.say(f"{name} has finished: {curve.run.step} steps", "good")
            elif len(curve.run.points) > len(old.run.points if old else ()):
                app.say(f"{name}: step {curve.run.points[-1].step} landed · ⏎ opens it in the other tabs")
        _tell_new(app, before, message.trajectory)
        if watched.against != against:
            self.look(app, anew=True)
        elif not message.missing and not self._opened_newest and any(run.newest for run in _runs(app)):
            self._open_newest(app)
        app.repaint()

    def step_other(self, app: AdapterList, step: int) -> None:
        """Take cosines with the next or previous run."""
        watched = app.state.watched
        before = watched.against
        watched.step_other(step)
        if watched.against == before:
            app.say("there is no other run to compare with")
            return
        app.say(f"cosines with {clean(watched.against)}")
        self.look(app, anew=True)

    def take_newest(self, app: AdapterList) -> None:
        """What the user asks for."""
        if any(run.newest for run in _runs(app)):
            self._open_newest(app)
            app.say("the other views open the newest of every run")
        else:
            app.say("there is no checkpoint yet")

    def compare(self, app: AdapterList) -> None:
        """Mark a checkpoint; with the second one, open the two alone and show the pair."""
        watched = app.state.watched
        if (two := watched.mark()) is not None:
            self._open_alone(app, [f"{p.run}@{p.step}".replace("=", "-") + f"={p.folder}" for p in two])
            app.go("pair")
        elif watched.marked:
            name, step = watched.marked
            app.say(f"{clean(name)} step {step} is marked: space on another checkpoint compares the two")
        else:
            app.say("nothing is marked" if watched.point else "there is no checkpoint of this run at this step")

    def _open_newest(self, app: AdapterList) -> None:
        """Open the newest adapter of every run, in place of older ones of the same name; others stay."""
        self._opened_newest = True
        newest = {run.name.replace("=", "-"): run.newest for run in _runs(app) if run.newest}  # NAME=SOURCE
        sources = [f"{name}={path}" for name, path in newest.items()]
        others = [f"{info.name}={info.source}" for info in app.state.infos if info.name not in newest]
        self._open_alone(app, sources + others)

    def _open_alone(self, app: AdapterList, sources: list[str]) -> None:
        """Open these in place of what is open."""
        app.loaded = {}
        app.undo.clear()
        app.state.replace_study(nobody(Settings(k=app.state.k)))
        app.open_sources(sources)


def _runs(app: AdapterList) -> list[Run]:
    """The watched runs as they were last seen."""
    return [curve.run for curve in app.state.watched.curves]


def _tell_new(app: AdapterList, before: Trajectory | None, now: Trajectory) -> None:
    for line in now.findings:
        if before is None or line not in before.findings:
            app.say(line, "warn")
    for note in now.notes:
        if before is None or note not in before.notes:
            app.say(note, "bad")
    known = {} if before is None else {curve.run.name: curve for curve in before.curves}
    for curve in now.curves:
        old = known.get(curve.run.name)
        kinds = {alarm.kind for alarm in alarms(old.history, list(ALARMS))} if old and old.history else set()
        for alarm in alarms(curve.history, list(ALARMS)) if curve.history else ():
            if alarm.kind not in kinds:
                app.say(f"{clean(curve.run.name)}: {clean(str(alarm))}", "bad")


KEYS = (
    Action("step_back", "left h", "step −", "the checkpoint before",
           lambda _, app: app.state.watched.scrub(-1), 60, "←/→", "step"),
    Action("step_on", "right l", "step +", "the next checkpoint; after the last one the newest is followed",
           lambda _, app: app.state.watched.scrub(1)),
    Action("next_other", "n", "other run", "the next run that cosines are taken with",
           lambda view, app: view.watcher.step_other(app, 1), 70, "n/N"),
    Action("previous_other", "N", "previous other run", "the one before",
           lambda view, app: view.watcher.step_other(app, -1)),
    Action("compare", "space", "compare", "mark this checkpoint; on a second one, show the two as a pair",
           lambda view, app: view.watcher.compare(app), 85),
    Action("take_newest", "enter", "open newest",
           "open the newest adapter of every run in the other tabs, in place of older ones of the same runs",
           lambda view, app: view.watcher.take_newest(app), 90),
)  # fmt: skip
