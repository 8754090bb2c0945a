"""Several pieces of work at a time, each in a thread: what they come to, as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TypeVar

from inspector.common.errors import CancelledError

_T = TypeVar("_T")


def concurrently(
    count: int,
    at_once: int,
    work: Callable[[int, Callable[[], bool]], _T],
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[_T | Exception]:
    """`work(n, stopped)` for each n below `count`, `at_once` at a time: what it returns or raises, as it comes.

    Raises CancelledError when cancelled. `stopped` tells the work that nobody waits for it any more.
    """
    todo: SimpleQueue[int] = SimpleQueue()
    for n in range(count):
        todo.put(n)
    made: SimpleQueue[_T | Exception] = SimpleQueue()
    stopped = _Flag(cancelled)

    def worker() -> None:
        while not stopped():
            try:
                n = todo.get_nowait()
            except Empty:
                return
            try:
                made.put(work(n, stopped))
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits
                made.put(error)

    try:
        # Daemons: a request in flight must not hold up the end of an interrupted program.
        for _ in range(min(at_once, count)):
            threading.Thread(target=worker, name="server", daemon=True).start()
        for _ in range(count):
            yield _next(made, cancelled)
    finally:
        stopped.up = True


def _next(made: SimpleQueue[_T | Exception], cancelled: Callable[[], bool]) -> _T | Exception:
    while True:
        if cancelled():
            raise CancelledError("Cancelled between two answers.")
        try:
            return made.get(timeout=0.1)
        except Empty:
            continue


@dataclass(slots=True)
class _Flag:
    """Whether workers should stop: the user said so, or nobody waits for them any more."""

    cancelled: Callable[[], bool]
    up: bool = False

    def __call__(self) -> bool:
        return self.up or self.cancelled()
