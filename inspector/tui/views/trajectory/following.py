"""One look at the folders of a watched training, in a thread: what is new is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message

from inspector.errors import CancelledError, InspectorError
from inspector.tui.messages import ForView

if TYPE_CHECKING:
    from inspector.adapters.given import Given
    from inspector.trajectory.measure import Meter
    from inspector.trajectory.result import Trajectory
    from inspector.trajectory.runs import Scanner


@dataclass
class Landed(ForView):
    """What a watched training has come to; `missing` numbers are still being measured."""

    view: ClassVar[str] = "trajectory"
    trajectory: Trajectory
    missing: int = 0

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Landed)


@dataclass
class LandingFailed(ForView):
    """Why the watched folder could not be looked at, in words."""

    view: ClassVar[str] = "trajectory"
    text: str


class Meters:
    """The one Meter of the app, made by the first thread that asks: it keeps what it has measured."""

    def __init__(self, given: Given | None = None) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._meter: Meter | None = None

    def get(self) -> Meter:
        from inspector.adapters.given import NOTHING
        from inspector.trajectory.measure import Meter

        with self._lock:
            self._meter = self._meter or Meter(self._given or NOTHING)
            return self._meter


def follow(
    scanner: Scanner,
    meters: Meters,
    against: str,
    shown: Trajectory | None,
    post: Callable[[Message], Any],
    cancelled: Callable[[], bool],
) -> None:
    """One look at a watched folder: what is new is measured; where nothing is, nothing is posted."""
    try:
        runs = scanner.scan(time.time())
        if shown is not None and shown.against == against and [curve.run for curve in shown.curves] == list(runs):
            return
        done = meters.get().update(
            runs, against, partial=lambda so_far, missing: post(Landed(so_far, missing)), cancelled=cancelled
        )
        post(Landed(done))
    except CancelledError:
        return
    except InspectorError as error:
        post(LandingFailed(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a reader or torch raises must not end the app
        post(LandingFailed(f"The watch stumbled: {type(error).__name__}: {error}"))
