"""Keys of the Merge view, and the thread that finds the rank of what it shows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from inspector.errors import CancelledError, InspectorError
from inspector.merging.preview import Preview
from inspector.study import Floats
from inspector.tui.screens.dialogs import Prompt
from inspector.tui.shell import Shell
from inspector.tui.text import clean

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


@dataclass
class Adding(Message):
    """How many modules of a sum are added."""

    serial: int
    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Adding)


@dataclass
class Added(Message):
    """The spectra of a sum; or, without them, why there are none."""

    serial: int
    spectra: Floats | None
    trouble: str = ""


def add_up(
    adapters: Sequence[Adapter],
    preview: Preview,
    serial: int,
    post: Callable[[Message], Any],
    cancelled: Callable[[], bool],
) -> None:
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


class Mixing(Shell):
    """Handlers of the actions that change the sum, and what arrives of it."""

    added = 0
    """The newest sum whose spectra were asked for."""
    adding = threading.Event()

    def do_heavier(self) -> None:
        self._step_weight(1)

    def do_lighter(self) -> None:
        self._step_weight(-1)

    def _step_weight(self, step: int) -> None:
        if self.state.size:
            self.state.mixture.step(self._before_weighing(self.state.order[self.state.row]), step)

    def _before_weighing(self, adapter: int) -> int:
        """The adapter, whose weight is about to change: for undo."""
        name, weight = clean(self.state.study.adapters[adapter].name), self.state.mixture.weight(adapter)
        self.remember(f"the weight of {name}, {weight:g} again".replace(" -", " −"))
        return adapter

    def do_leave_out(self) -> None:
        if self.state.size:
            self.state.mixture.leave_out(self._before_weighing(self.state.order[self.state.row]))

    def do_weight(self) -> None:
        state = self.state
        if state.size:
            adapter = state.order[state.row]
            question = f"Weight of {state.name(state.row)} in the sum"
            prompt = Prompt(question, f"{state.mixture.weight(adapter):g}", replace=True)
            self.push_screen(prompt, lambda text: self._weigh(adapter, text))

    def _weigh(self, adapter: int, text: str | None) -> None:
        if not text or adapter not in self.state.order:
            return
        try:
            weight = float(text.replace("−", "-"))
        except ValueError:
            weight = math.nan
        if not abs(weight) < 1e6:
            self.say(f"{text} is no weight: write a number such as 0.5 or -0.2", "warn")
            return
        self.state.mixture.weights[self._before_weighing(adapter)] = weight
        self.repaint()

    def do_more_rank(self) -> None:
        self._step_rank(1)

    def do_fewer_rank(self) -> None:
        self._step_rank(-1)

    def _step_rank(self, step: int) -> None:
        preview = self.state.preview
        if preview is not None:
            self.state.mixture.step_rank(preview, step)

    def repaint(self, *ids: str) -> None:
        """Whatever led here: what the view shows and is not known yet is measured."""
        super().repaint(*ids)
        if not ids and self.state.view == "merge":
            self._keep_up()

    def _keep_up(self) -> None:
        """Ask for the spectra of the sum shown, once, when its adapters are there and nothing else is measured."""
        state, preview = self.state, self.state.preview
        if preview is None or not any(preview.weights) or not self.complete or self.progress is not None:
            return
        if preview.spectra is not None or self.added == state.mixture.serial:
            return
        if any(name not in self.loaded for name in state.study.names):
            return
        self.adding.set()
        self.adding, self.added = threading.Event(), state.mixture.serial
        adapters, serial, stop = [self.loaded[name] for name in state.study.names], self.added, self.adding
        self.run_worker(
            lambda: add_up(adapters, preview, serial, self.post_message, stop.is_set),
            thread=True,
            group="merge",
            exit_on_error=False,
        )
        state.mixture.done = (0, len(state.study.modules))
        super().repaint("body")

    def on_adding(self, message: Adding) -> None:
        if message.serial == self.state.mixture.serial:
            self.state.mixture.done = (message.done, message.total)
            self.repaint("body")

    def on_added(self, message: Added) -> None:
        """Late results belong to another sum: they are dropped."""
        if message.serial != self.state.mixture.serial:
            return
        if message.spectra is None:
            self.state.mixture.done = None
            self.say(message.trouble, "bad")
        else:
            self.state.mixture.take(message.spectra)
        self.repaint("body")
