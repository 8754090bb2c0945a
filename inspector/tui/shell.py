"""The app's frame: five painted areas over one state, and how work is started, counted and stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.strip import Strip
from textual.worker import Worker, get_current_worker

from inspector.study import Settings, Study
from inspector.tui import actions
from inspector.tui.actions import BY_ID
from inspector.tui.messages import Tone
from inspector.tui.screens import small
from inspector.tui.screens.accuracy import AccuracyView
from inspector.tui.screens.adapters import AdaptersView
from inspector.tui.screens.angles import AnglesView
from inspector.tui.screens.base import Area, View
from inspector.tui.screens.basins import BasinsView
from inspector.tui.screens.cka import CkaView
from inspector.tui.screens.claims import ClaimsView
from inspector.tui.screens.layers import LayersView
from inspector.tui.screens.map import MapView
from inspector.tui.screens.merge import MergeView
from inspector.tui.screens.objectives import ObjectivesView
from inspector.tui.screens.pair import PairView
from inspector.tui.screens.sensitivity import SensitivityView
from inspector.tui.screens.size import SizeView
from inspector.tui.screens.summary import SummaryView
from inspector.tui.screens.trajectory import TrajectoryView
from inspector.tui.state import AppState
from inspector.tui.text import clean, plural
from inspector.tui.theme import Ink, ink_for
from inspector.tui.undoing import Before
from inspector.tui.widgets.chrome import paint_keys, paint_status, paint_tabs
from inspector.tui.widgets.layer_slider import paint_slider
from inspector.tui.widgets.painted import Painted

if TYPE_CHECKING:
    from inspector.adapters.given import Given
    from inspector.adapters.model import Adapter


def nobody(settings: Settings | None = None) -> Study:
    return Study((), (), np.zeros((0, 0, 2), dtype=np.int64), settings or Settings())


class MainScreen(Screen[None]):
    """The one screen under the dialogs: its keys are the action table."""

    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings()]

    def __init__(self, app: Shell) -> None:
        super().__init__(id="main")
        self._shell = app

    def compose(self) -> ComposeResult:
        yield from self._shell.areas()

    def on_key(self, event: events.Key) -> None:
        """A key that no action of this view has: said, not swallowed; nothing for the log."""
        shell = self._shell
        shell.note = (f"{actions.named(event)} does nothing in {shell.view.title}: ? lists the keys", "info")
        shell.repaint("status")


class Shell(App[int]):
    """State, areas and workers; what the keys do is in the classes on top of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", show=False, priority=True),  # in dialogs too
    ]
    CSS_PATH = "app.tcss"
    TITLE = "adapter-inspector"
    given: Given | None = None
    """What the readers may need beside the sources."""

    def __init__(self, state: AppState) -> None:
        # With colours off, Textual only turns them grey unless they are the terminal's own.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.animation_level = "none"
        self.state = state
        self.views: dict[str, View] = {
            view.id: view
            for view in (
                AdaptersView(),
                MapView(),
                LayersView(),
                AnglesView(),
                SizeView(),
                PairView(),
                ObjectivesView(),
                BasinsView(),
                CkaView(),
                AccuracyView(),
                MergeView(),
                SensitivityView(),
                SummaryView(),
                ClaimsView(),
                TrajectoryView(),
            )
        }
        self.loaded: dict[str, Adapter] = {}
        """Adapters whose weights can be measured again, by name; empty for a saved study."""
        self.generation = 0
        self.filterings = 0
        self.complete = True
        self.progress: tuple[str, int, int] | None = None
        self.note: tuple[str, Tone] = ("", "info")
        self.log_lines: list[tuple[str, Tone]] = []
        self.unread = 0
        """Errors since the log was last read."""
        self.undo: list[Before] = []
        self.work: Worker[Any] | None = None
        self.stop = threading.Event()
        """Asks the newest work to end. A worker that is cancelled before its thread begins would never say so."""

    # Painting

    @property
    def ink(self) -> Ink:
        return ink_for(self.theme, coloured=not self.no_color)

    @property
    def view(self) -> View:
        return self.views[self.state.view]

    def get_driver_class(self) -> type[Driver]:
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":  # Windows; the browser
            return found
        from inspector.tui.terminal import TerminalDriver

        return TerminalDriver

    @on(Driver.SignalResume)
    def continued(self) -> None:
        """The alternate screen is empty when the terminal comes back."""
        self.screen.refresh(layout=True)

    def get_default_screen(self) -> Screen[None]:
        return MainScreen(self)

    def areas(self) -> ComposeResult:
        yield Painted(self._paint_tabs, id="tabs")
        yield Painted(self._paint_body, id="body")
        yield Painted(lambda width, _h: paint_slider(self.state, self.ink, width), id="slider")
        yield Painted(self._paint_status, id="status")
        yield Painted(lambda width, _h: paint_keys(actions.footer(self.state.view), self.ink, width), id="keys")

    def _paint_tabs(self, width: int, _height: int) -> list[Strip]:
        tabs = self.state.tabs
        labelled = [(BY_ID[f"go_{view}"].keys, self.views[view].title) for view in tabs]
        return paint_tabs(labelled, tabs.index(self.state.view), self.ink, width)

    def _paint_body(self, width: int, height: int) -> list[Strip]:
        area = Area(self.ink, width, height)
        if self.size.width < small.SMALLEST[0] or self.size.height < small.SMALLEST[1]:
            return small.paint(self.state, (self.size.width, self.size.height), area)
        return self.view.paint(self.state, area)

    def _paint_status(self, width: int, _height: int) -> list[Strip]:
        state = self.state
        counts = f"{plural(state.size, 'adapter')} · {plural(len(state.pairs), 'pair')}"
        if state.study.modules:
            part = "" if state.measured else f"{state.known_so_far} of "
            counts += f" · {part}{plural(len(state.study.modules), 'module')}"
        return paint_status(self.progress, self.note, self.unread, counts, self.ink, width)

    def repaint(self, *ids: str) -> None:
        """Paint again; only cells that changed are sent."""
        if not self.is_running or not self.screen_stack:
            return
        self.prepare()
        for area in self.screen_stack[0].query(Painted):
            if not ids or area.id in ids:
                area.repaint()

    def prepare(self) -> None:
        """Begin what a view needs and takes long, before it is painted."""

    def say(self, text: str, tone: Tone = "info") -> None:
        """Report in the status line until the next key; the log keeps it, and counts the errors nobody has read."""
        text = clean(" ".join(text.split()))
        self.note = (text, tone)
        if text:
            self.log_lines.append((text, tone))
            self.unread += tone == "bad"
        self.repaint("status")

    def remember(self, what: str) -> None:
        """Keep the list and the weights for undo, before `what` changes them."""
        self.undo.append(Before.of(self.state, what))
        del self.undo[:-200]

    # Work

    def start_work(self, job: Callable[[int, Callable[[], bool]], None]) -> None:
        """Run a job in a thread as the newest generation: what older ones still send is dropped."""
        self.generation += 1
        self.state.opening = False
        generation, stop = self.generation, threading.Event()
        self.stop = stop
        if self.work is not None:
            self.work.cancel()

        def run() -> None:
            worker = get_current_worker()
            job(generation, lambda: stop.is_set() or worker.is_cancelled)

        self.work = self.run_worker(run, thread=True, group="work", exit_on_error=False)

    def action_help_quit(self) -> None:
        """Ctrl-C, which in a terminal stops something: what does."""
        self.say("esc stops the work in progress, q leaves")

    def current(self, generation: int) -> bool:
        """Whether a message belongs to the work the user is waiting for."""
        return generation == self.generation

    def measure_again(self) -> None:
        """Measure every loaded adapter in the background; what is shown stays until the result is complete."""
        from inspector.tui.workers import measure

        adapters = list(self.loaded.values())
        settings = Settings(k=self.state.k, device="auto", reading=self.given.words if self.given else ())
        self.progress = ("starting", 0, 0)
        self.start_work(
            lambda generation, cancelled: measure(adapters, settings, generation, self.post_message, cancelled)
        )
        self.repaint("status")

    def refilter(self, projection: str) -> None:
        """Show the numbers of one projection's modules, or of all."""
        from inspector.tui.workers import filter_study

        self.state.filter = projection
        self.filterings += 1
        if not projection or not self.state.study.blocks:
            self.state.shown, self.state.pending = self.state.study, False
            return
        self.state.pending = True
        job = partial(filter_study, self.state.study, projection, self.filterings, self.post_message)
        self.run_worker(job, thread=True, group="filter", exclusive=True, exit_on_error=False)
