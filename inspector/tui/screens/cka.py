"""How alike the hidden states of two adapters are, layer by layer, against shuffled prompts and the base."""

from __future__ import annotations

import math

import numpy as np
from textual.strip import Strip

from inspector.tui.screens.base import Area, Table, View, metric_title, rows_shown, tidy, window
from inspector.tui.screens.layers import MOST, pair_label
from inspector.tui.screens.probed import along_layers, here, measured_pairs, provenance, unmeasured, value
from inspector.tui.state import AppState, Pair
from inspector.tui.text import Line, page, plural, signed, wrap
from inspector.tui.widgets.layer_map import Grid, Track, grid, paint
from inspector.tui.widgets.plot import Lines, as_curve, limits_of, plot


def to_base(state: AppState) -> bool:
    """Whether adapters are compared with the base instead of with each other."""
    return state.cka_metric.endswith("_base")


def shown_pairs(state: AppState) -> list[Pair]:
    """Measured and plotted pairs, and the cursor's."""
    mine = {(min(state.pair), max(state.pair))} if state.pair else set[Pair]()
    return sorted(measured_pairs(state, state.cka_metric) | set(state.plotted) | mine)


def tracks(state: AppState) -> list[Track]:
    """A row per pair, or per adapter; the plotted ones have letters."""
    metric = state.cka_metric
    if to_base(state):
        first = min(max(state.row - MOST + 1, 0), max(state.size - MOST, 0))
        return [
            Track(
                state.names[i],
                along_layers(state, metric, i),
                here(state, metric, i),
                i == state.row,
                i - first if first <= i < first + MOST else -1,
            )
            for i in range(state.size)
        ]
    mine = None if state.pair is None else (min(state.pair), max(state.pair))
    lettered = sorted({*state.plotted, *([mine] if mine else [])})
    letters = {pair: n for n, pair in enumerate(lettered)}
    return [
        Track(
            pair_label(state, pair),
            along_layers(state, metric, *pair),
            here(state, metric, *pair),
            pair == mine,
            letters.get(pair, -1),
        )
        for pair in shown_pairs(state)
    ]


