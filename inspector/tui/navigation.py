"""Actions that look around and that several views share: cursor, layer slider, metric, projection, pairs."""

from __future__ import annotations

from collections.abc import Callable

from inspector.tui.actions import Action, cycled
from inspector.tui.adapter_list import AdapterList
from inspector.tui.views.base import View

_EVERYTHING = 1_000_000


def _layer(step: int) -> Callable[[View, AdapterList], None]:
    return lambda _view, app: app.state.set_layer(app.state.layer + step)


def _scope(_view: View, app: AdapterList) -> None:
    app.state.one_layer = not app.state.one_layer and bool(app.state.layers)


def _filter(_view: View, app: AdapterList) -> None:
    app.refilter(cycled(("", *app.state.study.projections), app.state.filter, 1))


def _open_pair(_view: View, app: AdapterList) -> None:
    if app.state.pair is not None:
        app.state.tops["pair"] = 0
        app.go("pair")


def _toggle(_view: View, app: AdapterList) -> None:
    pair = app.state.pair
    if pair is not None:
        shown = app.state.toggle()
        names = " ↔ ".join(app.state.name(at) for at in pair)
        app.say(f"{names}: {'plotted' if shown else 'not plotted'}")


def _cycle(view: View, app: AdapterList, step: int) -> None:
    if said := view.cycle(app.state, step):
        app.say(said)


def _zoom(_view: View, app: AdapterList) -> None:
    app.state.zoom = not app.state.zoom


STEPS = (
    Action("next_view", "tab", "next view", "the next view, through all tabs", lambda _view, app: app.step_view(1)),
    Action("previous_view", "shift+tab", "previous view", "the previous view",
           lambda _view, app: app.step_view(-1)),
    Action("next_inside", "v", "next in tab", "the next view of the tab, as its digit again",
           lambda _view, app: app.step_inside(1)),
    Action("previous_inside", "V", "previous in tab", "the previous view of the tab",
           lambda _view, app: app.step_inside(-1)),
    Action("up", "up k", "up", "move the cursor or scroll up", lambda view, app: view.move(app.state, -1)),
    Action("down", "down j", "down", "move the cursor or scroll down", lambda view, app: view.move(app.state, 1),
           footer_label="scroll"),
    Action("page_up", "pageup", "page up", "ten rows up", lambda view, app: view.move(app.state, -10)),
    Action("page_down", "pagedown", "page down", "ten rows down", lambda view, app: view.move(app.state, 10)),
)  # fmt: skip
"""Of every view."""
ENDS = (
    Action("first", "home", "first", "the first line, or finding",
           lambda view, app: view.move(app.state, -_EVERYTHING)),
    Action("last", "end", "last", "the last one", lambda view, app: view.move(app.state, _EVERYTHING)),
)  # fmt: skip
"""Of views without layers."""
CURSOR = (
    Action("left", "left h", "left", "move the cursor left", lambda view, app: view.across(app.state, -1)),
    Action("right", "right l", "right", "move the cursor right", lambda view, app: view.across(app.state, 1)),
)
_ONE = (
    Action("layer_down", "[", "layer −1", "move the layer slider down by one", _layer(-1), 60, "[ ]", "layer"),
    Action("layer_up", "]", "layer +1", "move the layer slider up by one", _layer(1)),
)
_SCRUB = (
    Action("scrub_down", "left h", "layer −1", "move the layer slider down by one (on the map: [)", _layer(-1)),
    Action("scrub_up", "right l", "layer +1", "move the layer slider up by one (on the map: ])", _layer(1)),
)
_FAR = (
    Action("layer_down_5", "{", "layer −5", "move the layer slider down by five", _layer(-5)),
    Action("layer_up_5", "}", "layer +5", "move the layer slider up by five", _layer(5)),
    Action("layer_first", "home", "first layer", "move the layer slider to the first layer",
           lambda _, app: app.state.set_layer(0)),
    Action("layer_last", "end", "last layer", "move the layer slider to the last layer",
           lambda _, app: app.state.set_layer(len(app.state.layers) - 1)),
    Action("scope", "g", "all layers / one", "switch between all layers and the slider's layer", _scope, 55,
           footer_label="all/one layer"),
)  # fmt: skip
LAYERS = (*_ONE, *_FAR)
"""Of views whose arrows move a cursor."""
SCRUBBED = (*_ONE, *_SCRUB, *_FAR)
METRIC = (
    Action("next_metric", "m", "metric",
           "the next metric (Size & rank: the next definition of rank; Loss path: the other loss)",
           lambda view, app: _cycle(view, app, 1), 80),
    Action("previous_metric", "M", "previous metric", "the previous metric", lambda view, app: _cycle(view, app, -1)),
)  # fmt: skip
FILTER = Action("filter", "f", "projection", "all projections, then each one: q_proj, k_proj, …", _filter, 70)
OPEN_PAIR = Action("open_pair", "enter", "open pair", "show everything about the pair under the cursor", _open_pair, 90)
PAIRS = (
    Action("toggle", "space", "toggle pair", "add the pair under the cursor to the plots, or drop it", _toggle, 85),
    Action("next_pair", "n", "next pair", "the next pair of the list",
           lambda _, app: app.state.step_pair(1), 50, "n/N"),
    Action("previous_pair", "N", "previous pair", "the previous pair of the list",
           lambda _, app: app.state.step_pair(-1)),
)  # fmt: skip
ZOOM = Action("zoom", "z", "zoom", "draw close around the curves, or with the dashed line in sight", _zoom, 60)
