"""Why a path holds no adapter: what its files are instead, and the way out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from inspector.adapters.files import placeholders
from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.headers import read_headers
from inspector.adapters.files.placeholders import OF_WEIGHTS, SUFFIXES, Stranger
from inspector.common.errors import InspectorError, NotAnAdapterError
from inspector.common.special_files import special
from inspector.common.text import plain

_MOST_FILES = 1000


def stranger(file: Path) -> Stranger | None:
    """What a file is that no reader takes, None where that is not known.

    Raises InspectorError where it cannot be read, and for pipes and the like.
    """
    kind, known = placeholders.kind_of(file) or ("", None)
    suffix = file.suffix.lower()
    if kind in placeholders.MISSING:
        return known if suffix in OF_WEIGHTS or kind == "empty" else None
    if found := placeholders.by_name(file.name):
        return found
    if kind == "safetensors" and suffix in SUFFIXES[kind] + SUFFIXES["pickle"]:
        return placeholders.by_keys(read_headers(file))
    if suffix not in SUFFIXES.get(kind, ()):
        return known
    return placeholders.by_pickle(file) if kind == "pickle" else placeholders.WHOLE[kind]


def refusal(file: Path) -> InspectorError:
    """Why a file is not an adapter; not NotAnAdapterError where something else stands in the place of weights."""
    known = stranger(file)
    if known is None:
        if file.suffix.lower() == ".csv":
            return NotAnAdapterError(
                f"{plain(file)} is a table, no adapter and no study: save it as .json or .parquet as well "
                "(`analyze --out`), and name that."
            )
        study = " A saved study stands alone, with open, analyze, report or diff."
        return NotAnAdapterError(
            f"{plain(file)} is not an adapter file of a supported format: name its folder, its {CONFIG} or its weights."
            + study * (file.suffix in {".json", ".parquet"})
        )
    in_place = known in placeholders.MISSING.values() and file.suffix.lower() in OF_WEIGHTS
    return (InspectorError if in_place else NotAnAdapterError)(known.of(file))


def found_instead(root: Path, depth: int) -> str:
    """The first file below a folder that is known to be something else, in a sentence; empty where there is none."""
    found: list[tuple[Path, Stranger]] = []
    for path in _files_below(root, depth):
        of_weights = path.suffix.lower() in OF_WEIGHTS
        if (of_weights or path.name == CONFIG) and (what := special(path)):
            return f"{plain(path, 400)} is {what}."
        known = stranger(path) if of_weights else placeholders.by_name(path.name)
        found += [(path, known)] if known else []
    found.sort(key=lambda one: one[1] is placeholders.TRAINING_STATE)
    return found[0][1].of(found[0][0]) if found else ""


def _files_below(root: Path, depth: int) -> Iterator[Path]:
    """What is there beside folders, a folder's own before those below it, in the order of names."""
    left = _MOST_FILES
    for folder, folders, files in os.walk(root):
        below = Path(folder).relative_to(root).parts
        folders[:] = sorted(folders) if len(below) < depth else []
        for name in sorted(files)[:left]:
            yield Path(folder) / name
        left = max(left - len(files), 0)
