"""The command of a shell that prints the numbers of a view."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.study import AdapterInfo
from inspector.tui.state import AppState


def named(infos: Sequence[AdapterInfo]) -> list[str]:
    """`NAME=SOURCE …`"""
    return [f"{info.name}={info.source}" for info in infos]


def analyze(
    state: AppState,
    *metrics: str,
    infos: Sequence[AdapterInfo] | None = None,
    probe: Sequence[str] = (),
) -> list[str]:
    """`inspector analyze NAME=SOURCE … --metric cosine --modules q_proj`; nothing while no adapter is open."""
    if not state.size:
        return []
    settings = state.shown.settings
    words = ["inspector", "analyze", *named(state.infos if infos is None else infos), *probe]
    for metric in metrics:
        words += ["--metric", metric]
    if state.filter:
        words += ["--modules", state.filter]
    if settings.k != 10:
        words += ["--k", str(settings.k)]
    return [*words, *settings.reading]
