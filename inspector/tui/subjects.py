"""Adapters and pairs of them as the screens name and colour them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from inspector.common.labels import NARROWEST, labels
from inspector.study.metrics import DEFINITIONS
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState


def pair_label(state: AppState, pair: Pair, metric: str = "") -> str:
    """`sft↔rft`, without what all names share; `sft→rft` of a metric that has a direction."""
    names = labels(state.names).short
    return f"{names[pair[0]]}{_arrow(metric)}{names[pair[1]]}"


def pair_labels(state: AppState, pairs: Sequence[Pair], width: int, metric: str = "") -> list[str]:
    """The same of many, in at most `width` cells: no two alike, each name everywhere the same."""
    found = labels(state.names)
    for room in range(max((NARROWEST, *map(cell_len, found.short))), NARROWEST - 1, -1):
        names = found.at(room)
        shown = [f"{names[a]}{_arrow(metric)}{names[b]}" for a, b in pairs]
        if all(cell_len(label) <= width for label in shown):
            break
    return shown


def shared(state: AppState) -> str:
    """What all names share, for a title: ` · run1-…`; empty where they share nothing."""
    text = labels(state.names).shared
    return f" · {text}" if text else ""


def pair_colours(state: AppState, pairs: Sequence[Pair]) -> tuple[int, ...]:
    """A line colour for each: of the adapter that is not in all of them, or by their order where none is."""
    common = set.intersection(*(set(pair) for pair in pairs)) if pairs else set()
    if len(pairs) < 2 or len(common) != 1:
        return tuple(range(len(pairs)))
    (centre,) = common
    return tuple(state.order[a if b == centre else b] for a, b in pairs)


def _arrow(metric: str) -> str:
    return "→" if metric and DEFINITIONS[metric].subject == "ordered" else "↔"
