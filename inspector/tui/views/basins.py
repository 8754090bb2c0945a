"""The loss on the way between two adapters, the base as reference, and the barriers in three definitions."""

from __future__ import annotations

import math

from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.study.metrics.probes import QUESTION_ALONE
from inspector.tui.actions import cycled
from inspector.tui.navigation import ENDS, METRIC, OPEN_PAIR, PAIRS, ZOOM
from inspector.tui.numbers import Pair
from inspector.tui.probing.barriers import barrier, ends, items, joined, losses_measured, shown_loss
from inspector.tui.probing.views import (
    along_path,
    measured_pairs,
    nats,
    probe_words,
    provenance,
    unmeasured,
    value,
)
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_colours, pair_label, pair_labels
from inspector.tui.table import Table
from inspector.tui.text import Line, page, plural, right
from inspector.tui.views.base import Area, View, rows_shown, tidy, window
from inspector.tui.widgets.plot import LETTERS, Lines, as_curve, limits_of, plot

KINDS = (("mean", "above mean"), ("chord", "above chord"), ("strict", "above both"))
_LONG = {"mean": "above the endpoints' mean", "chord": "above the chord", "strict": "above both endpoints"}
_ON = {"": "on gold answers", "_rollouts": "on rollouts"}
_FULL, _BRIEF, _ENDS, _NARROW = 31, 12, 8, 76


