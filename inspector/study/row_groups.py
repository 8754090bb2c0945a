"""The tidy table as Arrow tables, a piece at a time: numbers of pairs without a Python object a row.

A thousand adapters have half a million pairs, and a number of each at every module.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.common.arrays import Floats
from inspector.study.metrics import DEFINITIONS, Definition
from inspector.study.study import SCOPES, Scope, Study
from inspector.study.table import COLUMNS, NUMBERS, rows

_ROWS = 500_000
"""Rows of a piece, from which on it is complete."""


def row_groups(study: Study, schema: Any, metrics: Sequence[str], scopes: Sequence[Scope] = SCOPES) -> Iterator[Any]:
    """The rows of `table.rows`, in its order, as pyarrow tables of this schema."""
    import pyarrow as pa

    waiting: list[Any] = []
    for table in _pieces(study, schema, metrics, scopes):
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _pieces(study: Study, schema: Any, metrics: Sequence[str], scopes: Sequence[Scope]) -> Iterator[Any]:
    import pyarrow as pa

    for metric, definition in DEFINITIONS.items():
        if metrics and metric not in metrics:
            continue
        for scope in (scope for scope in SCOPES if scope in scopes):
            values = study.block(metric, scope)
            if definition.subject not in {"pair", "ordered"} or definition.probe:
                table = rows(study, (metric,), (scope,))
                while batch := list(itertools.islice(table, _ROWS)):
                    columns = zip(COLUMNS, zip(*batch, strict=True), strict=True)
                    yield pa.table({name: list(column) for name, column in columns}, schema=schema)
            elif values is not None:
                for i in range(len(study.adapters)):
                    yield _of_pairs(study, schema, definition, scope, i)


def _of_pairs(study: Study, schema: Any, definition: Definition, scope: Scope, i: int) -> Any:
    """The rows of one adapter beside those after it, or beside all others where the order counts."""
    import pyarrow as pa

    block, places = study.blocks[definition.metric, scope], study.places(scope)
    others = np.arange(len(study.adapters)) if definition.subject == "ordered" else np.arange(i, len(study.adapters))
    others = others[others != i]
    values = block[i, others]
    has_row = (present := _present(study, scope))[i] | present[others]
    if definition.indexed:
        known = ~np.isnan(values)
        depth = np.where(known.any(-1), values.shape[-1] - known[..., ::-1].argmax(-1), 0)
        has_row = has_row[..., None] & (np.arange(values.shape[-1]) < depth[..., None])
    j, place, *k = np.nonzero(has_row)
    layers = np.array([-1 if p.layer is None else p.layer for p in places])[place]
    columns = {
        "metric": _same(definition.metric, len(j)), "a": _same(study.names[i], len(j)),
        "b": _words(study.names, others[j]), "scope": _same(scope, len(j)),
        "layer": pa.array(layers, pa.int32(), mask=layers < 0), "module": _words([p.path for p in places], place),
        "k": pa.array(k[0] + 1.0) if k else pa.nulls(len(j), pa.float64()),
    }  # fmt: skip
    numbers: Floats = values[has_row]
    columns[NUMBERS[1]] = pa.array(numbers, mask=~np.isfinite(numbers))
    return pa.table({name: columns[name] for name in COLUMNS}, schema=schema)


def _present(study: Study, scope: Scope) -> NDArray[np.bool_]:
    """(N, places): whether an adapter adapts anything there."""
    if scope == "module":
        return study.present
    if scope == "global":
        return np.asarray(np.any(study.present, axis=1, keepdims=True))
    here = np.array([[m.layer == layer for layer in study.layers] for m in study.modules], dtype=bool)
    return np.asarray(study.present @ here.reshape(len(study.modules), len(study.layers)))


def _words(words: Sequence[str], codes: NDArray[np.intp]) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(words), pa.string()))


def _same(word: str, count: int) -> Any:
    return _words([word], np.zeros(count, dtype=np.intp))
