"""Keys that change who is compared: open, rename, remove, reorder, k."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inspector.tui.screens.dialogs import Prompt
from inspector.tui.shell import Shell
from inspector.tui.similarity import similarity_order
from inspector.tui.text import clean

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


class Editing(Shell):
    """Handlers of the actions that change the list of adapters."""

    def remember(self) -> None:
        """Keep the present list for undo."""
        self.undo.append((self.state.study, self.state.shown, self.state.order))
        del self.undo[:-50]

    def do_undo(self) -> None:
        if not self.undo:
            self.say("nothing to undo")
            return
        study, shown, order = self.undo.pop()
        current = set(self.state.study.names)
        if len(study.adapters) != len(current):  # adapters were opened since: their study stays
            self.undo.clear()
            self.say("nothing to undo: adapters were opened since")
            return
        renamed = study.names != self.state.study.names
        self.loaded = {
            new: _named(self.loaded[old], new)
            for old, new in zip(self.state.study.names, study.names, strict=True)
            if old in self.loaded
        }
        if renamed:
            self.state.study = replace(self.state.study, adapters=study.adapters)
            self.state.shown = replace(self.state.shown, adapters=shown.adapters)
        self.state.order = order
        self.state.bound()
        self.say("undone")

    def do_open(self) -> None:
        self.push_screen(Prompt("Open a path, or org/repo[@revision][:subfolder] (NAME=… names it)"), self._open)

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
        self.remember()
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
        self.remember()
        name = state.name(state.row)
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
        self.remember()
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
        self.remember()
        at = state.order[state.row], state.order[state.col]
        if state.sorted:
            state.order = tuple(sorted(state.order))
        else:
            values = state.matrix(state.metric)
            if not np.isfinite(values).any():
                self.say("nothing measured yet to order by", "warn")
                return
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


def _named(adapter: Adapter, name: str) -> Adapter:
    return replace(adapter, info=replace(adapter.info, name=name))
