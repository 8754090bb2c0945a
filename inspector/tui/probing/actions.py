"""The key that runs the base model: what to ask, and when it runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inspector.base_model.smollm2 import NAME
from inspector.tui import workers
from inspector.tui.actions import Action
from inspector.tui.adapter_list import AdapterList
from inspector.tui.probing.barriers import items
from inspector.tui.probing.choices import Asked, Scene
from inspector.tui.probing.dialog import WHATS, ProbeDialog
from inspector.tui.text import plural
from inspector.tui.widgets.dialogs import Confirm

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter
    from inspector.probes.request import Request


def _probe(_view: object, app: AdapterList) -> None:
    """Ask what to run; while the base runs, whether to stop that; what cannot be asked yet is asked later."""
    if app.state.probing:
        title = dict(WHATS)[app.state.probing]
        question = f"The base runs for {title} now. Stop that, keep what it has measured, and choose anew?"
        app.push_screen(Confirm(question), partial(_stop, app))
    elif app.state.opening:
        app.once_measured = partial(_ask, app)
        app.say("the adapters are still being read: p asks what to run once they are measured")
    elif not app.state.size:
        app.say("nothing is open, so there is nothing to run: o opens adapters, d the demo", "warn")
    elif not app.loaded:
        many = plural(app.state.size, "adapter")
        question = f"These are saved numbers. Read the {many} again from their sources, then run the base?"
        app.push_screen(Confirm(question), partial(_reopen, app))
    else:
        _ask(app)


def _stop(app: AdapterList, answer: bool | None) -> None:
    if answer:
        app.cancel()
        _ask(app)


def _reopen(app: AdapterList, answer: bool | None) -> None:
    if answer:
        app.once_measured = partial(_ask, app)
        app.open_sources([])
        app.say("reading the adapters of this study again")


def _ask(app: AdapterList) -> None:
    """Also while the adapters are measured: the run then waits for their numbers."""
    if len(app.screen_stack) > 1:
        app.say("everything is measured: p asks what to run")
        return
    state = app.state
    names, named = [info.name for info in state.infos], next((info.base for info in state.infos if info.base), "")
    scene = Scene(
        preset=app.view.preset(state),
        named=NAME if any(probe.base == NAME for probe in state.study.probes) else named,
        plotted=tuple((names[a], names[b]) for a, b in items(state)),
        every=tuple((names[a], names[b]) for a, b in state.every_pair),
        adapters=len(names),
    )
    app.push_screen(ProbeDialog(scene, state.probe, partial(_cost, app)), partial(_chosen, app))


def _cost(app: AdapterList, request: Request) -> tuple[str, bool]:
    """In words, or why not; called in a thread."""
    return workers.estimate(app.probers, _to_probe(app), app.state.study, request)


def _to_probe(app: AdapterList) -> list[Adapter]:
    """The adapters in the list whose weights can be read, in the study's order."""
    here = {info.name for info in app.state.infos}
    return [app.loaded[name] for name in app.state.study.names if name in app.loaded and name in here]


def _chosen(app: AdapterList, asked: Asked | None) -> None:
    if asked is None:
        return
    app.state.probe = asked.choices
    if app.progress is None or app.state.probing:
        _run(app, asked)
    else:
        app.once_measured = partial(_run, app, asked)
        app.say(f"{dict(WHATS)[asked.choices.what]}: the base runs once the adapters are measured")


def _run(app: AdapterList, asked: Asked) -> None:
    if len(app.state.arrangement) < len(app.state.study.adapters):
        app.forget_removed()
    job = partial(workers.probe, app.probers, _to_probe(app), app.state.study, asked.request)
    app.progress = ("starting", 0, 0)
    app.start_work(job, probing=asked.choices.what)
    app.repaint()


PROBE = Action(
    "probe", "p", "run the base", "run the base model with the adapters: what, on which prompts, at what cost", _probe
)
