"""The adapters a source holds, and what each weighs: nothing is downloaded, no tensor is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspector.adapters.given import NOTHING, Given
from inspector.adapters.opening import open_sources
from inspector.adapters.sources import Local, Remote, name_places, parse
from inspector.errors import InspectorError
from inspector.text import plain


@dataclass(frozen=True, slots=True)
class Item:
    """One adapter: what to write to open it, where in the source it is, and its files with their bytes."""

    source: str
    path: str
    name: str
    format: str
    """On the Hub, as far as names of files tell."""
    files: tuple[tuple[str, int | None], ...]
    here: bool
    """Whether nothing of it must be downloaded."""
    fault: str = ""
    """Why it cannot be opened."""

    @property
    def size(self) -> int:
        return sum(size or 0 for _, size in self.files)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The adapters of one source, pinned where it is on the Hub."""

    source: str
    items: tuple[Item, ...]
    offline: bool = False
    """Whether only the cache could be asked."""

    @property
    def size(self) -> int:
        """Bytes of all files, one that several adapters share counted once."""
        return sum(size or 0 for size in {file: size for item in self.items for file, size in item.files}.values())


def inventory(source: str, *, given: Given = NOTHING, cancelled: Callable[[], bool] = lambda: False) -> Inventory:
    """What a path or a repo holds. Raises InspectorError where there is no adapter, and CancelledError."""
    found = parse(source)
    return _local(found, source, given) if isinstance(found, Local) else _remote(found, given, cancelled)


def _remote(remote: Remote, given: Given, cancelled: Callable[[], bool]) -> Inventory:
    from inspector.adapters.hub import survey

    offer = survey(remote, given=given, cancelled=cancelled)
    alone = len(offer.choices) == 1
    names = name_places([offer.place(choice, alone=alone) for choice in offer.choices])
    items = tuple(
        Item(
            offer.source(choice),
            plain(choice.path),
            name,
            choice.format,
            tuple((plain(file, 400), offer.listing.files[file].size) for file in choice.files),
            bool(choice.files) and offer.cached(choice),
            offer.refusal(choice),
        )
        for choice, name in zip(offer.choices, names, strict=True)
    )
    return Inventory(offer.source(), items, offer.listing.cached)


def _local(local: Local, source: str, given: Given) -> Inventory:
    adapters, failures = open_sources([source], given=given)
    items = [
        Item(
            adapter.info.source,
            _below(local.path, adapter.info.source),
            adapter.info.name,
            adapter.info.format,
            tuple((plain(path, 400), path.stat().st_size) for path in adapter.files),
            here=True,
        )
        for adapter in adapters
    ]
    if not adapters and len(failures) == 1:
        raise InspectorError(str(failures[0]))
    items += [
        Item(f.source, _below(local.path, f.source), Path(f.source).name, "", (), here=True, fault=f.message)
        for f in failures
    ]
    return Inventory(plain(local.path, 400), tuple(sorted(items, key=lambda item: item.path)))


def _below(root: Path, source: str) -> str:
    try:
        return Path(source).relative_to(root).as_posix().removeprefix(".")
    except ValueError:
        return source
