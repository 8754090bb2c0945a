"""The one piece of work in the background: how it is started, counted and stopped, and what it reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from textual.worker import Worker, WorkerState, get_current_worker

from inspector.insights.pairwise import within_bases
from inspector.study.study import Settings
from inspector.tui import workers
from inspector.tui.messages import Filtered, Noted, Progress, Stopped
from inspector.tui.shell import Shell

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.adapters.options import ReadOptions


class Work(Shell):
    """Workers compute and post messages; what they bring is shown here."""

    read_options: ReadOptions | None = None
    """What the readers may need beside the sources."""
    loaded: Mapping[str, Adapter] = MappingProxyType({})
    """Adapters whose weights can be measured again, by name; empty for a saved study."""
    generation = 0
    filterings = 0
    complete = True
    once_measured: Callable[[], None] | None = None
    """What waits for the adapters of a saved study to be read and measured again."""
    work: Worker[Any] | None = None
    stop = threading.Event()
    """Asks the newest work to end. A worker that is cancelled before its thread begins would never say so."""

    def start_work(self, job: Callable[[int, workers.Post, workers.Cancelled], None], probing: str = "") -> None:
        """Run a job in a thread as the newest generation: what older ones still send is dropped."""
        if self.state.probing:
            self.say("the probe gave way: what it measured so far stays", "warn")
        self.generation += 1
        self.state.opening = ""
        generation, stop = self.generation, threading.Event()
        self.stop, self.state.probing = stop, probing
        if self.work is not None:
            self.work.cancel()

        def run() -> None:
            worker = get_current_worker()
            job(generation, self.post_message, lambda: stop.is_set() or worker.is_cancelled)

        self.work = self.run_worker(run, thread=True, group="work", exit_on_error=False)

    def current(self, generation: int) -> bool:
        """Whether a message belongs to the work the user is waiting for."""
        return generation == self.generation

    def measure_again(self) -> None:
        """Measure every loaded adapter in the background; what is shown stays until the result is complete."""
        adapters = list(self.loaded.values())
        settings = Settings(k=self.state.k, device="auto", reading=self.read_options.words if self.read_options else ())
        self.progress = ("starting", 0, 0)
        self.start_work(partial(workers.measure, adapters, settings))
        self.repaint("status")

    def refilter(self, projection: str) -> None:
        """Show the numbers of one projection's modules, or of all."""
        self.state.filter = projection
        self.filterings += 1
        if not projection or not self.state.study.blocks:
            self.state.shown, self.state.pending = self.state.study, False
            return
        self.state.pending = True
        job = partial(workers.filter_study, self.state.study, projection, self.filterings, self.post_message)
        self.run_worker(job, thread=True, group="filter", exclusive=True, exit_on_error=False)

    def cancel(self) -> None:
        """Ask the work in progress to end; what is there stays."""
        if self.progress is not None:
            self.stop.set()
            self.progress = ("stopping", 0, 0)

    def _ended(self) -> None:
        self.progress, self.state.probing, self.once_measured = None, "", None

    def on_progress(self, message: Progress) -> None:
        if self.current(message.generation):
            self.progress = (message.text, message.done, message.total)
            self.repaint("status")

    def on_filtered(self, message: Filtered) -> None:
        state = self.state
        if message.serial == self.filterings and message.projection == state.filter:
            state.shown, state.pending = within_bases(message.study), False
            self.repaint()

    def on_stopped(self, message: Stopped) -> None:
        if self.current(message.generation):
            self._ended()
            self.state.k = self.state.study.settings.k
            self.say(message.text, message.tone)
            self.repaint()

    def on_noted(self, message: Noted) -> None:
        self.say(message.text, message.tone)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that failed in a way it did not foresee: said, and never waited for."""
        if event.state is WorkerState.ERROR:
            if event.worker is self.work:
                self._ended()
            error = event.worker.error
            self.say(f"The work in the background failed: {type(error).__name__}: {error}", "bad")
