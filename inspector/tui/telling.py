"""The findings in the app: told in a thread, since with many adapters there are thousands of pairs to go through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.message import Message

from inspector.study import Study
from inspector.tui.messages import Noted, Told
from inspector.tui.shell import Shell


class Telling(Shell):
    """Starts when the view of the findings is looked at and its numbers are others than those last told."""

    telling = False

    def prepare(self) -> None:
        state = self.state
        if state.view == "summary" and state.measured and state.size and not state.told_now and not self.telling:
            self.telling = True
            job = partial(tell, state.study, state.order, self.post_message)
            self.run_worker(job, thread=True, group="tell", exit_on_error=False)

    def on_told(self, message: Told) -> None:
        """Shown while they are of who is open; where the numbers have changed since, the newest are told next."""
        self.telling = False
        self.state.told = message.study, message.order, message.findings
        self.repaint()


def tell(study: Study, order: tuple[int, ...], post: Callable[[Message], Any]) -> None:
    """Every finding of these adapters in this order."""
    from inspector.takeaways import takeaways

    try:
        everyone = order == tuple(range(len(study.adapters)))
        findings = takeaways(study if everyone else study.subset(order))
    except Exception as error:  # noqa: BLE001 - a rule that stumbles must not end the app
        findings = ()
        post(Noted(f"The findings could not be told: {type(error).__name__}: {error}", "bad"))
    post(Told(study, order, findings))
