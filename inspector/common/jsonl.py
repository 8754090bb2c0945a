"""Files of JSON, one object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.foreign import LARGEST, ForeignError, parse_json
from inspector.common.special_files import refuse_special
from inspector.common.text import plain


def json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(number of the line from 1, its object), empty lines left out.

    NaN and numbers beyond float64 are read as float reads them. Raises InspectorError with the row where one is none,
    for a pipe or the like, and OSError.
    """
    refuse_special(path)
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(LARGEST + 1), b"")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line.rstrip().decode("utf-8-sig"), float)
            except UnicodeDecodeError as error:
                raise InspectorError(f"{plain(path)}, row {number}: no UTF-8 text. Convert the file first.") from error
            except ForeignError as error:
                raise InspectorError(f"{plain(path)}, row {number}: {error}.") from error
            if not isinstance(row, dict):
                raise InspectorError(f"{plain(path)}, row {number}: a row must be an object with named fields.")
            yield number, row
