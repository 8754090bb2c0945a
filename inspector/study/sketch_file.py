"""Sketches in Parquet: an adapter a row, known by source and digest, appended to by one process at a time.

A file is replaced whole, so that a killed process leaves the one before; readers need no lock. The columns are the
fields of `Sketch`; assets/guide/atlas.md says what they are and how DuckDB and polars read them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints

import numpy as np

from inspector.common.append_only import locked
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_place, replacing
from inspector.common.text import plain
from inspector.geometry.sketch_error import WIDTH
from inspector.study.sketches import Sketch

_FORMAT = b"adapter-inspector sketches"
_BY_LAYER = ("update_by_layer", "outputs_by_layer")


def schema() -> Any:
    """The columns of a file of sketches, as pyarrow has them."""
    import pyarrow as pa

    plain_types = {
        str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list[str]: pa.list_(pa.string()),
        list[int]: pa.list_(pa.int64()), list[float]: pa.list_(pa.float64()),
    }  # fmt: skip

    def type_of(name: str, hint: Any) -> Any:
        if name in _BY_LAYER:
            return pa.list_(pa.float32())
        if isinstance(hint, UnionType):
            return pa.int64()
        return plain_types.get(hint) or pa.list_(pa.float32(), WIDTH**2)

    hints = get_type_hints(Sketch)
    columns = [(field.name, type_of(field.name, hints[field.name])) for field in fields(Sketch)]
    return pa.schema(columns, metadata={"format": _FORMAT})


def is_part(path: Path) -> bool:
    """Whether a file is one of sketches, by its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    try:
        return (pq.read_schema(path).metadata or {}).get(b"format") == _FORMAT
    except (OSError, pa.ArrowException):
        return False


def read(paths: Iterable[Path], *, by_layer: bool = False) -> list[Sketch]:
    """The sketches of these files, each source and digest once, in their order; those of layers only if asked for.

    Raises InspectorError for a file of anything else.
    """
    found: dict[tuple[str, str], Sketch] = {}
    for path in paths:
        for row in _rows(path, by_layer=by_layer):
            found.setdefault((row["source"], row["digest"]), Sketch(**row))
    return list(found.values())


def _rows(path: Path, *, by_layer: bool) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not is_part(path):
            raise InspectorError(f"{plain(path, 400)} holds no sketches: name files that `inspector sketch` wrote.")
        names = [field.name for field in fields(Sketch) if by_layer or field.name not in _BY_LAYER]
        with pq.ParquetFile(path) as file:
            for name in names:
                file.schema_arrow.field(name)  # iter_batches leaves out a column that is not there
            for batch in file.iter_batches(200, columns=names):
                yield from _of_batch(batch)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InspectorError(f"{plain(path, 400)} cannot be read ({plain(error, 200)}): sketch it again.") from error


def _of_batch(batch: Any) -> Iterator[Mapping[str, Any]]:
    columns: dict[str, Sequence[Any]] = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if name in {"update", "outputs", "rows"}:
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, WIDTH**2).copy()
        elif name in _BY_LAYER:
            columns[name] = [np.array(values, dtype=np.float32) for values in column.to_pylist()]
        else:
            columns[name] = column.to_pylist()
    empty = {name: [np.zeros(0, np.float32)] * len(batch) for name in _BY_LAYER if name not in columns}
    for values in zip(*(columns | empty).values(), strict=True):
        yield dict(zip(columns | empty, values, strict=True))


class Appending:
    """A file of sketches that this process may add to; use it as a context. `has` are sources with digests."""

    def __init__(self, path: Path, saved: Callable[[], None]) -> None:
        self.path, self._saved = path, saved
        self._table = _table(path) if path.exists() else schema().empty_table()
        self.has = set(zip(self._table["source"].to_pylist(), self._table["digest"].to_pylist(), strict=True))
        self._waiting: list[Sketch] = []

    def add(self, sketch: Sketch) -> None:
        """Keep it with the next `save`."""
        self.has.add((sketch.source, sketch.digest))
        self._waiting.append(sketch)

    def save(self) -> None:
        """Write what was added, if anything was; complete or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._waiting:
            return
        rows = [sketch.as_row() for sketch in self._waiting]
        self._table = pa.concat_tables([self._table, pa.Table.from_pylist(rows, schema())])
        with replacing(self.path) as temporary:
            pq.write_table(self._table, temporary, compression="zstd", row_group_size=200)
        self._saved()
        self._waiting = []


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not is_part(path):
        raise InspectorError(f"{plain(path, 400)} is there and holds no sketches: name another file.")
    try:
        return pq.read_table(path).select(schema().names).cast(schema())
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InspectorError(f"{plain(path, 400)} cannot be read ({plain(error, 200)}): name another file.") from error


def refuse_unwritable(path: Path) -> None:
    """Raise InspectorError where sketches cannot be kept: said before the work."""
    if path.suffix.lower() != ".parquet":
        raise InspectorError(f"Cannot write {plain(path, 400)}: the name must end in .parquet.")
    refuse_place(path)


@contextmanager
def appending(path: Path, saved: Callable[[], None] = lambda: None) -> Iterator[Appending]:
    """Add sketches to a file, which no other process may do meanwhile. What was added is saved at the end.

    `saved` is called whenever the file was replaced.

    Raises InspectorError where another process writes it, or it is a file of anything else.
    """
    refuse_unwritable(path)
    beside = path.with_name(f".{path.name}.lock")
    try:
        file = os.open(beside, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InspectorError(f"Cannot write {plain(path, 400)}: {error.strerror or error}.") from error
    try:
        if not locked(file) or not _still(beside, file):
            raise InspectorError(
                f"Another process is writing {plain(path, 400)}: wait until it is done, or name another file."
            )
        try:
            part = Appending(path, saved)
            try:
                yield part
            finally:
                part.save()
        finally:
            with suppress(OSError):
                beside.unlink()
    finally:
        os.close(file)


def _still(path: Path, file: int) -> bool:
    """Whether the file that was locked is the one of this name: its owner removes it at the end."""
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False
