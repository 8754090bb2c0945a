"""Who is compared: adapters as they are opened, measured and run, and the numbers that arrive of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from inspector.claims.model import ClaimSet
from inspector.common.assets import DEMO, demo_sources
from inspector.common.errors import InspectorError
from inspector.common.text import duration
from inspector.study.probe_results import carried
from inspector.study.study import Settings, Study
from inspector.tui import session, workers
from inspector.tui.hub_picker.choose import Pick
from inspector.tui.hub_picker.dialog import Picker
from inspector.tui.messages import Aligned, Opened, OpeningDone, Probed, Snapshot
from inspector.tui.opening.saved import StudyRead, read_demo, read_study
from inspector.tui.session import Session
from inspector.tui.text import clean, plural
from inspector.tui.work import Work

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def nobody(settings: Settings | None = None) -> Study:
    """The study of no adapter."""
    return Study((), (), np.zeros((0, 0, 2), dtype=np.int64), settings or Settings())


def named(sources: Sequence[str]) -> str:
    """The one source, or how many there are."""
    return clean(sources[0]) if len(sources) == 1 else f"{len(sources)} sources"


class AdapterList(Work):
    """Opens adapters and measures them; the last session says in which order they were."""

    reference: ClaimSet | None = None
    """The set whose adapters are still to be opened beside one's own."""
    session = Session()
    """What the last start left."""
    probers = workers.Probers()
    arrived: Sequence[tuple[tuple[int, int], Adapter]] = ()

    # Opening

    def open_sources(self, sources: list[str]) -> None:
        """Read headers in the background, then measure; a saved study's own adapters are read again with them."""
        self.note = ("", "info")
        self.forget_removed()
        if self.state.study.adapters and not self.loaded:
            sources = [f"{info.name}={info.source}" for info in self.state.infos] + sources
        self._begin(named(sources), partial(workers.open_all, sources, self.read_options, tuple(self.loaded)))
        if self.read_options is not None:
            self.read_options = replace(self.read_options, checkpoints=False)  # what is opened from now on is named

    def open_demo(self) -> None:
        """The bundled adapters with the study that ships; beside others they are measured with them."""
        if self.state.study.adapters:
            self.open_sources(demo_sources())
        else:
            self._begin(plural(len(DEMO), "adapter"), read_demo)

    def open_study(self, path: str) -> None:
        """Show a saved study; beside others it has no place, for its numbers are of its own adapters alone."""
        if self.state.arrangement or self.progress is not None:
            self.say(f"others are open: a saved study opens alone, by `inspector {clean(path)}`", "warn")
        else:
            self._begin(clean(path), partial(read_study, path))

    def _begin(self, what: str, job: Callable[[int, workers.Post, workers.Cancelled], None]) -> None:
        self.arrived = ()
        self.state.search("adapters", "")  # or what is opened may stay out of sight
        self.progress = (f"reading {what}", 0, 0)
        self.start_work(job)
        self.state.opening = what
        self.repaint()

    def on_study_read(self, message: StudyRead) -> None:
        if not self.current(message.generation):
            return
        state, shipped = self.state, message.study.settings.k
        self.progress, state.opening, self.complete = None, "", True
        self.loaded = {adapter.info.name: adapter for adapter in message.adapters}
        state.replace_study(message.study)
        session.restore_adapters(self.session, state)
        self.refilter(self.session.filter if self.session.filter in state.study.projections else "")
        if not message.adapters:
            state.k = shipped
        elif state.k == shipped:
            self.say("every number is of the study that ships with the demo · p runs the base again")
        else:
            self.say(f"the study that ships with the demo has k = {shipped}: measuring with k = {state.k}")
            self.measure_again()
        self.repaint()

    def forget_removed(self) -> None:
        """Removed adapters are neither measured again nor do they keep their names."""
        state = self.state
        if state.arrangement != tuple(range(len(state.study.adapters))):
            names = [state.study.names[at] for at in state.arrangement]
            self.loaded = {name: self.loaded[name] for name in names if name in self.loaded}
            filter_ = state.filter
            state.replace_study(state.study.subset(state.arrangement))
            self.refilter(filter_)
        self.undo.clear()

    def on_pick(self, message: Pick) -> None:
        """A repo holds several adapters: show the list; the worker waits for the answer."""
        if not self.current(message.generation):
            return

        def chosen(rows: tuple[int, ...] | None) -> None:
            message.answer.set_result(rows or ())
            if not rows:
                self.say(f"nothing of {message.source} was opened")

        self.push_screen(Picker(message.source, message.rows, self.ink), chosen)

    def on_opened(self, message: Opened) -> None:
        if not self.current(message.generation):
            return
        self.arrived = [*self.arrived, (message.order, message.adapter)]
        if not self.state.study.blocks:
            self._show_headers()

    def _show_headers(self) -> None:
        """The list as far as it is known, before any number."""
        everyone = [*self.loaded.values(), *self._arrivals()]
        self.state.arrangement = ()
        self.state.replace_study(workers.headers_only(everyone, Settings(k=self.state.k)))
        self.state.arrangement = tuple(range(len(everyone)))
        self.repaint()

    def _arrivals(self) -> list[Adapter]:
        """What arrived, in the order of the sources."""
        return [adapter for _, adapter in sorted(self.arrived, key=lambda found: found[0])]

    def on_opening_done(self, message: OpeningDone) -> None:
        if not self.current(message.generation):
            return
        self.progress, self.state.opening = None, ""
        for failure in message.failures:
            self.say(failure, "bad")
        if message.cancelled:
            self.say("opening cancelled: what was opened so far stays", "warn")
        fresh = {adapter.info.name: adapter for adapter in self._arrivals()}
        saved = bool(self.state.study.blocks) and not self.loaded
        if saved and not set(self.state.study.names) <= set(fresh):
            self.say("the adapters of this saved study could not all be read again: it stays as it is", "bad")
            self.once_measured = None
        elif fresh or (self.loaded and not self.state.study.blocks):
            first = not self.state.study.blocks
            self.loaded = {**self.loaded, **fresh}
            if first:
                session.restore_adapters(self.session, self.state)
            if not self.open_reference():
                self.measure_again()
        self.repaint()

    def open_reference(self) -> bool:
        """Open published adapters beside one's own, unless no base is shared; whether something is on its way."""
        claims, self.reference = self.reference, None
        if claims is None:
            return False
        from inspector.workflows.reference import compared

        try:
            own, sources = compared(claims, list(self.loaded.values()), lambda text: self.say(text, "warn"))
        except InspectorError as error:
            self.say(str(error), "bad")
            return False
        self.loaded = {adapter.info.name: adapter for adapter in own}
        if sources:
            self.open_sources(list(sources))
        return bool(sources)

    # Numbers

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
        self.state.replace_study(carried(self.state.study, message.study))
        if filter_ in message.study.projections:
            self.refilter(filter_)
        if message.complete:
            self.state.k = message.study.settings.k
            waiting, self.once_measured = self.once_measured, None
            if waiting and self.loaded:
                waiting()
        self.repaint()

    def on_probed(self, message: Probed) -> None:
        """Numbers of the run the user waits for; renamed and reordered adapters stay as they are."""
        if not self.current(message.generation):
            return
        self.take(message.study)
        if message.complete:
            what, self.state.probing, self.progress = self.state.probing, "", None
            shows = next(view for view in self.views.values() if view.probe == what)
            here = "" if self.view.probe == what else f" · {shows.tab} {shows.title} shows it"
            self.say(f"measured in {duration(message.seconds)}{here}", "good")
        self.repaint()

    def take(self, study: Study) -> None:
        """Show a probe's study in place of the one it was made from."""
        state, filter_ = self.state, self.state.filter
        infos = state.study.adapters
        if len(infos) == len(study.adapters):  # a probe changes no adapter, but its user may have renamed one
            study = replace(study, adapters=infos)
        shown, same = state.shown, state.layers == study.layers
        state.replace_study(study)
        if filter_:
            if same:
                state.shown = shown  # until the new one is filtered
            self.refilter(filter_)
