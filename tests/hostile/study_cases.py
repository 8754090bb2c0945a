"""Saved studies from anyone: sizes, types and texts that lie."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inspector.analysis.analyse import analyse
from inspector.study.export import save
from inspector.study.study import Settings, Study
from tests.hostile.case import ESCAPES, Case, write
from tests.memory import random_adapter

BAD = "not a study|not a complete study|of format version|Cannot read|is empty: save"


@cache
def _study() -> Study:
    return analyse([random_adapter(name, n, layers=2) for n, name in enumerate("ab")], Settings(k=2))


def study(path: Path) -> dict[str, Any]:
    """A right one of two adapters, saved there, and its JSON."""
    save(_study(), path)
    return json.loads(path.read_text()) if path.suffix == ".json" else {}


def _json(change: Callable[[dict[str, Any]], Any], folder: Path) -> Path:
    path = folder / "study.json"
    document = study(path)
    change(document)
    write(path, json.dumps(document))
    return path


def _raw(name: str, content: bytes, folder: Path) -> Path:
    write(folder / name, content)
    return folder / name


def _parquet(change: Callable[[pa.Table, dict[str, Any]], pa.Table], folder: Path) -> Path:
    """The same in the metadata of a Parquet file, or in its columns."""
    path = folder / "study.parquet"
    study(path)
    table = pq.read_table(path)
    head = json.loads(table.schema.metadata[b"inspector"])
    table = change(table, head)
    pq.write_table(table.replace_schema_metadata({"inspector": json.dumps(head)}), path)
    return path


def _cut(name: str, folder: Path) -> Path:
    study(folder / name)
    os.truncate(folder / name, (folder / name).stat().st_size // 2)
    return folder / name


def put(*where: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets document[where[0]][where[1]]… ."""

    def change(document: dict[str, Any]) -> None:
        for key in where[:-1]:
            document = document[key]
        document[where[-1]] = copy.deepcopy(value)

    return change


def refused() -> Iterator[tuple[str, Callable[[dict[str, Any]], Any]]]:
    one = {"name": "x", "source": "y", "format": "z"}
    yield "no adapters", put("adapters", value=[])
    yield "adapters a number", put("adapters", value=7)
    yield "adapters of texts", put("adapters", value=["a", "b"])
    yield "adapters too many", put("adapters", value=[one] * 3)
    yield "an adapter's name a list", put("adapters", 0, "name", value=[1])
    yield "an adapter's ranks of texts", put("adapters", 0, "ranks", value=["x", None])
    yield "an adapter's modules a text", put("adapters", 0, "modules", value="many")
    yield "an adapter's parameters a table", put("adapters", 0, "parameters", value={})
    yield "an adapter's field unknown", put("adapters", 0, "__class__", value=1)
    yield "an adapter that is null", put("adapters", 0, value=None)
    yield "findings of no kind", put("adapters", 0, "findings", value=[{"severity": "fatal", "text": "x"}])
    yield "findings of numbers", put("adapters", 0, "findings", value=[{"severity": "error", "text": 7}])
    yield "excluded of texts", put("adapters", 0, "excluded", value=[["x", 1]])
    yield "origin of texts", put("adapters", 0, "origin", value={"lr": "fast", "seed": [1]})
    yield "names twice", put("adapters", 1, "name", value="a")
    yield "modules of texts", put("modules", value=["a.b"] * 4)
    yield "a layer a text", put("modules", 0, value=["0", "x"])
    yield "a layer negative", put("modules", 0, value=[-5, "x"])
    yield "a layer 10^30", put("modules", 0, value=[10**30, "x"])
    yield "modules twice", lambda d: d["modules"].__setitem__(0, d["modules"][1])
    yield "shapes of texts", put("shapes", value="x")
    yield "shapes negative", put("shapes", 0, 0, value=[-1, -1])
    yield "shapes of 10^30", put("shapes", 0, 0, value=[10**30, 1])
    yield "shapes ragged", put("shapes", 0, value=[[1, 2]])
    yield "settings a list", put("settings", value=[1])
    yield "settings k a text", put("settings", "k", value="x")
    yield "settings k 10^9", put("settings", "k", value=10**9)
    yield "settings sides odd", put("settings", "sides", value=["up"])
    yield "settings unknown", put("settings", "x", value=1)
    yield "depth 10^12", put("depth", value=10**12)
    yield "depth a text", put("depth", value="x")
    yield "depth negative", put("depth", value=-3)
    yield "alphas of texts", put("alphas", value=["x"])
    yield "alphas NaN", put("alphas", value=[float("nan")])
    yield "probes of texts", put("probes", value=["x"])
    yield "probes of numbers", put("probes", value=[{"probe": 7, "base": None}])
    yield "version a text", put("version", value="one")
    yield "version 99", put("version", value=99)
    yield "no table", lambda d: d.pop("table")
    yield "table a list", put("table", value=[1])
    yield "a column missing", lambda d: d["table"].pop("k")
    yield "columns of other lengths", lambda d: d["table"]["value"].pop()
    yield "a metric unknown", put("table", "metric", 0, value="evil")
    yield "a scope unknown", put("table", "scope", 0, value="evil")
    yield "an adapter unknown", put("table", "a", 0, value="evil")
    yield "a place unknown", put("table", "module", 0, value="evil")
    yield "a value a text", put("table", "value", 0, value="x")
    yield "a value a list", put("table", "value", 0, value=[1.0])
    yield "a value Infinity", put("table", "value", 0, value=float("inf"))
    yield "k Infinity", lambda d: _last_k(d, float("inf"))
    yield "k 10^12", lambda d: _last_k(d, 10**12)
    yield "k 10^7", lambda d: _last_k(d, 10**7)
    yield "k negative", lambda d: _last_k(d, -4)
    yield "k 0", lambda d: _last_k(d, 0)
    yield "k a text", lambda d: _last_k(d, "x")
    yield "k one half", lambda d: _last_k(d, 0.5)


