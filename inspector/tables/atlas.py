"""An atlas on stdout: the groups, what is double or stands out, and the neighbours of one adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.labels import labels
from inspector.common.numbers import fixed
from inspector.common.text import count, plain, some
from inspector.insights.atlas import TWIN, Atlas
from inspector.tables.tables import UNLIMITED, Page, significant, titled

ROWS = 20
"""Of a table on stdout; the page has all."""
GROUPS = ("group", "adapters", "first", "last", "‖ΔW‖ from", "to", "methods", "starts")
NEIGHBOURS = ("adapter", "cosine", "output similarity", "‖ΔW‖ ×")
CHAINS = "A chain of near ones is one group here; the Overview asks it of every pair in a group."
KEPT = ("keep", "stands for", "farthest of them")

Rows = Sequence[tuple[str, ...]]


def names(atlas: Atlas) -> list[str]:
    """The adapters' names without what all share, those of one name with their digest."""
    own = [plain(s.name, 200) for s in atlas.sketches.all]
    apart = [f"{n} {s.digest[:6]}" if own.count(n) > 1 else n for n, s in zip(own, atlas.sketches.all, strict=True)]
    found = [f"{n}·{i}" if apart.count(n) > 1 else n for i, n in enumerate(apart)]
    return list(labels(found).short) if len(found) > 1 else found


def summary(atlas: Atlas) -> list[str]:
    """What it is of, in sentences."""
    sketches = atlas.sketches
    models = len(set(sketches.model.tolist()))
    of = f"{count(len(sketches), 'adapter')} of {count(models, 'model')}"
    doubles, starts = sum(len(same) - 1 for same in atlas.copies), len(atlas.kin)
    near = f"{count(len(atlas.twins), 'pair')} nearly the same (cosine ≥ {TWIN}, norms within 1 %)"
    said = [
        f"{of}: {count(len(atlas.groups), 'group')} that hold {sum(map(len, atlas.groups))}, {len(atlas.alone)} alone.",
        f"{doubles} of them {'is a copy' if doubles == 1 else 'are copies'} of another; {near}.",
        f"{starts} {'start or run is' if starts == 1 else 'starts or runs are'} shared, by row spaces: never a proof.",
    ]
    if atlas.estimated:
        said.append(
            f"{count(atlas.estimated, 'pair')} not measured: their cosines are estimates of sketches, ± about .03."
        )
    return said


def group_rows(atlas: Atlas, shown: Sequence[str]) -> Rows:
    """A row a group."""
    sketches = atlas.sketches.all
    rows: list[tuple[str, ...]] = []
    kin = {i: n for n, part in enumerate(atlas.kin) for i in part}
    for n, group in enumerate(atlas.groups, 1):
        norms = [sketches[i].norm for i in group]
        methods = sorted({sketches[i].method for i in group} - {""})
        starts = {kin.get(i, -1 - i) for i in group}
        low, high = (significant(float(f(norms))) for f in (np.min, np.max))
        rows.append((
            str(n), str(len(group)), shown[group[0]], shown[group[-1]], low, high, some(methods) or "-",
            str(len(starts)),
        ))  # fmt: skip
    return rows


def neighbour_rows(atlas: Atlas, shown: Sequence[str], i: int) -> Rows:
    """A row a neighbour of one adapter."""
    norm = atlas.sketches.all[i].norm
    return [
        (
            shown[near.index], _with_error(near.cosine, near.error), _with_error(near.outputs, near.outputs_error),
            significant(atlas.sketches.all[near.index].norm / norm) if norm > 0 else "n/a",
        )
        for near in atlas.neighbours[i]
    ]  # fmt: skip


def remarks(atlas: Atlas, shown: Sequence[str]) -> Iterator[tuple[str, Rows]]:
    """Copies, near copies, sizes that stand out, health: a title and (adapter, what) rows, those that there are."""
    copies = [(shown[same[0]], f"same content: {some([shown[i] for i in same[1:]], 8)}") for same in atlas.copies]
    twins = [(shown[i], f"{shown[j]}: cosine {value:.6f}") for i, j, value in atlas.twins]
    for title, rows in (
        ("copies", copies), ("nearly the same", twins), ("stand out", [(shown[i], why) for i, why in atlas.outliers]),
        ("health", [(shown[i], why) for i, why in atlas.unhealthy]),
    ):  # fmt: skip
        if rows:
            yield title, rows


def kept_rows(shown: Sequence[str], kept: Sequence[tuple[int, int, float]]) -> Rows:
    """A row an adapter to keep; distances are estimates, relative to the largest norm."""
    return [(shown[i], str(stands), f"{far:.3f}") for i, stands, far in kept]


def print_atlas(atlas: Atlas, near: int | None, kept: Sequence[tuple[int, int, float]]) -> None:
    """The summary, then tables of ROWS rows at most."""
    page, shown = Page(), names(atlas)
    if not page.is_terminal:
        page.width = UNLIMITED
    for sentence in summary(atlas):
        page.print(Text(sentence))
    if near is not None:
        rows = neighbour_rows(atlas, shown, near)
        if rows:
            _print(page, f"neighbours of {shown[near]}", NEIGHBOURS, rows)
        else:
            page.print(_lonely(shown[near]))
    if kept:
        _print(page, "keep", KEPT, kept_rows(shown, kept), most=len(kept))
        page.print(Text("distances: estimates of ‖ΔW − ΔW'‖ over the largest norm"))
    if near is not None or kept:
        return
    if atlas.groups:
        _print(page, "groups: connected by cosines ≥ 0.7", GROUPS, group_rows(atlas, shown))
        page.print(Text(CHAINS))
    for title, found in remarks(atlas, shown):
        _print(page, title, ("adapter", "what"), found)


def _print(page: Page, title: str, columns: Sequence[str], rows: Rows, most: int = ROWS) -> None:
    """As a table, or in sentences a row where a terminal is narrower than that."""
    table = _table(title, columns, rows, most)
    if page.measure(table, options=page.options.update(width=UNLIMITED)).maximum <= page.width:
        page.print(table)
        return
    page.print(Text(str(table.title), style="bold"))
    for row in rows[:most]:
        page.print(Text(" · ".join(f"{column} {cell}" for column, cell in zip(columns, row, strict=True))))


def _lonely(name: str) -> Text:
    return Text(f"{name} has no neighbour: no cosine that a sketch can tell from 0, which are those above about 0.1.")


def _with_error(value: float, error: float) -> str:
    return fixed(value, 3) if not error > 0 else f"{fixed(value, 3)} ± {fixed(error, 3)}"


def _table(title: str, columns: Sequence[str], rows: Rows, most: int = ROWS) -> Table:
    more = f" ({most} of {len(rows)}; --out FILE.html has all)" if len(rows) > most else ""
    table = titled(f"{title}{more}")
    for n, column in enumerate(columns):
        text = n == 0 or column in {"first", "last", "methods", "what", "adapter"}
        table.add_column(column, justify="left" if text else "right")
    for row in rows[:most]:
        table.add_row(*map(Text, row))
    return table
