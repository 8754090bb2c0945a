"""Actions that change who is compared: open, rename, remove, reorder, undo, k."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inspector.insights.order import similarity_order
from inspector.study.adapter_info import AdapterInfo
from inspector.study.export import is_study
from inspector.tui.actions import Action
from inspector.tui.adapter_list import AdapterList
from inspector.tui.opening.dialog import OpenDialog
from inspector.tui.opening.offers import DEMO_WORD, recently
from inspector.tui.state import AppState
from inspector.tui.text import clean, plural
from inspector.tui.widgets.dialogs import Prompt

if TYPE_CHECKING:
    from inspector.adapters.model import Adapter


def _undo(_view: object, app: AdapterList) -> None:
    if not app.undo:
        app.say("nothing to undo")
        return
    state, before = app.state, app.undo.pop()
    if len(before.adapters) != len(state.study.adapters):  # adapters were opened since: their study stays
        app.undo.clear()
        app.say("nothing to undo: adapters were opened since")
        return
    names = [(now.name, then.name) for now, then in zip(state.study.adapters, before.adapters, strict=True)]
    if any(now != then for now, then in names):
        app.loaded = {then: _named(app.loaded[now], then) for now, then in names if now in app.loaded}
        state.study = replace(state.study, adapters=_renamed(state.study.adapters, before.adapters))
        state.shown = replace(state.shown, adapters=_renamed(state.shown.adapters, before.adapters))
    before.restore(state)
    app.say(f"undone: {before.what}")


def _open(_view: object, app: AdapterList) -> None:
    def given(source: str | None) -> None:
        if source == DEMO_WORD and not Path(source).exists():
            app.open_demo()
        elif source:
            if is_study([source]):
                app.open_study(source)
            else:
                app.open_sources([source])
            app.state.recent = recently(app.state.recent, [source])

    app.push_screen(OpenDialog(app.state.recent, app.ink), given)


def _demo(_view: object, app: AdapterList) -> None:
    """A key that opens eleven adapters must not meet those of someone at work."""
    if app.state.size or app.progress is not None:
        app.say("others are open: o and the word demo open the bundled adapters beside them", "warn")
    else:
        app.open_demo()


def _rename(_view: object, app: AdapterList) -> None:
    if app.state.size:
        info = app.state.infos[app.state.row]
        app.push_screen(Prompt(f"New name for {clean(info.name)}", info.name), lambda name: _take_name(app, name))


def _take_name(app: AdapterList, name: str | None) -> None:
    state = app.state
    if not name or not state.size:
        return
    old = state.infos[state.row].name
    if name == old:
        return
    if name in state.study.names or clean(name) != name:
        app.say(f"{clean(name)!r} is taken or not printable: choose another name", "warn")
        return
    app.remember(f"the new name of {clean(old)}")
    state.study = state.study.renamed(old, name)
    state.shown = state.shown.renamed(old, name)
    if old in app.loaded:
        # In its place: the order of `loaded` is the order of the next measurement.
        app.loaded = {
            name if at == old else at: _named(adapter, name) if at == old else adapter
            for at, adapter in app.loaded.items()
        }
    app.say(f"{clean(old)} is now {name} (u undoes)")
    app.repaint()


def _remove(_view: object, app: AdapterList) -> None:
    state = app.state
    if not state.size:
        return
    name = state.name(state.row)
    app.remember(f"the removal of {name}")
    state.order = state.order[: state.row] + state.order[state.row + 1 :]
    state.bound()
    app.say(f"removed {name} (u undoes)")


def _shift(app: AdapterList, step: int) -> None:
    """Swap the adapter under the cursor with its neighbour; the cursor goes with it."""
    state = app.state
    target = state.row + step
    if not 0 <= target < state.size:
        return
    app.remember(f"the move of {state.name(state.row)}")
    order = list(state.order)
    order[state.row], order[target] = order[target], order[state.row]
    if state.col == target:
        state.col = state.row
    state.order, state.row, state.sorted = tuple(order), target, False


def _similar(_view: object, app: AdapterList) -> None:
    """Order by similarity of the map's metric at the current place, or back to the order of opening."""
    state = app.state
    if state.size < 3:
        return
    at = state.order[state.row], state.order[state.col]
    values = state.matrix(state.metric)
    if not state.sorted and not np.isfinite(values).any():
        app.say("nothing measured yet to order by", "warn")
        return
    app.remember("the other order")
    if state.sorted:
        state.order = tuple(sorted(state.order))
    else:
        alike = -values if state.metric.startswith("orthogonal") else values
        state.order = tuple(state.order[i] for i in similarity_order(alike))
    state.sorted = not state.sorted
    state.row, state.col = (state.order.index(i) for i in at)
    by = f"by similarity ({state.metric}, {state.where})" if state.sorted else "as they were opened"
    app.say(f"ordered {by}")


def _change_k(app: AdapterList, step: int) -> None:
    """Principal angles of k directions are other angles, not a part of those of k + 1: measure again."""
    known = app.state.study.settings.k
    if not app.state.study.adapters:
        return
    if not app.loaded:
        app.say(f"a saved study has its k = {known}: open its adapters to choose another", "warn")
        return
    most = _most_angles(app.state)
    if step > 0 and app.state.k >= most:
        app.say(f"no two of these adapters have more than {plural(most, 'angle')}: their ranks allow no larger k")
        return
    wanted = max(min(app.state.k, most) + step, 1)
    if wanted != app.state.k:
        app.state.k = wanted
        app.say(f"measuring angles again with k = {wanted}")
        app.measure_again()


def _most_angles(state: AppState) -> int:
    """How many angles any two adapters have: the lower of their ranks; no limit as long as these are not known."""
    ranks = sorted((max(info.ranks, default=0) for info in state.study.adapters), reverse=True)
    return ranks[1] if len(ranks) > 1 and ranks[1] else state.k + 1


def _renamed(now: tuple[AdapterInfo, ...], then: tuple[AdapterInfo, ...]) -> tuple[AdapterInfo, ...]:
    """The same adapters under their names of then; what was measured of them since stays."""
    return tuple(replace(a, name=b.name) for a, b in zip(now, then, strict=True))


def _named(adapter: Adapter, name: str) -> Adapter:
    return replace(adapter, info=replace(adapter.info, name=name))


OPEN = Action("open", "o", "open", "open a path or a Hub id, completed by tab; lists what was opened before", _open, 35)
DEMO_ALONE = Action("demo", "d", "demo", "open the bundled adapters, with everything measured", _demo)
UNDO = Action("undo", "u", "undo", "undo the last removal, rename, reordering or weight of the sum", _undo, 5)
RENAME = Action("rename", "r", "rename", "rename the adapter under the cursor", _rename, 30)
REMOVE = Action("remove", "x delete", "remove", "remove the adapter under the cursor from the list", _remove, 25, "x")
LIST = (
    Action("similar", "s", "by similarity", "order the adapters by similarity, or as they were", _similar, 45),
    RENAME,
    REMOVE,
    Action("earlier", "<", "move up", "move the adapter under the cursor up", lambda _, app: _shift(app, -1), 20,
           "< >", "move"),
    Action("later", ">", "move down", "move the adapter under the cursor down", lambda _, app: _shift(app, 1)),
)  # fmt: skip
"""Of views that list the adapters."""
K = (
    Action("more_k", "+ =", "k +1", "principal angles of one more direction (measures again)",
           lambda _, app: _change_k(app, 1)),
    Action("fewer_k", "-", "k −1", "principal angles of one direction less", lambda _, app: _change_k(app, -1), 75,
           "+/-", "angles k"),
)  # fmt: skip
"""Of views of principal angles."""
