"""What is worked out of a whole study, in a thread: it may take longer than a key may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from inspector.study.study import Study
from inspector.tui.messages import ForView, Noted
from inspector.tui.state import AppState
from inspector.tui.work import Work
from inspector.tui.workers import Post

T = TypeVar("T")


@dataclass
class Answered(ForView):
    """What was worked out of these adapters in this order; None where that failed."""

    view: str  # type: ignore[misc]
    study: Study
    order: tuple[int, ...]
    found: Any


class Answer(Generic[T]):
    """The newest answer about the adapters of the list, and the one thread that works out the next."""

    def __init__(self, what: str, work_out: Callable[[Study], T], *, view: str) -> None:
        self.what, self.work_out, self.view = what, work_out, view
        self._busy = False
        self._known: Answered | None = None

    def newest(self, state: AppState) -> bool:
        """Whether it is of these very numbers."""
        known = self._known
        return known is not None and known.study is state.study and known.order == state.arrangement

    def of(self, state: AppState) -> T | None:
        """The answer about the list, perhaps of older numbers while newer are worked out."""
        known = self._known
        same = known is not None and known.study.names == state.study.names and known.order == state.arrangement
        return known.found if known is not None and same else None

    def keep_up(self, app: Work) -> None:
        """Have it worked out where the numbers are others than those of the newest answer."""
        state = app.state
        if state.arrangement and not self.newest(state) and not self._busy:
            self._busy = True
            job = partial(self._work, state.study, state.arrangement, app.post_message)
            app.run_worker(job, thread=True, group="answers", exit_on_error=False)

    def _work(self, study: Study, order: tuple[int, ...], post: Post) -> None:
        try:
            everyone = order == tuple(range(len(study.adapters)))
            found = self.work_out(study if everyone else study.subset(order))
        except Exception as error:  # noqa: BLE001 - a rule that stumbles must not end the app
            found = None
            post(Noted(f"The {self.what} could not be worked out: {type(error).__name__}: {error}", "bad"))
        post(Answered(self.view, study, order, found))

    def take(self, message: ForView) -> None:
        """Where the numbers have changed since, the newest are worked out next."""
        if isinstance(message, Answered):
            self._known, self._busy = message, False
