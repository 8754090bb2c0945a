"""Text for CSV and TSV that no spreadsheet runs as a formula."""

from __future__ import annotations

import re
from functools import lru_cache

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n']")
_NUMBER = re.compile(r"-|[+-]?\d[\d.,]*(e[+-]?\d+)?\s?[%°×]?")


@lru_cache(4096)
def cell(text: str) -> str:
    """The text; one that begins as a formula does (= + - @), or with a tab, a line's end or ', has a ' in front.

    Whoever takes one ' from the front of what begins with it has the text again. Numbers stay as they are.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
