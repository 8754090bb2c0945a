"""The app: what was asked to be opened, and what arrives from the workers."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.command import Provider
from textual.worker import Worker, WorkerState

from inspector.study import Settings, Study
from inspector.tui import session
from inspector.tui.actions import applies
from inspector.tui.claiming import Claiming
from inspector.tui.commands import ActionCommands
from inspector.tui.editing import Editing
from inspector.tui.judged import NOTHING, Published
from inspector.tui.messages import Aligned, Filtered, Noted, Opened, OpeningDone, Progress, Snapshot, Stopped
from inspector.tui.mixing import Mixing
from inspector.tui.navigation import Navigation
from inspector.tui.output import Output
from inspector.tui.picking import Picking
from inspector.tui.plotting import warm_up
from inspector.tui.probes import Probing
from inspector.tui.shell import nobody
from inspector.tui.state import CLAIMS, TRAJECTORY, AppState
from inspector.tui.telling import Telling
from inspector.tui.text import clean
from inspector.tui.theme import THEMES, themes
from inspector.tui.watch import Watch

if TYPE_CHECKING:
    from inspector.adapters.given import Given
    from inspector.adapters.model import Adapter


class InspectorApp(Navigation, Editing, Picking, Output, Probing, Claiming, Watch, Mixing, Telling):
    """Sources are opened after the first frame; a study is shown as it is."""

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}

    def __init__(
        self,
        sources: Sequence[str] = (),
        *,
        study: Study | None = None,
        k: int = 10,
        watch: Sequence[str] = (),
        against: str = "",
        given: Given | None = None,
        published: Published = NOTHING,
    ) -> None:
        self.session = session.read()
        super().__init__(AppState.of(study or nobody(Settings(k=k)), k))
        session.restore_choices(self.session, self.state)
        if study is not None:
            self.state.k = study.settings.k
            session.restore_adapters(self.session, self.state)
        self.given = given
        self.published, self.reference = published, published.reference
        self.asked = list(sources) or ([] if study is not None or watch else self.session.sources)
        self.state.watched.roots, self.state.watched.against = tuple(watch), against
        if watch:
            self.state.view = TRAJECTORY
        self.arrived: list[tuple[tuple[int, int], Adapter]] = []
        for theme in themes():
            self.register_theme(theme)
        remembered = self.session.theme if self.session.theme in THEMES else THEMES[0]
        self.theme = "inspector-terminal" if self.no_color else remembered

    def on_mount(self) -> None:
        # A dropped connection, or `kill`: leave in order, so that the next start opens here.
        for name in ("SIGHUP", "SIGTERM"):
            if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), self._leave)
        if self.state.study.adapters and self.session.filter in self.state.study.projections:
            self.refilter(self.session.filter)
        again = self.session.claims if self.asked and self.asked == self.session.sources else ""
        if claims := self.published.claims or again:
            show = self.published.show or self.session.view == CLAIMS
            self.call_after_refresh(self.take_claims, claims, show=show)
        if self.asked:
            self.call_after_refresh(self.open_sources, self.asked)
        if self.state.watched.roots:
            self.start_watching()
        self.call_after_refresh(self.run_worker, warm_up, thread=True, group="warm-up", exit_on_error=False)

    def _leave(self) -> None:
        """Interrupted; the session first: what follows may fail on a terminal that is gone."""
        self._write_session()
        self.exit(return_code=130)

    def on_unmount(self) -> None:
        self._write_session()

    def _write_session(self) -> None:
        if self.state.size:
            session.write(session.of(self.state, self.theme if not self.no_color else self.session.theme))

    def watch_theme(self) -> None:
        self.call_after_refresh(self.repaint)

    # Keys

    def action_act(self, action_id: str) -> None:
        """Run one action of the table; what was said before it leaves the status line."""
        if applies(action_id, self.state.view):
            self.note = ("", "info")
            getattr(self, f"do_{action_id}")()
            self.repaint()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "act":
            return applies(str(parameters[0]), self.state.view)
        return super().check_action(action, parameters)

    # Opening

    def open_sources(self, sources: list[str]) -> None:
        """Read headers in the background, then measure; a saved study's own adapters are read again with them."""
        from inspector.tui.workers import open_all

        self.note = ("", "info")
        self.forget_removed()
        if self.state.study.adapters and not self.loaded:
            sources = [f"{info.name}={info.source}" for info in self.state.infos] + sources
        self.arrived = []
        what = clean(sources[0]) if len(sources) == 1 else f"{len(sources)} sources"
        self.progress = (f"opening {what}", 0, 0)
        taken, given = tuple(self.loaded), self.given
        self.start_work(
            lambda generation, cancelled: open_all(sources, given, taken, generation, self.post_message, cancelled)
        )
        if given is not None:
            self.given = replace(given, checkpoints=False)  # what is opened from now on is named
        self.state.opening = True
        self.repaint()

    def forget_removed(self) -> None:
        """Removed adapters are neither measured again nor do they keep their names."""
        state = self.state
        if state.order != tuple(range(len(state.study.adapters))):
            names = [info.name for info in state.infos]
            self.loaded = {name: self.loaded[name] for name in names if name in self.loaded}
            filter_ = state.filter
            state.replace_study(state.study.subset(state.order))
            self.refilter(filter_)
        self.undo.clear()

    def on_opened(self, message: Opened) -> None:
        if not self.current(message.generation):
            return
        self.arrived.append((message.order, message.adapter))
        if not self.state.study.blocks:
            self._show_headers()

    def _show_headers(self) -> None:
        """The list as far as it is known, before any number."""
        from inspector.tui.workers import headers_only

        everyone = [*self.loaded.values(), *self._arrivals()]
        self.state.order = ()
        self.state.replace_study(headers_only(everyone, Settings(k=self.state.k)))
        self.state.order = tuple(range(len(everyone)))
        self.repaint()

    def _arrivals(self) -> list[Adapter]:
        """What arrived, in the order of the sources."""
        return [adapter for _, adapter in sorted(self.arrived, key=lambda found: found[0])]

    def on_opening_done(self, message: OpeningDone) -> None:
        if not self.current(message.generation):
            return
        self.progress, self.state.opening = None, False
        for failure in message.failures:
            self.say(failure, "bad")
        if message.cancelled:
            self.say("opening cancelled: what was opened so far stays", "warn")
        fresh = {adapter.info.name: adapter for adapter in self._arrivals()}
        saved = bool(self.state.study.blocks) and not self.loaded
        if saved and not set(self.state.study.names) <= set(fresh):
            self.say("the adapters of this saved study could not all be read again: it stays as it is", "bad")
            self.ask_again = False
        elif fresh or (self.loaded and not self.state.study.blocks):
            first = not self.state.study.blocks
            self.loaded |= fresh
            if first:
                session.restore_adapters(self.session, self.state)
            if not self.open_reference():
                self.measure_again()
        self.repaint()

    # Results

    def on_progress(self, message: Progress) -> None:
        if self.current(message.generation):
            self.progress = (message.text, message.done, message.total)
            self.repaint("status")

    def on_aligned(self, message: Aligned) -> None:
        """From now on the adapters go by the ids of what is measured."""
        if self.current(message.generation):
            found = {adapter.info.name: adapter for adapter in message.adapters}
            self.loaded = {name: found.get(name, adapter) for name, adapter in self.loaded.items()}

    def on_snapshot(self, message: Snapshot) -> None:
        """A complete study replaces what is shown; a partial one only while nothing complete is there."""
        if not self.current(message.generation):
            return
        if message.complete:
            self.progress, self.complete = None, True
        elif self.complete and self.state.study.blocks:
            return
        else:
            self.complete = False
        filter_ = self.state.filter or (self.session.filter if not self.state.study.blocks else "")
        self.state.replace_study(self.carry(message.study))
        if filter_ in message.study.projections:
            self.refilter(filter_)
        if message.complete:
            self.state.k = message.study.settings.k
            self.ask_when_ready()
        self.repaint()

    def on_filtered(self, message: Filtered) -> None:
        state = self.state
        if message.serial == self.filterings and message.projection == state.filter:
            state.shown, state.pending = message.study, False
            self.repaint()

    def on_stopped(self, message: Stopped) -> None:
        if self.current(message.generation):
            self.progress, self.probing, self.ask_again = None, "", False
            self.state.k = self.state.study.settings.k
            self.say(message.text, message.tone)
            self.repaint()

    def on_noted(self, message: Noted) -> None:
        self.say(message.text, message.tone)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that failed in a way it did not foresee: said, and never waited for."""
        if event.state is WorkerState.ERROR:
            if event.worker is self.work:
                self.progress, self.probing, self.ask_again = None, "", False
            error = event.worker.error
            self.say(f"The work in the background failed: {type(error).__name__}: {error}", "bad")

    def do_cancel(self) -> None:
        if self.progress is None:
            return
        self.stop.set()
        self.progress = ("stopping", 0, 0)


def run_app(
    sources: Sequence[str],
    *,
    study: Study | None = None,
    k: int = 10,
    watch: Sequence[str] = (),
    against: str = "",
    given: Given | None = None,
    published: Published = NOTHING,
) -> int:
    """Open the app on sources, on a saved study, or on folders of runs to watch; the exit code."""
    app: App[int] = InspectorApp(
        sources, study=study, k=k, watch=watch, against=against, given=given, published=published
    )
    app.run(mouse=False)
    return app.return_code or 0
