"""A path to the folders of adapters it stands for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inspector.adapters.config_file import CONFIG
from inspector.adapters.formats import NAMELESS
from inspector.adapters.formats import places as places_in
from inspector.adapters.listing import Folder
from inspector.adapters.refusals import found_instead, refusal
from inspector.adapters.sources import Local, Place, as_source
from inspector.adapters.weights import has_weights
from inspector.errors import InspectorError
from inspector.text import plain

DEPTH = 3
"""How many levels of sub-folders are looked through."""
_MOST_FOLDERS = 20_000


def expand(local: Local) -> list[Place]:
    """The adapters at a path: the file's folder, the folder itself, and those below it in natural order.

    Raises InspectorError where there is none.
    """
    if local.path.is_file():
        return [_place(_adapter_of(local.path), local.name)]
    paths = list(_adapters_below(local.path))
    if not paths:
        known = found_instead(local.path, DEPTH) or (
            f"an adapter is a folder with {CONFIG} and adapter_model.safetensors, or a file of one of the formats the "
            "README lists."
        )
        raise InspectorError(f"No adapter in {plain(local.path)} (looked {DEPTH} levels deep): {known}")
    places = [_place(path, "") for path in paths]
    if not local.name:
        return places
    if len(places) == 1:
        return [replace(places[0], name=local.name)]
    below = [path.relative_to(local.path).parts for path in paths]
    return [replace(p, name="/".join((local.name, *parts))) for p, parts in zip(places, below, strict=True)]


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key under which checkpoint-500 comes before checkpoint-1000."""
    return [(0, int(part[:18]), part) if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def _adapter_of(file: Path) -> Path:
    """The adapter a file stands for: itself, or the folder it is the config or the weights of."""
    if file in (path for path, _ in places_in(Folder(file.parent, only=file.name))):
        return file
    found = [path for path, _ in places_in(Folder(file.parent))]
    if file.parent in found and (file.name == CONFIG or has_weights({file.name})):
        return file.parent
    raise refusal(file)


def _place(path: Path, name: str) -> Place:
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would lose the names of links
    own = [] if path.is_file() and whole.stem in NAMELESS else [whole.stem if path.is_file() else whole.name]
    components = (*whole.parts[1:-1], *own)
    return Place(path, as_source(path), components if any(components) else ("adapter",), name)


def _adapters_below(root: Path) -> Iterator[Path]:
    """Adapters of a folder, then those of the folders below it; a folder reached twice counts once."""
    seen: set[str] = set()
    todo = [(root, 0)]
    while todo:
        folder, depth = todo.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        if len(seen) > _MOST_FOLDERS:
            raise InspectorError(f"{plain(root)} has more than {_MOST_FOLDERS} folders: name the adapters themselves.")
        try:
            yield from sorted((path for path, _ in places_in(Folder(folder))), key=lambda path: natural(path.name))
        except InspectorError:
            yield folder  # reading it tells the error
        if depth < DEPTH:
            below = sorted(_sub_folders(folder), key=lambda path: natural(path.name))
            todo.extend((path, depth + 1) for path in reversed(below))


def _sub_folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []  # its files could be read: what lies below is another's
