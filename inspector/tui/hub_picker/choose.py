"""Asking which adapters of a repo to download: the worker waits, the app shows the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from inspector.common.errors import CancelledError
from inspector.tui.hub_picker.dialog import Row
from inspector.tui.messages import Progress

if TYPE_CHECKING:
    from inspector.adapters.hub.choice import Choice
    from inspector.adapters.hub.fetch import Choose, Offer


@dataclass
class Pick(Message):
    """A question from a worker that waits for the answer: positions of rows."""

    generation: int
    source: str
    rows: tuple[Row, ...]
    answer: Future[tuple[int, ...]]


def chooser(generation: int, post: Callable[[Message], Any], cancelled: Callable[[], bool]) -> Choose:
    """Ask where a repo holds several adapters of which not all are here; else take what it holds."""

    def choose(offer: Offer) -> Sequence[Choice]:
        rows = tuple(
            Row(choice.path, choice.format, offer.size(choice), offer.cached(choice), bool(choice.refused))
            for choice in offer.choices
        )
        if len(rows) == 1 or all(row.here or row.refused for row in rows):
            return offer.choices
        answer: Future[tuple[int, ...]] = Future()
        post(Progress(generation, "which adapters?"))
        post(Pick(generation, offer.label, rows, answer))
        while not wait({answer}, timeout=0.1).done:
            if cancelled():
                raise CancelledError("Cancelled before the adapters were chosen.")
        return [offer.choices[at] for at in answer.result()]

    return choose
