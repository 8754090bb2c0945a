"""A base on its way into memory: who waits for it may leave at any time, and who comes next finds it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.common.errors import CancelledError

if TYPE_CHECKING:
    from inspector.base_model.attach import Attached

_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits: what is told to them, and whether they still do."""

    note: Callable[[str], None]
    progress: Callable[[str, int, int], None]
    cancelled: Callable[[], bool]


Load = Callable[[Callable[[str], None], Callable[[str, int, int], None], Callable[[], bool]], "Attached"]
"""(note, progress, cancelled) -> the base with adapters on it."""


class _Call:
    """One load in a thread that ends with the process: libraries that convert or read a model answer to nobody."""

    def __init__(self, wanted: Hashable, load: Load, waiting: Waiting) -> None:
        self.wanted, self.waiting = wanted, waiting  # the newest who waits
        self.result: Future[Attached] = Future()
        self._load = load
        threading.Thread(target=self._run, name="base", daemon=True).start()

    def _run(self) -> None:
        try:
            self.result.set_result(self._load(self._note, self._progress, self._cancelled))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            self.result.set_exception(error)

    def _note(self, text: str) -> None:
        self.waiting.note(text)

    def _progress(self, text: str, done: int, total: int) -> None:
        self.waiting.progress(text, done, total)

    def _cancelled(self) -> bool:
        return self.waiting.cancelled()

    @property
    def failed(self) -> bool:
        return self.result.done() and self.result.exception() is not None

    def end(self, cancelled: Callable[[], bool]) -> None:
        """Wait for it, whatever came of it. Raises CancelledError soon after `cancelled()` holds."""
        while not wait({self.result}, timeout=_LOOK_EVERY).done:
            if cancelled():
                raise CancelledError("Cancelled while the base was loaded.")


class Loading:
    """One load at a time: two models on their way at once might not fit."""

    def __init__(self) -> None:
        self._call: _Call | None = None

    def attached(self, wanted: Hashable, load: Load, waiting: Waiting) -> Attached:
        """What `load` gives; one for the same `wanted` that was left goes on instead.

        Raises what `load` raises, and CancelledError within a tenth of a second.
        """
        while True:
            call = self._begun(wanted, load, waiting)
            call.end(waiting.cancelled)
            self._call = None
            try:
                return call.result.result()
            except CancelledError:  # by who waited before, a moment before this one came
                if waiting.cancelled():
                    raise

    def _begun(self, wanted: Hashable, load: Load, waiting: Waiting) -> _Call:
        before = self._call
        if before is not None and before.wanted == wanted and not before.failed:
            before.waiting = waiting
            return before
        if before is not None and not before.result.done():
            waiting.progress("waiting for the base before to let go", 0, 0)
            before.end(waiting.cancelled)
        self._call = _Call(wanted, load, waiting)
        return self._call
