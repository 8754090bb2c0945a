"""An adapter and a table as notebooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from inspector.common.text import plain
from inspector.study.adapter_info import AdapterInfo


def adapter_html(info: AdapterInfo) -> str:
    """What the headers of an adapter tell, and its findings."""
    facts = {
        "source": plain(info.source, 400), "format": info.format, "base": info.base or "?", "rank": info.rank,
        "scale": info.scale,
        "targets": ", ".join(info.targets), "dtype": info.dtype, "parameters": f"{info.parameters:,}",
        "health": "; ".join(f"{f.severity}: {f.text}" for f in info.findings) or "ok",
    }  # fmt: skip
    return html_table(info.name, ("", ""), [[name, value] for name, value in facts.items()])


def html_table(caption: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Every cell escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
