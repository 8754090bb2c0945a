"""Problems solved: bars with intervals against the base, and who solves what the other does not."""

from __future__ import annotations

import math

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from inspector.common.labels import labels
from inspector.study.metrics.probes import QUESTION_ALONE
from inspector.tui.navigation import CURSOR, ENDS, OPEN_PAIR, PAIRS
from inspector.tui.probing.views import p_value, probe_words, provenance, unmeasured, value
from inspector.tui.state import AppState
from inspector.tui.subjects import shared
from inspector.tui.table import Table
from inspector.tui.text import NA, Line, decimal, page, plural, wrap
from inspector.tui.views.base import Area, View, rows_shown, tidy, window
from inspector.tui.widgets.bars import bar
from inspector.tui.widgets.matrix import Matrix

SIGNIFICANT = 0.05
_NUMBERS = 36
"""Cells right of a bar: value, interval, p against the base."""


class AccuracyView(View):
    id = "accuracy"
    tab = "6"
    title = "Accuracy"
    need = 1
    hint = "problems solved, with intervals and paired tests"
    about = (
        "Share of problems solved greedily, with Wilson 95 % intervals; ┊ is the base. Pairs are compared on the same "
        "problems: above the diagonal how many only the row and only the column solves, below it the corrected p. "
        f"While answers are missing, how many there are stands in place of p. {QUESTION_ALONE}"
    )

    actions = (*CURSOR, *ENDS, OPEN_PAIR, *PAIRS)
    first = ("probe",)
    probe = "accuracy"
    shows = ("accuracy*", "mcnemar*")

    def __init__(self) -> None:
        self.matrix = Matrix()

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if state.study.block("accuracy", "global") is None:
            return unmeasured(
                state,
                self.probe,
                "No problems were solved yet.",
                "This view shows how many problems each adapter solves, beside the base, and whether two adapters "
                "differ on the same problems. It generates one answer a problem and adapter.",
                area,
            )
        words = self._words(state, area)
        head = provenance(state.study.probe("accuracy"), area)
        free = area.height - 2 - len(head) - len(words)
        paired = state.size > 1 and free >= 8
        bars = min(state.size, max(free - 3 - min(state.size, free // 2), 1) if paired else free)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, bars, state.size)
        names = labels(state.names).at(area.width // 4)
        label = max(map(cell_len, (*names, "base"))) + 3
        lines = [self._head(state, top, bars, area), *head, self._bar(state, None, label, area)]
        lines += [self._bar(state, at, label, area) for at in range(top, min(top + bars, state.size))]
        room = free - bars - 2
        if not paired or room < 2:
            return page([*lines, *words], area.width, area.height)
        grid = Area(area.ink, area.width, min(room, state.size + 1))
        cells = self.matrix.paint(lambda i, j: _cell(state, i, j, area), names, (state.row, state.col), grid)
        title = Line(" McNemar", area.ink.bold).add(self.matrix.extent(names, grid), area.ink.dim)
        for key in (
            " · above: solved by row only : column only · below: p (Holm)",
            " · row only : column only, p (Holm)",
        ):
            if title.width + len(key) <= area.width:
                title.add(key, area.ink.dim)
                break
        upper = page([*lines, Line(), title], area.width, len(lines) + 2)
        return [*upper, *cells, *page(words, area.width, area.height - len(upper) - len(cells))]

    def _head(self, state: AppState, top: int, bars: int, area: Area) -> Line:
        alike = shared(state)
        title = Line(" accuracy", area.ink.bold).add(" (pass@1)", area.ink.dim)
        extent = rows_shown(top, bars, state.size, "adapters") or f" · {plural(state.size, 'adapter')}"
        title.add(extent, area.ink.dim)
        for star in (" · * p < .05 (Holm) against the base", " · * p < .05"):
            if title.width + len(star) <= area.width:
                title.add(star, area.ink.dim)
                break
        return title.add(alike if title.width + cell_len(alike) <= area.width else "", area.ink.dim)

    def _bar(self, state: AppState, at: int | None, label: int, area: Area) -> Line:
        """One adapter (or the base, for None): bar with the base's mark, value, interval, p against the base."""
        ink = area.ink
        where = () if at is None else (at,)
        metric = "accuracy_base" if at is None else "accuracy"
        share, low, high = (value(state, f"{metric}{part}", *where) for part in ("", "_low", "_high"))
        mine = at == state.row
        style = ink.bold if mine else ink.dim if at is None else ink.plain
        line = Line("▸ " if mine else "  ", ink.accent)
        line.add("base" if at is None else labels(state.names).at(area.width // 4)[at], style).to(label)
        width = area.width - label - _NUMBERS
        reference = value(state, "accuracy_base")
        colour = ink.dim if at is None else ink.line(state.order[at])
        line.append(_marked(bar(share, width), reference, width, colour, area))
        line.add(f" {decimal(share):>4}", style)
        line.add(f" [{decimal(low)}, {decimal(high)}]" if math.isfinite(low) else "", ink.dim)
        p = value(state, "mcnemar_base_p_holm", *where) if at is not None else math.nan
        if missing := _so_far(state, at):
            line.to(label + width + 19).add(missing, ink.warn)
        elif math.isfinite(p):
            line.to(label + width + 19).add(f"p {p_value(p)}{'*' if p < SIGNIFICANT else ''}", style)
        return line

    def _words(self, state: AppState, area: Area) -> list[Line]:
        """The cursor's pair in a sentence."""
        if state.pair is None:
            return []
        a, b = state.pair
        only = value(state, "mcnemar_wins", a, b), value(state, "mcnemar_wins", b, a)
        short = labels(state.names).short
        names = short[a], short[b]
        if math.isnan(only[0]):
            text = f"{names[0]} ↔ {names[1]}: not compared on the same problems"
        else:
            p, holm = value(state, "mcnemar_p", a, b), value(state, "mcnemar_p_holm", a, b)
            verdict = "they differ" if holm < SIGNIFICANT else "no difference shown"
            verdict += " so far" if _so_far(state, a) or _so_far(state, b) else ""
            text = (
                f"{names[0]} ↔ {names[1]}: {only[0]:.0f} solved by {names[0]} only, {only[1]:.0f} by {names[1]} only · "
                f"p {p_value(p)}, Holm {p_value(holm)}: {verdict}"
            )
        return [Line(" " + part) for part in wrap(text, area.width - 2)]

    def table(self, state: AppState) -> Table:
        """Base and adapters; then a row per pair with its counts and tests."""
        parts = ("", "_low", "_high", "_answered")
        rows = [("base", "", *(tidy(value(state, f"accuracy_base{part}")) for part in parts), *[""] * 4)]
        for i, name in enumerate(state.names):
            numbers = [tidy(value(state, f"accuracy{part}", i)) for part in parts]
            tests = [tidy(value(state, f"mcnemar_base_p{part}", i)) for part in ("", "_holm")]
            rows.append((name, "base", *numbers, "", "", *tests))
        for i, j in state.every_pair:
            wins = [tidy(value(state, "mcnemar_wins", *at)) for at in ((i, j), (j, i))]
            tests = [tidy(value(state, f"mcnemar_p{part}", i, j)) for part in ("", "_holm")]
            if any(wins):
                rows.append((state.name(i), state.name(j), "", "", "", "", *wins, *tests))
        columns = ("a", "b", "accuracy", "low", "high", "answered", "a only", "b only", "mcnemar_p", "mcnemar_p_holm")
        return Table(f"accuracy · {plural(state.size, 'adapter')}", columns, tuple(rows))

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, probe=probe_words(state, "accuracy"))

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        shares = ("accuracy", "accuracy_low", "accuracy_high", "accuracy_base", "accuracy_answered")
        return (*shares, "mcnemar_wins", "mcnemar_p", "mcnemar_p_holm", "mcnemar_base_p_holm")


def _so_far(state: AppState, at: int | None) -> str:
    """`37 of 200` while problems of this adapter (the base, for None) have no answer, else nothing."""
    answered = value(state, "accuracy_base_answered") if at is None else value(state, "accuracy_answered", at)
    info = state.study.probe("accuracy")
    return f"{answered:.0f} of {info.examples}" if info is not None and answered < info.examples else ""


def _marked(text: str, reference: float, width: int, style: Style, area: Area) -> Line:
    """A bar with the base's value marked where the bar does not reach it, and by a gap where it does."""
    at = min(max(round(reference * width), 0), width - 1) if math.isfinite(reference) else -1
    if at < 0:
        return Line(text, style)
    return Line(text[:at], style).add("┊", area.ink.accent).add(text[at + 1 :], style)


def _cell(state: AppState, row: int, col: int, area: Area) -> tuple[str, Style]:
    """Counts above the diagonal, corrected p below it."""
    ink = area.ink
    if row == col:
        return "", ink.dim
    p = value(state, "mcnemar_p_holm", row, col)
    significant = p < SIGNIFICANT
    style = ink.bold if significant else ink.plain
    if row > col:
        return p_value(p) + ("*" if significant else ""), style
    only, other = value(state, "mcnemar_wins", row, col), value(state, "mcnemar_wins", col, row)
    return (NA if math.isnan(only) or math.isnan(other) else f"{only:.0f}:{other:.0f}"), style
