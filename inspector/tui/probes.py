"""The key that runs the base model: what to ask, when it may run, and what arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.results import carried
from inspector.study import Study
from inspector.tui.messages import Probed
from inspector.tui.screens.basins import items
from inspector.tui.screens.dialogs import Confirm
from inspector.tui.screens.probe_dialog import Asked, ProbeDialog, Scene
from inspector.tui.shell import Shell
from inspector.tui.text import plural
from inspector.tui.workers import Probers

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.probing import Request

OF_VIEW = {"basins": "lmc", "cka": "cka", "accuracy": "accuracy", "size": "intruders"}
"""View -> what its key runs; elsewhere the last choice stands first."""
SHOWN_IN = {"lmc": "8", "cka": "9", "accuracy": "0", "intruders": "5"}


class Probing(Shell):
    """Handlers around the one background run of the base model."""

    probers = Probers()
    probing = ""
    """What runs, empty while nothing does."""
    ask_again = False
    """Whether the dialog was asked for before the adapters of a saved study were open."""

    def do_probe(self) -> None:
        """Ask what to run, once everything it needs is there."""
        state = self.state
        if self.progress is not None:
            what = "a probe runs already" if self.probing else "the adapters are still being read and measured"
            self.say(f"{what}: wait for it, or esc cancels it", "warn")
        elif not state.size:
            self.say("nothing is open: o opens adapters", "warn")
        elif not self.loaded:
            many = plural(state.size, "adapter")
            question = f"These are saved numbers. Read the {many} again from their sources, then run the base?"
            self.push_screen(Confirm(question), self._reopen)
        else:
            self._ask()

    def _reopen(self, answer: bool | None) -> None:
        if answer:
            self.ask_again = True
            self.open_sources([])
            self.say("reading the adapters of this study again")

    def ask_when_ready(self) -> None:
        """The dialog that waited for the adapters, unless the user went on to something else."""
        waiting, self.ask_again = self.ask_again, False
        if waiting and self.loaded and len(self.screen_stack) == 1:
            self._ask()

    def _ask(self) -> None:
        state = self.state
        if state.size < len(state.study.adapters):
            self.forget_removed()
        names = [info.name for info in state.infos]
        preset = OF_VIEW.get(state.view, "")
        if state.view == "layers" and state.layers_metric.startswith(("norm_relative", "intruder")):
            preset = "intruders"
        scene = Scene(
            preset=preset,
            named=next((info.base for info in state.infos if info.base), ""),
            plotted=tuple((names[a], names[b]) for a, b in items(state)),
            every=tuple((names[a], names[b]) for a, b in state.pairs),
            adapters=len(names),
        )
        self.push_screen(ProbeDialog(scene, state.probe, self._cost), self._run_probe)

    def _cost(self, request: Request) -> tuple[str, bool]:
        """In words, or why not; called in a thread."""
        from inspector.tui import workers

        return workers.estimate(self.probers, self.to_probe(), self.state.study, request)

    def to_probe(self) -> list[Adapter]:
        """The adapters of the study whose weights can be read, in its order."""
        return [self.loaded[name] for name in self.state.study.names if name in self.loaded]

    def _run_probe(self, asked: Asked | None) -> None:
        if asked is None:
            return
        from inspector.tui import workers

        self.state.probe = asked.choices
        study, adapters = self.state.study, self.to_probe()
        self.progress = ("starting", 0, 0)
        self.start_work(
            lambda generation, cancelled: workers.probe(
                self.probers, adapters, study, asked.request, generation, self.post_message, cancelled
            )
        )
        self.probing = asked.choices.what
        self.repaint()

    def start_work(self, job: Callable[[int, Callable[[], bool]], None]) -> None:
        if self.probing:
            self.say("the probe gave way: what it measured so far stays", "warn")
        self.probing = ""
        super().start_work(job)

    def on_probed(self, message: Probed) -> None:
        """Numbers of the run the user waits for; renamed and reordered adapters stay as they are."""
        if not self.current(message.generation):
            return
        self.take(message.study)
        if message.complete:
            what, self.probing, self.progress = self.probing, "", None
            here = "" if OF_VIEW.get(self.state.view) == what else f" · {SHOWN_IN[what]} shows it"
            self.say(f"measured in {_duration(message.seconds)}{here}", "good")
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

    def carry(self, study: Study) -> Study:
        """A new analysis with the probe numbers of the old one."""
        return carried(self.state.study, study)

    def open_sources(self, sources: list[str]) -> None:
        raise NotImplementedError

    def forget_removed(self) -> None:
        """Leave removed adapters out of the study for good: their modules may not be in what runs."""
        raise NotImplementedError


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"
