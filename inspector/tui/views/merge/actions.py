"""Keys of the views of sums, and the thread that finds the rank of what they show."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from inspector.common.arrays import Floats
from inspector.common.errors import CancelledError, InspectorError
from inspector.merging.preview import Preview
from inspector.tui.actions import Action
from inspector.tui.messages import ForView
from inspector.tui.text import clean
from inspector.tui.widgets.dialogs import Prompt
from inspector.tui.work import Work
from inspector.tui.workers import Cancelled, Post

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def _step_weight(app: Work, step: int) -> None:
    if app.state.size:
        app.state.mixture.step(_before_weighing(app, app.state.order[app.state.row]), step)


def _before_weighing(app: Work, adapter: int) -> int:
    """The adapter, whose weight is about to change: for undo."""
    name, weight = clean(app.state.study.adapters[adapter].name), app.state.mixture.weight(adapter)
    app.remember(f"the weight of {name}, {weight:g} again".replace(" -", " −"))
    return adapter


def _leave_out(_view: object, app: Work) -> None:
    if app.state.size:
        app.state.mixture.leave_out(_before_weighing(app, app.state.order[app.state.row]))


def _weight(_view: object, app: Work) -> None:
    state = app.state
    if state.size:
        adapter = state.order[state.row]
        question = f"Weight of {state.name(state.row)} in the sum"
        prompt = Prompt(question, f"{state.mixture.weight(adapter):g}", replace=True)
        app.push_screen(prompt, partial(_weigh, app, adapter))


def _weigh(app: Work, adapter: int, text: str | None) -> None:
    if not text or adapter not in app.state.order:
        return
    try:
        weight = float(text.replace("−", "-"))
    except ValueError:
        weight = math.nan
    if not abs(weight) < 1e6:
        app.say(f"{text} is not a weight: write a number such as 0.5 or -0.2", "warn")
        return
    app.state.mixture.weights[_before_weighing(app, adapter)] = weight
    app.repaint()


def _step_rank(app: Work, step: int) -> None:
    preview = app.state.preview
    if preview is not None:
        app.state.mixture.step_rank(preview, step)


def _step_share(app: Work, step: int) -> None:
    app.state.mixture.step_share(step)


def _list_modules(_view: object, app: Work) -> None:
    app.state.mixture.modules = not app.state.mixture.modules
    app.state.tops["merge"] = 0


RANK = (
    Action("rank_up", "R", "rank +1", "the energy that one rank more keeps", lambda _, app: _step_rank(app, 1)),
    Action("rank_down", "r", "rank −1", "the energy that one rank less keeps", lambda _, app: _step_rank(app, -1), 82,
           "r/R", "rank"),
)  # fmt: skip
SHARE = (
    Action("more_of_first", "+ =", "share +", "0.1 more of the first in the sum, and less of the second",
           lambda _, app: _step_share(app, 1)),
    Action("less_of_first", "-", "share −", "0.1 less of the first, and more of the second",
           lambda _, app: _step_share(app, -1), 90, "+/-", "share"),
    Action("list_modules", "enter", "modules", "the modules of the sum, or the evidence again", _list_modules, 88),
    *RANK,
)  # fmt: skip
WEIGHTS = (
    Action("heavier", "+ =", "weight +", "0.1 more of the adapter under the cursor in the sum",
           lambda _, app: _step_weight(app, 1)),
    Action("lighter", "-", "weight −", "0.1 less of it; below 0 it is subtracted",
           lambda _, app: _step_weight(app, -1), 90, "+/-", "weight"),
    Action("leave_out", "space", "in/out", "leave the adapter under the cursor out of the sum, or not", _leave_out, 85),
    Action("weight", "enter", "type weight", "type the weight of the adapter under the cursor", _weight, 75),
)  # fmt: skip


@dataclass
class Adding(ForView):
    """How many modules of a sum are added."""

    view: ClassVar[str] = "merge"
    serial: int
    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Adding)


@dataclass
class Added(ForView):
    """The spectra of a sum; or, without them, why there are none."""

    view: ClassVar[str] = "merge"
    serial: int
    spectra: Floats | None
    trouble: str = ""


def add_up(adapters: Sequence[Adapter], preview: Preview, serial: int, post: Post, cancelled: Cancelled) -> None:
    """The singular values of the sum, module by module; in a thread."""
    try:
        from inspector.merging.spectra import spectra

        found = spectra(
            adapters,
            preview.study,
            preview.weights,
            progress=lambda done, total: post(Adding(serial, done, total)),
            cancelled=cancelled,
        )
        post(Added(serial, found))
    except CancelledError:
        return
    except InspectorError as error:
        post(Added(serial, None, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a reader or torch raises must not end the app
        post(Added(serial, None, f"The sum could not be measured: {type(error).__name__}: {error}"))


class Adder:
    """The one thread that adds: a newer sum stops it."""

    def __init__(self) -> None:
        self._serial = 0
        """The newest sum whose spectra were asked for."""
        self._stop = threading.Event()

    def keep_up(self, app: Work) -> None:
        """Ask for the spectra of the sum shown, when its adapters are there and nothing else is measured."""
        state, preview = app.state, app.state.preview
        if preview is None or not any(preview.weights) or not app.complete or app.progress is not None:
            return
        if preview.spectra is not None or self._serial == state.mixture.serial:
            return
        if any(name not in app.loaded for name in state.study.names):
            return
        self._stop.set()
        self._stop, self._serial = threading.Event(), state.mixture.serial
        adapters, serial, stop = [app.loaded[name] for name in state.study.names], self._serial, self._stop
        app.run_worker(
            lambda: add_up(adapters, preview, serial, app.post_message, stop.is_set),
            thread=True,
            group="merge",
            exit_on_error=False,
        )
        state.mixture.done = (0, len(state.study.modules))

    def take(self, app: Work, message: ForView) -> None:
        """Late results belong to another sum: they are dropped."""
        mixture = app.state.mixture
        if isinstance(message, Adding) and message.serial == mixture.serial:
            mixture.done = (message.done, message.total)
        elif isinstance(message, Added) and message.serial == mixture.serial:
            if message.spectra is None:
                mixture.done = None
                app.say(message.trouble, "bad")
            else:
                mixture.take(message.spectra)
        app.repaint("body")
