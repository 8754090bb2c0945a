"""Rollouts in files: appended as they come, or written whole. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from inspector.common.append_only import Appending
from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.foreign import ForeignError, parse_json
from inspector.common.text import plain
from trainer.rollouts.fields import RowError
from trainer.rollouts.schema import SUFFIXES, Rollout

_BATCH = 2000
"""Rows of a Parquet file in memory at a time."""


class RowFile:
    """A JSONL file of rollouts that only grows. One process at a time; close it.

    What a killed process left of its last line is cut away. Raises InspectorError where the file cannot be read or
    written, holds something else, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Rollout] = []
        self._file = Appending(path, "", "name another file by --out")
        try:
            self._read()
        except InspectorError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its lock."""
        self._file.close()

    def append(self, rollouts: Sequence[Rollout]) -> None:
        """Keep these, all or none when it raises. From here on they survive the end of this process."""
        self._file.append(b"".join(map(_line, rollouts)))
        self.rows += rollouts

    def _read(self) -> None:
        lines, rest = self._file.read()
        self.rows = [
            _rollout(line, number, self.path) for number, line in enumerate(lines.split(b"\n"), 1) if line.strip()
        ]
        if rest:  # only after all lines before it were found to be ours
            if not lines and not b'{"schema_version"'.startswith(rest[:17]):
                raise _foreign(self.path, 1)
            self._file.cut()


def write_rows(path: Path, rollouts: Iterable[Rollout]) -> int:
    """Write a JSONL or Parquet file, complete or not at all; returns how many rows."""
    check_suffix(path)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".parquet":
            return _write_parquet(temporary, rollouts)
        count = 0
        with temporary.open("wb") as file:
            for count, rollout in enumerate(rollouts, 1):  # noqa: B007 - the count is what is returned
                file.write(_line(rollout))
        return count


def check_suffix(path: Path) -> None:
    """Raise InspectorError unless rollouts can be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise InspectorError(f"Cannot write {plain(path)}: its name must end in {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise InspectorError(f"Cannot write {plain(path)}: there is no folder {plain(path.parent)}.")


def _write_parquet(path: Path, rollouts: Iterable[Rollout]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    types = {"int": pa.int64(), "float": pa.float64(), "tuple[Message, ...]": messages}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in Rollout.columns()])
    total = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for rollout in rollouts:
            batch.append(json.loads(_line(rollout)))
            total += 1
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return total


def _line(rollout: Rollout) -> bytes:
    """A row as JSON; a lone surrogate, which no file can hold, becomes a question mark."""
    return f"{json.dumps(rollout.to_row(), ensure_ascii=False)}\n".encode(errors="replace")


def _rollout(line: bytes, number: int, path: Path) -> Rollout:
    try:
        row = parse_json(line, float)
    except ForeignError as error:
        raise InspectorError(
            f"{plain(path)}, row {number}: no JSON. Remove that line and run again: it is sampled once more."
        ) from error
    if not isinstance(row, dict) or not row.get("id") or "schema_version" not in row:
        raise _foreign(path, number)
    try:
        return Rollout.from_row(row)
    except RowError as error:
        raise InspectorError(f"{plain(path)}, row {number}: {error}. Remove that line and run again.") from error


def _foreign(path: Path, number: int) -> InspectorError:
    return InspectorError(
        f"{plain(path)}, row {number}: not written by `inspector rollouts`. Name another file by --out."
    )
