"""`inspector atlas`: many adapters, or files of their sketches, to a table and a page."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inspector._version import __version__
from inspector.common.arrays import Floats
from inspector.common.console import wrote
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_place, replacing
from inspector.common.text import plain
from inspector.insights import atlas as insights
from inspector.study import sketch_file, sketch_pairs
from inspector.study.sketches import Sketch, Sketches
from inspector.workflows import on_ray
from inspector.workflows.near_pairs import measured
from inspector.workflows.sketch import MOST, listed, sketch_into
from inspector.workflows.sketch import parts as split

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions
    from inspector.workflows.on_ray import Ray


@dataclass(frozen=True, slots=True)
class Parts:
    """What is shown: the neighbours of one, how many to keep, the page; `exact`: whether near pairs are measured.

    `engine`: `ray`, `ray:ADDRESS`, or nothing for this process. `most`: of the Hub's adapters of a base.
    """

    near: str = ""
    keep: int = 0
    out: Path | None = None
    exact: bool = True
    engine: str = ""
    most: int = MOST


def atlas(sources: Sequence[str], *, store: Path | None, parts: Parts, read_options: ReadOptions) -> int:
    """Sketch what is not sketched yet, measure near pairs, print what is found; 3 if something could not be read."""
    if parts.out is not None:
        if parts.out.suffix.lower() != ".html":
            raise InspectorError(f"Cannot write {plain(parts.out, 400)}: the name must end in .html.")
        refuse_place(parts.out)
    if store is not None:
        sketch_file.refuse_unwritable(store)
    with tempfile.TemporaryDirectory() as scratch, on_ray.engine(parts.engine) as engine:
        files, others = split(sources, Path(scratch))
        kept_at = store or Path(scratch) / "sketches.parquet"
        found = sketch_file.read(files)
        near = listed([parts.near], read_options) if parts.near and not _named(found, parts.near) else []
        added, complete = _sketched(kept_at, [*listed(others, read_options, parts.most), *near], read_options, engine)
        keys = {(s.source, s.digest) for s in found}
        sketches = Sketches([*found, *(s for s in added if (s.source, s.digest) not in keys)])
        if not len(sketches):
            raise InspectorError("No sketch is there to compare: name adapters, or files that hold some.")
        pairs = insights.candidates(sketches)
        cosines = np.full(len(pairs), np.nan)
        if parts.exact:
            cosines = _measured(sketches, pairs, kept_at, read_options, engine)
    made = insights.atlas(sketches, pairs, cosines)
    _show(made, parts, _index(sketches, parts.near, near))
    return 0 if complete else 3


def _sketched(
    path: Path, sources: Sequence[str], read_options: ReadOptions, engine: Ray | None
) -> tuple[list[Sketch], bool]:
    """The sketches of these sources, from the store as far as it has them."""
    if not sources:
        return [], True
    with sketch_file.appending(path) as part:
        done = sketch_into(part, sources, read_options, engine)
    of = {(s.source, s.digest): s for s in sketch_file.read([path])}
    return [of[key] for key in dict.fromkeys(done.found)], all(failure.skipped for failure in done.failures)


def _measured(
    sketches: Sketches, pairs: insights.Pairs, store: Path, read_options: ReadOptions, engine: Ray | None
) -> Floats:
    """The exact cosines of these pairs; NaN where a source is not here any more. The store remembers them."""
    known = sketch_pairs.read(sketch_pairs.beside(store))
    digests = [sketch.digest for sketch in sketches.all]
    keys = [tuple(sorted((digests[i], digests[j]))) for i, j in pairs.tolist()]
    cosines = np.array([known.get(key, np.nan) for key in keys])
    missing = np.flatnonzero(np.isnan(cosines))
    if len(missing):
        cosines[missing] = measured(sketches, pairs[missing], read_options, engine)
        found = {key: float(c) for key, c in zip(keys, cosines, strict=True) if not np.isnan(c)}
        sketch_pairs.write(sketch_pairs.beside(store), known | found)
    return cosines


def _named(found: Sequence[Sketch], name: str) -> bool:
    return any(name in (sketch.name, sketch.source) for sketch in found)


def _index(sketches: Sketches, name: str, near: Sequence[str]) -> int | None:
    """The adapter whose neighbours are asked for."""
    if not name:
        return None
    for i, sketch in enumerate(sketches.all):
        if sketch.source in near or name in (sketch.name, sketch.source):
            return i
    raise InspectorError(f"No adapter {plain(name, 200)!r} is among these: name one of them, or its source.")


def _show(made: insights.Atlas, parts: Parts, near: int | None) -> None:
    from inspector.tables.atlas import print_atlas

    kept = insights.keep(made.sketches, parts.keep) if parts.keep else []
    print_atlas(made, near, kept)
    if parts.out is not None:
        from inspector.report.atlas import atlas_report
        from inspector.report.page import page

        text = page(atlas_report(made, kept, __version__))
        with replacing(parts.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        wrote(parts.out)
