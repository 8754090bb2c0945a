"""How alike the hidden states of two adapters are, layer by layer, against shuffled prompts and the base."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.study.metrics import shown_in
from inspector.study.metrics.probes import QUESTION_ALONE
from inspector.tui.actions import cycled
from inspector.tui.navigation import METRIC, OPEN_PAIR, PAIRS, SCRUBBED, ZOOM
from inspector.tui.probing.views import (
    along_layers,
    chosen_pairs,
    here,
    measured_pairs,
    probe_words,
    provenance,
    unmeasured,
    value,
)
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_label, pair_labels
from inspector.tui.table import Table
from inspector.tui.text import NA, Line, decimal, page, plural, wrap
from inspector.tui.views.base import Area, View, metric_title, rows_shown, tidy, window
from inspector.tui.views.layers.view import MOST
from inspector.tui.widgets.layer_map import Grid, Track, grid, paint
from inspector.tui.widgets.plot import Lines, as_curve, limits_of, plot

Subject = tuple[int, ...]
"""Positions: of a pair, the smaller first, or of one adapter."""


def to_base(state: AppState) -> bool:
    """Whether adapters are compared with the base instead of with each other."""
    return state.cka_metric.endswith("_base")


def subjects(state: AppState) -> list[Subject]:
    """The rows of the map: measured and plotted pairs and the cursor's; or every adapter."""
    if to_base(state):
        return [(at,) for at in range(state.size)]
    return sorted(measured_pairs(state, state.cka_metric) | set(lettered(state)))


def lettered(state: AppState) -> list[Subject]:
    """Those that are plotted, the cursor's own among them."""
    if to_base(state):
        first = min(max(state.row - MOST + 1, 0), max(state.size - MOST, 0))
        return [(at,) for at in range(first, min(first + MOST, state.size))]
    mine = set() if state.pair is None else {_cursor(state)}
    return sorted(set[Subject](chosen_pairs(state, state.cka_metric)) | mine)


def _labels(state: AppState, rows: Sequence[Subject], width: int) -> list[str]:
    """Names of the rows, within so many cells and no two alike."""
    if to_base(state):
        names = labels(state.names).at(width)
        return [names[row[0]] for row in rows]
    return pair_labels(state, [(row[0], row[1]) for row in rows], width)


def _colours(state: AppState, plotted: list[Subject]) -> tuple[int, ...]:
    """Of each line: an adapter has its own."""
    if to_base(state):
        return tuple(state.order[at] for (at,) in plotted)
    return pair_colours(state, [(subject[0], subject[1]) for subject in plotted])


def _cursor(state: AppState) -> Subject:
    return (state.row,) if to_base(state) or state.pair is None else (min(state.pair), max(state.pair))


def track(state: AppState, subject: Subject, label: str, letter: int, colour: int = 0) -> Track:
    """A pair or an adapter as a row of the map."""
    values, number = along_layers(state, state.cka_metric, *subject), here(state, state.cka_metric, *subject)
    return Track(label, values, number, subject == _cursor(state), letter, colour)


