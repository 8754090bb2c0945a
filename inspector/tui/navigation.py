"""Keys that look around: views, cursor, slider, metric, filter."""

from __future__ import annotations

from inspector.definitions import shown_in
from inspector.sensitivity import GROUPINGS
from inspector.trajectory.result import METRICS
from inspector.tui.jumping import jump
from inspector.tui.mixture import METRICS as MERGE_METRICS
from inspector.tui.screens.basins import losses_measured, shown_loss
from inspector.tui.screens.layers import layers_metrics
from inspector.tui.screens.map import map_metrics
from inspector.tui.screens.size import rank_metrics, spectrum_modules
from inspector.tui.shell import Shell
from inspector.tui.state import TRAJECTORY

_EVERYTHING = 1_000_000


class Navigation(Shell):
    """Handlers of the actions that change what is looked at, not what is open."""

    def go(self, view: str) -> None:
        self.state.view = view

    def do_go_adapters(self) -> None:
        self.go("adapters")

    def do_go_map(self) -> None:
        self.go("map")

    def do_go_layers(self) -> None:
        self.go("layers")

    def do_go_angles(self) -> None:
        self.go("angles")

    def do_go_size(self) -> None:
        self.go("size")

    def do_go_pair(self) -> None:
        self.go("pair")

    def do_go_objectives(self) -> None:
        self.go("objectives")

    def do_go_basins(self) -> None:
        self.go("basins")

    def do_go_cka(self) -> None:
        self.go("cka")

    def do_go_accuracy(self) -> None:
        self.go("accuracy")

    def do_go_merge(self) -> None:
        self.go("merge")

    def do_go_sensitivity(self) -> None:
        self.go("sensitivity")

    def do_go_summary(self) -> None:
        self.go("summary")

    def do_next_view(self) -> None:
        self._step_view(1)

    def do_previous_view(self) -> None:
        self._step_view(-1)

    def _step_view(self, step: int) -> None:
        tabs = self.state.tabs
        self.go(tabs[(tabs.index(self.state.view) + step) % len(tabs)])

    def do_up(self) -> None:
        self.view.move(self.state, -1)

    def do_down(self) -> None:
        self.view.move(self.state, 1)

    def do_page_up(self) -> None:
        self.view.move(self.state, -10)

    def do_page_down(self) -> None:
        self.view.move(self.state, 10)

    def do_first(self) -> None:
        self.view.move(self.state, -_EVERYTHING)

    def do_last(self) -> None:
        self.view.move(self.state, _EVERYTHING)

    def do_left(self) -> None:
        self.state.col = max(self.state.col - 1, 0)

    def do_right(self) -> None:
        self.state.col = min(self.state.col + 1, max(self.state.size - 1, 0))

    def do_layer_down(self) -> None:
        self.state.set_layer(self.state.layer - 1)

    def do_layer_up(self) -> None:
        self.state.set_layer(self.state.layer + 1)

    do_scrub_down = do_layer_down
    do_scrub_up = do_layer_up

    def do_layer_down_5(self) -> None:
        self.state.set_layer(self.state.layer - 5)

    def do_layer_up_5(self) -> None:
        self.state.set_layer(self.state.layer + 5)

    def do_layer_first(self) -> None:
        self.state.set_layer(0)

    def do_layer_last(self) -> None:
        self.state.set_layer(len(self.state.layers) - 1)

    def do_scope(self) -> None:
        self.state.one_layer = not self.state.one_layer and bool(self.state.layers)

    def do_next_metric(self) -> None:
        self._step_metric(1)

    def do_previous_metric(self) -> None:
        self._step_metric(-1)

    def _step_metric(self, step: int) -> None:
        state = self.state
        if state.view == "map":
            state.metric = state.layers_metric = _cycled(map_metrics(state), state.metric, step)
        elif state.view == "layers":
            state.layers_metric = _cycled(layers_metrics(state), state.layers_metric, step)
            if state.layers_metric in shown_in("map"):
                state.metric = state.layers_metric
        elif state.view == "cka":
            state.cka_metric = _cycled(shown_in("cka"), state.cka_metric, step)
        elif state.view == "merge":
            state.mixture.metric = _cycled(MERGE_METRICS, state.mixture.metric, step)
        elif state.view == "sensitivity":
            state.grouping = _cycled(GROUPINGS, state.grouping, step)
        elif state.view == "basins":
            self._other_loss(step)
        elif state.view == TRAJECTORY:
            state.watched.metric = _cycled(METRICS, state.watched.metric, step)
        else:
            state.rank_metric = _cycled(rank_metrics(state), state.rank_metric, step)

    def _other_loss(self, step: int) -> None:
        known = losses_measured(self.state)
        self.state.loss = _cycled(known or ("",), shown_loss(self.state), step)
        if len(known) < 2:
            self.say("only one loss was measured: p runs the other" if known else "no loss was measured: p runs one")

    def do_filter(self) -> None:
        self.refilter(_cycled(("", *self.state.study.projections), self.state.filter, 1))

    def do_open_pair(self) -> None:
        if self.state.pair is not None:
            self.state.tops["pair"] = 0
            self.go("pair")

    def do_open_finding(self) -> None:
        found = self.state.findings
        if not found:
            return
        numbers = found[min(self.state.finding, len(found) - 1)].numbers
        if not numbers:
            self.say("this finding has no number of its own")
            return
        if self.state.filter:  # findings are of all projections
            self.refilter("")
        first = numbers[0]
        self.go(jump(self.state, first.metric, first.a, first.b, first.layer))

    def do_toggle(self) -> None:
        pair = self.state.pair
        if pair is not None:
            shown = self.state.toggle()
            names = " ↔ ".join(self.state.name(at) for at in pair)
            self.say(f"{names}: {'plotted' if shown else 'not plotted'}")

    def do_next_pair(self) -> None:
        self.state.step_pair(1)

    def do_previous_pair(self) -> None:
        self.state.step_pair(-1)

    def do_next_module(self) -> None:
        self._step_module(1)

    def do_previous_module(self) -> None:
        self._step_module(-1)

    def _step_module(self, step: int) -> None:
        modules = spectrum_modules(self.state)
        if modules:
            self.state.spectrum = (self.state.spectrum + step) % len(modules)

    def do_zoom(self) -> None:
        self.state.zoom = not self.state.zoom

    def do_log(self) -> None:
        self.state.log = not self.state.log


def _cycled(choices: tuple[str, ...], current: str, step: int) -> str:
    at = choices.index(current) if current in choices else -1 if step > 0 else 0
    return choices[(at + step) % len(choices)]
