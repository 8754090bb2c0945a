"""The spectra of the sum shown: found in a thread, once for each sum, while nothing else is measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message

from inspector.errors import CancelledError, InspectorError
from inspector.merging.preview import Preview
from inspector.study import Floats
from inspector.tui.messages import ForView
from inspector.tui.work import Work

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


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
