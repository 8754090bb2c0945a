"""A study to files and back: JSON, CSV, Parquet. JSON and Parquet open again as the whole study.

JSON: {"format", "version", "adapters", "modules", "shapes", "settings", "table"}, where table holds the
tidy columns as lists (`pandas.DataFrame(study["table"])`). Parquet holds the same table, with the rest as
JSON in its metadata. CSV is the table alone, and a name that a spreadsheet would run as a formula has a ' in front;
what is odd about the adapters stands in FILE.findings.json beside it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from inspector.common.arrays import Floats
from inspector.common.columns import Coded, coded
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_place, replacing
from inspector.common.nearby import nearby
from inspector.common.spreadsheet import cell
from inspector.common.text import distinct, plain
from inspector.common.validate import typed
from inspector.study.adapter_info import AdapterInfo, HealthIssue
from inspector.study.module_id import ModuleId
from inspector.study.probe_results import with_cautions
from inspector.study.provenance import Origin
from inspector.study.row_groups import row_groups
from inspector.study.study import SCOPES, ProbeInfo, Scope, Settings, Study
from inspector.study.table import COLUMNS, NUMBERS, blocks, rows

_OWN = "adapter-inspector "
FORMAT = f"{_OWN}study"
VERSION = 1
SUFFIXES = (".json", ".csv", ".parquet")
_ROWS_A_BYTE = 8
"""Numbers that differ do not compress: more rows than this are none."""
_DEEPEST = 10**6
"""Layers no model has."""


def save(
    study: Study, path: str | Path, metrics: Sequence[str] = (), scopes: Sequence[Scope] = SCOPES
) -> tuple[Path, ...]:
    """Write the study (or some metrics and scopes of it) by the path's suffix; complete or not at all.

    Returns the files written. Every format has the findings of the adapters: numbers alone would look better than they
    are.
    """
    path = Path(path)
    _refuse_suffix(path)
    writers = {".json": _write_json, ".csv": _write_csv, ".parquet": _write_parquet}
    with ExitStack() as files:
        temporary = files.enter_context(replacing(path))
        writers[path.suffix.lower()](study, temporary, metrics, scopes)
        if path.suffix.lower() != ".csv":
            return (path,)
        beside = path.with_suffix(".findings.json")
        text = json.dumps(_findings(study), ensure_ascii=False, indent=1)
        files.enter_context(replacing(beside)).write_text(f"{text}\n", encoding="utf-8")
        return path, beside


def _findings(study: Study) -> dict[str, Any]:
    """What a CSV has no column for. Written without any too: one of an earlier table would be believed."""
    known = [(a, [asdict(finding) for finding in a.findings]) for a in study.adapters]
    adapters = [{"name": a.name, "source": a.source, "health": a.health, "findings": own} for a, own in known]
    return {"format": "adapter-inspector findings", "version": VERSION, "adapters": adapters}


def refuse_unwritable(path: Path) -> None:
    """Raise InspectorError where `save` could not write: said before the work, not after it."""
    _refuse_suffix(path)
    refuse_place(path)


def _refuse_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise InspectorError(f"Cannot write {str(path)!r}: the name must end in {', '.join(SUFFIXES)}.")


def is_study(sources: Sequence[str]) -> bool:
    """Whether what the user named is one saved study rather than adapters."""
    path = Path(sources[0] if len(sources) == 1 else "")
    return path.suffix.lower() in {".json", ".parquet"} and path.name != "adapter_config.json"


def load(path: str | Path) -> Study:
    """Read a study saved as JSON or Parquet."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise InspectorError(f"{plain(path, 400)} is not a study: it is a folder, a pipe or a device.")
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path)
        if path.suffix.lower() == ".csv" and path.is_file():
            raise InspectorError(
                f"{plain(path, 400)} is a table alone, no study: save it as .json or .parquet as well."
            )
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise InspectorError(f"{plain(path, 400)} is empty: save the study again.")
        head = json.loads(text)
        kind = head.get("format") if isinstance(head, dict) else None
        if kind != FORMAT:
            what = f"not a study but {plain(kind, 40)}" if str(kind).startswith(_OWN) else "not a study of inspector"
            raise InspectorError(f"{plain(path, 400)} is {what}: name a file that `analyze --out` wrote.")
        table = head["table"]
        words = {name: coded(table[name]) for name in COLUMNS if name not in NUMBERS}
        return _study(path, head, words, *(_numbers(table[name]) for name in NUMBERS))
    except OSError as error:
        why = plain(error.strerror or error) + ("" if path.exists() else nearby(str(path)))
        raise InspectorError(f"Cannot read {plain(path, 400)}: {why}.") from error
    except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InspectorError(f"{plain(path, 400)} is not a complete study ({plain(error)}): save it again.") from error


def _numbers(column: Any) -> Floats:
    """A column of JSON, null as NaN. Raises ValueError for Infinity, which no study holds, and for numbers as large."""
    found = np.array(column, dtype=np.float64)
    if np.isinf(found).any():
        raise ValueError("numbers beyond float64")
    return found


def _head(study: Study) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "adapters": [asdict(a) for a in study.adapters],
        "modules": [list(m) for m in study.modules],
        "shapes": study.shapes.tolist(),
        "settings": asdict(study.settings),
        "probes": [asdict(probe) for probe in study.probes],
        "alphas": list(study.alphas),
        "depth": study.depth,
    }


