"""A study as a data frame, and as notebooks show it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from html import escape
from typing import Any

from inspector.definitions import DEFINITIONS
from inspector.errors import InspectorError
from inspector.printing.tables import number
from inspector.study import AdapterInfo, Study
from inspector.table import COLUMNS, rows
from inspector.text import count, plain


def frame(study: Study, library: str, metrics: Sequence[str] = ()) -> Any:
    """The tidy table (`metric, a, b, scope, layer, module, k, value`) as a pandas or polars DataFrame.

    Raises InspectorError where the library is not installed, and for a metric there is not.
    """
    if unknown := [metric for metric in metrics if metric not in DEFINITIONS]:
        close = difflib.get_close_matches(unknown[0], DEFINITIONS, n=1)
        raise InspectorError(f"No metric {unknown[0]!r}.{f' Did you mean {close[0]}?' if close else ''}")
    try:
        made = importlib.import_module(library)
    except ImportError as error:
        raise InspectorError(f"{library} is not installed: pip install {library}.") from error
    columns = zip(*rows(study, metrics), strict=True)
    table = {name: list(values) for name, values in zip(COLUMNS, columns, strict=False)} or {n: [] for n in COLUMNS}
    return made.DataFrame(table)


def study_html(study: Study) -> str:
    """Who was measured, and the cosines between them."""
    norms, cosines = study.block("norm", "global"), study.block("cosine", "global")
    heads = ("", "rank", "scale", "‖ΔW‖", *(study.names if cosines is not None else ()))
    lines = []
    for i, adapter in enumerate(study.adapters):
        norm = "" if norms is None else number(float(norms[i, 0]), 4)
        cells = [adapter.name, adapter.rank, adapter.scale, norm]
        cells += [] if cosines is None else [number(float(value)) for value in cosines[i, :, 0]]
        lines.append(cells)
    size = f"{count(len(study.adapters), 'adapter')}, {count(len(study.modules), 'module')}; cosines over all modules"
    return _table(size, heads, lines)


def adapter_html(info: AdapterInfo) -> str:
    """What the headers of an adapter tell, and its findings."""
    facts = {
        "source": plain(info.source, 400), "format": info.format, "base": info.base or "?", "rank": info.rank,
        "scale": info.scale,
        "targets": ", ".join(info.targets), "dtype": info.dtype, "parameters": f"{info.parameters:,}",
        "health": "; ".join(f"{f.severity}: {f.text}" for f in info.findings) or "ok",
    }  # fmt: skip
    return _table(info.name, ("", ""), [[name, value] for name, value in facts.items()])


def _table(caption: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
