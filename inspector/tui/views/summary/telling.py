"""The findings are told in a thread: with many adapters there are thousands of pairs to go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inspector.insights.findings import Finding
from inspector.study.study import Study
from inspector.tui.messages import ForView, Noted
from inspector.tui.workers import Post


@dataclass
class Told(ForView):
    """What the numbers of these adapters in this order say."""

    view: ClassVar[str] = "summary"
    study: Study
    order: tuple[int, ...]
    findings: tuple[Finding, ...]


def tell(study: Study, order: tuple[int, ...], post: Post) -> None:
    """Every finding of these adapters in this order."""
    from inspector.insights.findings import findings_of

    try:
        everyone = order == tuple(range(len(study.adapters)))
        findings = findings_of(study if everyone else study.subset(order))
    except Exception as error:  # noqa: BLE001 - a rule that stumbles must not end the app
        findings = ()
        post(Noted(f"The findings could not be told: {type(error).__name__}: {error}", "bad"))
    post(Told(study, order, findings))
