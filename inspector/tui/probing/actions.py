"""The key that runs the base model: what to ask, and when it may run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inspector.tui import workers
from inspector.tui.actions import Action
from inspector.tui.adapter_list import AdapterList
from inspector.tui.probing.dialog import Asked, ProbeDialog, Scene
from inspector.tui.text import plural
from inspector.tui.views.basins import items
from inspector.tui.widgets.dialogs import Confirm

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.probes.request import Request


def _probe(_view: object, app: AdapterList) -> None:
    """Ask what to run, once everything it needs is there."""
    if app.progress is not None:
        what = "a probe runs already" if app.probing else "the adapters are still being read and measured"
        app.say(f"{what}: wait for it, or esc cancels it", "warn")
    elif not app.state.size:
        app.say("nothing is open: o opens adapters", "warn")
    elif not app.loaded:
        many = plural(app.state.size, "adapter")
        question = f"These are saved numbers. Read the {many} again from their sources, then run the base?"
        app.push_screen(Confirm(question), partial(_reopen, app))
    else:
        _ask(app)


def _reopen(app: AdapterList, answer: bool | None) -> None:
    if answer:
        app.once_measured = partial(_ask, app)
        app.open_sources([])
        app.say("reading the adapters of this study again")


def _ask(app: AdapterList) -> None:
    state = app.state
    if len(state.arrangement) < len(state.study.adapters):
        app.forget_removed()
    names = [info.name for info in state.infos]
    scene = Scene(
        preset=app.view.preset(state),
        named=next((info.base for info in state.infos if info.base), ""),
        plotted=tuple((names[a], names[b]) for a, b in items(state)),
        every=tuple((names[a], names[b]) for a, b in state.every_pair),
        adapters=len(names),
    )
    app.push_screen(ProbeDialog(scene, state.probe, partial(_cost, app)), partial(_run, app))


def _cost(app: AdapterList, request: Request) -> tuple[str, bool]:
    """In words, or why not; called in a thread."""
    return workers.estimate(app.probers, _to_probe(app), app.state.study, request)


def _to_probe(app: AdapterList) -> list[Adapter]:
    """The adapters of the study whose weights can be read, in its order."""
    return [app.loaded[name] for name in app.state.study.names if name in app.loaded]


def _run(app: AdapterList, asked: Asked | None) -> None:
    if asked is None:
        return
    app.state.probe = asked.choices
    study, adapters = app.state.study, _to_probe(app)
    app.progress = ("starting", 0, 0)
    job = partial(workers.probe, app.probers, adapters, study, asked.request)
    app.start_work(job, probing=asked.choices.what)
    app.repaint()


PROBE = Action(
    "probe", "p", "run the base", "run the base model with the adapters: what, on which prompts, at what cost", _probe
)
