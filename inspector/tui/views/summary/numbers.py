"""A number of a finding, in words."""

from __future__ import annotations

from inspector.common.labels import labels
from inspector.insights.findings import Number
from inspector.tui.state import AppState
from inspector.tui.text import clean, general
from inspector.tui.views.base import metric_title


def in_words(number: Number, state: AppState) -> str:
    """`cosine  sft ↔ rft, layer 12: 0.95`, without what the names of the list share."""
    names = [state.study.names[at] for at in state.arrangement]
    short = dict(zip(names, labels(names).short, strict=True))
    who = " ↔ ".join(short.get(name, clean(name)) for name in (number.a, number.b) if name)
    where = "" if number.layer is None else f", layer {number.layer}"
    return f"{metric_title(number.metric)}  {who}{where}: {general(number.value)}"
