"""Who is open: a table of essentials, and everything about the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from inspector.adapters.health.summary import tensor_classes
from inspector.common.labels import labels
from inspector.study.adapter_info import AdapterInfo
from inspector.study.metrics import shown_in
from inspector.tui.actions import Action
from inspector.tui.editing import LIST
from inspector.tui.navigation import FILTER, SCRUBBED
from inspector.tui.shell import Shell
from inspector.tui.state import AppState
from inspector.tui.subjects import shared
from inspector.tui.table import Table
from inspector.tui.text import Line, clean, count, left, page, plural, right
from inspector.tui.theme import Ink
from inspector.tui.views.adapters.details import detail, details, pending
from inspector.tui.views.base import Area, View, rows_shown, tidy, window
from inspector.tui.widgets.dialogs import Reader

_BRIEF = {f"{name}_proj": name for name in ("q", "k", "v", "o", "gate", "up", "down")}
_NAME = 22
_MARK = {"ok": "ok", "warning": "! note", "error": "✗ error"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table; those of lower rank give way first when the screen is narrow."""

    title: str
    rank: int
    numeric: bool
    text: Callable[[AppState, int, AdapterInfo], str]
    limit: int = 24


def targets(info: AdapterInfo) -> str:
    """`q k v o` for q_proj, k_proj, …; other names in full."""
    return " ".join(_BRIEF.get(target, clean(target)) for target in info.targets)


_COLUMNS = (
    Column("name", 0, False, lambda s, i, _info: labels(s.names).at(_NAME)[i], _NAME),
    Column("rank", 1, True, lambda _s, _i, info: info.rank, 7),
    Column("α", 6, True, lambda _s, _i, info: clean(info.alpha) or "-", 8),
    Column("scale", 2, False, lambda _s, _i, info: clean(info.scale) or "-", 14),
    Column("targets", 4, False, lambda _s, _i, info: targets(info) or "-", 16),
    Column("params", 5, True, lambda _s, _i, info: count(info.parameters), 8),
    Column("‖ΔW‖", 1, True, lambda s, i, _info: pending(s, "norm", i), 10),
    Column("eff.rank", 1, True, lambda s, i, _info: pending(s, s.rank_metric, i), 9),
    Column("health", 1, False, lambda _s, _i, info: _MARK[info.health], 8),
    Column("dtype", 7, False, lambda _s, _i, info: clean(info.dtype) or "-", 10),
    Column("format", 8, False, lambda _s, _i, info: clean(info.format), 12),
    Column("base", 9, False, lambda _s, _i, info: clean(info.base) or "-", 30),
    Column("source", 10, False, lambda _s, _i, info: clean(info.source), 40),
)


def _read(_view: View, app: Shell) -> None:
    def write(width: int) -> Text:
        lines = details(app.state, app.ink, width)
        return Text("\n").join(Text.assemble(*((s.text, s.style or "") for s in line.segments)) for line in lines)

    if app.state.size:
        app.push_screen(Reader(app.state.name(app.state.row), write))


class AdaptersView(View):
    id = "adapters"
    tab = "1"
    title = "Adapters"
    need = 1
    hint = "who is open: ranks, scales, targets, norms, health"
    about = (
        "Who is open. scale is what B·A is multiplied by, ‖ΔW‖ how far that moves the weights, eff.rank over how many "
        "directions; both follow the layer slider and the projection. health is what was found wrong in the files or "
        "the numbers. Below stands all about the adapter under the cursor, its faults first."
    )
    actions = (
        *SCRUBBED,
        FILTER,
        Action("details", "enter", "everything", "read all that is known of the adapter under the cursor", _read, 90),
        *LIST,
    )
    first = ("details", "open", "rename", "remove", "earlier", "similar")
    shows = ("intruder*",)

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        infos, cells = state.infos, self._cells(state)
        told = detail(state, area.ink, area.width)
        height = max(min(len(infos), area.height - 3 - min(len(told), 9)), 3)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, height, len(infos))
        widths = [
            min(max(cell_len(r[c]) for r in [[c.title for c in _COLUMNS], *cells]), _COLUMNS[c].limit)
            for c in range(len(_COLUMNS))
        ]
        shown = _fitting(widths, area.width - 2)
        title = Line(f" {plural(len(infos), 'adapter')}", area.ink.bold)
        title.add(f"{rows_shown(top, height, len(infos), 'rows')} · {self.place(state)}{shared(state)}", area.ink.dim)
        header = Line("  ")
        for c in shown:
            header.add(_aligned(_COLUMNS[c].title, widths[c], _COLUMNS[c]) + "  ", area.ink.dim)
        lines = [title, header]
        lines += [
            _row(cells[at], shown, widths, area.ink, chosen=at == state.row, info=infos[at])
            for at in range(top, min(top + height, len(infos)))
        ]
        lines.append(Line())
        room = area.height - len(lines)
        if len(told) > room > 0:
            told = [
                *told[: room - 1],
                Line(f"   … {plural(len(told) - room + 1, 'more line')}: ⏎ shows all", area.ink.dim),
            ]
        return page([*lines, *told], area.width, area.height)

    def _cells(self, state: AppState) -> list[list[str]]:
        return [[column.text(state, at, info) for column in _COLUMNS] for at, info in enumerate(state.infos)]

    def table(self, state: AppState) -> Table:
        about = (
            "name", "source", "base", "format", "rank", "alpha", "scale", "targets", "dtype", "parameters", "tensors",
        )  # fmt: skip
        measured = tuple(m for m in ("norm", state.rank_metric, *shown_in("base")) if state.has(m))
        rows = []
        for at, info in enumerate(state.infos):
            known = (info.name, info.source, info.base, info.format, info.rank, info.alpha, _scale(info))
            rest = (" ".join(info.targets), info.dtype, str(info.parameters), tensor_classes(info))
            numbers = tuple(tidy(state.own(metric, at)) for metric in measured)
            findings = "; ".join(f"{f.severity}: {f.text}" for f in info.findings) or "ok"
            rows.append(tuple(map(clean, (*known, *rest, *numbers, findings))))
        return Table(f"adapters · {self.place(state)}", (*about, *measured, "health"), tuple(rows))

    def shell_command(self, state: AppState) -> list[str]:
        return self.analyze(state, "norm", "effective_rank")

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        return ("norm", state.rank_metric, *(m for m in (*shown_in("base"), "lens_depth") if state.has(m)))


def _scale(info: AdapterInfo) -> str:
    return "; ".join(info.scales) or info.scale


def _fitting(widths: list[int], room: int) -> list[int]:
    """The columns to show, in their order: the most wanted first until the room is used."""
    kept: list[int] = []
    for c in sorted(range(len(widths)), key=lambda c: (_COLUMNS[c].rank, c)):
        if widths[c] + 2 > room:
            break
        room -= widths[c] + 2
        kept.append(c)
    return sorted(kept)


def _aligned(text: str, width: int, column: Column) -> str:
    return right(text, width) if column.numeric else left(text, width)


def _row(cells: list[str], shown: list[int], widths: list[int], ink: Ink, *, chosen: bool, info: AdapterInfo) -> Line:
    line = Line("▸ " if chosen else "  ", ink.accent)
    health: dict[str, Style] = {"ok": ink.good, "warning": ink.warn, "error": ink.bad}
    for c in shown:
        style = health[info.health] if _COLUMNS[c].title == "health" else ink.bold if chosen else ink.plain
        line.add(_aligned(cells[c], widths[c], _COLUMNS[c]) + "  ", style)
    return line
