"""The findings: told in a thread, since with many adapters there are thousands of pairs to go through; and left for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inspector.study import Study
from inspector.takeaways import Takeaway
from inspector.tui.actions import Action
from inspector.tui.go_to import jump
from inspector.tui.messages import ForView, Noted
from inspector.tui.work import Work
from inspector.tui.workers import Post


@dataclass
class Told(ForView):
    """What the numbers of these adapters in this order say."""

    view: ClassVar[str] = "summary"
    study: Study
    order: tuple[int, ...]
    findings: tuple[Takeaway, ...]


def tell(study: Study, order: tuple[int, ...], post: Post) -> None:
    """Every finding of these adapters in this order."""
    from inspector.takeaways import takeaways

    try:
        everyone = order == tuple(range(len(study.adapters)))
        findings = takeaways(study if everyone else study.subset(order))
    except Exception as error:  # noqa: BLE001 - a rule that stumbles must not end the app
        findings = ()
        post(Noted(f"The findings could not be told: {type(error).__name__}: {error}", "bad"))
    post(Told(study, order, findings))


def _open_finding(_view: object, app: Work) -> None:
    found = app.state.findings
    if not found:
        return
    numbers = found[min(app.state.finding, len(found) - 1)].numbers
    if not numbers:
        app.say("this finding has no number of its own")
        return
    if app.state.filter:  # findings are of all projections
        app.refilter("")
    first = numbers[0]
    app.go(jump(app.views.values(), app.state, first.metric, first.a, first.b, first.layer))


OPEN_FINDING = Action(
    "open_finding", "enter", "open its view", "show the view behind the finding under the cursor", _open_finding, 90
)
