"""What an evaluation found, as readable tables on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from rich.table import Table
from rich.text import Text

from inspector.common.arrays import Floats
from inspector.common.text import count, plain
from inspector.probes.accuracy.records import Record
from inspector.probes.accuracy.solved import Results, only
from inspector.tables.tables import UNLIMITED, Page, titled

_MEANING = (
    "right: greedy answers that math-verify finds equal to the gold answer. cut: ended by the token limit. "
    "unread: without an answer math-verify can read (also wrong). p: exact two-sided McNemar on the problems both "
    "answered. Holm: corrected over all pairs of this table."
)


def print_results(results: Results) -> None:
    """Accuracy of every model, then every pair. Nothing is cut."""
    tables = Page(width=UNLIMITED)
    text = Page()
    text.width = min(text.width, 100)
    info = results.info
    where = ", ".join(word for word in (info.device, info.dtype) if word)
    problems = count(info.examples, "problem")
    text.print(Text(f"{info.prompts}: {problems}, {info.base} ({where}), {info.detail}"))
    tables.print(_accuracy(results))
    if len(results.names) + (results.base is not None) > 1:
        tables.print(_pairs(results))
    text.print(Text(_MEANING))
    if unread := sum(r.status == "unparsable_gold" for r in (results.adapters[0] or results.base or {}).values()):
        text.print(Text(f"{unread} gold answers cannot be read by math-verify: nobody can be right there."))


def _accuracy(results: Results) -> Table:
    numbers = ("right", "of", "accuracy", "95 % interval", "cut", "unread", "tokens")
    table = titled("right answers", ("model",), numbers)
    blocks = results.blocks()
    if results.base is not None:
        share = [float(blocks[f"accuracy_base{end}", "global"][0]) for end in ("", "_low", "_high")]
        table.add_row(Text(f"base {plain(results.info.base)}"), *_cells(results.base, share))
    for i, name in enumerate(results.names):
        share = [float(blocks[f"accuracy{end}", "global"][i, 0]) for end in ("", "_low", "_high")]
        table.add_row(Text(name), *_cells(results.adapters[i], share))
    return table


def _cells(records: Mapping[str, Record], share: list[float]) -> list[str]:
    """right, of, accuracy, interval, cut, unread, tokens an answer."""
    found = list(records.values())
    if not found:
        return ["n/a"] * 7
    accuracy, low, high = (100 * x for x in share)
    return [
        str(sum(r.correct for r in found)),
        str(len(found)),
        f"{accuracy:.1f} %",
        f"{low:.1f}-{high:.1f} %",
        str(sum(r.finish == "length" for r in found)),
        str(sum(r.status in {"unparsable_answer", "timeout"} for r in found)),
        f"{np.mean([r.tokens for r in found]):.0f}",
    ]


def _pairs(results: Results) -> Table:
    """The base against every adapter, then every pair of adapters."""
    numbers = ("both", "only a", "only b", "neither", "p", "Holm")
    table = titled("pairs, problem by problem", ("a", "b"), numbers)
    blocks = results.blocks()
    marks = [results.marks(records) for records in results.adapters]
    if results.base is not None:
        base = results.marks(results.base)
        for i, name in enumerate(results.names):
            p = [float(blocks[f"mcnemar_base_p{end}", "global"][i, 0]) for end in ("", "_holm")]
            table.add_row(Text(name), "base", *_counts(marks[i], base), *map(_p, p))
    for i, j in combinations(range(len(results.names)), 2):
        p = [float(blocks[f"mcnemar_p{end}", "global"][i, j, 0]) for end in ("", "_holm")]
        table.add_row(Text(results.names[i]), Text(results.names[j]), *_counts(marks[i], marks[j]), *map(_p, p))
    return table


def _counts(a: Floats, b: Floats) -> list[str]:
    both, neither = ((a == 1) & (b == 1)).sum(), ((a == 0) & (b == 0)).sum()
    return [str(both), str(only(a, b)), str(only(b, a)), str(neither)]


def _p(value: float) -> str:
    """A p-value: 0.031, or 2e-05 where three digits say nothing."""
    if np.isnan(value):
        return "n/a"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