class CkaView(View):
    id = "cka"
    tab = "6"
    title = "CKA"
    need = 1
    hint = "how alike the hidden states are, layer by layer"
    about = (
        "Similarity of hidden states on the same prompts, per layer. Dashes: the cursor's pair with the prompts of one "
        "side shuffled, what unrelated states would give: mean ± sd over all orders. m: debiased, plain, and both "
        f"against the base. {QUESTION_ALONE} Tokens that all prompts share at their start and end are left out of "
        "pooling mean and all, and of lens depth but for the last position."
    )
    actions = (*SCRUBBED, *METRIC, OPEN_PAIR, *PAIRS, ZOOM)
    first = ("probe",)
    probe = "cka"
    pairwise = "cka_debiased"
    shows = ("cka*", "lens*")
    remembered = (("cka_metric", shown_in("cka")),)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if not any(state.study.block(metric, "layer") is not None for metric in ("cka_debiased", "cka")):
            return unmeasured(
                state,
                self.probe,
                "No hidden states were compared yet.",
                "This view shows how alike the hidden states of two adapters are at every layer, on the same prompts, "
                "beside shuffled prompts and the base alone. It takes one pass an adapter.",
                area,
            )
        if not state.layers or (state.size < 2 and not to_base(state)):
            hint = Line("  One adapter is open: ").add("m", area.ink.accent).add(" compares it with the base.")
            return page([Line(), hint], area.width, area.height)
        rows, plotted = subjects(state), lettered(state)
        at = rows.index(_cursor(state)) if _cursor(state) in rows else 0
        words = self._words(state, area)
        head = provenance(state.study.probe("cka"), area)
        height = max(min(len(rows), area.height - len(head) - len(words) - 2 - max(8, area.height // 2 - 4)), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), at, height, len(rows))
        extent = rows_shown(top, height, len(rows), "adapters" if to_base(state) else "pairs")
        letters = {subject: n for n, subject in enumerate(plotted)}
        colours = dict(zip(plotted, _colours(state, plotted), strict=True))
        shown = rows[top : top + height]
        names = _labels(state, shown, max(area.width // 3, 10))
        seen = [track(state, s, n, letters.get(s, -1), colours.get(s, 0)) for s, n in zip(shown, names, strict=True)]
        form = grid(seen, len(state.layers), state.layer, area.width)
        where = "mean" if state.scope == "global" else f"L{state.layers[state.layer]}"
        table = paint(seen, state.layers, state.layer, form, where, area)
        room = area.height - 1 - len(head) - len(table) - len(words)
        drawn = plot(self._lines(state, plotted), area.ink, area.width, room) if room >= 6 else []
        return page(
            [self._head(state, len(plotted), extent, form, area), *head, *drawn, *table, *words],
            area.width,
            area.height,
        )

    def _head(self, state: AppState, plotted: int, extent: str, form: Grid, area: Area) -> Line:
        """Metric, how many lines of how many, which rows and layers of the map, what its cells say."""
        every = plural(state.size, "adapter") if to_base(state) else plural(len(state.pairs), "pair")
        title = Line(f" {metric_title(state.cka_metric)}", area.ink.bold)
        parts = [f" · {plotted} of {every} plotted", extent, f" · {form.caption}" if form.caption else ""]
        if form.count < len(state.layers):
            last = state.layers[form.first + form.count - 1]
            parts.append(f" · layers {state.layers[form.first]}–{last} of {len(state.layers)}")
        for part in parts:
            if title.width + len(part) <= area.width:
                title.add(part, area.ink.dim)
        return title

    def _lines(self, state: AppState, plotted: list[Subject]) -> Lines:
        curves = tuple(as_curve(along_layers(state, state.cka_metric, *subject)) for subject in plotted)
        null: tuple[float, ...] = ()
        spread: tuple[float, ...] = ()
        if not to_base(state) and state.pair is not None:
            pair = sorted(state.pair)
            null = as_curve(along_layers(state, f"{state.cka_metric}_null", *pair))
            spread = as_curve(np.nan_to_num(along_layers(state, f"{state.cka_metric}_null_sd", *pair)))
        strong = plotted.index(_cursor(state)) if _cursor(state) in plotted else -1
        xs = tuple(float(layer) for layer in state.layers)
        at = float(state.layers[state.layer])
        limits = _limits([*curves, *([] if state.zoom else [null])])
        return Lines(xs, curves, null, limits, at, strong, spread=spread, colours=_colours(state, plotted))

    def _words(self, state: AppState, area: Area) -> list[Line]:
        """The cursor's pair in every kind: both CKAs with their nulls, both ends against the base, lens depth."""
        where = "mean over layers" if state.scope == "global" else state.where
        if state.pair is None:
            text = f"{state.name(state.row)}, {where}: {_of_base(state, (state.row,))}"
        else:
            pair = (min(state.pair), max(state.pair))
            kinds = []
            for metric, label in (("cka_debiased", "debiased"), ("cka", "plain")):
                number, null, sd = (here(state, f"{metric}{part}", *pair) for part in ("", "_null", "_null_sd"))
                scatter = f" ± {decimal(sd)}" if math.isfinite(sd) else ""
                kinds.append(f"{label} {decimal(number)} (shuffled {decimal(null)}{scatter})")
            text = f"{pair_label(state, pair)}, {where}: {', '.join(kinds)}; {_of_base(state, pair)}"
        positions = tuple(sorted(state.pair)) if state.pair else (state.row,)
        if any(math.isfinite(value(state, "lens_depth", at)) for at in positions):
            text += f"; lens depth {_depths(state, 'lens_depth', positions)}"
            if math.isfinite(value(state, "lens_depth_last", positions[0])):
                text += f"; at the last position {_depths(state, 'lens_depth_last', positions)}"
        return [Line(" " + part) for part in wrap(text, area.width - 2)]

    def move(self, state: AppState, step: int) -> None:
        if to_base(state):
            super().move(state, step)
        else:
            state.step_pair(step)

    def table(self, state: AppState) -> Table:
        """Every measured row along the layers; shuffled values beside those of pairs."""
        metric, columns = state.cka_metric, [("layer", [str(layer) for layer in state.layers])]
        if to_base(state):
            columns += [(state.name(i), _texts(along_layers(state, metric, i))) for i in range(state.size)]
        else:
            for pair in sorted(measured_pairs(state, metric)):
                label = pair_label(state, pair)
                columns.append((label, _texts(along_layers(state, metric, *pair))))
                for part, title in (("_null", "shuffled"), ("_null_sd", "shuffled, sd")):
                    columns.append((f"{label} {title}", _texts(along_layers(state, f"{metric}{part}", *pair))))
        rows = tuple(zip(*(cells for _, cells in columns), strict=True))
        return Table(f"{metric_title(metric)} per layer", tuple(name for name, _ in columns), rows)

    def cycle(self, state: AppState, step: int) -> None:
        state.cka_metric = cycled(shown_in("cka"), state.cka_metric, step)

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, probe=probe_words(state, "cka", "cka"))

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        nulls = (f"{metric}{part}" for metric in ("cka_debiased", "cka") for part in ("", "_null", "_null_sd"))
        return (*nulls, "cka_debiased_base", "cka_base", "lens_depth", "lens_depth_last")


def _limits(curves: list[tuple[float, ...]]) -> tuple[float, float, float]:
    """Up to 1; noise around 0, which debiased values have, costs no more than a quarter below it."""
    low = min((v for curve in curves for v in curve if math.isfinite(v)), default=0.0)
    return (-0.25, 1.0, 0.25) if -0.25 <= low < 0 else limits_of(curves, roof=1.0)


def _texts(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[str]:
    return [tidy(float(v)) for v in values]


def _depths(state: AppState, metric: str, positions: tuple[int, ...]) -> str:
    """`26.9, 27.0, base 27.0`."""
    depths, base = [value(state, metric, at) for at in positions], value(state, f"{metric}_base")
    text = ", ".join(f"{depth:.1f}" if math.isfinite(depth) else NA for depth in depths)
    return f"{text}, base {base:.1f}" if math.isfinite(base) else text


def _of_base(state: AppState, positions: tuple[int, ...]) -> str:
    """`to the base (plain) 0.98, 0.97`, of the kind that is shown."""
    debiased = "debiased" in state.cka_metric
    metric = "cka_debiased_base" if debiased else "cka_base"
    return f"to the base{'' if debiased else ' (plain)'} " + ", ".join(
        decimal(here(state, metric, at)) for at in positions
    )
