"""Principal angles of every pair: a bar to the median of the smallest, a whisker to the worst of k, chance marked."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from inspector.common.arrays import Floats
from inspector.tui.editing import K
from inspector.tui.navigation import FILTER, OPEN_PAIR, PAIRS, SCRUBBED
from inspector.tui.numbers import Pair
from inspector.tui.state import AppState
from inspector.tui.subjects import pair_labels
from inspector.tui.table import Table
from inspector.tui.text import Line, degrees, left, page, plural
from inspector.tui.views.base import Area, View, rows_shown, tidy, window

_SUB = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def theta(k: int) -> str:
    return "θ" + str(k).translate(_SUB)


def worst(angles: Floats) -> int:
    """Index of the last angle that exists: subspaces of lower rank have fewer than k."""
    known = np.flatnonzero(~np.isnan(angles))
    return int(known[-1]) if known.size else 0


def depth(state: AppState) -> int:
    """How many angles the ranks allow: k, or fewer where no two updates have a higher rank."""
    found = [worst(angles) + 1 for p in state.pairs if np.isfinite(angles := state.indexed("principal_angle", p)).any()]
    return max(found, default=state.shown.settings.k)


class AnglesView(View):
    id = "angles"
    tab = "4"
    title = "Angles"
    need = 2
    hint = "principal angles of every pair against chance"
    about = "Bar: the smallest angle. Whisker: the worst of k. Random subspaces are near 90° too: read both against ┊."
    actions = (*SCRUBBED, FILTER, OPEN_PAIR, *PAIRS, *K)
    shows = ("principal_angle*",)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        ink, pairs = area.ink, state.pairs
        asked, k = state.shown.settings.k, depth(state)
        room = max(area.height - 4, 1)
        here = state.pair_at or 0
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), here, room, len(pairs))
        seen = pairs[top : top + room]
        names = dict(zip(seen, pair_labels(state, seen, area.width // 3), strict=True))
        label = max((cell_len(names[p]) for p in seen), default=8)
        wide = area.width >= 100
        fewer = any(0 < worst(state.indexed("principal_angle", p)) < k - 1 for p in pairs[top : top + room])
        span = area.width - label - 4 - (36 if wide else 15) - (4 if fewer else 0)
        rank = f" (rank {k})" if k < asked else ""
        extent = rows_shown(top, room, len(pairs), "pairs")
        title = Line(" angles, output side", ink.bold)
        said = f" · k = {asked}{rank}{extent} · {self.place(state)}"
        title.add(said if title.width + cell_len(said) <= area.width else said.rpartition(" · ")[0], ink.dim)
        lines = [title, self._scale(label, span, k, area, wide=wide)]
        lines += [
            self._row(state, p, left(names[p], label), (span, k), area, wide=wide) for p in pairs[top : top + room]
        ]
        lines += [Line()] * (area.height - 1 - len(lines))
        return page([*lines, self._key(state, k, area)], area.width, area.height)

    def _key(self, state: AppState, k: int, area: Area) -> Line:
        """What the marks mean."""
        chance = state.pair_chance("principal_angle", state.pair or (0, 1))
        (c1, ck), last = (degrees(v) for v in _ends(chance)), worst(chance) + 1
        long, short = (
            f" █ {theta(1)} median  ▓▒ its middle half  ─┤ {theta(k)} median  ",
            f" █▓ {theta(1)}  ─┤ {theta(k)}  ",
        )
        key = Line(long if area.width >= 78 else short, area.ink.dim)
        return key.add("┊", area.ink.accent).add(f" chance {theta(1)} {c1}, {theta(last)} {ck}", area.ink.dim)

    def _scale(self, label: int, span: int, k: int, area: Area, *, wide: bool) -> Line:
        """0° … 90° over the bars, names over the numbers."""
        line = Line().to(label + 3)
        marks = [" "] * (span + 1)
        for angle in (0, 30, 60, 90):
            text = f"{angle}°"
            start = min(max(round(angle / 90 * (span - 1)) - (len(text) // 2 if angle else 0), 0), span - len(text))
            marks[start : start + len(text)] = text
        line.add("".join(marks), area.ink.dim)
        names = f"{theta(1):>6} {theta(k):>7}" + (f"  {'middle half of ' + theta(1):<18}" if wide else "")
        return line.add(names, area.ink.dim)

    def _row(self, state: AppState, pair: Pair, name: str, of: tuple[int, int], area: Area, *, wide: bool) -> Line:
        """`of`: columns of the bar, and how many angles the ranks allow."""
        span, k = of
        ink = area.ink
        here = state.pair is not None and pair == (min(state.pair), max(state.pair))
        angles = state.indexed("principal_angle", pair)
        low, high = (float(state.indexed(f"principal_angle_{q}", pair)[0]) for q in ("q25", "q75"))
        last = worst(angles)
        line = Line("▸" if here else " ", ink.accent)
        line.add(name, ink.bold if here else ink.plain).add("  ")
        chars = whiskers(float(angles[0]), low, high, float(angles[last]), span)
        marks = {_column(c, span) for c in _ends(state.pair_chance("principal_angle", pair)) if math.isfinite(c)}
        for x, char in enumerate(chars):
            if x in marks and char in " ─":
                line.add("┊", ink.accent)
            else:
                line.add(char, ink.dim if char in "─┤" else ink.line(0))
        line.add(f" {degrees(float(angles[0])):>6} {degrees(float(angles[last])):>7}", ink.bold if here else ink.plain)
        if wide:
            line.add(f"  {degrees(low)}–{degrees(high)}", ink.dim)
        if last + 1 < k and np.isfinite(angles[last]):
            line.add(f" {theta(last + 1)}", ink.warn)
        return line

    def move(self, state: AppState, step: int) -> None:
        state.step_pair(step)

    def table(self, state: AppState) -> Table:
        k = state.shown.settings.k
        columns = ("a", "b", *(f"theta_{n + 1}" for n in range(k)), "theta_1_q25", "theta_1_q75")
        rows: list[tuple[str, ...]] = []
        levels: list[tuple[str, ...]] = []
        for a, b in state.pairs:
            angles = [tidy(float(v)) for v in state.indexed("principal_angle", (a, b))]
            quarters = [tidy(float(state.indexed(f"principal_angle_{q}", (a, b))[0])) for q in ("q25", "q75")]
            rows.append((state.name(a), state.name(b), *angles, *([""] * (k - len(angles))), *quarters))
            chance = [tidy(float(v)) for v in state.pair_chance("principal_angle", (a, b))]
            levels.append((*(f"{state.name(n)}, chance" for n in (a, b)), *chance, *([""] * (k - len(chance))), "", ""))
        alike = len({level[2:] for level in levels}) == 1
        rows += [("chance", "", *levels[0][2:])] if alike else levels
        return Table(
            f"principal angles, degrees, medians · {self.place(state)} · {plural(len(state.pairs), 'pair')}",
            columns,
            tuple(rows),
        )

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, "principal_angle")

    def metrics(self, _state: AppState, /) -> tuple[str, ...]:
        return ("principal_angle", "principal_angle_chance")


def _ends(chance: Floats) -> tuple[float, float]:
    return float(chance[0]), float(chance[worst(chance)])


def _column(angle: float, span: int) -> int:
    return min(round(angle / 90 * (span - 1)), span - 1)


def whiskers(median: float, low: float, high: float, end: float, span: int) -> str:
    """`█████▓▓▒▒────┤`: █ to the lower quartile, ▓ to the median, ▒ to the upper quartile, ┤ at the worst."""
    if math.isnan(median):
        return " " * span
    low, high = (median if math.isnan(v) else v for v in (low, high))
    at = {name: _column(v, span) for name, v in (("low", low), ("median", median), ("high", high), ("end", end))}
    chars = []
    for x in range(span):
        if x == at["end"] and x > at["high"]:
            chars.append("┤")
        elif x < at["low"]:
            chars.append("█")
        elif x <= at["median"]:
            chars.append("▓" if at["low"] < at["median"] else "█")
        elif x <= at["high"]:
            chars.append("▒")
        else:
            chars.append("─" if x < at["end"] else " ")
    return "".join(chars)
