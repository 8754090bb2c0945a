"""From a number to the view that shows it, with its pair, adapter and layer under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase as fnmatch

from inspector.study.metrics import shown_in
from inspector.tui.state import AppState
from inspector.tui.views.base import View


def view_of(views: Iterable[View], metric: str, *, layer: bool) -> str:
    """The id of the view a metric is best seen in; along the layers where the number is of one."""
    if layer and metric in shown_in("layers"):
        return "layers"
    return next((view.id for view in views if any(fnmatch(metric, seen) for seen in view.shows)), "pair")


def jump(views: Iterable[View], state: AppState, metric: str, a: str, b: str = "", layer: int | None = None) -> str:
    """Put cursor, metric and slider where the number is; the id of its view."""
    if not {a, b} & set(state.study.names) <= set(state.names):
        state.search("adapters", "")
    positions = {name: at for at, name in enumerate(state.names)}
    state.row = positions.get(a, state.row)
    if b:
        state.col = positions.get(b, state.col)
        if state.pair is not None and state.id_pair(state.pair) not in {state.id_pair(p) for p in state.plotted}:
            state.toggle()
    if layer is not None and layer in state.layers:
        state.set_layer(state.layers.index(layer))
    else:
        state.one_layer = False
    return show(views, state, metric, layer=layer is not None)


def show(views: Iterable[View], state: AppState, metric: str, *, layer: bool) -> str:
    """Make the metric the one its views show; the id of the view it is best seen in."""
    for view in views:
        for name, _ in view.remembered:
            view.choose(state, name, metric)
    return view_of(views, metric, layer=layer)
