"""Files of JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inspector.errors import InspectorError
from inspector.text import plain


def json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(number of the line from 1, its object), empty lines left out.

    Raises InspectorError with the row where one is none, and OSError.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.rstrip().decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise InspectorError(f"{plain(path)}, row {number}: no UTF-8 text. Convert the file first.") from error
            except (ValueError, RecursionError) as error:
                raise InspectorError(f"{plain(path)}, row {number}: no JSON ({_fault(error)}).") from error
            if not isinstance(row, dict):
                raise InspectorError(f"{plain(path)}, row {number}: a row must be an object with named fields.")
            yield number, row


def _fault(error: ValueError | RecursionError) -> str:
    """`Expecting value at column 12`: which line it is, json does not know."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else plain(error, 80)