class CkaView(View):
    id = "cka"
    title = "CKA"
    about = (
        "Similarity of hidden states on the same prompts, per layer. Dashes: the cursor's pair with the prompts of one "
        "side shuffled, what unrelated states would give. m: debiased, plain, and both against the base."
    )

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if (nothing := self.empty(state, area, 1)) is not None:
            return nothing
        if not any(state.study.block(metric, "layer") is not None for metric in ("cka_debiased", "cka")):
            return unmeasured(
                "No hidden states were compared yet.",
                "This view shows how alike the hidden states of two adapters are at every layer, on the same prompts, "
                "beside shuffled prompts and the base alone. It takes one pass an adapter.",
                area,
            )
        if not state.layers or (state.size < 2 and not to_base(state)):
            hint = Line("  One adapter is open: ").add("m", area.ink.accent).add(" compares it with the base.")
            return page([Line(), hint], area.width, area.height)
        rows = tracks(state)
        at = next((n for n, row in enumerate(rows) if row.here), 0)
        words = self._words(state, area)
        form = grid(rows, len(state.layers), state.layer, area.width)
        head = provenance(state.study.probe("cka"), area)
        height = max(min(len(rows), area.height - len(head) - len(words) - 2 - max(8, area.height // 2 - 4)), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), at, height, len(rows))
        extent = rows_shown(top, height, len(rows), "adapters" if to_base(state) else "pairs")
        where = "mean" if state.scope == "global" else f"L{state.layers[state.layer]}"
        table = paint(rows[top : top + height], state.layers, state.layer, form, where, area)
        room = area.height - 1 - len(head) - len(table) - len(words)
        drawn = plot(self._lines(state, rows), area.ink, area.width, room) if room >= 4 else []
        return page(
            [self._head(state, rows, extent, form, area), *head, *drawn, *table, *words], area.width, area.height
        )

    def _head(self, state: AppState, rows: list[Track], extent: str, form: Grid, area: Area) -> Line:
        """Metric, how many lines of how many, which rows and layers of the map, what its cells say."""
        lettered = sum(row.letter >= 0 for row in rows)
        every = plural(state.size, "adapter") if to_base(state) else plural(len(state.pairs), "pair")
        title = Line(f" {metric_title(state.cka_metric)}", area.ink.bold)
        parts = [f" · {lettered} of {every} plotted", extent, f" · {form.caption}" if form.caption else ""]
        if form.count < len(state.layers):
            last = state.layers[form.first + form.count - 1]
            parts.append(f" · layers {state.layers[form.first]}–{last} of {len(state.layers)}")
        for part in parts:
            if title.width + len(part) <= area.width:
                title.add(part, area.ink.dim)
        return title

    def _lines(self, state: AppState, rows: list[Track]) -> Lines:
        lettered = sorted((row for row in rows if row.letter >= 0), key=lambda row: row.letter)
        curves = tuple(as_curve(row.values) for row in lettered)
        null: tuple[float, ...] = ()
        if not to_base(state) and state.pair is not None:
            null = as_curve(along_layers(state, f"{state.cka_metric}_null", *sorted(state.pair)))
        strong = next((n for n, row in enumerate(lettered) if row.here), -1)
        xs = tuple(float(layer) for layer in state.layers)
        at = float(state.layers[state.layer])
        return Lines(xs, curves, null, _limits([*curves, null]), at, strong)

    def _words(self, state: AppState, area: Area) -> list[Line]:
        """The cursor's pair in every kind: both CKAs with their nulls, both ends against the base, lens depth."""
        where = "mean over layers" if state.scope == "global" else state.where
        if state.pair is None:
            text = f"{state.names[state.row]}, {where}: {_of_base(state, (state.row,))}"
        else:
            pair = (min(state.pair), max(state.pair))
            kinds = []
            for metric, label in (("cka_debiased", "debiased"), ("cka", "plain")):
                number, null = (here(state, name, *pair) for name in (metric, f"{metric}_null"))
                kinds.append(f"{label} {signed(number).strip()} (shuffled {signed(null).strip()})")
            text = f"{pair_label(state, pair)}, {where}: {', '.join(kinds)}; {_of_base(state, pair)}"
        depths = [value(state, "lens_depth", at) for at in (state.pair and sorted(state.pair)) or (state.row,)]
        if any(math.isfinite(depth) for depth in depths):
            base = value(state, "lens_depth_base")
            text += f"; lens depth {', '.join(f'{d:.1f}' if math.isfinite(d) else '·' for d in depths)}"
            text += f", base {base:.1f}" if math.isfinite(base) else ""
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
            columns += [(state.names[i], _texts(along_layers(state, metric, i))) for i in range(state.size)]
        else:
            for pair in sorted(measured_pairs(state, metric)):
                label = pair_label(state, pair)
                columns.append((label, _texts(along_layers(state, metric, *pair))))
                columns.append((f"{label} shuffled", _texts(along_layers(state, f"{metric}_null", *pair))))
        rows = tuple(zip(*(cells for _, cells in columns), strict=True))
        return Table(f"{metric_title(metric)} per layer", tuple(name for name, _ in columns), rows)

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("cka_debiased", "cka_debiased_null", "cka", "cka_null", "cka_debiased_base", "cka_base", "lens_depth")


def _limits(curves: list[tuple[float, ...]]) -> tuple[float, float, float]:
    """Up to 1; noise around 0, which debiased values have, costs no more than a quarter below it."""
    low = min((v for curve in curves for v in curve if math.isfinite(v)), default=0.0)
    return (-0.25, 1.0, 0.25) if -0.25 <= low < 0 else limits_of(curves, roof=1.0)


def _texts(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[str]:
    return [tidy(float(v)) for v in values]


def _of_base(state: AppState, positions: tuple[int, ...]) -> str:
    """`to the base .98, .97`, of the kind that is shown."""
    metric = "cka_debiased_base" if "debiased" in state.cka_metric else "cka_base"
    return "to the base " + ", ".join(signed(here(state, metric, at)).strip() for at in positions)
