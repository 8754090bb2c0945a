"""Adapters in object storage: listed, chosen by name as on the Hub, and copied into the cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path, PurePosixPath

from inspector.adapters.files.beside import NAMELESS
from inspector.adapters.hub.choice import Choice, choices
from inspector.adapters.hub.progress import Progress
from inspector.adapters.locate import DEPTH
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Place
from inspector.common.cache import cache_folder
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.object_storage import Storage, is_stored
from inspector.common.text import plain


@dataclass(frozen=True, slots=True)
class Stored:
    """`[NAME=]s3://bucket/path`: a folder, a file or a pattern."""

    url: str
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Stored | None:
        """None for any other source."""
        if is_stored(text):
            return cls(text)
        name, _, url = text.partition("=")
        return cls(url, plain(name, 80)) if is_stored(url) and "://" not in name else None


def fetch(
    source: Stored, read_options: ReadOptions, progress: Callable[[Progress], None], cancelled: Callable[[], bool]
) -> list[Place]:
    """Copy the adapters there, only their own files; what is in the cache unchanged is not copied again.

    Raises InspectorError where there is none, and CancelledError.
    """
    storage, top = _split(Storage.of(source.url))
    files = storage.files(DEPTH + 1 + top.count("/"))
    if not files:
        raise InspectorError(f"There is nothing at {plain(source.url, 400)}.")
    try:
        found = choices(files, top, read_options)
    except InspectorError as error:
        raise InspectorError(f"{plain(source.url, 400)} {error}.") from error
    places = []
    for choice in found:
        place = _place(source, storage.url, choice, alone=len(found) == 1)
        if choice.refused:
            places.append(replace(place, fault=f"{place.source} {choice.refused}."))
            continue
        objects = {file: files[file] for file in choice.files}
        known = repr([storage.url, *(one.mark for one in objects.values())])
        digest = hashlib.sha256(known.encode()).hexdigest()
        folder = cache_folder("objects") / digest[:2] / digest[2:32]
        done, total = 0, sum(one.size for one in objects.values())
        for file, one in objects.items():
            if cancelled():
                raise CancelledError("Cancelled before all adapters were opened.")
            if not (path := folder / file).is_file():
                progress(Progress(place.source, file, done, total))
                path.parent.mkdir(parents=True, exist_ok=True)
                storage.get(path, file)
            done += one.size
        places.append(replace(place, path=folder / choice.path))
    return places


def _split(storage: Storage) -> tuple[Storage, str]:
    """The folder that is listed, and what of it is meant: a file, a pattern, or all."""
    parts = storage.url.rstrip("/").split("/")
    first = next((n for n, part in enumerate(parts) if has_magic(part)), None)
    if first is None:
        first = len(parts) - 1 if storage.is_file() else len(parts)
    return Storage("/".join(parts[:first]), storage.system), "/".join(parts[first:])


def _place(source: Stored, root: str, choice: Choice, *, alone: bool) -> Place:
    path = PurePosixPath(choice.path)
    parts = path.with_suffix("").parts if choice.file else path.parts
    if choice.file and path.stem in NAMELESS:
        parts = path.parent.parts
    name = "/".join((source.name, *([] if alone else parts))) if source.name else ""
    above = tuple(root.partition("://")[2].split("/"))
    return Place(Path(), f"{root}/{choice.path}".rstrip("/"), (*above, *parts), name, beside=choice.beside)
