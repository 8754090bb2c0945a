"""Claims in the app: loading a set, going to the numbers behind a claim, the published adapters beside one's own."""

from __future__ import annotations

from operator import attrgetter

from inspector.claims.bundled import addresses, claim_set
from inspector.claims.model import Claim, ClaimSet
from inspector.claims.selection import Where
from inspector.claims.verdicts import Outcome
from inspector.errors import InspectorError
from inspector.tui.judged import Judged
from inspector.tui.jumping import show as show_metric
from inspector.tui.screens.dialogs import Prompt
from inspector.tui.shell import Shell
from inspector.tui.state import CLAIMS


class Claiming(Shell):
    """Handlers of the Claims view."""

    reference: ClaimSet | None = None
    """The set whose adapters are still to be opened beside one's own."""

    def do_go_claims(self) -> None:
        """To the claims; where there are none, or they are looked at already, ask for a set."""
        if self.state.judged is None or self.state.view == CLAIMS:
            known = ", ".join(addresses())
            self.push_screen(Prompt(f"Check claims: a .yaml file, or one of {known}"), self._asked_claims)
        else:
            self.go(CLAIMS)

    def _asked_claims(self, name: str | None) -> None:
        if name:
            self.take_claims(name, show=True)

    def take_claims(self, name: str, *, show: bool) -> None:
        """Check a set from now on; one that cannot be read is told, and the old one stays."""
        try:
            self.state.judged = Judged(name, claim_set(name))
        except (InspectorError, OSError, RuntimeError, ValueError) as error:  # too long a name; ~nobody; a NUL
            self.say(str(error), "bad")
        else:
            if show:
                self.go(CLAIMS)
        self.repaint()

    def do_open_claim(self) -> None:
        """The view that shows the numbers of the claim under the cursor, at its pair and its layer."""
        judged = self.state.judged
        if judged is None:
            return
        if not self.state.measured:
            self.say("claims are judged once all is measured", "warn")
            return
        outcome = judged.outcomes(self.state.study)[judged.row]
        where = Where.of(self.state.study, judged.claims.aliases())
        if missing := where.missing(outcome.claim.names):
            self.say(f"{', '.join(missing)}: not open, so there is nothing to show", "warn")
            return
        places = {name: self.state.order.index(at) for name, at in where.at.items() if at in self.state.order}
        if hidden := [name for name in outcome.claim.names if name not in places]:
            self.say(f"{', '.join(hidden)}: removed from the list (u undoes)", "warn")
            return
        self._point_at(outcome.claim, places)
        self._look_at(outcome)

    def _point_at(self, claim: Claim, places: dict[str, int]) -> None:
        """The cursor on the claim's first pair or adapter, and all its pairs in the plots."""
        state, selector = self.state, claim.selector
        if selector.pairs:
            both = (*selector.pairs, *(claim.other.pairs if claim.other else ()))
            pairs = [(places[a], places[b]) for a, b in both]
            state.row, state.col = pairs[0]
            state.chosen = frozenset(state.id_pair(pair) for pair in pairs)
        elif selector.adapters:
            state.row = places[selector.adapters[0]]

    def _look_at(self, outcome: Outcome) -> None:
        """The metric, the layer and the modules that the claim speaks of."""
        state, selector = self.state, outcome.claim.selector
        shown = next((one for one in outcome.measured if one.holds), outcome.measured[0])
        modules = selector.modules or ()
        wanted = modules[0] if len(modules) == 1 and modules[0] in state.study.projections else ""
        if state.filter != wanted:
            self.refilter(wanted)
        state.one_layer = False
        if selector.layers is not None and state.layers:
            layer = selector.layers[0] if selector.layers[0] == selector.layers[1] else 0
            if (extreme := selector.statistic.removeprefix("arg")[:3]) in {"min", "max"} and shown.selected:
                best = (min if extreme == "min" else max)(shown.selected, key=attrgetter("value"))
                layer = best.place.layer or 0
            if layer in range(-1, max(state.layers) + 1):
                state.set_layer(state.layers.index(layer) if layer in state.layers else len(state.layers) - 1)
        self.go(show_metric(state, shown.metric, layer=selector.layers is not None))
        self.say("C goes back to the claims")

    # The published adapters beside one's own

    def open_reference(self) -> bool:
        """Open them once one's own are there, unless no base is shared; whether something is on its way."""
        claims, self.reference = self.reference, None
        if claims is None:
            return False
        from inspector.reference import compared

        try:
            own, sources = compared(claims, list(self.loaded.values()), lambda text: self.say(text, "warn"))
        except InspectorError as error:
            self.say(str(error), "bad")
            return False
        self.loaded = {adapter.info.name: adapter for adapter in own}
        if sources:
            self.open_sources(list(sources))
        return bool(sources)

    def go(self, view: str) -> None:
        raise NotImplementedError

    def open_sources(self, sources: list[str]) -> None:
        raise NotImplementedError
