"""Everything about two adapters: whole, per projection and layer, angle by angle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.insights.pairwise import pair_interference
from inspector.study.aggregate import aggregate
from inspector.study.metrics import INTERFERENCE
from inspector.study.study import Scope, Study
from inspector.tui.editing import K
from inspector.tui.navigation import FILTER, PAIRS, SCRUBBED
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.text import Line, clean, degrees, general, left, right, signed, unsigned
from inspector.tui.values import number
from inspector.tui.views.angles import depth, theta
from inspector.tui.views.base import Area, Table, View, scrolled, tidy
from inspector.tui.views.map import directions, one_sided, read_against_chance

_TABLE = (
    ("cosine", "cos"),
    ("u1", "u₁"),
    ("v1", "v₁"),
    ("subspace_overlap", "ov.out"),
    ("subspace_overlap_right", "ov.in"),
    ("orthogonal_fraction_module", "orth"),
    ("energy_ratio", "energy"),
)
_SOURCES = {"norm", *(metric for metric, _ in _TABLE)}
"""The module blocks that the table is made from."""
_BRIEF = {"shared outputs": "shared", "independent": "indep"}
_GAP = 1e-3
_STEEP = 0.9


@dataclass(frozen=True, slots=True)
class PairRow:
    """One projection (or one module): a number per metric of the table, and the class."""

    label: str
    values: tuple[float, ...]
    kind: str


@dataclass(slots=True)
class _Projections:
    """The pair's own small studies, one a projection, kept until study or pair change."""

    pair: Pair | None = None
    source: Study | None = None
    studies: tuple[tuple[str, Study], ...] = ()

    def of(self, study: Study, pair: Pair) -> tuple[tuple[str, Study], ...]:
        if self.source is not study or self.pair != pair:
            needed = {key: values for key, values in study.blocks.items() if key[0] in _SOURCES}
            two = replace(study, blocks=needed).subset(pair)
            present = two.present[0] | two.present[1]
            adapted = dict.fromkeys(m.projection for m, here in zip(study.modules, present, strict=True) if here)
            self.studies = tuple((p, aggregate(two, frozenset({p}))) for p in adapted)
            self.source, self.pair = study, pair
        return self.studies


