"""A number of a finding, in words."""

from __future__ import annotations

from inspector.insights.findings import Number
from inspector.tui.text import clean, general
from inspector.tui.views.base import metric_title


def in_words(number: Number) -> str:
    """`cosine  sft ↔ rft, layer 12: 0.95`."""
    who = clean(number.a) + (f" ↔ {clean(number.b)}" if number.b else "")
    where = "" if number.layer is None else f", layer {number.layer}"
    return f"{metric_title(number.metric)}  {who}{where}: {general(number.value)}"
