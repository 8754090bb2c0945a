"""Who is open: a table of essentials, and everything about the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from inspector.study import AdapterInfo
from inspector.tui.screens.base import Area, Table, View, metric_title, rows_shown, tidy, window
from inspector.tui.screens.probed import facts
from inspector.tui.state import WITH_BASE, AppState
from inspector.tui.text import Line, clean, count, fit_left, general, left, page, plural, right, wrap
from inspector.tui.theme import Ink

_BRIEF = {f"{name}_proj": name for name in ("q", "k", "v", "o", "gate", "up", "down")}
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


def _name(_state: AppState, _at: int, info: AdapterInfo) -> str:
    return clean(info.name)


_COLUMNS = (
    Column("name", 0, False, _name, 22),
    Column("rank", 1, True, lambda _s, _i, info: info.rank, 7),
    Column("α", 6, True, lambda _s, _i, info: clean(info.alpha) or "-", 8),
    Column("scale", 2, False, lambda _s, _i, info: clean(info.scale) or "-", 14),
    Column("targets", 4, False, lambda _s, _i, info: targets(info) or "-", 16),
    Column("params", 5, True, lambda _s, _i, info: count(info.parameters), 8),
    Column("‖ΔW‖", 1, True, lambda s, i, _info: _pending(s, "norm", i), 10),
    Column("eff.rank", 1, True, lambda s, i, _info: _pending(s, s.rank_metric, i), 9),
    Column("health", 1, False, lambda _s, _i, info: _MARK[info.health], 8),
    Column("dtype", 7, False, lambda _s, _i, info: clean(info.dtype) or "-", 10),
    Column("format", 8, False, lambda _s, _i, info: clean(info.format), 12),
    Column("base", 9, False, lambda _s, _i, info: clean(info.base) or "-", 30),
    Column("source", 10, False, lambda _s, _i, info: clean(info.source), 40),
)


def _pending(state: AppState, metric: str, at: int) -> str:
    """A number, or `…` while none has arrived."""
    return general(state.own(metric, at)) if state.has(metric) else "…"


class AdaptersView(View):
    id = "adapters"
    title = "Adapters"
    about = "Who is open. Numbers follow the layer slider and the projection filter."

    def paint(self, state: AppState, area: Area) -> list[Strip]:
        if (nothing := self.empty(state, area, 1)) is not None:
            return nothing
        infos, cells = state.infos, self._cells(state)
        detail = self._detail(state, area)
        height = max(min(len(infos), area.height - 3 - min(len(detail), 9)), 3)
        top = state.tops[self.id] = window(state.tops.get(self.id, 0), state.row, height, len(infos))
        widths = [
            min(max(cell_len(r[c]) for r in [[c.title for c in _COLUMNS], *cells]), _COLUMNS[c].limit)
            for c in range(len(_COLUMNS))
        ]
        shown = _fitting(widths, area.width - 2)
        title = Line(f" {plural(len(infos), 'adapter')}", area.ink.bold)
        title.add(f"{rows_shown(top, height, len(infos), 'rows')} · {self.place(state)}", area.ink.dim)
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
        if len(detail) > room > 0:
            detail = [
                *detail[: room - 1],
                Line(f"   … {plural(len(detail) - room + 1, 'more line')}: y copies all", area.ink.dim),
            ]
        return page([*lines, *detail], area.width, area.height)

    def _cells(self, state: AppState) -> list[list[str]]:
        return [[column.text(state, at, info) for column in _COLUMNS] for at, info in enumerate(state.infos)]

    def _detail(self, state: AppState, area: Area) -> list[Line]:
        """Everything about the adapter under the cursor."""
        ink, info = area.ink, state.infos[state.row]
        lines = [
            Line(" ")
            .add(clean(info.name), ink.accent)
            .add(f"  {fit_left(clean(info.source), area.width - 20)}", ink.dim)
        ]
        rank = f"rank {info.rank} · α {clean(info.alpha) or '-'} · scale {clean(info.scale) or '-'}"
        size = f"{plural(info.modules, 'module')} · {plural(info.tensors, 'tensor')} · {info.parameters:,} parameters"
        norm, effective = (_pending(state, m, state.row) for m in ("norm", state.rank_metric))
        known = (
            ("base", clean(info.base) or "not named in its config"),
            ("format", f"{clean(info.format)} · {clean(info.dtype) or 'dtype unknown'} · {size}"),
            ("LoRA", rank),
            ("targets", ", ".join(clean(target) for target in info.targets) or "-"),
            ("measured", f"‖ΔW‖ {norm} · {metric_title(state.rank_metric)} {effective} ({state.where})"),
        )
        for label, text in [*known, *([("vs base", " · ".join(more))] if (more := facts(state, state.row)) else [])]:
            for n, part in enumerate(wrap(text, area.width - 13)):
                lines.append(Line("   ").add(label if not n else "", ink.dim).to(12).add(part))
        styles = {"info": ink.dim, "warning": ink.warn, "error": ink.bad}
        signs = {"info": "i", "warning": "!", "error": "✗"}
        for finding in sorted(info.findings, key=lambda f: "eiw".index(f.severity[0]) % 3 != 0):
            for n, part in enumerate(wrap(clean(finding.text), area.width - 13)):
                label = f"{signs[finding.severity]} {finding.severity}" if not n else ""
                lines.append(Line(" ").add(label, styles[finding.severity]).to(12).add(part, styles[finding.severity]))
        return lines

    def table(self, state: AppState) -> Table:
        columns = ("name", "source", "base", "format", "rank", "alpha", "scale", "targets", "dtype", "parameters")
        measured = tuple(m for m in ("norm", state.rank_metric, *WITH_BASE) if state.has(m))
        rows = []
        for at, info in enumerate(state.infos):
            known = (info.name, info.source, info.base, info.format, info.rank, info.alpha, info.scale)
            rest = (" ".join(info.targets), info.dtype, str(info.parameters))
            numbers = tuple(tidy(state.own(metric, at)) for metric in measured)
            findings = "; ".join(f"{f.severity}: {f.text}" for f in info.findings) or "ok"
            rows.append(tuple(map(clean, (*known, *rest, *numbers, findings))))
        return Table(f"adapters · {self.place(state)}", (*columns, *measured, "health"), tuple(rows))

    def metrics(self, state: AppState, /) -> tuple[str, ...]:
        return ("norm", state.rank_metric, *(m for m in (*WITH_BASE, "lens_depth") if state.has(m)))


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