class PairView(View):
    id = "pair"
    tab = "4"
    title = "Pair"
    scrolls = True
    need = 2
    hint = "everything about two adapters"
    about = "Everything about two adapters. n and N go through the pairs; arrows scroll."
    terms = (("interference", INTERFERENCE),)
    actions = (*SCRUBBED, FILTER, *PAIRS, *K)

    def __init__(self) -> None:
        self._projections = _Projections()

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        pair = state.pair or (0, 1)
        lines = [*self._head(state, pair, area), *self._sizes(state, pair, area), Line()]
        if state.layers:
            lines += self._rows(
                self.of_layer(state, pair), f"layer {state.layers[state.layer]}, module by module", area
            )
            lines.append(Line())
        lines += self._rows(self.of_projections(state, pair), "per projection, over all layers", area)
        return scrolled([*lines, Line(), *self._angles(state, pair, area)], state, self.id, area)

    def _head(self, state: AppState, pair: Pair, area: Area) -> list[Line]:
        ink = area.ink
        title = Line(f" a = {state.name(pair[0])}  ↔  b = {state.name(pair[1])}", ink.accent)
        title.add(f"  {self.place(state)}", ink.dim)
        cosine = Line("  cosine ", ink.dim).add(signed(state.number("cosine", pair)).strip(), ink.bold)
        cosine.add("   interference ", ink.dim).add(state.interference(pair).kind, ink.bold)
        cosine.add("   energy ratio ", ink.dim).add(general(state.number("energy_ratio", pair)), ink.bold)
        lonely = one_sided(state, pair)
        return [title, cosine, *([Line(lonely, ink.warn)] if lonely else [])]

    def _sizes(self, state: AppState, pair: Pair, area: Area) -> list[Line]:
        """Two columns: directions and overlaps with chance; norms and orthogonal fractions."""
        ink, (a, b) = area.ink, pair
        norms = (state.own("norm", a), state.own("norm", b))
        ratio = norms[0] / norms[1] if norms[1] else float("nan")
        many = state.number("orthogonal_fraction_module", (a, b)), state.number("orthogonal_fraction_module", (b, a))
        right_column = (
            ("‖ΔW‖ of a, of b", f"{general(norms[0])}, {general(norms[1])}"),
            ("‖a‖ / ‖b‖", general(ratio)),
            ("orth. one coefficient", unsigned(state.number("orthogonal_fraction_global", pair))),
            ("orth. module: a off b", unsigned(many[0])),
            ("orth. module: b off a", unsigned(many[1])),
        )
        left_column = [read_against_chance(state, d, pair) for d in directions(state)]
        lines = []
        for at in range(max(len(left_column), len(right_column))):
            line = Line("  ")
            if at < len(left_column):
                label, text, note = left_column[at]
                line.add(label, ink.dim).to(18).add(left(text, 5), ink.bold).add(note, ink.dim)
            if area.width >= 78 and at < len(right_column):
                label, text = right_column[at]
                line.to(43).add(label, ink.dim).to(66).add(text, ink.bold)
            if line.width > 2:
                lines.append(line)
        if area.width < 78:
            lines += [Line("  ").add(label, ink.dim).to(25).add(text, ink.bold) for label, text in right_column]
        return lines

    def _rows(self, rows: list[PairRow], title: str, area: Area) -> list[Line]:
        ink = area.ink
        wide = area.width >= 76
        label, column = max((cell_len(row.label) for row in rows), default=8), 7 if wide else 6
        header = Line(f"  {left('', label)}", ink.dim)
        for _, name in _TABLE:
            header.add(right(name, column), ink.dim)
        lines = [Line(f" {title}", ink.bold).add("   orth: per module, a off b" if wide else "", ink.dim), header]
        for row in rows:
            line = Line("  ").add(left(row.label, label))
            for (metric, _), value in zip(_TABLE, row.values, strict=True):
                line.add(right(number(metric, value), column), ink.bold if metric == "cosine" else ink.plain)
            lines.append(line.add("  " + (row.kind if wide else _BRIEF.get(row.kind, row.kind)), ink.dim))
        return lines if rows else [lines[0], Line("  neither adapter changes anything here", ink.dim)]

    def of_projections(self, state: AppState, pair: Pair) -> list[PairRow]:
        """A row per projection, aggregated over its modules in all layers."""
        ids = state.order[pair[0]], state.order[pair[1]]
        rows = []
        for projection, study in self._projections.of(state.study, ids):
            modules = np.array([m.projection == projection for m in state.study.modules])
            kind = pair_interference(state.study, *ids, modules).kind
            rows.append(_row(study, projection, "global", (0, 1, 0), kind))
        return rows

    def of_layer(self, state: AppState, pair: Pair) -> list[PairRow]:
        """A row per module of the slider's layer."""
        a, b = state.order[pair[0]], state.order[pair[1]]
        layer = state.layers[state.layer]
        present = state.study.present[a] | state.study.present[b]
        here = [(m, module) for m, module in enumerate(state.study.modules) if module.layer == layer and present[m]]
        distinct = len({module.projection for _, module in here}) == len(here)
        rows = []
        for m, module in here:
            kind = pair_interference(state.study, a, b, np.arange(len(state.study.modules)) == m).kind
            label = clean(module.projection if distinct else module.path)
            rows.append(_row(state.study, label, "module", (a, b, m), kind))
        return rows

    def _angles(self, state: AppState, pair: Pair, area: Area) -> list[Line]:
        """θ_1 … θ_k at the layer and overall, with chance and what is not well defined."""
        ink = area.ink
        columns: list[tuple[str, Scope]] = [("all layers", "global")]
        if state.layers:
            columns.append((f"layer {state.layers[state.layer]}", "layer"))
        asked, k = state.shown.settings.k, depth(state)
        rank = f" (rank {k})" if k < asked else ""
        lines = [Line(f" principal angles, output side, k = {asked}{rank}, medians over modules", ink.bold)]
        blocks = [
            (name, state.indexed("principal_angle", pair, scope), state.pair_chance("principal_angle", pair, scope))
            for name, scope in columns
        ]
        for start in range(0, k, per_row := max((area.width - 24) // 8, 1)):
            shown = range(start, min(start + per_row, k))
            lines.append(Line().to(24).add("".join(right(theta(n + 1), 8) for n in shown), ink.dim))
            for name, angles, chance in blocks:
                for label, values, style in ((name, angles, ink.plain), (f"{name}, chance", chance, ink.dim)):
                    text = "".join(right(degrees(float(values[n])) if n < len(values) else "·", 8) for n in shown)
                    lines.append(Line("  ").add(label, ink.dim).to(24).add(text, style))
        return [*lines, *self._doubts(state, pair, area)]

    def _doubts(self, state: AppState, pair: Pair, area: Area) -> list[Line]:
        """Where the layer's top direction or top-k subspace is not well defined."""
        layer = state.layers[state.layer] if state.layers else None
        modules = [m for m, module in enumerate(state.study.modules) if module.layer == layer]
        sigma, k = state.study.spectra, state.study.settings.k
        lines = []
        for side, position in (("a", pair[0]), ("b", pair[1])):
            adapter = state.order[position]
            steep, loose = [], []
            for m in modules if sigma is not None else []:
                values = sigma[adapter, m] if sigma is not None else np.zeros(2)
                values = values[np.isfinite(values)]
                name = clean(state.study.modules[m].projection)
                if len(values) > 1 and values[1] > _STEEP * values[0]:
                    steep.append(name)
                if len(values) and (values - np.append(values[1:], 0.0))[:k].min() < _GAP * values[0]:
                    loose.append(name)
            if steep:
                lines.append(Line(f"  ! {side}: u₁, v₁ unstable in {', '.join(steep)} (σ₂/σ₁ > 0.9)", area.ink.warn))
            if loose:
                text = f"  ! {side}: top-k subspace not well defined in {', '.join(loose)} (gap < 1e-3 σ₁)"
                lines.append(Line(text, area.ink.warn))
        return lines

    def table(self, state: AppState) -> Table:
        columns = ("scope", "modules", *(metric for metric, _ in _TABLE), "interference")
        if (pair := state.pair) is None:
            return Table("no pair", columns, ())
        whole = _row_of_state(state, pair)
        groups = [("all", [whole]), ("projection", self.of_projections(state, pair))]
        if state.layers:
            groups.append((f"layer {state.layers[state.layer]}", self.of_layer(state, pair)))
        rows = tuple(
            (scope, row.label, *(tidy(v) for v in row.values), row.kind) for scope, group in groups for row in group
        )
        title = f"a = {state.name(pair[0])}, b = {state.name(pair[1])} · {self.place(state)}"
        return Table(title, columns, rows)

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, of=state.pair or ())

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        known = tuple(metric for metric, _ in _TABLE)
        return (*known, "orthogonal_fraction_global", "principal_angle", "norm", "spectral_gap")


def _row(study: Study, label: str, scope: Scope, at: tuple[int, int, int], kind: str) -> PairRow:
    """One row of the table out of a study's blocks."""

    def value(metric: str) -> float:
        block = study.block(metric, scope)
        return float("nan") if block is None else float(block[at])

    return PairRow(label, tuple(value(metric) for metric, _ in _TABLE), kind)


def _row_of_state(state: AppState, pair: Pair) -> PairRow:
    values = tuple(state.number(metric, pair) for metric, _ in _TABLE)
    return PairRow(state.filter or "all", values, state.interference(pair).kind)
