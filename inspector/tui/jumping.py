"""From a number to the view that shows it, with its pair, adapter and layer under the cursor."""

from __future__ import annotations

from inspector.definitions import shown_in
from inspector.tui.state import AppState

_BY_START = {
    "lmc_": "basins", "barrier": "basins", "cka": "cka", "accuracy": "accuracy", "mcnemar": "accuracy",
    "principal_angle": "angles", "norm": "size", "singular": "size", "row_space": "sensitivity", "lens": "cka",
    "intruder": "adapters",
}  # fmt: skip


def view_of(metric: str, *, layer: bool) -> str:
    """The id of the view a metric is best seen in; along the layers where the number is of one."""
    if layer and metric in shown_in("layers"):
        return "layers"
    if metric in shown_in("size"):
        return "size"
    if metric in shown_in("map"):
        return "map"
    return next((view for start, view in _BY_START.items() if metric.startswith(start)), "pair")


def jump(state: AppState, metric: str, a: str, b: str = "", layer: int | None = None) -> str:
    """Put cursor, metric and slider where the number is; the id of its view."""
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
    return show(state, metric, layer=layer is not None)


def show(state: AppState, metric: str, *, layer: bool) -> str:
    """Make the metric the one its views show; the id of the view it is best seen in."""
    if metric in shown_in("map"):
        state.metric = metric
    if metric in shown_in("layers"):
        state.layers_metric = metric
    if metric in shown_in("size"):
        state.rank_metric = metric
    if metric in shown_in("cka"):
        state.cka_metric = metric
    return view_of(metric, layer=layer)
