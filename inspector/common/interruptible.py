"""Calls that end when the user leaves or nothing arrives, whatever they wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar
from weakref import WeakSet

from inspector.common.errors import CancelledError

T = TypeVar("T")
_abandoned: WeakSet[threading.Thread] = WeakSet()


class Pulse:
    """Whether a call still gets anywhere: `beat` when something arrived, `abandon` when nobody waits any more."""

    def __init__(self, patience: float) -> None:
        self.patience, self.abandoned = patience, False
        self._last = time.monotonic()

    def beat(self) -> None:
        self._last = time.monotonic()

    def abandon(self) -> None:
        self.abandoned = True

    @property
    def stalled(self) -> bool:
        return time.monotonic() - self._last > self.patience


def interruptible(call: Callable[[], T], cancelled: Callable[[], bool], pulse: Pulse | None = None) -> T:
    """The call's result, or CancelledError within a tenth of a second after `cancelled()` holds.

    The call runs in a thread of its own: a stalled connection or disk, or a library waiting for its next retry,
    answers to nothing else. An abandoned call ends where it asks `abandoned()`. TimeoutError where the pulse stalls.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            result.set_exception(error)

    thread = threading.Thread(target=run, name="interruptible", daemon=True)
    thread.start()
    try:
        while not wait({result}, timeout=0.1).done:
            if cancelled():
                raise CancelledError("Cancelled before it was done.")
            if pulse is not None and pulse.stalled:
                raise TimeoutError(f"nothing arrived for {pulse.patience:.3g} s")
    finally:
        if not result.done():
            _abandoned.add(thread)
            if pulse is not None:
                pulse.abandon()
    return result.result()


def abandoned() -> bool:
    """Whether this thread runs a call of `interruptible` for which nobody waits any more."""
    return threading.current_thread() in _abandoned
