"""Keys that change who is compared: open, rename, remove, reorder, k."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inspector.study import AdapterInfo
from inspector.tui.screens.dialogs import Prompt
from inspector.tui.shell import Shell
from inspector.tui.similarity import similarity_order
from inspector.tui.text import clean

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


class Editing(Shell):
    """Handlers of the actions that change the list of adapters."""

    def do_undo(self) -> None:
        if not self.undo:
            self.say("nothing to undo")
            return
        state, before = self.state, self.undo.pop()
        if len(before.adapters) != len(state.study.adapters):  # adapters were opened since: their study stays
            self.undo.clear()
            self.say("nothing to undo: adapters were opened since")
            return
        names = [(now.name, then.name) for now, then in zip(state.study.adapters, before.adapters, strict=True)]
        if any(now != then for now, then in names):
            self.loaded = {then: _named(self.loaded[now], then) for now, then in names if now in self.loaded}
            state.study = replace(state.study, adapters=_renamed(state.study.adapters, before.adapters))
            state.shown = replace(state.shown, adapters=_renamed(state.shown.adapters, before.adapters))
        before.restore(state)
        self.say(f"undone: {before.what}")

    def do_open(self) -> None:
        self.push_screen(Prompt("Open a path, or org/repo[@revision][:path] (NAME=… names it)"), self._open)

    def _open(self, source: str | None) -> None:
        if source:
            self.open_sources([source])

    def open_sources(self, sources: list[str]) -> None:
        """Read headers in the background, then measure."""
        raise NotImplementedError

    def do_rename(self) -> None:
        if self.state.size:
            info = self.state.infos[self.state.row]
            self.push_screen(Prompt(f"New name for {clean(info.name)}", info.name), self._rename)

    def _rename(self, name: str | None) -> None:
        state = self.state
        if not name or not state.size:
            return
        old = state.infos[state.row].name
        if name == old:
            return
        if name in state.study.names or clean(name) != name:
            self.say(f"{clean(name)!r} is taken or not printable: choose another name", "warn")
            return
        self.remember(f"the new name of {clean(old)}")
        state.study = state.study.renamed(old, name)
        state.shown = state.shown.renamed(old, name)
        if old in self.loaded:
            # In its place: the order of `loaded` is the order of the next measurement.
            self.loaded = {
                name if at == old else at: _named(adapter, name) if at == old else adapter
                for at, adapter in self.loaded.items()
            }
        self.say(f"{clean(old)} is now {name} (u undoes)")
        self.repaint()

    def do_remove(self) -> None:
        state = self.state
        if not state.size:
            return
        name = state.name(state.row)
        self.remember(f"the removal of {name}")
        state.order = state.order[: state.row] + state.order[state.row + 1 :]
        state.bound()
        self.say(f"removed {name} (u undoes)")

    def do_earlier(self) -> None:
        self._shift(-1)

    def do_later(self) -> None:
        self._shift(1)

    def _shift(self, step: int) -> None:
        """Swap the adapter under the cursor with its neighbour; the cursor goes with it."""
        state = self.state
        target = state.row + step
        if not 0 <= target < state.size:
            return
        self.remember(f"the move of {state.name(state.row)}")
        order = list(state.order)
        order[state.row], order[target] = order[target], order[state.row]
        if state.col == target:
            state.col = state.row
        state.order, state.row, state.sorted = tuple(order), target, False

    def do_similar(self) -> None:
        """Order by similarity of the map's metric at the current place, or back to the order of opening."""
        state = self.state
        if state.size < 3:
            return
        at = state.order[state.row], state.order[state.col]
        values = state.matrix(state.metric)
        if not state.sorted and not np.isfinite(values).any():
            self.say("nothing measured yet to order by", "warn")
            return
        self.remember("the other order")
        if state.sorted:
            state.order = tuple(sorted(state.order))
        else:
            alike = -values if state.metric.startswith("orthogonal") else values
            state.order = tuple(state.order[i] for i in similarity_order(alike))
        state.sorted = not state.sorted
        state.row, state.col = (state.order.index(i) for i in at)
        by = f"by similarity ({state.metric}, {state.where})" if state.sorted else "as they were opened"
        self.say(f"ordered {by}")

    def do_more_k(self) -> None:
        self._change_k(1)

    def do_fewer_k(self) -> None:
        self._change_k(-1)

    def _change_k(self, step: int) -> None:
        """Principal angles of k directions are other angles, not a part of those of k + 1: measure again."""
        if not self.state.study.adapters:
            return
        if not self.loaded:
            self.say(
                f"a saved study has its k = {self.state.study.settings.k}: open its adapters to choose another", "warn"
            )
            return
        wanted = max(self.state.k + step, 1)
        if wanted != self.state.k:
            self.state.k = wanted
            self.say(f"measuring angles again with k = {wanted}")
            self.measure_again()


def _renamed(now: tuple[AdapterInfo, ...], then: tuple[AdapterInfo, ...]) -> tuple[AdapterInfo, ...]:
    """The same adapters under their names of then; what was measured of them since stays."""
    return tuple(replace(a, name=b.name) for a, b in zip(now, then, strict=True))


def _named(adapter: Adapter, name: str) -> Adapter:
    return replace(adapter, info=replace(adapter.info, name=name))
