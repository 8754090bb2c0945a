"""What changed between two studies, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.text import Text

from inspector.common.text import plain
from inspector.study.diff import Change, Differences
from inspector.study.diff_numbers import Moved
from inspector.tables.tables import UNLIMITED, Page, titled

FORMAT, VERSION = "adapter-inspector diff", 1


def print_differences(found: Differences, scope: str, limit: int) -> None:
    """Who, how, then the numbers of a scope, the largest first; what is not shown is counted.

    Up to a limit, the numbers of one curve or spectrum are one line, and chance levels, quartiles and ends of
    intervals are left out. A line each in a pipe; on a terminal that is too narrow for them, two.
    """
    console = Page()
    if not console.is_terminal:
        console.width = UNLIMITED
    for line in _words(found):
        console.print(Text(line))
    chosen = [m for m in found.moved if scope in {"all", m.scope}]
    gathered = _gathered([m for m in chosen if not m.beside])[:limit] if limit else [(m, 1) for m in chosen]
    if gathered:
        _print_numbers(console, gathered)
    more = len(chosen) - sum(n for _, n in gathered)
    if more:
        beside = sum(m.beside for m in chosen)
        of = f", {beside if beside < more else 'all'} of them chance levels, quartiles and the like" if beside else ""
        console.print(Text(f"… and {more} more numbers{of}: --limit 0 shows all, --json writes all."))


def _gathered(moved: list[Moved]) -> list[tuple[Moved, int]]:
    """The number that moved most of each curve or spectrum, and how many of it moved."""
    together: dict[Any, list[Moved]] = {}
    for m in moved:
        together.setdefault((m.metric, m.a, m.b, m.scope, m.layer, m.module), []).append(m)
    return [(numbers[0], len(numbers)) for numbers in together.values()]


def _words(found: Differences) -> Iterator[str]:
    """A line a change; first that there is none."""
    if found.nothing:
        yield "Nothing changed."
    for sign, names in (("+", found.added), ("-", found.removed)):
        yield from (f"{sign} adapter {plain(name)}" for name in names)
    yield from (f"= adapter {plain(a)} is {plain(b)} now: the same content" for a, b in found.renamed)
    yield from (f"~ adapter {_change(change)}" for change in found.changed)
    yield from (f"~ setting {_change(change)}" for change in found.settings)
    yield from (f"~ probe {_change(change)}" for change in found.probes)
    for sign, metrics in (("+", found.metrics_added), ("-", found.metrics_removed)):
        if metrics:
            yield f"{sign} {'numbers' if sign == '+' else 'no more numbers'} of {', '.join(metrics)}"
    if found.common:
        counts = (f"{moved} of {compared} {scope}" for scope, moved, compared in found.counts)
        yield f"moved: {', '.join(counts)} numbers"
    else:
        yield "The two studies have no adapter in common: there is no number to compare."


def _change(change: Change) -> str:
    """`sft: digest 1f2e… → 77ab…`; a digest by its first characters."""
    old, new = (plain(text, 60) or "–" for text in (change.old, change.new))
    if "digest" in change.field:
        old, new = (f"{text[:12]}…" if len(text) > 12 else text for text in (old, new))
    what = plain(change.what, 60)
    head = f"{what}: {change.field}" if what and change.field else what or change.field
    return f"{head}{' ' if change.field else ': '}{old} → {new}"


def _print_numbers(console: Page, gathered: list[tuple[Moved, int]]) -> None:
    table = titled("")
    table.padding = (0, 1, 0, 0)
    for heading in ("metric", "of", "where"):
        table.add_column(heading, no_wrap=True)
    for heading in ("old", "new", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [(m.metric, _of(m), _where(m, n), f"{m.old:.4g}", f"{m.new:.4g}", f"{m.difference:+.3g}")
            for m, n in gathered]  # fmt: skip
    for row in rows:
        table.add_row(*map(Text, row))
    console.print()
    if console.measure(table, options=console.options.update(width=UNLIMITED)).maximum <= console.width:
        console.print(table)
        return
    for metric, of, where, old, new, difference in rows:
        console.print(Text("  ".join(filter(None, (metric, of, where)))))
        console.print(Text(f"    {old} → {new}  ({difference})"))


def _of(m: Moved) -> str:
    return " · ".join(plain(name, 60) for name in (m.a, m.b) if name)


def _where(m: Moved, together: int) -> str:
    """`layer 3`, `3.self_attn.q_proj`, with its k or α and how many more of them moved; nothing where it is all."""
    place = "" if m.scope == "global" else f"layer {m.layer}" if not m.module else plain(m.module, 80)
    place = f"{m.layer}.{place}" if m.module and m.layer is not None else place
    if m.k is None:
        return place
    index = f"{'α' if 'lmc' in m.metric else 'k'} {m.k:g}{f' and {together - 1} more' if together > 1 else ''}"
    return f"{place}, {index}" if place else index


def as_json(found: Differences, scope: str) -> str:
    """Everything that changed; of the numbers, those of the scope."""
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION} | asdict(found)
    chosen = [m for m in found.moved if scope in {"all", m.scope}]
    document["moved"] = [asdict(m) | {"difference": m.difference} for m in chosen]
    document["counts"] = {scope: {"moved": n, "compared": of} for scope, n, of in found.counts}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
