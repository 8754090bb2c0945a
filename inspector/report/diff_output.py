"""What changed between two studies, as text of at most 80 columns, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from inspector.report.differences import Change, Differences
from inspector.report.moved import Moved
from inspector.text import plain
from inspector.text_tables import Page, titled

FORMAT, VERSION = "adapter-inspector diff", 1
_WIDTH = 80


def print_differences(found: Differences, scope: str, limit: int) -> None:
    """Who, how, then the numbers of a scope, the largest first; what is not shown is counted."""
    console = Page()
    console.width = min(console.width, 120) if console.is_terminal else _WIDTH
    for line in _words(found):
        console.print(Text(line))
    chosen = [m for m in found.moved if scope in {"all", m.scope}]
    shown = chosen[:limit] if limit else chosen
    if shown:
        console.print()
        console.print(_table(shown))
    if len(shown) < len(chosen):
        console.print(Text(f"… and {len(chosen) - len(shown)} more: --limit 0 shows all, --json writes all."))


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
    told = (f"{moved} of {compared} {scope}" for scope, moved, compared in found.counts)
    yield f"moved: {', '.join(told)} numbers"


def _change(change: Change) -> str:
    """`sft: digest 1f2e… → 77ab…`; a digest by its first characters."""
    old, new = (plain(text, 60) or "–" for text in (change.old, change.new))
    if "digest" in change.field:
        old, new = (f"{text[:12]}…" if len(text) > 12 else text for text in (old, new))
    what = plain(change.what, 60)
    head = f"{what}: {change.field}" if what and change.field else what or change.field
    return f"{head}{' ' if change.field else ': '}{old} → {new}"


def _table(moved: list[Moved]) -> Table:
    table = titled("")
    for heading in ("metric", "of", "where"):
        table.add_column(heading, overflow="fold")
    for heading in ("old", "new", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for m in moved:
        of = " · ".join(plain(name, 60) for name in (m.a, m.b) if name)
        numbers = (f"{m.old:.4g}", f"{m.new:.4g}", f"{m.difference:+.3g}")
        table.add_row(m.metric, Text(of), Text(_where(m)), *numbers)
    return table


def _where(m: Moved) -> str:
    """`all`, `layer 3`, `3.self_attn.q_proj`, with its k or α."""
    place = "all" if m.scope == "global" else f"layer {m.layer}" if not m.module else plain(m.module, 80)
    place = f"{m.layer}.{place}" if m.module and m.layer is not None else place
    return place if m.k is None else f"{place}, {'α' if 'lmc' in m.metric else 'k'} {m.k:g}"


def as_json(found: Differences, scope: str) -> str:
    """Everything that changed; of the numbers, those of the scope."""
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION} | asdict(found)
    chosen = [m for m in found.moved if scope in {"all", m.scope}]
    document["moved"] = [asdict(m) | {"difference": m.difference} for m in chosen]
    document["counts"] = {scope: {"moved": n, "compared": of} for scope, n, of in found.counts}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
