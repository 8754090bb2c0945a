"""Keys of the Claims view: another set of claims, and the numbers behind the one under the cursor."""

from __future__ import annotations

from operator import attrgetter

from inspector.claims.bundled import addresses, claim_set
from inspector.claims.subjects import Where
from inspector.claims.verdicts import Outcome
from inspector.common.errors import InspectorError
from inspector.tui.actions import Action
from inspector.tui.go_to import show as show_metric
from inspector.tui.views.claims.state import Judged
from inspector.tui.widgets.dialogs import Prompt
from inspector.tui.work import Work


def ask_for_claims(app: Work) -> None:
    def named(name: str | None) -> None:
        if name:
            take_claims(app, name, show=True)

    app.push_screen(Prompt(f"Check claims: a .yaml file, or {some_sets()}"), named)


def some_sets() -> str:
    """`one of demo, …`: the sets that are bundled."""
    return f"one of {', '.join(addresses())}"


def take_claims(app: Work, name: str, *, show: bool) -> None:
    """Check a set from now on; one that cannot be read is told, and the old one stays."""
    try:
        app.state.judged = Judged(name, claim_set(name))
    except (InspectorError, OSError, RuntimeError, ValueError) as error:  # too long a name; ~nobody; a NUL
        app.say(str(error), "bad")
    else:
        if show:
            app.go("claims")
    app.repaint()


def _open_claim(_view: object, app: Work) -> None:
    """The view that shows the numbers of the claim under the cursor, at its pair and its layer."""
    judged = app.state.judged
    if judged is None:
        return
    if not app.state.measured:
        app.say("claims are judged once all is measured", "warn")
        return
    outcome = judged.outcomes(app.state.study)[judged.row]
    where = Where.of(app.state.study, judged.claims.aliases())
    if missing := where.missing(outcome.claim.required):
        app.say(f"{', '.join(missing)}: not open, so there is nothing to show", "warn")
        return
    places = {name: app.state.order.index(at) for name, at in where.at.items() if at in app.state.order}
    if hidden := [name for name in outcome.claim.required if name not in places]:
        app.say(f"{', '.join(hidden)}: removed from the list (u undoes)", "warn")
        return
    _point_at(app, outcome, places)
    _look_at(app, outcome)


def _point_at(app: Work, outcome: Outcome, places: dict[str, int]) -> None:
    """The cursor on the claim's first pair or adapter, and all its pairs in the plots: of a filter, those it found."""
    state = app.state
    found = [one.names for measured in outcome.measured for one in (*measured.selected, *measured.selected_other)]
    asked = [names for s in outcome.claim.selectors for names in (*s.pairs, *((name,) for name in s.adapters))]
    subjects = [tuple(places[name] for name in names) for names in found or asked if all(n in places for n in names)]
    if pairs := [(at[0], at[1]) for at in subjects if len(at) > 1]:
        state.row, state.col = pairs[0]
        state.chosen = frozenset(state.id_pair(pair) for pair in pairs)
    elif alone := [at[0] for at in subjects if at]:
        state.row = alone[0]


def _look_at(app: Work, outcome: Outcome) -> None:
    """The metric, the layer and the modules that the claim speaks of."""
    state, selector = app.state, outcome.claim.selector
    shown = next((one for one in outcome.measured if one.holds), outcome.measured[0])
    modules = selector.modules or ()
    wanted = modules[0] if len(modules) == 1 and modules[0] in state.study.projections else ""
    if state.filter != wanted:
        app.refilter(wanted)
    state.one_layer = False
    if selector.layers is not None and state.layers:
        layer = selector.layers[0] if selector.layers[0] == selector.layers[1] else 0
        if (extreme := selector.statistic.removeprefix("arg")[:3]) in {"min", "max"} and shown.selected:
            best = (min if extreme == "min" else max)(shown.selected, key=attrgetter("value"))
            layer = best.place.layer or 0
        if layer in range(-1, max(state.layers) + 1):
            state.set_layer(state.layers.index(layer) if layer in state.layers else len(state.layers) - 1)
    app.go(show_metric(app.views.values(), state, shown.metric, layer=selector.layers is not None))
    app.say("8 goes back to the claims")


CHOOSE = Action("claims", "c", "claims…", "check another set of claims: a .yaml file, or a bundled one",
                lambda _view, app: ask_for_claims(app), 80)  # fmt: skip
OPEN_CLAIM = Action("open_claim", "enter", "numbers", "the numbers behind the claim under the cursor", _open_claim, 90)
