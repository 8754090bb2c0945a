"""A path to the folders of adapters it stands for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path, PurePath

from inspector.adapters.files.beside import NAMELESS, Spot, standing
from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.refusals import found_instead, refusal
from inspector.adapters.files.weights import has_weights
from inspector.adapters.formats import places as places_in
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers import full
from inspector.adapters.sources import CHECKPOINTS, Local, Place, as_source
from inspector.common.errors import InspectorError
from inspector.common.text import plain

DEPTH = 3
"""How many levels of sub-folders are looked through."""
_MOST_FOLDERS = 20_000


def matches(text: str) -> list[str]:
    """The sources that a `[NAME=]PATTERN` stands for, as a shell writes them, in natural order and named apart.

    Any other text, and a pattern that nothing here matches, is itself.
    """
    if not has_magic(text) or os.path.lexists(_at_home(text)):
        return [text]
    if paths := _glob(text):
        return paths
    name, _, pattern = text.partition("=")
    paths = _glob(pattern)
    if len(paths) < 2:
        return [f"{name}={path}" for path in paths] or [text]
    root = fixed(_at_home(pattern))
    below = [PurePath(path).relative_to(root).as_posix().replace("=", "-") for path in paths]
    return [f"{name}/{part}={path}" for part, path in zip(below, paths, strict=True)]


def fixed(pattern: str) -> PurePath:
    """The folder that all paths a pattern matches are in: `out/run` of `out/run/checkpoint-*`."""
    parts = PurePath(pattern).parts
    return PurePath(*parts[: next((n for n, part in enumerate(parts) if has_magic(part)), len(parts))])


def expand(local: Local, read_options: ReadOptions = DEFAULTS) -> list[Place]:
    """The adapters at a path: the file's folder; the folder itself, or those below it, in natural order.

    A folder that is an adapter stands for that one alone, with `read_options.checkpoints` for those beside it too.
    Raises InspectorError if there is none.
    """
    if local.path.is_file():
        return [_place(_adapter_of(local.path), local.name)]
    spots = list(_adapters_below(local.path, read_options))
    if not spots:
        known = found_instead(local.path, DEPTH) or (
            f"an adapter is a folder with {CONFIG} and adapter_model.safetensors, or a file of one of the formats in "
            "assets/guide/formats.md"
        )
        raise InspectorError(f"No adapter in {plain(local.path)} (looked {DEPTH} levels deep): {known}")
    opened = list(standing(spots, checkpoints=read_options.checkpoints))
    places = []
    for n, beside in opened:
        path = Path(spots[n].path)
        below = () if len(opened) == 1 else _named(path.relative_to(local.path).parts)
        places.append(_place(path, "/".join((local.name, *below)) if local.name else "", beside))
    return places


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


def _place(path: Path, name: str, beside: tuple[str, ...] = ()) -> Place:
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would lose the names of links
    own = [] if path.is_file() and whole.stem in NAMELESS else [whole.stem if path.is_file() else whole.name]
    components = _named((*whole.parts[1:-1], *own))
    return Place(path, as_source(path), components if any(components) else ("adapter",), name, beside=beside)


def _named(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of which a name is made."""
    return tuple(part for part in parts if part != CHECKPOINTS)


def _glob(pattern: str) -> list[str]:
    try:
        return sorted(glob(_at_home(pattern)), key=natural)  # noqa: PTH207 - the texts, as a shell writes them
    except ValueError:  # a NUL
        return []


def _at_home(pattern: str) -> str:
    return os.path.expanduser(pattern)  # noqa: PTH111 - a pattern is not a path


def _adapters_below(root: Path, read_options: ReadOptions) -> Iterator[Spot]:
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
        spots = _adapters_in(folder, read_options)
        yield from spots
        if depth < DEPTH:
            hidden = read_options.checkpoints or any(spot.whole for spot in spots)
            below = sorted(_sub_folders(folder, hidden=hidden), key=lambda path: natural(path.name))
            todo.extend((path, depth + 1) for path in reversed(below))


def _adapters_in(folder: Path, read_options: ReadOptions) -> list[Spot]:
    """The adapters at the root of a folder: itself, or files of it."""
    try:
        listed = Folder(folder)
        found = sorted(places_in(listed), key=lambda place: natural(place[0].name))
    except InspectorError:
        return [Spot(folder)]  # reading it tells the error
    spots = []
    for path, reader in found:
        if path != folder:
            spots.append(Spot(folder, path.name, path.stem in NAMELESS))
        elif reader is full:
            spots.append(Spot(folder, whole=read_options.base is not None, model=read_options.base is None))
        else:  # a config whose weights are not there (yet) is not an adapter
            spots.append(Spot(folder, whole=has_weights(listed.names)))
    return spots


def _sub_folders(folder: Path, *, hidden: bool) -> list[Path]:
    """Those that are not hidden, and where `hidden` those that `inspector train` keeps its checkpoints in."""
    try:
        return [
            path
            for path in folder.iterdir()
            if path.is_dir() and (not path.name.startswith(".") or (hidden and path.name == CHECKPOINTS))
        ]
    except OSError:
        return []  # its files could be read: what lies below is another's
