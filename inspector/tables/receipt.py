"""The answer of `inspector receipt`, as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import hypot, isfinite
from typing import Any

from rich.text import Text

from inspector.checking.receipt.places import Place
from inspector.checking.receipt.strength import Fit
from inspector.checking.receipt.verdict import Receipt
from inspector.common.numbers import fixed
from inspector.tables.tables import Page, significant, titled

_MOST = 12


def text(found: Receipt) -> str:
    """The sentence, the strength, and the modules that say it: a row a projection."""
    page = Page()
    with page.capture() as captured:
        page.print(Text(found.sentence), soft_wrap=True)
        if found.modules:
            strength = found.strength
            page.print(f"strength {fixed(strength.value, 3)} ({fixed(strength.low, 3)} to {fixed(strength.high, 3)})")
            _table(page, found.modules)
    return captured.get()


def _table(page: Page, modules: Sequence[tuple[Place, Fit | None]]) -> None:
    rows: dict[str, list[tuple[Place, Fit | None]]] = defaultdict(list)
    for place, fit in modules:
        rows[place.id.path].append((place, fit))
    table = titled("", ("module",), ("layers", "strength", "left over", "expected"))
    for path, those in list(rows.items())[:_MOST]:
        fits = [fit for _, fit in those if fit is not None]
        if not fits:
            table.add_row(Text(path), str(len(those)), Text(those[0][0].fault), "", "")
            continue
        values = sorted(fit.strength for fit in fits)
        span = fixed(values[0]) if values[-1] - values[0] < 0.005 else f"{values[0]:.2f} to {values[-1]:.2f}"
        sizes = ([fit.left_over for fit in fits], [fit.expected for fit in fits])
        table.add_row(Text(path), str(len(those)), span, *(significant(hypot(*of)) for of in sizes))
    page.print(table)
    if len(rows) > _MOST:
        page.print(f"… and {len(rows) - _MOST} more: --json lists all.")


def as_json(found: Receipt) -> dict[str, Any]:
    """For scripts; assets/guide/checking.md lists the keys."""
    return {
        "version": 1,
        "verdict": found.verdict,
        "strength": {
            "value": _number(found.strength.value),
            "low": _number(found.strength.low),
            "high": _number(found.strength.high),
        },
        "sentence": found.sentence,
        "modules": [_module(place, fit) for place, fit in found.modules],
    }


def _module(place: Place, fit: Fit | None) -> dict[str, Any]:
    return {
        "path": str(place.id),
        "strength": None if fit is None else _number(fit.strength),
        "left_over": None if fit is None else _number(fit.left_over),
        "expected_left_over": None if fit is None else _number(fit.expected),
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