class BasinsView(View):
    id = "basins"
    tab = "6"
    title = "Loss path"
    need = 2
    hint = "the loss on the way from one adapter to the other, and its barriers"
    about = (
        "The loss at α·ΔW_a + (1−α)·ΔW_b, a the first of a pair's names: its own loss is at α = 1, on the right. "
        "Dashes: the base alone. Every barrier has the α where it is and a 95 % bootstrap interval, over the examples, "
        "of the signed height at that α, the highest of noisy points: a lower end above 0 is not a test. "
        f"{QUESTION_ALONE}"
    )
    actions = (*ENDS, *METRIC, OPEN_PAIR, *PAIRS, ZOOM)
    first = ("probe",)
    probe = "lmc"
    pairwise = "lmc_loss"
    shows = ("lmc_*", "barrier*")

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if not losses_measured(state):
            return unmeasured(
                state,
                self.probe,
                "No loss between two adapters was measured yet.",
                "This view shows the loss of the base model on the straight way from one adapter to another: flat "
                "where both lie in one basin, a hill where a barrier parts them. It takes about nine passes a pair.",
                area,
            )
        shown, suffix = items(state), shown_loss(state)
        at = next((n for n, pair in enumerate(shown) if self._here(state, pair)), 0)
        widest = max((cell_len(pair_label(state, pair)) for pair in shown), default=0)
        full = area.width >= min(widest, 34) + 3 + 3 * _FULL + 2 * _ENDS
        ends = 2 * _ENDS if area.width >= _NARROW else 0
        label = min(widest, area.width - (3 * _FULL if full else 3 * _BRIEF) - ends - 5)
        head = [self._head(state, shown, area), *provenance(state.study.probe(f"lmc{suffix}"), area)]
        below = [_ends_line(state, shown[at], area)] if full else self._detail(state, shown[at], area)
        rows = max(min(len(shown), area.height - len(head) - len(below) - 9), 1)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), at, rows, len(shown))
        table = [self._columns(state, shown, (top, rows, label), area, full=full)]
        table += [self._row(state, shown, n, label, area, full=full) for n in range(top, min(top + rows, len(shown)))]
        height = area.height - len(head) - len(table) - len(below)
        drawn = plot(self._lines(state, shown, at), area.ink, area.width, height) if height >= 6 else []
        return page([*head, *drawn, *table, *below], area.width, area.height)

    def _here(self, state: AppState, pair: Pair) -> bool:
        return state.pair is not None and pair == (min(state.pair), max(state.pair))

    def _head(self, state: AppState, shown: list[Pair], area: Area) -> Line:
        complete = sum(math.isfinite(barrier(state, "mean", pair).height) for pair in shown)
        title = Line(" loss along the path", area.ink.bold).add(f" · {_ON[shown_loss(state)]}", area.ink.dim)
        title.add(f" · {len(shown)} of {plural(len(state.pairs), 'pair')}", area.ink.dim)
        if complete < len(shown):
            title.add(f" · {complete} measured to the end", area.ink.warn)
        return title

    def _lines(self, state: AppState, shown: list[Pair], strong: int) -> Lines:
        suffix = shown_loss(state)
        alphas = state.study.alphas
        curves = tuple(as_curve(self._path(state, pair)) for pair in shown)
        base = (value(state, f"lmc_loss_base{suffix}"),) * len(alphas)
        seen = [*curves, *([] if state.zoom else [base])]
        return Lines(alphas, curves, base, limits_of(seen), None, strong, colours=pair_colours(state, shown))

    def _path(self, state: AppState, pair: Pair) -> Floats:
        """The losses of a pair; a path still being measured is not drawn as if it were straight."""
        losses = along_path(state, f"lmc_loss{shown_loss(state)}", *pair)
        return joined(losses) if math.isfinite(barrier(state, "mean", pair).height) else losses

    def _columns(self, state: AppState, shown: list[Pair], at: tuple[int, int, int], area: Area, *, full: bool) -> Line:
        """Names over the table, nats per token, and the base's own loss."""
        top, rows, label = at
        extent = rows_shown(top, rows, len(shown), "pairs").removeprefix(" · ")
        line = Line(f"   {extent}", area.ink.dim).to(label + 4)
        for _, title in KINDS:
            line.add(f"   {title:<{_FULL - 3}}" if full else right(title, _BRIEF), area.ink.dim)
        if area.width >= _NARROW:
            line.add(right("L(α=1)", _ENDS) + right("L(α=0)", _ENDS), area.ink.dim)
        base = value(state, f"lmc_loss_base{shown_loss(state)}")
        return line.end(f"╌ base {nats(base)} ", area.width, area.ink.dim)

    def _row(self, state: AppState, shown: list[Pair], n: int, label: int, area: Area, *, full: bool) -> Line:
        """Letter, pair, three barriers, both ends."""
        ink, pair = area.ink, shown[n]
        style = ink.bold if self._here(state, pair) else ink.plain
        line = Line("▸" if self._here(state, pair) else " ", ink.accent)
        line.add(f"{LETTERS[n % 26]} ", ink.line(pair_colours(state, shown)[n]) + ink.bold).add(
            pair_labels(state, shown, label)[n], style
        )
        line.to(label + 4)
        for kind, _ in KINDS:
            found = barrier(state, kind, pair)
            if full:
                line.add(right(nats(found.height), 8), style).add(f" {found.interval:<{_FULL - 9}}", ink.dim)
            else:
                line.add(right(nats(found.height), _BRIEF), style)
        ends = _ends(state, pair)
        if area.width < _NARROW:
            return line
        return line.add(right(nats(ends[0]), _ENDS) + right(nats(ends[1]), _ENDS), ink.plain)

    def _detail(self, state: AppState, pair: Pair, area: Area) -> list[Line]:
        """The cursor's pair with its intervals, and the base, where the table has no room for them."""
        base = value(state, f"lmc_loss_base{shown_loss(state)}")
        lines = []
        for kind, _ in KINDS:
            found = barrier(state, kind, pair)
            line = Line("   ").add(_LONG[kind], area.ink.dim).to(29).add(right(nats(found.height), 7), area.ink.bold)
            lines.append(line.add(f"  {found.interval}"))
        lines.insert(1, _ends_line(state, pair, area))
        lines[0].end(f"╌ base {nats(base)} ", area.width, area.ink.dim)
        lines[1].end("α = 1: the first name ", area.width, area.ink.dim)
        lines[2].end("nats per token ", area.width, area.ink.dim)
        return lines

    def move(self, state: AppState, step: int) -> None:
        state.step_pair(step)

    def table(self, state: AppState) -> Table:
        """Every measured pair: its barriers, then the loss at every α."""
        suffix, rows = shown_loss(state), []
        known = sorted(measured_pairs(state, f"lmc_loss{suffix}"))
        for pair in known:
            found = [barrier(state, kind, pair) for kind, _ in KINDS]
            numbers = [tidy(number) for b in found for number in (b.height, b.low, b.high, b.at)]
            difference = ends(state, pair)
            numbers += [tidy(number) for number in (difference.height, difference.low, difference.high)]
            losses = [tidy(float(loss)) for loss in along_path(state, f"lmc_loss{suffix}", *pair)]
            rows.append((state.name(pair[0]), state.name(pair[1]), *numbers, *losses))
        parts = [f"barrier_{kind}{part}{suffix}" for kind, _ in KINDS for part in ("", "_low", "_high", "_at")]
        parts += [f"lmc_ends{part}{suffix}" for part in ("", "_low", "_high")]
        columns = ("a", "b", *parts, *(f"loss_{alpha:g}" for alpha in state.study.alphas))
        base = value(state, f"lmc_loss_base{suffix}")
        title = f"loss between adapters, nats per token, {_ON[suffix]} · {plural(len(known), 'pair')}"
        return Table(f"{title} · base {tidy(base) or 'n/a'}", columns, tuple(rows))

    def cycle(self, state: AppState, step: int) -> str | None:
        known = losses_measured(state)
        state.loss = cycled(known or ("",), shown_loss(state), step)
        if len(known) > 1:
            return None
        return "only one loss was measured: p runs the other" if known else "no loss was measured: p runs one"

    def shell_command(self, state: AppState) -> list[str]:
        suffix = shown_loss(state)
        return self.analyze(state, probe=probe_words(state, "lmc", f"lmc_loss{suffix}", suffix))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        suffix = shown_loss(state)
        heights = tuple(f"barrier_{kind}{suffix}" for kind, _ in KINDS)
        parts = tuple(f"barrier_mean{part}{suffix}" for part in ("_low", "_high", "_at"))
        return (f"lmc_loss{suffix}", f"lmc_loss_base{suffix}", *heights, f"lmc_ends{suffix}", *parts)


def _ends_line(state: AppState, pair: Pair, area: Area) -> Line:
    """The difference of the ends, beside the height above their mean."""
    found = ends(state, pair)
    line = (
        Line("   ").add("L(1) − L(0), the ends", area.ink.dim).to(29).add(right(nats(found.height), 7), area.ink.bold)
    )
    return line.add(f"  {found.interval}")


def _ends(state: AppState, pair: Pair) -> tuple[float, float]:
    """The losses of a and of b alone."""
    losses = along_path(state, f"lmc_loss{shown_loss(state)}", *pair)
    at = {alpha: n for n, alpha in enumerate(state.study.alphas)}
    return tuple(float(losses[at[alpha]]) if alpha in at else math.nan for alpha in (1.0, 0.0))  # type: ignore[return-value]