def _write_json(study: Study, path: Path, metrics: Sequence[str], scopes: Sequence[Scope]) -> None:
    columns = list(zip(*rows(study, metrics, scopes), strict=True)) or [()] * len(COLUMNS)
    document = _head(study) | {"table": dict(zip(COLUMNS, columns, strict=True))}
    path.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")), encoding="utf-8")


def _write_csv(study: Study, path: Path, metrics: Sequence[str], scopes: Sequence[Scope]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([cell(v) if isinstance(v, str) else v for v in row] for row in rows(study, metrics, scopes))


def _write_parquet(study: Study, path: Path, metrics: Sequence[str], scopes: Sequence[Scope]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(COLUMNS, words) | {"layer": pa.int32(), "k": pa.float64(), "value": pa.float64()}
    schema = pa.schema(list(types.items()), metadata={"inspector": json.dumps(_head(study), ensure_ascii=False)})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in row_groups(study, schema, metrics, scopes):
            writer.write_table(table)


def _read_parquet(path: Path) -> Study:
    import pyarrow.parquet as pq

    if pq.read_metadata(path).num_rows > _ROWS_A_BYTE * path.stat().st_size:
        raise InspectorError(f"{plain(path, 400)} is not a study: it would unfold into far more than its own size.")
    table = pq.read_table(path)
    head = (table.schema.metadata or {}).get(b"inspector")
    if head is None:
        raise InspectorError(f"{path} is not a study saved by inspector: it has no study in its metadata.")
    words = {name: _coded(table[name].combine_chunks()) for name in COLUMNS if name not in NUMBERS}
    numbers = (np.array(table[name].to_numpy(), dtype=np.float64) for name in NUMBERS)  # null: NaN
    return _study(path, json.loads(head), words, *numbers)


def _coded(column: Any) -> Coded:
    """A Parquet column, null as None."""
    import pyarrow as pa

    if column.null_count or not pa.types.is_dictionary(column.type):
        column = pa.array(column.to_pylist()) if pa.types.is_dictionary(column.type) else column
        column = column.dictionary_encode(null_encoding="encode")
    return Coded(tuple(column.dictionary.to_pylist()), column.indices.to_numpy().astype(np.intp))


def _study(path: Path, head: dict[str, Any], words: Mapping[str, Coded], ks: Floats, values: Floats) -> Study:
    if (version := head["version"]) > VERSION:
        raise InspectorError(f"{plain(path, 400)} is of format version {version}: update adapter-inspector to open it.")
    shapes = np.array(head["shapes"], dtype=np.int64).reshape(len(head["adapters"]), len(head["modules"]), 2)
    study = Study(
        typed(tuple[AdapterInfo, ...], head["adapters"]),
        typed(tuple[ModuleId, ...], head["modules"]),
        shapes,
        typed(Settings, head["settings"]),
        probes=typed(tuple[ProbeInfo, ...], head.get("probes", [])),
        alphas=typed(tuple[float, ...], head.get("alphas", [])),
        depth=typed(int, head.get("depth", 0)),
    )
    _refuse_impossible(study)
    read = replace(
        study,
        adapters=tuple(_shown(a) for a in study.adapters),
        modules=tuple(ModuleId(layer, distinct(path, 380)) for layer, path in study.modules),
        probes=tuple(replace(probe, **_texts(probe)) for probe in study.probes),
        blocks=blocks(study, words, ks, values),
    )
    return with_cautions(read)


def _refuse_impossible(study: Study) -> None:
    """Raise ValueError for what no analysis gives, before anything is made as large as it says."""
    layers = [layer for layer, _ in study.modules if layer is not None]
    shown = [plain(name, 400) for name in study.names]
    for what, impossible in {
        "no adapters": not study.adapters,
        "names of adapters": len(set(shown)) < len(shown),
        "modules": len(set(study.modules)) < len(study.modules),
        "layers": not all(0 <= layer < _DEEPEST for layer in (*layers, study.depth)),
        "shapes": bool(study.shapes.size) and not 0 <= study.shapes.min() <= study.shapes.max() < 2**40,
        "k": not 1 <= study.settings.k < _DEEPEST,
    }.items():
        if impossible:
            raise ValueError(f"impossible {what}")


def _shown(info: AdapterInfo) -> AdapterInfo:
    """A study may come from anyone: its texts without control characters."""
    return replace(
        info,
        **_texts(info) | {"name": plain(info.name, 400)},
        targets=tuple(plain(target) for target in info.targets),
        scales=tuple(plain(scale) for scale in info.scales),
        findings=tuple(HealthIssue(f.severity, plain(f.text, 1000)) for f in info.findings),
        excluded=tuple(ModuleId(layer, distinct(path, 380)) for layer, path in info.excluded),
        origin=replace(info.origin, **_texts(info.origin)),
    )


def _texts(of: AdapterInfo | ProbeInfo | Origin) -> dict[str, Any]:
    """Its fields that are text, fit to show; two that differ still do."""
    return {field.name: distinct(v, 380) for field in fields(of) if isinstance(v := getattr(of, field.name), str)}
