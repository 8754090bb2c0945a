"""Rollouts in files: appended as they come, or written whole. No torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from inspector.errors import InspectorError
from inspector.export import replacing
from inspector.text import plain
from trainer.schema import SUFFIXES, Rollout, RowError

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
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise _cannot("write", path, error) from error
        try:
            _lock(self._file, path)
            self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its lock."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                os.fsync(file)
            except OSError as error:
                raise _cannot("write", self.path, error) from error
            finally:
                os.close(file)

    def append(self, rollouts: Sequence[Rollout]) -> None:
        """Keep these, all or none when it raises. From here on they survive the end of this process."""
        data = memoryview(b"".join(map(_line, rollouts)))
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise _cannot("write", self.path, error) from error
        self._size += written
        self.rows += rollouts

    def _read(self) -> None:
        try:
            with os.fdopen(os.dup(self._file), "rb") as file:
                data = file.read()
            self._size = data.rfind(b"\n") + 1
            self.rows = [
                _rollout(line, number, self.path)
                for number, line in enumerate(data[: self._size].split(b"\n"), 1)
                if line.strip()
            ]
            if self._size < len(data):  # only after all lines before it were found to be ours
                if not self._size and not b'{"schema_version"'.startswith(data[:17]):
                    raise _foreign(self.path, 1)
                os.ftruncate(self._file, self._size)
        except OSError as error:
            raise _cannot("read", self.path, error) from error


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
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
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


def _lock(file: int, path: Path) -> None:
    """Take the file for this process; the system releases it however the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InspectorError(
            f"Another process is writing {plain(path)}: wait until it is done, or name another file by --out."
        ) from error
    except OSError:  # a file system without locks
        return


def _cannot(what: str, path: Path, error: OSError) -> InspectorError:
    advice = "what is in it is kept: free some space and run again" if what == "write" else "check it"
    return InspectorError(
        f"Cannot {what} {plain(path)} ({error.strerror or error}): {advice}, or name another by --out."
    )