def _last_k(document: dict[str, Any], value: Any) -> None:
    table = document["table"]
    at = max(n for n, k in enumerate(table["k"]) if k is not None)
    table["k"][at] = value


def _wide(document: dict[str, Any]) -> None:
    """3,000 adapters that are named and no more: their pairs alone would take 10^9 numbers."""
    one = document["adapters"][0]
    document["adapters"] = [one | {"name": f"a{n}"} for n in range(3000)]
    document["shapes"] = [document["shapes"][0]] * 3000
    kept = [
        n
        for n, (a, b) in enumerate(zip(document["table"]["a"], document["table"]["b"], strict=True))
        if not a and not b
    ]
    document["table"] = {name: [column[n] for n in kept] for name, column in document["table"].items()}
    for column, value in {"metric": "cosine", "a": "a1", "b": "a2", "scope": "module", "layer": 0, "k": None}.items():
        document["table"][column].append(value)
    document["table"]["module"].append(document["modules"][0][1])
    document["table"]["value"].append(1.0)


def _renamed(table: dict[str, list[Any]]) -> None:
    table |= {side: [ESCAPES if name == "a" else name for name in table[side]] for side in "ab"}


def cases() -> Iterator[Case]:
    for name, change in refused():
        yield Case(f"study: {name}", partial(_json, change), 2, BAD)
    yield Case("study: 3,000 adapters of no numbers", partial(_json, _wide), 2, BAD)
    for name, content in {
        "empty": b"",
        "nested deeply": b"[" * 10**5,
        "not UTF-8": b'{"format": "\xff"}',
        "UTF-16": '{"format": "x"}'.encode("utf-16"),
        "a number of 10,000 digits": b"9" * 10_000,
        "another JSON": b'{"a": 1}',
    }.items():
        yield Case(f"study: {name}", partial(_raw, "study.json", content), 2, BAD)
        yield Case(f"parquet: {name}", partial(_raw, "study.parquet", content), 2, BAD)
    for name in "study.json", "study.parquet":
        yield Case(f"study: {name} cut", partial(_cut, name), 2, BAD)
    yield Case("parquet: no study in it", partial(_parquet, lambda t, h: (h.clear(), t)[1]), 2, BAD)
    yield Case("parquet: a column gone", partial(_parquet, lambda t, h: t.drop_columns(["k"])), 2, BAD)
    numbers = lambda t, h: t.set_column(0, "metric", pa.array([7] * len(t)))  # noqa: E731
    yield Case("parquet: metrics of numbers", partial(_parquet, numbers), 2, BAD)
    yield Case("parquet: depth 10^12", partial(_parquet, lambda t, h: (h.update(depth=10**12), t)[1]), 2, BAD)
    texts = {
        "name": ESCAPES,
        "source": ESCAPES,
        "base": ESCAPES,
        "targets": [ESCAPES],
        "scale": ESCAPES,
        "dtype": ESCAPES,
    }
    texts["findings"] = [{"severity": "warning", "text": ESCAPES}]
    shown = lambda d: (d["adapters"][0].update(texts), _renamed(d["table"]))  # noqa: E731
    yield Case("study: texts of escapes", partial(_json, shown), 0, r"\[31m")
