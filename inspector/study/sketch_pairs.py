"""Exact cosines of pairs, beside a file of sketches: `digest_a, digest_b, cosine`, the digests in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain

Pair = tuple[str, ...]
_COLUMNS = ("digest_a", "digest_b", "cosine")


def beside(store: Path) -> Path:
    """`sketches.pairs.parquet` of `sketches.parquet`."""
    return store.with_suffix(".pairs.parquet")


def read(path: Path) -> dict[Pair, float]:
    """The pairs that were measured; none if there is no file. Raises InspectorError for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        return {}
    try:
        a, b, cosines = (column.to_pylist() for column in pq.read_table(path, columns=list(_COLUMNS)).columns)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise InspectorError(f"{plain(path, 400)} cannot be read ({plain(error, 200)}): remove it.") from error
    return {(one, other): value for one, other, value in zip(a, b, cosines, strict=True)}


def write(path: Path, pairs: Mapping[Pair, float]) -> None:
    """Write them, complete or not at all; of two writers the last stays, and what the other had is measured again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [[key[0] for key in pairs], [key[1] for key in pairs], list(pairs.values())]
    with replacing(path) as temporary:
        pq.write_table(pa.table(dict(zip(_COLUMNS, columns, strict=True))), temporary, compression="zstd")
