"""Keys of the Merge view: weights of the adapters, and the rank whose energy is shown."""

from __future__ import annotations

import math
from functools import partial

from inspector.tui.actions import Action
from inspector.tui.shell import Shell
from inspector.tui.text import clean
from inspector.tui.views.base import View
from inspector.tui.widgets.dialogs import Prompt


def _step_weight(app: Shell, step: int) -> None:
    if app.state.size:
        app.state.mixture.step(_before_weighing(app, app.state.order[app.state.row]), step)


def _before_weighing(app: Shell, adapter: int) -> int:
    """The adapter, whose weight is about to change: for undo."""
    name, weight = clean(app.state.study.adapters[adapter].name), app.state.mixture.weight(adapter)
    app.remember(f"the weight of {name}, {weight:g} again".replace(" -", " −"))
    return adapter


def _leave_out(_view: View, app: Shell) -> None:
    if app.state.size:
        app.state.mixture.leave_out(_before_weighing(app, app.state.order[app.state.row]))


def _weight(_view: View, app: Shell) -> None:
    state = app.state
    if state.size:
        adapter = state.order[state.row]
        question = f"Weight of {state.name(state.row)} in the sum"
        prompt = Prompt(question, f"{state.mixture.weight(adapter):g}", replace=True)
        app.push_screen(prompt, partial(_weigh, app, adapter))


def _weigh(app: Shell, adapter: int, text: str | None) -> None:
    if not text or adapter not in app.state.order:
        return
    try:
        weight = float(text.replace("−", "-"))
    except ValueError:
        weight = math.nan
    if not abs(weight) < 1e6:
        app.say(f"{text} is no weight: write a number such as 0.5 or -0.2", "warn")
        return
    app.state.mixture.weights[_before_weighing(app, adapter)] = weight
    app.repaint()


def _step_rank(app: Shell, step: int) -> None:
    preview = app.state.preview
    if preview is not None:
        app.state.mixture.step_rank(preview, step)


WEIGHTS = (
    Action("heavier", "+ =", "weight +", "0.1 more of the adapter under the cursor in the sum",
           lambda _, app: _step_weight(app, 1)),
    Action("lighter", "-", "weight −", "0.1 less of it; below 0 it is subtracted",
           lambda _, app: _step_weight(app, -1), 90, "+/-", "weight"),
    Action("leave_out", "space", "in/out", "leave the adapter under the cursor out of the sum, or not", _leave_out, 85),
    Action("weight", "enter", "type weight", "type the weight of the adapter under the cursor", _weight, 75),
)  # fmt: skip
RANK = (
    Action("more_rank", "n", "rank +1", "the energy that one rank more keeps",
           lambda _, app: _step_rank(app, 1), 65, "n/N", "rank"),
    Action("fewer_rank", "N", "rank −1", "the energy that one rank less keeps", lambda _, app: _step_rank(app, -1)),
)  # fmt: skip
